//! The compact form of a CloudEvent in the journal: numbered fields, unknown ones are skipped.
//!
//! A field is its number and wire type in one varint, then a varint (type 0), or a length and bytes (type 2). An extension
//! is a field that holds fields. **Numbers are for ever**; a retired one stays in the list, commented.
//!
//! **Invariant**: `decode(encode(event)) == event`, in this and every later release. So the rules that
//! [`Builder::build`](crate::Builder::build) checks may only become looser.

use crate::attribute::{Type, Value};
use crate::{Builder, CloudEvent, Error, Kind, Limits, Timestamp};

mod field {
    pub(super) const ID: u64 = 1;
    pub(super) const SOURCE: u64 = 2;
    pub(super) const TYPE: u64 = 3;
    pub(super) const SUBJECT: u64 = 4;
    pub(super) const TIME: u64 = 5;
    pub(super) const DATA_CONTENT_TYPE: u64 = 6;
    pub(super) const DATA_SCHEMA: u64 = 7;
    pub(super) const EXTENSION: u64 = 8;
    pub(super) const DATA: u64 = 9;

    pub(super) const EXTENSION_NAME: u64 = 1;
    pub(super) const EXTENSION_TYPE: u64 = 2;
    pub(super) const EXTENSION_VALUE: u64 = 3;
}

const WIRE_VARINT: u64 = 0;
const WIRE_BYTES: u64 = 2;

/// What was accepted once is read again whatever the limits are today.
const NO_LIMITS: Limits = Limits {
    name_chars_max: usize::MAX,
    value_bytes_max: usize::MAX,
    extensions_max: usize::MAX,
    event_bytes_max: usize::MAX,
    batch_events_max: usize::MAX,
    batch_bytes_max: usize::MAX,
};

/// Appends the stored form of a CloudEvent.
pub fn encode(event: &CloudEvent, out: &mut Vec<u8>) {
    put_bytes(field::ID, event.id().as_bytes(), out);
    put_bytes(field::SOURCE, event.source().as_bytes(), out);
    put_bytes(field::TYPE, event.event_type().as_bytes(), out);
    put_text(field::SUBJECT, event.subject(), out);
    put_text(field::TIME, event.time().map(Timestamp::as_str), out);
    put_text(field::DATA_CONTENT_TYPE, event.data_content_type(), out);
    put_text(field::DATA_SCHEMA, event.data_schema(), out);
    let mut extension = Vec::new();
    for (name, value) in event.extensions() {
        extension.clear();
        put_bytes(field::EXTENSION_NAME, name.as_bytes(), &mut extension);
        put_varint(field::EXTENSION_TYPE << 3 | WIRE_VARINT, &mut extension);
        put_varint(type_number(value.kind()), &mut extension);
        match value {
            Value::Binary(bytes) => put_bytes(field::EXTENSION_VALUE, bytes, &mut extension),
            value => put_bytes(
                field::EXTENSION_VALUE,
                value.to_text().as_bytes(),
                &mut extension,
            ),
        }
        put_bytes(field::EXTENSION, &extension, out);
    }
    if let Some(data) = event.data() {
        put_bytes(field::DATA, data.as_bytes(), out);
    }
}

/// Reads the stored form, which must fill `bytes` to the end.
pub fn decode(bytes: &[u8]) -> Result<CloudEvent, Error> {
    let mut builder = Builder::default();
    let mut fields = Fields {
        bytes,
        at: 0,
        base: 0,
    };
    while let Some(entry) = fields.next()? {
        let Content::Bytes(content) = entry.content else {
            continue;
        };
        let text = || text_at(content, entry.at);
        builder = match entry.number {
            field::ID => builder.id(text()?),
            field::SOURCE => builder.source(text()?),
            field::TYPE => builder.event_type(text()?),
            field::SUBJECT => builder.subject(text()?),
            field::TIME => builder
                .time(Timestamp::parse(text()?).ok_or(damaged(entry.at, "broken timestamp"))?),
            field::DATA_CONTENT_TYPE => builder.data_content_type(text()?),
            field::DATA_SCHEMA => builder.data_schema(text()?),
            field::EXTENSION => decode_extension(builder, content, entry.at)?,
            field::DATA => builder.bare_data(content),
            _ => builder,
        };
    }
    builder.build_within(&NO_LIMITS)
}

fn decode_extension(builder: Builder, bytes: &[u8], base: usize) -> Result<Builder, Error> {
    let (mut name, mut kind, mut value) = (None, Type::String, None);
    let mut fields = Fields { bytes, at: 0, base };
    while let Some(entry) = fields.next()? {
        match (entry.number, entry.content) {
            (field::EXTENSION_NAME, Content::Bytes(bytes)) => {
                name = Some(text_at(bytes, entry.at)?)
            }
            (field::EXTENSION_TYPE, Content::Varint(number)) => {
                kind = type_of_number(number)
                    .ok_or(damaged(entry.at, "unknown type of an extension"))?;
            }
            (field::EXTENSION_VALUE, Content::Bytes(bytes)) => value = Some(bytes),
            _ => {}
        }
    }
    let name = name.ok_or(damaged(base, "extension without a name"))?;
    let value = value.ok_or(damaged(base, "extension without a value"))?;
    let value = match kind {
        Type::Binary => Value::Binary(value.into()),
        kind => kind
            .parse(text_at(value, base)?)
            .map_err(|why| damaged(base, why))?,
    };
    Ok(builder.extension(name, value))
}

fn type_number(kind: Type) -> u64 {
    match kind {
        Type::Boolean => 1,
        Type::Integer => 2,
        Type::String => 3,
        Type::Binary => 4,
        Type::Uri => 5,
        Type::UriReference => 6,
        Type::Timestamp => 7,
    }
}

fn type_of_number(number: u64) -> Option<Type> {
    Some(match number {
        1 => Type::Boolean,
        2 => Type::Integer,
        3 => Type::String,
        4 => Type::Binary,
        5 => Type::Uri,
        6 => Type::UriReference,
        7 => Type::Timestamp,
        _ => return None,
    })
}

fn put_text(number: u64, text: Option<&str>, out: &mut Vec<u8>) {
    if let Some(text) = text {
        put_bytes(number, text.as_bytes(), out);
    }
}

fn put_bytes(number: u64, bytes: &[u8], out: &mut Vec<u8>) {
    put_varint(number << 3 | WIRE_BYTES, out);
    put_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

fn put_varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
}

/// Reads fields one after the other; `base` makes offsets count from the beginning of the CloudEvent.
struct Fields<'b> {
    bytes: &'b [u8],
    at: usize,
    base: usize,
}

struct Field<'b> {
    number: u64,
    at: usize,
    content: Content<'b>,
}

enum Content<'b> {
    Varint(u64),
    Bytes(&'b [u8]),
}

impl<'b> Fields<'b> {
    fn next(&mut self) -> Result<Option<Field<'b>>, Error> {
        if self.at == self.bytes.len() {
            return Ok(None);
        }
        let key = self.varint()?;
        let at = self.base + self.at;
        let content = match key & 7 {
            WIRE_VARINT => Content::Varint(self.varint()?),
            WIRE_BYTES => Content::Bytes(self.length_and_bytes()?),
            _ => return Err(self.damaged("unknown wire type")),
        };
        Ok(Some(Field {
            number: key >> 3,
            at,
            content,
        }))
    }

    fn length_and_bytes(&mut self) -> Result<&'b [u8], Error> {
        let length =
            usize::try_from(self.varint()?).map_err(|_| self.damaged("length does not fit"))?;
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let content = rest
            .get(..length)
            .ok_or_else(|| self.damaged("field is cut off"))?;
        self.at += length;
        Ok(content)
    }

    fn varint(&mut self) -> Result<u64, Error> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = *self
                .bytes
                .get(self.at)
                .ok_or_else(|| self.damaged("number is cut off"))?;
            self.at += 1;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(self.damaged("number is too long"))
    }

    fn damaged(&self, what: &'static str) -> Error {
        damaged(self.base + self.at, what)
    }
}

fn text_at(bytes: &[u8], at: usize) -> Result<&str, Error> {
    str::from_utf8(bytes).map_err(|_| damaged(at, "text is not UTF-8"))
}

fn damaged(offset: usize, what: &'static str) -> Error {
    Kind::Damaged { offset, what }.into()
}
