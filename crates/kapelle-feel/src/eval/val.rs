//! Values on the way: owned, or borrowed from where they are stored.
//!
//! A condition reads a number here and a text there out of variables that lie as MessagePack. Borrowing lets it compare
//! them where they are; only what stays is made a [`Value`].

use std::fmt::Write;

use super::meter::{Meter, Stop};
use crate::msgpack::{Cursor, Header, from_msgpack, number_of_float};
use crate::number::Number;
use crate::value::{List, Shape, Value};

#[derive(Clone)]
pub(crate) enum Val<'a> {
    Value(Value),
    Str(&'a str),
    /// An array or map as it is stored. Never a scalar.
    Stored(&'a [u8]),
    /// A list of such values. Lives only from one step to the next, so that `items[price > 10].name` decodes names only.
    Items(Vec<Val<'a>>),
}

impl<'a> Val<'a> {
    pub(crate) const NULL: Val<'static> = Val::Value(Value::Null);

    #[inline]
    pub(crate) fn bool(value: bool) -> Val<'a> {
        Val::Value(Value::Bool(value))
    }

    /// Borrows a short text, shares everything else: making a value of it again then costs no allocation.
    #[inline]
    pub(crate) fn of(value: &'a Value) -> Val<'a> {
        match value {
            Value::String(text) if !text.is_heap_allocated() => Val::Str(text),
            other => Val::Value(other.clone()),
        }
    }

    /// The same value in a form that is cheap to read over and over, if the meter can afford it.
    pub(crate) fn kept(self, meter: &mut Meter<'_>) -> Result<Val<'a>, Stop> {
        let affordable = match &self {
            Val::Stored(bytes) => decoded_size(bytes) <= meter.env.limits.bytes / 4,
            Val::Str(_) => true,
            Val::Value(_) | Val::Items(_) => false,
        };
        if affordable {
            self.into_value(meter).map(Val::Value)
        } else {
            Ok(self)
        }
    }

    /// Reads a stored scalar; leaves an array or map where it is. What is malformed is null.
    #[inline]
    pub(crate) fn from_stored(bytes: &'a [u8]) -> Val<'a> {
        // What most variables are is seen in the first byte.
        match bytes {
            [tag @ 0..=0x7f] => return Val::Value(Value::Number(i64::from(*tag).into())),
            [0x80..=0x9f, ..] => return Val::Stored(bytes),
            [0xcb, double @ ..] => {
                if let Some(double) = double.first_chunk() {
                    return Val::Value(number_of_float(f64::from_be_bytes(*double)));
                }
            }
            _ => {}
        }
        match Cursor::new(bytes).header() {
            Ok(Header::Text(text)) => Val::Str(text),
            Ok(Header::Array(_) | Header::Map(_)) => Val::Stored(bytes),
            Ok(Header::Int(value)) => Val::Value(Value::Number(value.into())),
            Ok(Header::UInt(value)) => Val::Value(Value::Number(value.into())),
            Ok(Header::Float(value)) => Val::Value(number_of_float(value)),
            Ok(Header::Bool(value)) => Val::Value(Value::Bool(value)),
            Ok(Header::Nil) | Err(_) => Val::NULL,
        }
    }

    pub(crate) fn is_null(&self) -> bool {
        matches!(self, Val::Value(Value::Null))
    }

    #[inline]
    pub(crate) fn as_bool(&self) -> Option<bool> {
        if let Val::Value(Value::Bool(value)) = self {
            Some(*value)
        } else {
            None
        }
    }

    #[inline]
    pub(crate) fn as_number(&self) -> Option<Number> {
        if let Val::Value(Value::Number(value)) = self {
            Some(*value)
        } else {
            None
        }
    }

    #[inline]
    pub(crate) fn as_str(&self) -> Option<&str> {
        match self {
            Val::Str(text) => Some(text),
            Val::Value(Value::String(text)) => Some(text),
            _ => None,
        }
    }

    /// The value itself. Decoding is paid for before it allocates.
    pub(crate) fn into_value(self, meter: &mut Meter<'_>) -> Result<Value, Stop> {
        match self {
            Val::Value(value) => Ok(value),
            Val::Str(text) => {
                meter.bytes(text.len() as u64)?;
                Ok(Value::from(text))
            }
            Val::Stored(bytes) => {
                let size = decoded_size(bytes);
                meter.steps(size / 128)?;
                meter.bytes(size)?;
                Ok(from_msgpack(bytes).unwrap_or(Value::Null))
            }
            Val::Items(items) => {
                let mut values = Vec::with_capacity(items.len());
                for item in items {
                    values.push(item.into_value(meter)?);
                }
                meter.list(values)
            }
        }
    }

    /// The elements, if it is a list.
    pub(crate) fn elements(self) -> Result<Elements<'a>, Val<'a>> {
        match self {
            Val::Value(Value::List(list)) => Ok(Elements::List { list, at: 0 }),
            Val::Items(items) => Ok(Elements::Items(items.into_iter())),
            Val::Stored(bytes) => {
                let mut cursor = Cursor::new(bytes);
                match cursor.header() {
                    Ok(Header::Array(left)) => Ok(Elements::Stored { cursor, left }),
                    _ => Err(Val::Stored(bytes)),
                }
            }
            other => Err(other),
        }
    }
}

/// Bytes that a stored value takes when it is decoded, about.
fn decoded_size(bytes: &[u8]) -> u64 {
    count_elements(bytes) * Shape::BASE + bytes.len() as u64
}

/// Values inside of a stored one, keys too.
fn count_elements(bytes: &[u8]) -> u64 {
    let mut cursor = Cursor::new(bytes);
    let mut count = 0;
    let mut left = 1u64;
    while left > 0 {
        left -= 1;
        count += 1;
        match cursor.header() {
            Ok(Header::Array(len)) => left = left.saturating_add(len.into()),
            Ok(Header::Map(len)) => left = left.saturating_add(2 * u64::from(len)),
            Ok(_) => {}
            Err(_) => return count,
        }
    }
    count
}

/// The elements of a list, one by one, each as borrowed as the list was.
pub(crate) enum Elements<'a> {
    List { list: List, at: usize },
    Items(std::vec::IntoIter<Val<'a>>),
    Stored { cursor: Cursor<'a>, left: u32 },
}

impl Elements<'_> {
    pub(crate) fn len(&self) -> usize {
        match self {
            Elements::List { list, at } => list.len() - at,
            Elements::Items(items) => items.len(),
            Elements::Stored { left, .. } => *left as usize,
        }
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Val<'a>;

    fn next(&mut self) -> Option<Val<'a>> {
        match self {
            Elements::List { list, at } => {
                let value = list.as_slice().get(*at)?;
                *at += 1;
                Some(Val::Value(value.clone()))
            }
            Elements::Items(items) => items.next(),
            Elements::Stored { cursor, left } => {
                *left = left.checked_sub(1)?;
                Some(Val::from_stored(cursor.value().ok()?))
            }
        }
    }
}

/// A value for a message, cut to what fits one.
pub(crate) fn show(value: &Val<'_>) -> String {
    const CHARACTERS_MAX: usize = 120;
    let mut out = Cut {
        text: String::new(),
        left: CHARACTERS_MAX,
    };
    // The writer refuses what is too long, which ends the formatting early: a large value costs no more than a small one.
    let result = match value {
        Val::Value(value) => write!(out, "{value}"),
        Val::Str(text) => write!(out, "\"{text}\""),
        Val::Stored(bytes) if bytes.len() > 4_096 => write!(out, "…"),
        Val::Stored(bytes) => match from_msgpack(bytes) {
            Ok(value) => write!(out, "{value}"),
            Err(_) => Ok(()),
        },
        Val::Items(items) => write!(out, "a list of {} values", items.len()),
    };
    if result.is_err() {
        out.text.push('…');
    }
    out.text
}

/// Takes so many characters and no more.
struct Cut {
    text: String,
    left: usize,
}

impl Write for Cut {
    fn write_str(&mut self, part: &str) -> std::fmt::Result {
        for c in part.chars() {
            self.left = self.left.checked_sub(1).ok_or(std::fmt::Error)?;
            self.text.push(c);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn borrowing_makes_a_value_no_larger() {
        assert_eq!(size_of::<Val<'_>>(), size_of::<Value>());
        assert_eq!(size_of::<Result<Val<'_>, Stop>>(), size_of::<Value>());
    }
}
