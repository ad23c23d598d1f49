//! Stored values from and to FEEL values.
//!
//! What a FEEL value loses on the way to its stored form, as in Zeebe: a number that is not whole becomes the nearest
//! double, one that does not fit 64 bits too; temporal values, ranges and functions become text.

use super::write::{
    write_array_header, write_bool, write_f64, write_i64, write_map_header, write_nil, write_str,
    write_u64,
};
use super::{Cursor, DEPTH_MAX, Error, Header};
use crate::number::Number;
use crate::value::{Text, Value};

/// The stored form of a value.
pub fn to_msgpack(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    write_value(&mut out, value);
    out
}

/// Writes the stored form of a value. Recursion is bounded by the depth that the evaluator lets a value have.
pub fn write_value(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Null => write_nil(out),
        Value::Bool(value) => write_bool(out, *value),
        Value::Number(value) => write_number(out, *value),
        Value::String(value) => write_str(out, value),
        Value::List(list) => {
            write_array_header(out, list.len());
            for item in list {
                write_value(out, item);
            }
        }
        Value::Context(context) => {
            write_map_header(out, context.len());
            for (name, value) in context.iter() {
                write_str(out, name);
                write_value(out, value);
            }
        }
        Value::DateTime(value) => write_str(out, &value.to_iso_string()),
        scalar => write_str(out, &scalar.to_string()),
    }
}

fn write_number(out: &mut Vec<u8>, number: Number) {
    match number.to_i128() {
        Some(whole) => match (i64::try_from(whole), u64::try_from(whole)) {
            (Ok(whole), _) => write_i64(out, whole),
            (_, Ok(whole)) => write_u64(out, whole),
            _ => write_f64(out, number.to_f64()),
        },
        None => write_f64(out, number.to_f64()),
    }
}

/// Decodes a stored value; checks all that [`super::validate`] does, but lets a later entry of the same name win.
pub fn from_msgpack(bytes: &[u8]) -> Result<Value, Error> {
    let mut cursor = Cursor::new(bytes);
    let value = decode(&mut cursor, 0)?;
    if cursor.is_at_end() {
        Ok(value)
    } else {
        Err(Error::Trailing(cursor.position()))
    }
}

fn decode(cursor: &mut Cursor<'_>, depth: usize) -> Result<Value, Error> {
    let start = cursor.position();
    Ok(match cursor.header()? {
        Header::Nil => Value::Null,
        Header::Bool(value) => Value::Bool(value),
        Header::Int(value) => Value::Number(value.into()),
        Header::UInt(value) => Value::Number(value.into()),
        Header::Float(value) => number_of_float(value),
        Header::Text(value) => Value::String(value.into()),
        Header::Array(1..) | Header::Map(1..) if depth == DEPTH_MAX => {
            return Err(Error::TooDeep(start));
        }
        Header::Array(len) => {
            let mut items = Vec::with_capacity(cursor.capacity(len));
            for _ in 0..len {
                items.push(decode(cursor, depth + 1)?);
            }
            Value::from(items)
        }
        Header::Map(len) => {
            let mut entries = Vec::with_capacity(cursor.capacity(len));
            for _ in 0..len {
                let at = cursor.position();
                let key =
                    std::str::from_utf8(cursor.key_bytes()?).map_err(|_| Error::NotUtf8(at))?;
                entries.push((Text::new(key), decode(cursor, depth + 1)?));
            }
            Value::from_iter(entries)
        }
    })
}

/// A double as FEEL has it. Doubles beyond decimal128's range do not exist, so only NaN and infinity are null.
pub(crate) fn number_of_float(value: f64) -> Value {
    Number::from_f64(value).map_or(Value::Null, Value::Number)
}
