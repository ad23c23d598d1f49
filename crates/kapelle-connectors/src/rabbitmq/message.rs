//! AMQP 0-9-1 messages to and from CloudEvents: the only place where lapin's values meet ours.

use kapelle_events::amqp::{self, Property};
use kapelle_events::{CloudEvent, Error, Limits, Timestamp, Value};
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, LongString, ShortString};

use super::config::Mode;
use crate::sink::{ATTEMPT_HEADER, Publication};
use crate::source::{Delivery, Rejected};

/// `delivery-mode` 2: the broker writes it to disk.
const PERSISTENT: u8 = 2;
/// A short string has one byte for its length.
const SHORT_STRING_BYTES_MAX: usize = 255;

/// What rules know of where a message lay.
pub const PLACE: [&str; 3] = ["queue", "exchange", "routingKey"];

/// Where a message lay.
pub(super) struct Place<'m> {
    pub(super) queue: &'m str,
    pub(super) exchange: &'m str,
    pub(super) routing_key: &'m str,
}

impl Place<'_> {
    fn names(&self) -> Vec<(&'static str, String)> {
        let [queue, exchange, routing_key] = PLACE;
        vec![
            (queue, self.queue.to_owned()),
            (exchange, self.exchange.to_owned()),
            (routing_key, self.routing_key.to_owned()),
        ]
    }
}

/// A delivery as the engine's door wants it.
pub(super) fn received(
    place: &Place<'_>,
    properties: &BasicProperties,
    body: Vec<u8>,
    limits: &Limits,
) -> Delivery {
    match decode(properties, &body, limits) {
        Ok(event) => Delivery::Event(event),
        Err(why) => {
            let body_bytes = body.len();
            let mut body = body;
            body.truncate(limits.event_bytes_max);
            Delivery::Rejected(Rejected {
                place: place.names(),
                body,
                body_bytes,
                headers: told(properties),
                why,
            })
        }
    }
}

fn decode(properties: &BasicProperties, body: &[u8], limits: &Limits) -> Result<CloudEvent, Error> {
    let content_type = properties.content_type().as_ref().map(ShortString::as_str);
    let headers = properties.headers().as_ref().map(FieldTable::inner);
    let headers = headers
        .into_iter()
        .flatten()
        .map(|(name, value)| (name.as_str(), property(value)));
    amqp::decode(content_type, headers, body, limits)
}

fn property(value: &AMQPValue) -> Property<'_> {
    match value {
        AMQPValue::Boolean(value) => Property::Boolean(*value),
        AMQPValue::ShortShortInt(value) => Property::Integer((*value).into()),
        AMQPValue::ShortShortUInt(value) => Property::Integer((*value).into()),
        AMQPValue::ShortInt(value) => Property::Integer((*value).into()),
        AMQPValue::ShortUInt(value) => Property::Integer((*value).into()),
        AMQPValue::LongInt(value) => Property::Integer((*value).into()),
        AMQPValue::LongUInt(value) => Property::Integer((*value).into()),
        AMQPValue::LongLongInt(value) => Property::Integer(*value),
        AMQPValue::ShortString(text) => Property::Text(text.as_str().as_bytes()),
        AMQPValue::LongString(text) => Property::Text(text.as_bytes()),
        AMQPValue::ByteArray(bytes) => Property::Binary(bytes.as_slice()),
        AMQPValue::Timestamp(seconds) => Property::UnixMs(unix_ms(*seconds)),
        AMQPValue::Float(_) | AMQPValue::Double(_) => Property::Other("a floating-point number"),
        AMQPValue::DecimalValue(_) => Property::Other("a decimal"),
        AMQPValue::FieldArray(_) => Property::Other("an array"),
        AMQPValue::FieldTable(_) => Property::Other("a table"),
        AMQPValue::Void => Property::Other("void"),
    }
}

/// AMQP has seconds; what does not fit is out of every range.
fn unix_ms(seconds: u64) -> i64 {
    i64::try_from(seconds)
        .unwrap_or(i64::MAX)
        .saturating_mul(1_000)
}

/// Headers and properties as the producer gave them: a message that comes again has the same.
fn told(properties: &BasicProperties) -> Vec<(String, String)> {
    let mut told = Vec::new();
    let texts = [
        ("content-type", properties.content_type()),
        ("message-id", properties.message_id()),
        ("correlation-id", properties.correlation_id()),
        ("type", properties.kind()),
        ("reply-to", properties.reply_to()),
        ("app-id", properties.app_id()),
    ];
    for (name, value) in texts {
        if let Some(value) = value {
            told.push((name.to_owned(), value.to_string()));
        }
    }
    if let Some(time) = properties
        .timestamp()
        .and_then(|seconds| Timestamp::from_unix_ms(unix_ms(seconds)))
    {
        told.push(("timestamp".to_owned(), time.as_str().to_owned()));
    }
    for (name, value) in properties
        .headers()
        .as_ref()
        .map(FieldTable::inner)
        .into_iter()
        .flatten()
        .filter(|(name, _)| !is_of_the_broker(name.as_str()))
    {
        let value = match property(value) {
            Property::Text(bytes) | Property::Binary(bytes) => match str::from_utf8(bytes) {
                Ok(text) => text.to_owned(),
                Err(_) => bytes.escape_ascii().to_string(),
            },
            Property::Boolean(value) => value.to_string(),
            Property::Integer(value) => value.to_string(),
            Property::UnixMs(value) => format!("{value} ms since 1970"),
            Property::Other(kind) => format!("({kind})"),
        };
        told.push((name.to_string(), value));
    }
    told
}

/// What RabbitMQ writes into a message when it delivers it again, or has it go round over a dead-letter exchange.
fn is_of_the_broker(header: &str) -> bool {
    matches!(header, "x-delivery-count" | "x-acquired-count" | "x-death")
        || header.starts_with("x-first-death-")
        || header.starts_with("x-last-death-")
}

/// The properties and body of an outgoing message.
pub(super) fn outgoing(publication: &Publication<'_>, mode: Mode) -> (BasicProperties, Vec<u8>) {
    let event = publication.event;
    let message = match mode {
        Mode::Binary => amqp::encode_binary(event),
        Mode::Structured => amqp::encode_structured(event),
    };
    let mut headers = FieldTable::default();
    for (name, value) in &message.properties {
        headers.insert(
            short(name).expect("attribute names are at most 64 characters"),
            amqp_value(value),
        );
    }
    if publication.attempt > 1 {
        headers.insert(
            ATTEMPT_HEADER.into(),
            AMQPValue::LongUInt(publication.attempt),
        );
    }
    let mut properties = BasicProperties::default()
        .with_delivery_mode(PERSISTENT)
        .with_headers(headers);
    if let Some(content_type) = message.content_type.as_deref().and_then(short) {
        properties = properties.with_content_type(content_type);
    }
    if let Some(id) = short(event.id()) {
        properties = properties.with_message_id(id);
    }
    (properties, message.body)
}

fn amqp_value(value: &Value) -> AMQPValue {
    match value {
        Value::Boolean(value) => AMQPValue::Boolean(*value),
        Value::Integer(value) => AMQPValue::LongInt(*value),
        Value::Binary(bytes) => AMQPValue::ByteArray(bytes.to_vec().into()),
        text => AMQPValue::LongString(LongString::from(text.to_text().into_owned())),
    }
}

/// A short string, if the text is one.
pub(super) fn short(text: &str) -> Option<ShortString> {
    (text.len() <= SHORT_STRING_BYTES_MAX).then(|| text.into())
}
