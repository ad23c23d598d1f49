//! CloudEvents over HTTP: binary, structured and batch mode, without a HTTP library.
//!
//! Headers come and go as pairs of text and bytes, so any HTTP library can be used. Names are compared without case.
//!
//! **Invariant**: what [`encode_binary`] writes, [`decode`] reads back; only the types of extensions become text,
//! because HTTP has no others.

use std::fmt::Write as _;

use crate::attribute::{Value, essence, is_printable};
use crate::{Builder, CloudEvent, Error, Kind, Limits, SPEC_VERSION, json};

/// How a message carries CloudEvents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Attributes in headers, data in the body.
    Binary,
    /// One CloudEvent in the body.
    Structured,
    /// An array of CloudEvents in the body.
    Batch,
}

/// A HTTP message that carries one CloudEvent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Lower-case names and printable ASCII values, `content-type` among them.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// The mode that a content type asks for. Formats of CloudEvents other than JSON are refused.
pub fn mode(content_type: Option<&str>) -> Result<Mode, Error> {
    let media_type = essence(content_type.unwrap_or_default()).to_ascii_lowercase();
    match media_type.as_str() {
        json::MEDIA_TYPE => Ok(Mode::Structured),
        json::BATCH_MEDIA_TYPE => Ok(Mode::Batch),
        // The binding names this prefix as the mark of the structured and batch modes of all formats.
        other if other.starts_with("application/cloudevents") => {
            Err(Kind::UnsupportedMediaType { media_type }.into())
        }
        _ => Ok(Mode::Binary),
    }
}

/// Reads the CloudEvents of a HTTP message in whatever mode it is.
pub fn decode<'h, H>(
    headers: H,
    body: &[u8],
    limits: &Limits,
) -> Result<(Mode, Vec<CloudEvent>), Error>
where
    H: IntoIterator<Item = (&'h str, &'h [u8])> + Clone,
{
    let content_type = content_type(headers.clone())?;
    let mode = mode(content_type)?;
    let events = match mode {
        Mode::Binary => vec![decode_binary(content_type, headers, body, limits)?],
        Mode::Structured => vec![json::decode(body, limits)?],
        Mode::Batch => json::decode_batch(body, limits)?,
    };
    Ok((mode, events))
}

/// Writes one CloudEvent in binary mode.
pub fn encode_binary(event: &CloudEvent) -> Message {
    let mut headers = attribute_headers(event);
    if let Some(content_type) = event.data_content_type() {
        // Not percent-encoded: it is HTTP's own header. Parameters that it cannot carry stay behind.
        let carried = if is_printable(content_type) {
            content_type
        } else {
            essence(content_type)
        };
        headers.push(("content-type".to_owned(), carried.to_owned()));
    }
    Message {
        headers,
        body: event
            .data()
            .map_or_else(Vec::new, |data| data.as_bytes().to_vec()),
    }
}

/// All attributes but `datacontenttype` as headers.
pub(crate) fn attribute_headers(event: &CloudEvent) -> Vec<(String, String)> {
    let mut headers = vec![("ce-specversion".to_owned(), SPEC_VERSION.to_owned())];
    let mut header =
        |name: &str, value: &str| headers.push((format!("ce-{name}"), percent_encode(value)));
    header("id", event.id());
    header("source", event.source());
    header("type", event.event_type());
    for (name, value) in [
        ("subject", event.subject()),
        ("dataschema", event.data_schema()),
    ] {
        if let Some(value) = value {
            header(name, value);
        }
    }
    if let Some(time) = event.time() {
        header("time", time.as_str());
    }
    for (name, value) in event.extensions() {
        header(name, &value.to_text());
    }
    headers
}

/// Writes one CloudEvent in structured mode.
pub fn encode_structured(event: &CloudEvent) -> Message {
    let content_type = format!("{}; charset=utf-8", json::MEDIA_TYPE);
    Message {
        headers: vec![("content-type".to_owned(), content_type)],
        body: json::encode(event),
    }
}

pub(crate) fn content_type<'h>(
    headers: impl IntoIterator<Item = (&'h str, &'h [u8])>,
) -> Result<Option<&'h str>, Error> {
    let mut found = None;
    for (name, value) in headers {
        if !name.eq_ignore_ascii_case("content-type") {
            continue;
        }
        let value = str::from_utf8(value)
            .map_err(|_| invalid_utf8("content-type"))?
            .trim();
        if !value.is_empty() && found.replace(value).is_some() {
            return Err(Kind::DuplicateAttribute {
                name: "content-type".to_owned(),
            }
            .into());
        }
    }
    Ok(found)
}

pub(crate) fn decode_binary<'h, H>(
    content_type: Option<&str>,
    headers: H,
    body: &[u8],
    limits: &Limits,
) -> Result<CloudEvent, Error>
where
    H: IntoIterator<Item = (&'h str, &'h [u8])> + Clone,
{
    let attributes = || {
        headers
            .clone()
            .into_iter()
            .filter_map(|(name, value)| Some((attribute_name(name)?, value)))
    };
    if attributes().next().is_none() {
        return Err(Kind::NotACloudEvent.into());
    }
    let mut builder = Builder::default();
    for version in [true, false] {
        for (name, value) in attributes() {
            if (name == "specversion") == version {
                builder.set(&name, Value::String(percent_decode(&name, value)?.into()))?;
            }
        }
    }
    if let Some(content_type) = content_type {
        builder.set("datacontenttype", content_type.into())?;
    }
    // HTTP can't tell an empty body from none, and nobody sends empty data on purpose.
    if !body.is_empty() {
        builder.set_data(body.into());
    }
    builder.build_received(limits)
}

pub(crate) fn attribute_name(header: &str) -> Option<String> {
    let prefix = header.get(..3)?;
    prefix
        .eq_ignore_ascii_case("ce-")
        .then(|| header[3..].to_ascii_lowercase())
}

/// The characters that the binding wants escaped: space, double quote, percent, and all but printable ASCII.
pub(crate) fn percent_encode(value: &str) -> String {
    let mut encoded = String::with_capacity(value.len());
    for byte in value.bytes() {
        if matches!(byte, 0x21..=0x7e) && byte != b'"' && byte != b'%' {
            encoded.push(char::from(byte));
        } else {
            write!(encoded, "%{byte:02X}").expect("writing to a String can't fail");
        }
    }
    encoded
}

/// Undoes a quoted string and one round of percent-encoding. A `%` without two hexadecimal digits stands for itself:
/// producers that never heard of the encoding send "50%", and nothing else can be meant by it.
fn percent_decode(name: &str, value: &[u8]) -> Result<String, Error> {
    let value = unquote(value.trim_ascii());
    let mut decoded = Vec::with_capacity(value.len());
    let mut rest = value.as_slice();
    while let Some((first, tail)) = rest.split_first() {
        let escaped = (*first == b'%')
            .then(|| tail.get(..2).and_then(hex_byte))
            .flatten();
        decoded.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8(decoded).map_err(|_| invalid_utf8(&format!("attribute \"{name}\"")))
}

fn hex_byte(digits: &[u8]) -> Option<u8> {
    let value = |digit: &u8| {
        char::from(*digit)
            .to_digit(16)
            .and_then(|value| u8::try_from(value).ok())
    };
    Some(value(digits.first()?)? << 4 | value(digits.get(1)?)?)
}

/// A value in double quotes is a quoted-string of RFC 9110; the binding wants it undone for older producers.
fn unquote(value: &[u8]) -> Vec<u8> {
    let inner = value
        .strip_prefix(b"\"")
        .and_then(|value| value.strip_suffix(b"\""));
    let Some(inner) = inner else {
        return value.to_vec();
    };
    let mut plain = Vec::with_capacity(inner.len());
    let mut bytes = inner.iter();
    while let Some(byte) = bytes.next() {
        let byte = if *byte == b'\\' {
            bytes.next().unwrap_or(byte)
        } else {
            byte
        };
        plain.push(*byte);
    }
    plain
}

fn invalid_utf8(place: &str) -> Error {
    Kind::InvalidUtf8 {
        place: place.to_owned(),
    }
    .into()
}
