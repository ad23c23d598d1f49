//! Writing JSON text from stored values and from FEEL values.

use std::fmt::Write;

use crate::msgpack::{Cursor, Header};
use crate::number::Number;
use crate::value::Value;

/// A stored value as compact JSON text.
pub fn from_msgpack(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() + bytes.len() / 4);
    write_msgpack(&mut out, bytes);
    out
}

/// Writes a stored value as compact JSON text. Bytes that are no stored value become as much as could be read.
pub fn write_msgpack(out: &mut String, bytes: &[u8]) {
    Writer { out, indent: None }.stored(bytes);
}

/// A stored value as JSON text for people: one entry a line, two spaces a level.
pub fn pretty(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() * 2);
    Writer {
        out: &mut out,
        indent: Some(2),
    }
    .stored(bytes);
    out
}

/// Writes a text in quotes, with what must be escaped.
pub fn write_string(out: &mut String, text: &str) {
    out.push('"');
    let mut rest = text;
    while let Some(at) = rest
        .bytes()
        .position(|b| matches!(b, b'"' | b'\\' | 0..=0x1f))
    {
        let (plain, tail) = rest.split_at(at);
        out.push_str(plain);
        let special = tail.as_bytes().first().copied().unwrap_or_default();
        match special {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            0x08 => out.push_str("\\b"),
            0x0c => out.push_str("\\f"),
            other => push_fmt(out, format_args!("\\u{other:04x}")),
        }
        rest = tail.get(1..).unwrap_or_default();
    }
    out.push_str(rest);
    out.push('"');
}

fn push_fmt(out: &mut String, arguments: std::fmt::Arguments<'_>) {
    out.write_fmt(arguments)
        .expect("invariant: writing to a string succeeds");
}

struct Writer<'a> {
    out: &'a mut String,
    indent: Option<usize>,
}

/// A container that is being written.
struct Open {
    map: bool,
    left: u32,
}

impl Writer<'_> {
    fn stored(&mut self, bytes: &[u8]) {
        let mut cursor = Cursor::new(bytes);
        let mut open: Vec<Open> = Vec::new();
        loop {
            if open.last().is_some_and(|o| o.map) && !self.key(&mut cursor) {
                return;
            }
            let Ok(header) = cursor.header() else { return };
            match header {
                Header::Array(len @ 1..) => self.begin(
                    &mut open,
                    Open {
                        map: false,
                        left: len,
                    },
                ),
                Header::Map(len @ 1..) => self.begin(
                    &mut open,
                    Open {
                        map: true,
                        left: len,
                    },
                ),
                scalar => {
                    self.scalar(scalar);
                    if !self.next(&mut open) {
                        return;
                    }
                }
            }
        }
    }

    fn key(&mut self, cursor: &mut Cursor<'_>) -> bool {
        let Ok(Header::Text(key)) = cursor.header() else {
            return false;
        };
        write_string(self.out, key);
        self.out
            .push_str(if self.indent.is_some() { ": " } else { ":" });
        true
    }

    fn begin(&mut self, open: &mut Vec<Open>, container: Open) {
        self.out.push(if container.map { '{' } else { '[' });
        open.push(container);
        self.line(open.len());
    }

    /// After a value: a comma, or the closing brackets. Answers whether a value follows.
    fn next(&mut self, open: &mut Vec<Open>) -> bool {
        loop {
            let Some(last) = open.last_mut() else {
                return false;
            };
            last.left -= 1;
            if last.left > 0 {
                self.out.push(',');
                self.line(open.len());
                return true;
            }
            let close = if last.map { '}' } else { ']' };
            open.pop();
            self.line(open.len());
            self.out.push(close);
        }
    }

    fn line(&mut self, depth: usize) {
        if let Some(indent) = self.indent {
            self.out.push('\n');
            self.out.extend(std::iter::repeat_n(' ', indent * depth));
        }
    }

    fn scalar(&mut self, header: Header<'_>) {
        match header {
            Header::Nil => self.out.push_str("null"),
            Header::Bool(value) => self.out.push_str(if value { "true" } else { "false" }),
            Header::Int(value) => push_fmt(self.out, format_args!("{value}")),
            Header::UInt(value) => push_fmt(self.out, format_args!("{value}")),
            // Debug writes the shortest digits that come back, `1.0` with its point, and exponents where they help.
            Header::Float(value) => push_fmt(self.out, format_args!("{value:?}")),
            Header::Text(value) => write_string(self.out, value),
            Header::Array(_) => self.out.push_str("[]"),
            Header::Map(_) => self.out.push_str("{}"),
        }
    }
}

/// A FEEL value as compact JSON text. Numbers keep all their digits; temporal values, ranges and functions are texts.
pub fn from_value(value: &Value) -> String {
    let mut out = String::new();
    write_value(&mut out, value);
    out
}

/// Recursion is bounded by the depth that the evaluator lets a value have.
fn write_value(out: &mut String, value: &Value) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Number(value) => write_number(out, *value),
        Value::String(value) => write_string(out, value),
        Value::List(list) => {
            out.push('[');
            for (at, item) in list.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write_value(out, item);
            }
            out.push(']');
        }
        Value::Context(context) => {
            out.push('{');
            for (at, (name, value)) in context.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write_string(out, name);
                out.push(':');
                write_value(out, value);
            }
            out.push('}');
        }
        Value::DateTime(value) => write_string(out, &value.to_iso_string()),
        scalar => write_string(out, &scalar.to_string()),
    }
}

fn write_number(out: &mut String, number: Number) {
    match number.to_i128() {
        Some(whole) => push_fmt(out, format_args!("{whole}")),
        None => push_fmt(out, format_args!("{number}")),
    }
}
