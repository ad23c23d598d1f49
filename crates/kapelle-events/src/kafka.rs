//! CloudEvents in Kafka records: attributes as headers, or structured mode.
//!
//! A record without content type and headers is read as one JSON document: before Kafka had headers there was nothing
//! else. A batch is not defined for Kafka.
//!
//! **Tombstones**: a record without a value is a CloudEvent without data in binary mode, and the other way round; in a
//! compacted topic it deletes its key. An empty value is empty data.

use crate::attribute::{PARTITION_KEY, Value};
use crate::http::{self, Mode};
use crate::{Builder, CloudEvent, Error, Kind, Limits, json};

const PREFIX: &str = "ce_";
const CONTENT_TYPE: &str = "content-type";

/// A record as it came.
#[derive(Debug, Clone, Copy)]
pub struct Incoming<'r> {
    /// The key, which is any bytes.
    pub key: Option<&'r [u8]>,
    /// The headers; a name may come more than once.
    pub headers: &'r [(&'r str, &'r [u8])],
    /// The value; a tombstone has none.
    pub value: Option<&'r [u8]>,
}

/// A record to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The key that was wished for.
    pub key: Option<Vec<u8>>,
    /// The headers, `content-type` among them.
    pub headers: Vec<(String, String)>,
    /// The value; a tombstone has none.
    pub value: Option<Vec<u8>>,
}

/// What the key of a record and the CloudEvent have to do with each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Key {
    /// Nothing.
    #[default]
    Apart,
    /// The key that is written is the extension `partitionkey`. One that is read becomes it where it is text and the
    /// CloudEvent has none, so that what was in order stays so.
    PartitionKey,
}

/// Reads the CloudEvent of a record.
pub fn decode(record: Incoming<'_>, key: Key, limits: &Limits) -> Result<CloudEvent, Error> {
    let content_type = content_type(record.headers)?;
    let event = match http::mode(content_type)? {
        Mode::Structured => json::decode(record.value.unwrap_or_default(), limits)?,
        Mode::Batch => {
            let media_type = json::BATCH_MEDIA_TYPE.to_owned();
            return Err(Kind::UnsupportedMediaType { media_type }.into());
        }
        Mode::Binary if attributes(record.headers).next().is_some() => {
            decode_binary(content_type, record, limits)?
        }
        Mode::Binary => match record.value {
            Some(value) if content_type.is_none() && is_object(value) => {
                json::decode(value, limits)?
            }
            _ => return Err(Kind::NotACloudEvent.into()),
        },
    };
    match (key, record.key.map(str::from_utf8)) {
        (Key::PartitionKey, Some(Ok(text)))
            if !text.is_empty() && event.extension(PARTITION_KEY).is_none() =>
        {
            let keyed = event.to_builder().extension(PARTITION_KEY, text);
            // A key that no attribute can be, such as one with control characters, stays apart.
            Ok(keyed.build_within(limits).unwrap_or(event))
        }
        _ => Ok(event),
    }
}

/// Writes one CloudEvent in binary mode.
pub fn encode_binary(event: &CloudEvent, key: Key) -> Record {
    let mut headers: Vec<(String, String)> = event
        .texts()
        .map(|(name, value)| (format!("{PREFIX}{name}"), value.into_owned()))
        .collect();
    if let Some(content_type) = event.data_content_type() {
        headers.push((CONTENT_TYPE.to_owned(), content_type.to_owned()));
    }
    Record {
        key: record_key(event, key),
        headers,
        value: event.data().map(|data| data.as_bytes().to_vec()),
    }
}

/// Writes one CloudEvent in structured mode.
pub fn encode_structured(event: &CloudEvent, key: Key) -> Record {
    let content_type = format!("{}; charset=utf-8", json::MEDIA_TYPE);
    Record {
        key: record_key(event, key),
        headers: vec![(CONTENT_TYPE.to_owned(), content_type)],
        value: Some(json::encode(event)),
    }
}

fn record_key(event: &CloudEvent, key: Key) -> Option<Vec<u8>> {
    match key {
        Key::Apart => None,
        Key::PartitionKey => {
            let key = event.extension(PARTITION_KEY)?;
            Some(key.to_text().as_bytes().to_vec())
        }
    }
}

fn decode_binary(
    content_type: Option<&str>,
    record: Incoming<'_>,
    limits: &Limits,
) -> Result<CloudEvent, Error> {
    let mut builder = Builder::default();
    for version in [true, false] {
        for (name, value) in attributes(record.headers) {
            if (name == "specversion") == version {
                let place = || format!("attribute \"{name}\"");
                builder.set(name, Value::from(text(value, place)?))?;
            }
        }
    }
    if let Some(content_type) = content_type {
        builder.set("datacontenttype", content_type.into())?;
    }
    if let Some(value) = record.value {
        builder.set_data(value.into());
    }
    builder.build_received(limits)
}

fn attributes<'r>(headers: &'r [(&'r str, &'r [u8])]) -> impl Iterator<Item = (&'r str, &'r [u8])> {
    headers
        .iter()
        .filter_map(|(name, value)| Some((name.strip_prefix(PREFIX)?, *value)))
}

fn content_type<'r>(headers: &'r [(&'r str, &'r [u8])]) -> Result<Option<&'r str>, Error> {
    let mut found = None;
    for (name, value) in headers {
        if name.eq_ignore_ascii_case(CONTENT_TYPE) && !value.is_empty() {
            let value = text(value, || CONTENT_TYPE.to_owned())?;
            if found.replace(value).is_some() {
                let name = CONTENT_TYPE.to_owned();
                return Err(Kind::DuplicateAttribute { name }.into());
            }
        }
    }
    Ok(found)
}

fn text(bytes: &[u8], place: impl FnOnce() -> String) -> Result<&str, Error> {
    str::from_utf8(bytes).map_err(|_| Kind::InvalidUtf8 { place: place() }.into())
}

fn is_object(value: &[u8]) -> bool {
    value.trim_ascii_start().starts_with(b"{")
}
