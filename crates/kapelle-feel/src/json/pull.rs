//! Looks into JSON text without building anything: every value stays the slice of text that it was.
//!
//! For readers that need a few members and must hand the rest on byte for byte (`data` of a CloudEvent).
//!
//! **Invariant**: a [`Raw`] is one complete, grammatical JSON value without white space around it; so looking into it
//! can't fail. [`Raw::parse`] is the only way to make one, it needs no recursion, and it stops at [`DEPTH_MAX`].
//!
//! Deliberately absent: numbers and their ranges (the text is given out), duplicate checks (the reader knows what a
//! duplicate means to it).

use std::borrow::Cow;
use std::fmt;

/// Arrays and objects inside each other, as for stored values.
pub const DEPTH_MAX: usize = 200;

/// One JSON value as it is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Raw<'t>(&'t str);

/// What sort of value a [`Raw`] is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Null,
    Bool,
    Number,
    String,
    Array,
    Object,
}

impl Kind {
    /// The kind in the words of JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool => "a boolean",
            Self::Number => "a number",
            Self::String => "a string",
            Self::Array => "an array",
            Self::Object => "an object",
        }
    }
}

/// Where and why text is not JSON.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SyntaxError {
    /// Bytes before the place.
    pub offset: usize,
    /// A fragment such as "expected a value".
    pub what: &'static str,
}

impl std::error::Error for SyntaxError {}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.what, self.offset)
    }
}

impl<'t> Raw<'t> {
    /// Checks that `text` is one JSON value with nothing but white space around it.
    pub fn parse(text: &'t str) -> Result<Self, SyntaxError> {
        let mut scanner = Scanner {
            text: text.as_bytes(),
            at: 0,
        };
        scanner.white_space();
        let start = scanner.at;
        scanner.value()?;
        let end = scanner.at;
        scanner.white_space();
        if scanner.at < text.len() {
            return Err(scanner.error("expected the end"));
        }
        Ok(Self(&text[start..end]))
    }

    /// The value as it is written.
    pub fn text(self) -> &'t str {
        self.0
    }

    /// What sort of value it is.
    pub fn kind(self) -> Kind {
        match self.0.as_bytes().first() {
            Some(b'{') => Kind::Object,
            Some(b'[') => Kind::Array,
            Some(b'"') => Kind::String,
            Some(b't' | b'f') => Kind::Bool,
            Some(b'n') => Kind::Null,
            _ => Kind::Number,
        }
    }

    /// The boolean, if it is one.
    pub fn as_bool(self) -> Option<bool> {
        (self.kind() == Kind::Bool).then_some(self.0 == "true")
    }

    /// The text of a string without its escapes. `None` for other kinds, and for a string that escapes half of a
    /// surrogate pair, which no Unicode text can hold.
    pub fn as_str(self) -> Option<Cow<'t, str>> {
        let inner = self.0.strip_prefix('"')?.strip_suffix('"')?;
        if inner.contains('\\') {
            unescape(inner).map(Cow::Owned)
        } else {
            Some(Cow::Borrowed(inner))
        }
    }

    /// The members of an object in the order of the text, repeated names included; nothing for other kinds.
    pub fn members(self) -> impl Iterator<Item = (Raw<'t>, Raw<'t>)> {
        let mut pieces = Pieces::of(self, b'{');
        std::iter::from_fn(move || Some((pieces.next()?, pieces.next()?)))
    }

    /// The elements of an array; nothing for other kinds.
    pub fn elements(self) -> impl Iterator<Item = Raw<'t>> {
        Pieces::of(self, b'[')
    }
}

/// The values directly inside an array or object, names of members among them.
struct Pieces<'t> {
    text: &'t str,
    scanner: Scanner<'t>,
}

impl<'t> Pieces<'t> {
    fn of(raw: Raw<'t>, opening: u8) -> Self {
        let text = raw.0;
        let at = if text.as_bytes().first() == Some(&opening) {
            1
        } else {
            text.len()
        };
        Self {
            text,
            scanner: Scanner {
                text: text.as_bytes(),
                at,
            },
        }
    }
}

impl<'t> Iterator for Pieces<'t> {
    type Item = Raw<'t>;

    fn next(&mut self) -> Option<Raw<'t>> {
        while let Some(b' ' | b'\t' | b'\n' | b'\r' | b',' | b':') = self.scanner.peek() {
            self.scanner.at += 1;
        }
        if let None | Some(b'}' | b']') = self.scanner.peek() {
            self.scanner.at = self.text.len();
            return None;
        }
        let start = self.scanner.at;
        self.scanner
            .value()
            .expect("a Raw was checked when it was made");
        Some(Raw(&self.text[start..self.scanner.at]))
    }
}

struct Scanner<'t> {
    text: &'t [u8],
    at: usize,
}

impl Scanner<'_> {
    fn error(&self, what: &'static str) -> SyntaxError {
        SyntaxError {
            offset: self.at,
            what,
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn white_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    /// One value. The open arrays and objects are a list of their closing bytes, so depth costs no stack.
    fn value(&mut self) -> Result<(), SyntaxError> {
        let mut open: Vec<u8> = Vec::new();
        loop {
            match self.peek() {
                Some(byte @ (b'[' | b'{')) => {
                    if open.len() == DEPTH_MAX {
                        return Err(self.error("nested too deep"));
                    }
                    self.at += 1;
                    self.white_space();
                    let closing = if byte == b'[' { b']' } else { b'}' };
                    if self.peek() != Some(closing) {
                        open.push(closing);
                        if closing == b'}' {
                            self.name()?;
                        }
                        continue;
                    }
                    self.at += 1;
                }
                Some(b'"') => self.string()?,
                Some(b'-' | b'0'..=b'9') => self.number()?,
                Some(b't') => self.word(b"true")?,
                Some(b'f') => self.word(b"false")?,
                Some(b'n') => self.word(b"null")?,
                _ => return Err(self.error("expected a value")),
            }
            if self.close(&mut open)? {
                return Ok(());
            }
        }
    }

    /// After a value: closes what ends here. True when nothing is open any more, false when another value follows.
    fn close(&mut self, open: &mut Vec<u8>) -> Result<bool, SyntaxError> {
        while let Some(closing) = open.last().copied() {
            self.white_space();
            match self.peek() {
                Some(b',') => {
                    self.at += 1;
                    self.white_space();
                    if closing == b'}' {
                        self.name()?;
                    }
                    return Ok(false);
                }
                Some(byte) if byte == closing => {
                    self.at += 1;
                    open.pop();
                }
                _ if closing == b'}' => return Err(self.error("expected \",\" or \"}\"")),
                _ => return Err(self.error("expected \",\" or \"]\"")),
            }
        }
        Ok(true)
    }

    /// The name of a member and the colon after it.
    fn name(&mut self) -> Result<(), SyntaxError> {
        if self.peek() != Some(b'"') {
            return Err(self.error("expected a member name"));
        }
        self.string()?;
        self.white_space();
        if self.peek() != Some(b':') {
            return Err(self.error("expected \":\""));
        }
        self.at += 1;
        self.white_space();
        Ok(())
    }

    fn string(&mut self) -> Result<(), SyntaxError> {
        self.at += 1;
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => self.escape()?,
                Some(0..=0x1f) => return Err(self.error("control character in a string")),
                Some(_) => self.at += 1,
                None => return Err(self.error("string does not end")),
            }
        }
    }

    fn escape(&mut self) -> Result<(), SyntaxError> {
        match self.text.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 2,
            Some(b'u') => {
                let hex = self.text.get(self.at + 2..self.at + 6);
                if !hex.is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit)) {
                    return Err(self.error("broken escape in a string"));
                }
                self.at += 6;
            }
            _ => return Err(self.error("broken escape in a string")),
        }
        Ok(())
    }

    fn number(&mut self) -> Result<(), SyntaxError> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        if let Some(b'0'..=b'9') = self.peek() {
            Err(self.error("number with a leading zero"))
        } else {
            Ok(())
        }
    }

    fn digits(&mut self) -> Result<(), SyntaxError> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        if self.at == start {
            Err(self.error("expected a digit"))
        } else {
            Ok(())
        }
    }

    fn word(&mut self, word: &[u8]) -> Result<(), SyntaxError> {
        if !self.text[self.at..].starts_with(word) {
            return Err(self.error("expected a value"));
        }
        self.at += word.len();
        Ok(())
    }
}

fn unescape(inner: &str) -> Option<String> {
    let mut text = String::with_capacity(inner.len());
    let mut rest = inner;
    while let Some((plain, escaped)) = rest.split_once('\\') {
        text.push_str(plain);
        let mut characters = escaped.chars();
        let character = match characters.next()? {
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => {
                let (character, after) = unicode_escape(characters.as_str())?;
                characters = after.chars();
                character
            }
            itself => itself,
        };
        text.push(character);
        rest = characters.as_str();
    }
    text.push_str(rest);
    Some(text)
}

/// What follows `\u`: one code unit, or two that are escaped one after the other.
fn unicode_escape(text: &str) -> Option<(char, &str)> {
    let unit = |text: &str| u16::from_str_radix(text.get(..4)?, 16).ok();
    let first = unit(text)?;
    let after = text.get(4..)?;
    if let Some(character) = char::from_u32(u32::from(first)) {
        return Some((character, after));
    }
    let second = after.strip_prefix("\\u")?;
    let character = char::decode_utf16([first, unit(second)?]).next()?.ok()?;
    Some((character, second.get(4..)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn members_and_elements_are_slices_of_the_text() {
        let text =
            " { \"a\" : [ 1 , {\"x\":[]}, \"]\" ] ,\"a\":-0.5e+3,\"b\\n\":null , \"c\":{} } ";
        let raw = Raw::parse(text).unwrap();
        let mut seen = String::new();
        for (name, value) in raw.members() {
            seen.push_str(&format!(
                "{:?} {} {}\n",
                name.as_str().unwrap(),
                value.kind().as_str(),
                value.text()
            ));
            for element in value.elements() {
                seen.push_str(&format!("  {}\n", element.text()));
            }
        }
        expect![[r#"
            "a" an array [ 1 , {"x":[]}, "]" ]
              1
              {"x":[]}
              "]"
            "a" a number -0.5e+3
            "b\n" null null
            "c" an object {}
        "#]]
        .assert_eq(&seen);
        assert_eq!(Raw::parse("[]").unwrap().elements().count(), 0);
        assert_eq!(Raw::parse("[1]").unwrap().members().count(), 0);
    }

    #[test]
    fn escapes_are_undone_and_half_surrogates_are_no_text() {
        let text = |json: &str| Raw::parse(json).unwrap().as_str().map(Cow::into_owned);
        assert_eq!(
            text(r#""a\"\\\/\b\f\n\r\t\u00e4\ud83d\uDE00z""#).unwrap(),
            "a\"\\/\u{8}\u{c}\n\r\tä😀z"
        );
        for half in [
            r#""\ud83d""#,
            r#""\ud83dx""#,
            r#""\ud83d\n""#,
            r#""\ude00""#,
            r#""\ud83d\u0041""#,
        ] {
            assert_eq!(text(half), None, "{half}");
        }
    }

    #[test]
    fn text_that_is_not_json_is_refused_with_its_place() {
        let mut seen = String::new();
        for text in [
            "",
            " ",
            "{",
            "[1,]",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{a:1}",
            "[1}",
            "01",
            "-",
            "1.",
            "1e",
            ".5",
            "+1",
            "tru",
            "nul",
            "\"",
            "\"\\x\"",
            "\"\\u12g4\"",
            "\"\t\"",
            "1 2",
            "[1]]",
            "\u{feff}1",
            "NaN",
            "'a'",
            "// x\n1",
            "\"\\",
        ] {
            let error = Raw::parse(text).unwrap_err();
            seen.push_str(&format!("{text:?}: {error}\n"));
        }
        expect![[r#"
            "": expected a value at byte 0
            " ": expected a value at byte 1
            "{": expected a member name at byte 1
            "[1,]": expected a value at byte 3
            "{\"a\"}": expected ":" at byte 4
            "{\"a\":}": expected a value at byte 5
            "{\"a\":1,}": expected a member name at byte 7
            "{a:1}": expected a member name at byte 1
            "[1}": expected "," or "]" at byte 2
            "01": number with a leading zero at byte 1
            "-": expected a digit at byte 1
            "1.": expected a digit at byte 2
            "1e": expected a digit at byte 2
            ".5": expected a value at byte 0
            "+1": expected a value at byte 0
            "tru": expected a value at byte 0
            "nul": expected a value at byte 0
            "\"": string does not end at byte 1
            "\"\\x\"": broken escape in a string at byte 1
            "\"\\u12g4\"": broken escape in a string at byte 1
            "\"\t\"": control character in a string at byte 1
            "1 2": expected the end at byte 2
            "[1]]": expected the end at byte 3
            "\u{feff}1": expected a value at byte 0
            "NaN": expected a value at byte 0
            "'a'": expected a value at byte 0
            "// x\n1": expected a value at byte 0
            "\"\\": broken escape in a string at byte 1
        "#]]
        .assert_eq(&seen);
    }

    #[test]
    fn depth_has_a_limit_and_needs_no_stack() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(Raw::parse(&nested(DEPTH_MAX)).is_ok());
        assert_eq!(
            Raw::parse(&nested(DEPTH_MAX + 1)).unwrap_err().what,
            "nested too deep"
        );
        assert_eq!(
            Raw::parse(&"{\"a\":".repeat(1_000_000)).unwrap_err().what,
            "nested too deep"
        );
    }
}
