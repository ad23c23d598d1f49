//! CloudEvents in MQTT messages: attributes as user properties of MQTT 5, or structured mode, which is all that MQTT 3.1.1
//! has.
//!
//! User properties have the bare names of attributes, so others that look like one become extensions; those whose names no
//! attribute can have are passed over. A message without content type and properties is read as one JSON document:
//! it is what a client of MQTT 3.1.1 publishes.
//!
//! A batch is not defined for MQTT.

use crate::attribute::Value;
use crate::http::{self, Mode};
use crate::{Builder, CloudEvent, Error, Kind, Limits, json};

const DATA_CONTENT_TYPE: &str = "datacontenttype";

/// An MQTT message that carries one CloudEvent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The property `Content Type`; MQTT 3.1.1 has none.
    pub content_type: Option<String>,
    /// The user properties; MQTT 3.1.1 has none.
    pub properties: Vec<(String, String)>,
    /// The payload.
    pub body: Vec<u8>,
}

/// Reads the CloudEvent of an MQTT message.
pub fn decode<'p, P>(
    content_type: Option<&str>,
    properties: P,
    body: &[u8],
    limits: &Limits,
) -> Result<CloudEvent, Error>
where
    P: IntoIterator<Item = (&'p str, &'p str)> + Clone,
{
    let content_type = content_type.filter(|content_type| !content_type.is_empty());
    match http::mode(content_type)? {
        Mode::Structured => json::decode(body, limits),
        Mode::Batch => {
            let media_type = json::BATCH_MEDIA_TYPE.to_owned();
            Err(Kind::UnsupportedMediaType { media_type }.into())
        }
        Mode::Binary => {
            let required = |(name, _)| matches!(name, "specversion" | "id" | "source" | "type");
            if properties.clone().into_iter().any(required) {
                return decode_binary(content_type, properties, body, limits);
            }
            if content_type.is_none() {
                return json::decode_unclaimed(body, limits);
            }
            Err(Kind::NotACloudEvent.into())
        }
    }
}

/// Writes one CloudEvent in binary mode, for MQTT 5.
pub fn encode_binary(event: &CloudEvent) -> Message {
    let properties = event
        .texts()
        .map(|(name, value)| (name.to_owned(), value.into_owned()))
        .collect();
    Message {
        content_type: event.data_content_type().map(str::to_owned),
        properties,
        body: event
            .data()
            .map_or_else(Vec::new, |data| data.as_bytes().to_vec()),
    }
}

/// Writes one CloudEvent in structured mode; for MQTT 3.1.1 the body is all there is.
pub fn encode_structured(event: &CloudEvent) -> Message {
    Message {
        content_type: Some(format!("{}; charset=utf-8", json::MEDIA_TYPE)),
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
    P: IntoIterator<Item = (&'p str, &'p str)> + Clone,
{
    // The example of the specification has the content type twice, as the property and as a user property.
    let is_attribute = |name: &str| {
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        !name.is_empty()
            && name.chars().all(allowed)
            && (content_type.is_none() || name != DATA_CONTENT_TYPE)
    };
    let mut builder = Builder::default();
    for version in [true, false] {
        for (name, value) in properties.clone() {
            if is_attribute(name) && (name == "specversion") == version {
                builder.set(name, Value::from(value))?;
            }
        }
    }
    if let Some(content_type) = content_type {
        builder.set(DATA_CONTENT_TYPE, content_type.into())?;
    }
    if !body.is_empty() {
        builder.set_data(body.into());
    }
    builder.build_received(limits)
}
