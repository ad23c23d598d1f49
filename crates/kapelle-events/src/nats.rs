//! CloudEvents in NATS messages: attributes as headers like those of HTTP, or structured mode.
//!
//! Two versions of the binding are understood. 1.0.3 has headers, percent-encoded as in HTTP; `datacontenttype` is an attribute
//! like the others, and `Content-Type` only tells structured mode. 1.0.2 was written before NATS had headers: the message
//! is one JSON document and nothing says so.
//!
//! A batch is not defined for NATS.

use crate::http::{self, Mode};
use crate::{CloudEvent, Error, Kind, Limits, json};

pub use crate::http::Message;

/// Reads the CloudEvent of a NATS message.
pub fn decode<'h, H>(headers: H, body: &[u8], limits: &Limits) -> Result<CloudEvent, Error>
where
    H: IntoIterator<Item = (&'h str, &'h [u8])> + Clone,
{
    let content_type = http::content_type(headers.clone())?;
    match http::mode(content_type)? {
        Mode::Structured => json::decode(body, limits),
        Mode::Batch => {
            let media_type = json::BATCH_MEDIA_TYPE.to_owned();
            Err(Kind::UnsupportedMediaType { media_type }.into())
        }
        Mode::Binary => {
            let is_attribute = |(name, _): (&str, _)| http::attribute_name(name).is_some();
            let bare = content_type.is_none() && !headers.clone().into_iter().any(is_attribute);
            if bare {
                return json::decode_unclaimed(body, limits);
            }
            http::decode_binary(None, headers, body, limits)
        }
    }
}

/// Writes one CloudEvent in binary mode.
pub fn encode_binary(event: &CloudEvent) -> Message {
    let mut headers = http::attribute_headers(event);
    if let Some(content_type) = event.data_content_type() {
        let value = http::percent_encode(content_type);
        headers.push(("ce-datacontenttype".to_owned(), value));
    }
    Message {
        headers,
        body: event
            .data()
            .map_or_else(Vec::new, |data| data.as_bytes().to_vec()),
    }
}

/// Writes one CloudEvent in structured mode.
pub fn encode_structured(event: &CloudEvent) -> Message {
    http::encode_structured(event)
}
