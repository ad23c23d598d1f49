//! Bytes into text: byte order mark, else the XML declaration's `encoding`, else UTF-8.
//!
//! Invariant: malformed bytes are an error with a position, never replacement characters. Deliberately absent: guessing
//! an encoding from content.

use std::borrow::Cow;

use encoding_rs::{Encoding, UTF_8};

use super::{Error, ErrorKind, LineIndex, Position};

/// How far into the document an XML declaration can reach.
const DECLARATION_BYTES_MAX: usize = 256;

pub(super) fn decode(bytes: &[u8]) -> Result<Cow<'_, str>, Error> {
    let (encoding, bom) = match Encoding::for_bom(bytes) {
        Some((encoding, length)) => (encoding, length),
        None => (declared(bytes)?, 0),
    };
    let bytes = &bytes[bom..];
    if encoding == UTF_8 {
        return match std::str::from_utf8(bytes) {
            Ok(text) => Ok(Cow::Borrowed(text)),
            Err(error) => {
                let (valid, _) = bytes.split_at(error.valid_up_to());
                let text = String::from_utf8_lossy(valid);
                let position = LineIndex::new(&text).position(text.len());
                Err(Error {
                    kind: ErrorKind::Encoding("the bytes are not valid UTF-8".to_owned()),
                    position,
                })
            }
        };
    }
    encoding
        .decode_without_bom_handling_and_without_replacement(bytes)
        .ok_or_else(|| at_start(format!("the bytes are not valid {}", encoding.name())))
}

fn declared(bytes: &[u8]) -> Result<&'static Encoding, Error> {
    let head = &bytes[..bytes.len().min(DECLARATION_BYTES_MAX)];
    // The declaration is ASCII in every encoding that needs no byte order mark.
    let Some(declaration) = head
        .strip_prefix(b"<?xml")
        .and_then(|rest| rest.split(|byte| *byte == b'>').next())
    else {
        return Ok(UTF_8);
    };
    let declaration = String::from_utf8_lossy(declaration);
    let Some((_, rest)) = declaration.split_once("encoding") else {
        return Ok(UTF_8);
    };
    let label = rest.trim_start_matches(|c: char| c == '=' || c.is_ascii_whitespace());
    let label = label.split(['"', '\'']).nth(1).unwrap_or_default();
    Encoding::for_label(label.as_bytes())
        .ok_or_else(|| at_start(format!("the encoding '{label}' is not known")))
}

fn at_start(message: String) -> Error {
    Error {
        kind: ErrorKind::Encoding(message),
        position: Position { line: 1, column: 1 },
    }
}
