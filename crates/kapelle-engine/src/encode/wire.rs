//! Fields and records: the bytes of one number, text or list, and the tables that make records of them.
//!
//! Deliberately absent: floats (variables are MessagePack already) and anything that is self-describing.

use std::sync::Arc;

use kapelle_events::CloudEvent;
use kapelle_model::graph::{ElementIndex, FlowIndex, MessageIndex};

use super::DecodeError;
use crate::document::{Document, StoredValue};
use crate::ids::{
    COUNTER_BITS, DefinitionKey, DeploymentKey, ElementInstanceKey, IncidentKey, JobKey,
    MessageKey, OutboxKey, PARTITION_ID, ProcessInstanceKey, ResourceKey, Sequence,
    SubscriptionKey, TimerKey, Timestamp, VariableKey,
};

const WIRE_NUMBER: u64 = 0;
const WIRE_BYTES: u64 = 1;

/// What stands behind a field's number.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Raw<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// A value that can be a field.
pub(crate) trait Field: Sized {
    /// Writes it under that number, whatever it is.
    fn put(&self, number: u32, out: &mut Vec<u8>);
    /// Reads one occurrence into what was read so far: lists come one by one, of anything else the last counts.
    fn take(raw: Raw<'_>, slot: &mut Option<Self>) -> Result<(), DecodeError>;
    /// What it is when no field of that number is there; `None` if there must be one.
    fn absent() -> Option<Self> {
        None
    }
    /// Whether it is what [`Self::absent`] says, so that it need not be written.
    fn is_absent(&self) -> bool {
        false
    }
}

/// A list of numbered fields.
pub(crate) trait Record: Sized {
    fn write(&self, out: &mut Vec<u8>);
    fn read(bytes: &[u8]) -> Result<Self, DecodeError>;

    fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64);
        self.write(&mut out);
        out
    }
}

impl<T: Record> Record for Box<T> {
    fn write(&self, out: &mut Vec<u8>) {
        T::write(self, out);
    }

    fn read(bytes: &[u8]) -> Result<Self, DecodeError> {
        T::read(bytes).map(Self::new)
    }
}

/// Reads the fields of a record.
pub(crate) struct Fields<'a>(pub(crate) &'a [u8]);

impl<'a> Fields<'a> {
    pub(crate) fn next(&mut self) -> Result<Option<(u32, Raw<'a>)>, DecodeError> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let tag = take_varint(&mut self.0)?;
        let number = u32::try_from(tag >> 1).map_err(|_| DecodeError::Overlong)?;
        let value = take_varint(&mut self.0)?;
        if tag & 1 == WIRE_NUMBER {
            return Ok(Some((number, Raw::Number(value))));
        }
        let length = usize::try_from(value).map_err(|_| DecodeError::Truncated)?;
        let (bytes, rest) = self
            .0
            .split_at_checked(length)
            .ok_or(DecodeError::Truncated)?;
        self.0 = rest;
        Ok(Some((number, Raw::Bytes(bytes))))
    }
}

pub(crate) fn put_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

pub(crate) fn take_varint(bytes: &mut &[u8]) -> Result<u64, DecodeError> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first().ok_or(DecodeError::Truncated)?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(DecodeError::Overlong)
}

fn put_number(number: u32, value: u64, out: &mut Vec<u8>) {
    put_varint(u64::from(number) << 1 | WIRE_NUMBER, out);
    put_varint(value, out);
}

fn put_bytes(number: u32, bytes: &[u8], out: &mut Vec<u8>) {
    put_varint(u64::from(number) << 1 | WIRE_BYTES, out);
    put_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

/// Writes a field whose bytes `write` makes. Nearly all are shorter than 128 bytes: the length is put in afterwards.
pub(crate) fn put_nested(number: u32, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    put_varint(u64::from(number) << 1 | WIRE_BYTES, out);
    let length_at = out.len();
    out.push(0);
    write(out);
    let length = out.len() - length_at - 1;
    if length < 0x80 {
        out[length_at] = length as u8;
    } else {
        let mut prefix = Vec::with_capacity(10);
        put_varint(length as u64, &mut prefix);
        out.splice(length_at..=length_at, prefix);
    }
}

pub(crate) fn as_bytes<'a>(raw: Raw<'a>, name: &'static str) -> Result<&'a [u8], DecodeError> {
    match raw {
        Raw::Bytes(bytes) => Ok(bytes),
        Raw::Number(_) => Err(DecodeError::WrongType(name)),
    }
}

pub(crate) fn as_number(raw: Raw<'_>, name: &'static str) -> Result<u64, DecodeError> {
    match raw {
        Raw::Number(number) => Ok(number),
        Raw::Bytes(_) => Err(DecodeError::WrongType(name)),
    }
}

const fn zigzag(value: i64) -> u64 {
    (value << 1 ^ value >> 63) as u64
}

const fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// A number-like field: how it becomes a `u64` and back, absent when 0.
macro_rules! number_fields {
    ($($type:ty: |$value:ident| $to:expr, |$raw:ident| $from:expr;)+) => {$(
        impl Field for $type {
            fn put(&self, number: u32, out: &mut Vec<u8>) {
                let $value = *self;
                put_number(number, $to, out);
            }
            fn take(raw: Raw<'_>, slot: &mut Option<Self>) -> Result<(), DecodeError> {
                let $raw = as_number(raw, stringify!($type))?;
                *slot = Some($from);
                Ok(())
            }
            fn absent() -> Option<Self> {
                let $raw = 0;
                Some($from)
            }
            fn is_absent(&self) -> bool {
                let $value = *self;
                ($to) == 0
            }
        }
    )+};
}

number_fields! {
    u64: |value| value, |raw| raw;
    u32: |value| u64::from(value), |raw| raw as u32;
    usize: |value| value as u64, |raw| raw as usize;
    bool: |value| u64::from(value), |raw| raw != 0;
    i64: |value| zigzag(value), |raw| unzigzag(raw);
    i32: |value| zigzag(i64::from(value)), |raw| unzigzag(raw) as i32;
    Timestamp: |value| zigzag(value.0), |raw| Timestamp(unzigzag(raw));
    Sequence: |value| value.0, |raw| Sequence(raw);
    ElementIndex: |value| u64::from(value.0), |raw| ElementIndex(raw as u32);
    FlowIndex: |value| u64::from(value.0), |raw| FlowIndex(raw as u32);
    MessageIndex: |value| u64::from(value.0), |raw| MessageIndex(raw as u32);
}

/// What all keys of partition 1 have in common. A key is stored without it: three or four bytes in place of eight, several
/// times in every record. Keys of other partitions take nine.
const COMMON_KEY_BITS: u64 = (PARTITION_ID as u64) << COUNTER_BITS;

macro_rules! key_fields {
    ($($type:ident),+ $(,)?) => {$(
        impl Field for $type {
            fn put(&self, number: u32, out: &mut Vec<u8>) {
                put_number(number, self.0 ^ COMMON_KEY_BITS, out);
            }
            fn take(raw: Raw<'_>, slot: &mut Option<Self>) -> Result<(), DecodeError> {
                *slot = Some(Self(as_number(raw, stringify!($type))? ^ COMMON_KEY_BITS));
                Ok(())
            }
        }
    )+};
}

key_fields! {
    ProcessInstanceKey, ElementInstanceKey, DefinitionKey, DeploymentKey, ResourceKey, JobKey, IncidentKey, MessageKey, SubscriptionKey, TimerKey, VariableKey, OutboxKey,
}

impl Field for Arc<str> {
    fn put(&self, number: u32, out: &mut Vec<u8>) {
        put_bytes(number, self.as_bytes(), out);
    }

    fn take(raw: Raw<'_>, slot: &mut Option<Self>) -> Result<(), DecodeError> {
        let text = str::from_utf8(as_bytes(raw, "text")?).map_err(|_| DecodeError::NotUtf8)?;
        *slot = Some(text.into());
        Ok(())
    }

    fn absent() -> Option<Self> {
        Some("".into())
    }

    fn is_absent(&self) -> bool {
        self.is_empty()
    }
}

impl Field for Arc<[u8]> {
    fn put(&self, number: u32, out: &mut Vec<u8>) {
        put_bytes(number, self, out);
    }

    fn take(raw: Raw<'_>, slot: &mut Option<Self>) -> Result<(), DecodeError> {
        *slot = Some(as_bytes(raw, "bytes")?.into());
        Ok(())
    }

    fn absent() -> Option<Self> {
        Some(Arc::from([]))
    }

    fn is_absent(&self) -> bool {
        self.is_empty()
    }
}

impl Field for Document {
    fn put(&self, number: u32, out: &mut Vec<u8>) {
        self.0.put(number, out);
    }

    fn take(raw: Raw<'_>, slot: &mut Option<Self>) -> Result<(), DecodeError> {
        *slot = Some(Self(as_bytes(raw, "document")?.into()));
        Ok(())
    }

    fn absent() -> Option<Self> {
        Some(Self::empty())
    }

    fn is_absent(&self) -> bool {
        self.is_empty()
    }
}

impl Field for StoredValue {
    fn put(&self, number: u32, out: &mut Vec<u8>) {
        self.0.put(number, out);
    }

    fn take(raw: Raw<'_>, slot: &mut Option<Self>) -> Result<(), DecodeError> {
        *slot = Some(Self(as_bytes(raw, "value")?.into()));
        Ok(())
    }
}

impl Field for [u8; 32] {
    fn put(&self, number: u32, out: &mut Vec<u8>) {
        put_bytes(number, self, out);
    }

    fn take(raw: Raw<'_>, slot: &mut Option<Self>) -> Result<(), DecodeError> {
        let bytes = as_bytes(raw, "checksum")?;
        *slot = Some(
            bytes
                .try_into()
                .map_err(|_| DecodeError::WrongType("checksum"))?,
        );
        Ok(())
    }
}

impl Field for u128 {
    fn put(&self, number: u32, out: &mut Vec<u8>) {
        put_bytes(number, &self.to_be_bytes(), out);
    }

    fn take(raw: Raw<'_>, slot: &mut Option<Self>) -> Result<(), DecodeError> {
        let bytes = as_bytes(raw, "hash")?;
        *slot = Some(Self::from_be_bytes(
            bytes
                .try_into()
                .map_err(|_| DecodeError::WrongType("hash"))?,
        ));
        Ok(())
    }
}

impl Field for CloudEvent {
    fn put(&self, number: u32, out: &mut Vec<u8>) {
        put_nested(number, out, |out| kapelle_events::encode::encode(self, out));
    }

    fn take(raw: Raw<'_>, slot: &mut Option<Self>) -> Result<(), DecodeError> {
        let bytes = as_bytes(raw, "CloudEvent")?;
        let event = kapelle_events::encode::decode(bytes)
            .map_err(|error| DecodeError::CloudEvent(error.to_string()))?;
        *slot = Some(event);
        Ok(())
    }
}

impl Field for Arc<CloudEvent> {
    fn put(&self, number: u32, out: &mut Vec<u8>) {
        CloudEvent::put(self, number, out);
    }

    fn take(raw: Raw<'_>, slot: &mut Option<Self>) -> Result<(), DecodeError> {
        let mut event = None;
        CloudEvent::take(raw, &mut event)?;
        *slot = event.map(Self::new);
        Ok(())
    }
}

/// A list that may be absent or empty, which are two things: it is a field of its own that holds its texts.
impl Field for Arc<[Arc<str>]> {
    fn put(&self, number: u32, out: &mut Vec<u8>) {
        put_nested(number, out, |out| {
            self.iter().for_each(|text| text.put(1, out))
        });
    }

    fn take(raw: Raw<'_>, slot: &mut Option<Self>) -> Result<(), DecodeError> {
        let mut fields = Fields(as_bytes(raw, "texts")?);
        let mut texts = None;
        while let Some((_, raw)) = fields.next()? {
            Vec::<Arc<str>>::take(raw, &mut texts)?;
        }
        *slot = Some(texts.unwrap_or_default().into());
        Ok(())
    }
}

impl<T: Field> Field for Box<T> {
    fn put(&self, number: u32, out: &mut Vec<u8>) {
        T::put(self, number, out);
    }

    fn take(raw: Raw<'_>, slot: &mut Option<Self>) -> Result<(), DecodeError> {
        let mut value = None;
        T::take(raw, &mut value)?;
        *slot = value.map(Self::new);
        Ok(())
    }
}

impl<T: Field> Field for Option<T> {
    fn put(&self, number: u32, out: &mut Vec<u8>) {
        if let Some(value) = self {
            value.put(number, out);
        }
    }

    fn take(raw: Raw<'_>, slot: &mut Option<Self>) -> Result<(), DecodeError> {
        T::take(raw, slot.get_or_insert_default())
    }

    fn absent() -> Option<Self> {
        Some(None)
    }

    fn is_absent(&self) -> bool {
        self.is_none()
    }
}

impl<T: Field> Field for Vec<T> {
    fn put(&self, number: u32, out: &mut Vec<u8>) {
        for value in self {
            value.put(number, out);
        }
    }

    fn take(raw: Raw<'_>, slot: &mut Option<Self>) -> Result<(), DecodeError> {
        let mut value = None;
        T::take(raw, &mut value)?;
        slot.get_or_insert_default().extend(value);
        Ok(())
    }

    fn absent() -> Option<Self> {
        Some(Self::new())
    }

    fn is_absent(&self) -> bool {
        self.is_empty()
    }
}

/// The table of a struct: number and name of each field. It becomes a [`Record`], and a [`Field`] that holds it.
macro_rules! record {
    ($type:ident { $($number:literal $field:ident),* $(,)? }) => {
        impl $crate::encode::wire::Record for $type {
            fn write(&self, out: &mut Vec<u8>) {
                $(if !$crate::encode::wire::Field::is_absent(&self.$field) {
                    $crate::encode::wire::Field::put(&self.$field, $number, out);
                })*
            }

            fn read(bytes: &[u8]) -> Result<Self, $crate::encode::DecodeError> {
                $(let mut $field = None;)*
                let mut fields = $crate::encode::wire::Fields(bytes);
                while let Some((number, raw)) = fields.next()? {
                    match number {
                        $($number => $crate::encode::wire::Field::take(raw, &mut $field)?,)*
                        _ => {} // A later release's.
                    }
                }
                Ok(Self { $($field: $field.or_else($crate::encode::wire::Field::absent).ok_or(
                    $crate::encode::DecodeError::Missing { record: stringify!($type), field: $number },
                )?,)* })
            }
        }
        $crate::encode::wire::nested!($type);
    };
}

/// A record as a field of another.
macro_rules! nested {
    ($type:ident) => {
        impl $crate::encode::wire::Field for $type {
            fn put(&self, number: u32, out: &mut Vec<u8>) {
                $crate::encode::wire::put_nested(number, out, |out| {
                    $crate::encode::wire::Record::write(self, out)
                });
            }

            fn take(
                raw: $crate::encode::wire::Raw<'_>,
                slot: &mut Option<Self>,
            ) -> Result<(), $crate::encode::DecodeError> {
                let bytes = $crate::encode::wire::as_bytes(raw, stringify!($type))?;
                *slot = Some($crate::encode::wire::Record::read(bytes)?);
                Ok(())
            }
        }
    };
}

/// The table of an enum with data: number and name of each variant, and of each of its fields (`fields`) or of the
/// variants that hold a record (`records`).
macro_rules! variants {
    (
        $type:ident
        fields { $($code:literal $variant:ident { $($number:literal $field:ident),* $(,)? }),* $(,)? }
        records { $($record_code:literal $record:ident),* $(,)? }
    ) => {
        impl $crate::encode::wire::Record for $type {
            fn write(&self, out: &mut Vec<u8>) {
                match self {
                    $(Self::$variant { $($field),* } => {
                        $crate::encode::wire::put_varint($code, out);
                        $(if !$crate::encode::wire::Field::is_absent($field) {
                            $crate::encode::wire::Field::put($field, $number, out);
                        })*
                    })*
                    $(Self::$record(record) => {
                        $crate::encode::wire::put_varint($record_code, out);
                        $crate::encode::wire::Record::write(record, out);
                    })*
                }
            }

            fn read(mut bytes: &[u8]) -> Result<Self, $crate::encode::DecodeError> {
                let code = $crate::encode::wire::take_varint(&mut bytes)?;
                match code {
                    $($code => {
                        $(let mut $field = None;)*
                        let mut fields = $crate::encode::wire::Fields(bytes);
                        while let Some((number, _raw)) = fields.next()? {
                            match number {
                                $($number => $crate::encode::wire::Field::take(_raw, &mut $field)?,)*
                                _ => {} // A later release's.
                            }
                        }
                        Ok(Self::$variant { $($field: $field.or_else($crate::encode::wire::Field::absent).ok_or(
                            $crate::encode::DecodeError::Missing { record: stringify!($variant), field: $number },
                        )?,)* })
                    })*
                    $($record_code => $crate::encode::wire::Record::read(bytes).map(Self::$record),)*
                    number => Err($crate::encode::DecodeError::UnknownVariant { name: stringify!($type), number }),
                }
            }
        }

        impl $type {
            /// Its number, which is for ever.
            #[must_use]
            pub const fn code(&self) -> u64 {
                match self {
                    $(Self::$variant { .. } => $code,)*
                    $(Self::$record(_) => $record_code,)*
                }
            }

            /// Its name.
            #[must_use]
            pub const fn name(&self) -> &'static str {
                match self {
                    $(Self::$variant { .. } => stringify!($variant),)*
                    $(Self::$record(_) => stringify!($record),)*
                }
            }
        }
    };
}

/// A plain enum whose discriminants are its numbers.
macro_rules! discriminants {
    ($type:ident [ $($variant:ident),+ $(,)? ]) => {
        impl $crate::encode::wire::Field for $type {
            fn put(&self, number: u32, out: &mut Vec<u8>) {
                $crate::encode::wire::Field::put(&u64::from(*self as u8), number, out);
            }

            fn take(raw: $crate::encode::wire::Raw<'_>, slot: &mut Option<Self>) -> Result<(), $crate::encode::DecodeError> {
                let number = $crate::encode::wire::as_number(raw, stringify!($type))?;
                $(if number == u64::from(Self::$variant as u8) {
                    *slot = Some(Self::$variant);
                    return Ok(());
                })+
                Err($crate::encode::DecodeError::UnknownVariant { name: stringify!($type), number })
            }
        }
    };
}

pub(crate) use {discriminants, nested, record, variants};
