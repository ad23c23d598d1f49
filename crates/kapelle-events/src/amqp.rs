//! CloudEvents in AMQP messages: attributes as application properties (headers in AMQP 0-9-1), or structured mode.
//!
//! Both prefixes of the binding are read, `cloudEvents:` and `cloudEvents_`; the second is written, because JMS clients
//! can't name a property with a colon.
//!
//! Properties come as a small enum of ours, so this module knows no AMQP library. A batch is not defined for AMQP.

use crate::attribute::Value;
use crate::http::{self, Mode};
use crate::{Builder, CloudEvent, Error, Kind, Limits, SPEC_VERSION, Timestamp, json};

const PREFIXES: [&str; 2] = ["cloudEvents_", "cloudEvents:"];

/// The value of a property as AMQP has it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Property<'p> {
    /// A boolean.
    Boolean(bool),
    /// Any of the integers.
    Integer(i64),
    /// A short or long string; AMQP 0-9-1 does not promise UTF-8.
    Text(&'p [u8]),
    /// A byte array.
    Binary(&'p [u8]),
    /// A timestamp, which has milliseconds at best.
    UnixMs(i64),
    /// A type that no attribute can have, and its name.
    Other(&'static str),
}

/// An AMQP message that carries one CloudEvent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The `content-type` property.
    pub content_type: Option<String>,
    /// Application properties. Booleans, integers and binaries keep their types, all others are text.
    pub properties: Vec<(String, Value)>,
    /// The body.
    pub body: Vec<u8>,
}

/// Reads the CloudEvent of an AMQP message.
pub fn decode<'p, P>(
    content_type: Option<&str>,
    properties: P,
    body: &[u8],
    limits: &Limits,
) -> Result<CloudEvent, Error>
where
    P: IntoIterator<Item = (&'p str, Property<'p>)> + Clone,
{
    match http::mode(content_type)? {
        Mode::Binary => decode_binary(content_type, properties, body, limits),
        Mode::Structured => json::decode(body, limits),
        Mode::Batch => {
            let media_type = json::BATCH_MEDIA_TYPE.to_owned();
            Err(Kind::UnsupportedMediaType { media_type }.into())
        }
    }
}

/// Writes one CloudEvent in binary mode.
pub fn encode_binary(event: &CloudEvent) -> Message {
    let mut properties = Vec::new();
    let mut property =
        |name: &str, value: Value| properties.push((format!("{}{name}", PREFIXES[0]), value));
    property("specversion", SPEC_VERSION.into());
    property("id", event.id().into());
    property("source", event.source().into());
    property("type", event.event_type().into());
    for (name, value) in [
        ("subject", event.subject()),
        ("dataschema", event.data_schema()),
    ] {
        if let Some(value) = value {
            property(name, value.into());
        }
    }
    if let Some(time) = event.time() {
        property("time", time.as_str().into());
    }
    for (name, value) in event.extensions() {
        // AMQP 0-9-1 counts timestamps in seconds, so text is the only form that keeps them.
        let text = value.as_str().map(Value::from);
        property(name, text.unwrap_or_else(|| value.clone()));
    }
    Message {
        content_type: event.data_content_type().map(str::to_owned),
        properties,
        body: event
            .data()
            .map_or_else(Vec::new, |data| data.as_bytes().to_vec()),
    }
}

/// Writes one CloudEvent in structured mode.
pub fn encode_structured(event: &CloudEvent) -> Message {
    let content_type = Some(format!("{}; charset=utf-8", json::MEDIA_TYPE));
    Message {
        content_type,
        properties: Vec::new(),
        body: json::encode(event),
    }
}

fn decode_binary<'p, P>(
    content_type: Option<&str>,
    properties: P,
    body: &[u8],
    limits: &Limits,
) -> Result<CloudEvent, Error>
where
    P: IntoIterator<Item = (&'p str, Property<'p>)> + Clone,
{
    let attributes = || {
        properties
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
                builder.set(name, attribute_value(name, value)?)?;
            }
        }
    }
    if let Some(content_type) = content_type.filter(|content_type| !content_type.is_empty()) {
        builder.set("datacontenttype", content_type.into())?;
    }
    if !body.is_empty() {
        builder.set_data(body.into());
    }
    builder.build_received(limits)
}

fn attribute_name(property: &str) -> Option<&str> {
    PREFIXES
        .iter()
        .find_map(|prefix| property.strip_prefix(prefix))
}

fn attribute_value(name: &str, property: Property<'_>) -> Result<Value, Error> {
    let invalid = |why| Kind::InvalidValue {
        name: name.to_owned(),
        why,
    };
    Ok(match property {
        Property::Boolean(value) => Value::Boolean(value),
        Property::Integer(value) => Value::Integer(
            value
                .try_into()
                .map_err(|_| invalid("it is no 32-bit integer"))?,
        ),
        Property::Text(bytes) => {
            let place = || Kind::InvalidUtf8 {
                place: format!("attribute \"{name}\""),
            };
            str::from_utf8(bytes).map_err(|_| place())?.into()
        }
        Property::Binary(bytes) => Value::Binary(bytes.into()),
        Property::UnixMs(unix_ms) => Timestamp::from_unix_ms(unix_ms)
            .ok_or_else(|| invalid("it is outside the years 0 to 9999"))?
            .into(),
        Property::Other(found) => {
            let expected = "a string, a boolean, an integer, binary or a timestamp";
            return Err(Kind::WrongType {
                name: name.to_owned(),
                expected,
                found,
            }
            .into());
        }
    })
}
