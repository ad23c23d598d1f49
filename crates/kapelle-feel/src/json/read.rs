//! Reading JSON text into the stored form, in one pass and without recursion.

use crate::msgpack::{self, DEPTH_MAX, insert_header};
use crate::value::Value;

/// Why a text is not JSON, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem} at line {line} column {column}")]
pub struct Error {
    /// What was found or missing.
    pub problem: &'static str,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
}

/// Reads one JSON document into its stored form.
pub fn to_msgpack(text: &[u8]) -> Result<Vec<u8>, Error> {
    let mut reader = Reader {
        text,
        at: 0,
        out: Vec::with_capacity(text.len()),
        open: Vec::new(),
        keys: Vec::new(),
    };
    reader
        .document()
        .map_err(|problem| error_at(text, reader.at, problem))?;
    Ok(reader.out)
}

/// Reads one JSON document into a FEEL value.
pub fn to_value(text: &str) -> Result<Value, Error> {
    let bytes = to_msgpack(text.as_bytes())?;
    Ok(msgpack::from_msgpack(&bytes)
        .expect("invariant: what the JSON reader wrote is a stored value"))
}

fn error_at(text: &[u8], at: usize, problem: &'static str) -> Error {
    let before = text.get(..at).unwrap_or(text);
    let line = before.iter().filter(|b| **b == b'\n').count() + 1;
    let start = before
        .iter()
        .rposition(|b| *b == b'\n')
        .map_or(0, |at| at + 1);
    let continues = |b: &u8| b & 0xc0 == 0x80; // Only the first byte of a character counts.
    let column = before.iter().skip(start).filter(|b| !continues(b)).count() + 1;
    Error {
        problem,
        line,
        column,
    }
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
    out: Vec<u8>,
    open: Vec<Open>,
    /// Where in `out` the entries of the open objects begin and their keys end; those of the innermost come last.
    keys: Vec<Key>,
}

/// An array or object whose end has not come yet.
struct Open {
    map: bool,
    /// Where its content begins in `out`.
    start: usize,
    len: usize,
    /// Where its keys begin in `keys`.
    keys: usize,
}

#[derive(Clone, Copy)]
struct Key {
    start: usize,
    end: usize,
}

type Step<T = ()> = Result<T, &'static str>;

impl Reader<'_> {
    fn document(&mut self) -> Step {
        loop {
            self.value()?;
            // A value has ended (or a container has just begun, then `value` comes again for its first element).
            if !self.close_or_continue()? {
                break;
            }
        }
        self.space();
        if self.at < self.text.len() {
            Err("expected the end of the document")
        } else {
            Ok(())
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// Reads a scalar whole, or opens containers down to the first scalar or empty container.
    fn value(&mut self) -> Step {
        loop {
            self.space();
            match self.peek() {
                Some(b'{') => {
                    self.begin(true)?;
                    self.space();
                    if self.peek() == Some(b'}') {
                        return Ok(());
                    }
                    self.key()?;
                }
                Some(b'[') => {
                    self.begin(false)?;
                    self.space();
                    if self.peek() == Some(b']') {
                        return Ok(());
                    }
                    self.count();
                }
                _ => return self.scalar(),
            }
        }
    }

    fn begin(&mut self, map: bool) -> Step {
        if self.open.len() == DEPTH_MAX {
            return Err("nested too deep (more than 200 levels)");
        }
        self.at += 1;
        self.open.push(Open {
            map,
            start: self.out.len(),
            len: 0,
            keys: self.keys.len(),
        });
        Ok(())
    }

    fn count(&mut self) {
        if let Some(open) = self.open.last_mut() {
            open.len += 1;
        }
    }

    /// Reads a key and its colon.
    fn key(&mut self) -> Step {
        self.space();
        if self.peek() != Some(b'"') {
            return Err("expected a name in quotes");
        }
        let start = self.out.len();
        self.string()?;
        self.keys.push(Key {
            start,
            end: self.out.len(),
        });
        self.count();
        self.space();
        if self.peek() != Some(b':') {
            return Err("expected a colon after the name");
        }
        self.at += 1;
        Ok(())
    }

    /// After a value: closes what ends here and goes on to the next element. Answers whether one follows.
    fn close_or_continue(&mut self) -> Step<bool> {
        while let Some(Open { map, .. }) = self.open.last() {
            let map = *map;
            self.space();
            match self.peek() {
                Some(b',') => {
                    self.at += 1;
                    if map {
                        self.key()?;
                    } else {
                        self.count();
                    }
                    return Ok(true);
                }
                Some(b'}') if map => self.end(),
                Some(b']') if !map => self.end(),
                _ if map => return Err("expected a comma or a closing brace"),
                _ => return Err("expected a comma or a closing bracket"),
            }
        }
        Ok(false)
    }

    fn end(&mut self) {
        self.at += 1;
        let Some(open) = self.open.pop() else { return };
        let mut len = open.len;
        if open.map {
            len = self.drop_repeats(&open);
            self.keys.truncate(open.keys);
        }
        insert_header(&mut self.out, open.start, len, open.map);
    }

    /// Rewrites an object that has a name twice; answers how many entries are left.
    fn drop_repeats(&mut self, open: &Open) -> usize {
        let keys = self.keys.get(open.keys..).unwrap_or_default();
        let name = |key: &Key| self.out.get(key.start..key.end).unwrap_or_default();
        let mut order: Vec<usize> = (0..keys.len()).collect();
        order.sort_by_key(|at| keys.get(*at).map(name)); // Stable: of one name the first comes first.
        let same = |a: usize, b: usize| keys.get(a).map(name) == keys.get(b).map(name);
        if !order
            .iter()
            .zip(order.iter().skip(1))
            .any(|(a, b)| same(*a, *b))
        {
            return open.len;
        }
        // Entry `at` takes the value of the last one of its name; the others of that name go.
        let mut value_of: Vec<Option<usize>> = vec![None; keys.len()];
        for run in order.chunk_by(|a, b| same(*a, *b)) {
            if let (Some(first), Some(last)) = (run.first(), run.last())
                && let Some(slot) = value_of.get_mut(*first)
            {
                *slot = Some(*last);
            }
        }
        let end_of = |at: usize| keys.get(at + 1).map_or(self.out.len(), |next| next.start);
        let mut content = Vec::new();
        for (key, value) in keys.iter().zip(&value_of) {
            if let Some(value) = value
                && let Some(source) = keys.get(*value)
            {
                content.extend_from_slice(name(key));
                content.extend_from_slice(
                    self.out.get(source.end..end_of(*value)).unwrap_or_default(),
                );
            }
        }
        self.out.truncate(open.start);
        self.out.extend_from_slice(&content);
        value_of.iter().flatten().count()
    }

    fn scalar(&mut self) -> Step {
        match self.peek() {
            Some(b'"') => self.string(),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true", |out| msgpack::write_bool(out, true)),
            Some(b'f') => self.word("false", |out| msgpack::write_bool(out, false)),
            Some(b'n') => self.word("null", msgpack::write_nil),
            Some(_) => Err("expected a value"),
            None => Err("expected a value, found the end"),
        }
    }

    fn word(&mut self, word: &str, write: impl FnOnce(&mut Vec<u8>)) -> Step {
        if !self
            .text
            .get(self.at..)
            .is_some_and(|rest| rest.starts_with(word.as_bytes()))
        {
            return Err("expected a value");
        }
        self.at += word.len();
        write(&mut self.out);
        Ok(())
    }

    fn digits(&mut self) -> Step<usize> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == start {
            Err("expected a digit")
        } else {
            Ok(self.at - start)
        }
    }

    fn number(&mut self) -> Step {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        let leading_zero = self.peek() == Some(b'0');
        if self.digits()? > 1 && leading_zero {
            return Err("a number does not begin with a zero");
        }
        let mut whole = true;
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
            whole = false;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
            whole = false;
        }
        let text = self.text.get(start..self.at).unwrap_or_default();
        let text = std::str::from_utf8(text).map_err(|_| "expected a digit")?;
        if whole {
            if let Ok(value) = text.parse() {
                msgpack::write_i64(&mut self.out, value);
                return Ok(());
            }
            if let Ok(value) = text.parse() {
                msgpack::write_u64(&mut self.out, value);
                return Ok(());
            }
        }
        match text.parse::<f64>() {
            Ok(value) if value.is_finite() => {
                msgpack::write_f64(&mut self.out, value);
                Ok(())
            }
            _ => Err("the number is out of range"),
        }
    }

    fn string(&mut self) -> Step {
        self.at += 1;
        let start = self.at;
        // Most texts have no escape: they are checked and copied in one go.
        while let Some(byte) = self.peek() {
            match byte {
                b'"' => {
                    let text = self.text.get(start..self.at).unwrap_or_default();
                    let text = std::str::from_utf8(text).map_err(|_| "the text is not UTF-8")?;
                    self.at += 1;
                    msgpack::write_str(&mut self.out, text);
                    return Ok(());
                }
                b'\\' => return self.escaped_string(start),
                0..=0x1f => return Err("a control character must be escaped"),
                _ => self.at += 1,
            }
        }
        Err("the text has no end")
    }

    fn escaped_string(&mut self, start: usize) -> Step {
        let mut text = self.text.get(start..self.at).unwrap_or_default().to_vec();
        while let Some(byte) = self.peek() {
            self.at += 1;
            match byte {
                b'"' => {
                    let text = String::from_utf8(text).map_err(|_| "the text is not UTF-8")?;
                    msgpack::write_str(&mut self.out, &text);
                    return Ok(());
                }
                b'\\' => {
                    let character = self.escape()?;
                    text.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                }
                0..=0x1f => return Err("a control character must be escaped"),
                _ => text.push(byte),
            }
        }
        Err("the text has no end")
    }

    fn escape(&mut self) -> Step<char> {
        let byte = self.peek().ok_or("the text has no end")?;
        self.at += 1;
        Ok(match byte {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode(),
            _ => return Err("unknown escape"),
        })
    }

    fn unicode(&mut self) -> Step<char> {
        let first = self.hex4()?;
        if !(0xd800..0xe000).contains(&first) {
            return char::from_u32(first).ok_or("unknown escape");
        }
        // Half of a pair. A lone one has no meaning in UTF-8; Java would store a question mark, we refuse it.
        if first < 0xdc00 && self.text.get(self.at..self.at + 2) == Some(b"\\u") {
            self.at += 2;
            let second = self.hex4()?;
            if (0xdc00..0xe000).contains(&second) {
                let code = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
                return char::from_u32(code).ok_or("unknown escape");
            }
        }
        Err("half of a surrogate pair")
    }

    fn hex4(&mut self) -> Step<u32> {
        let digits = self
            .text
            .get(self.at..self.at + 4)
            .ok_or("expected four hexadecimal digits")?;
        let mut code = 0;
        for digit in digits {
            let value = char::from(*digit)
                .to_digit(16)
                .ok_or("expected four hexadecimal digits")?;
            code = code * 16 + value;
        }
        self.at += 4;
        Ok(code)
    }
}
