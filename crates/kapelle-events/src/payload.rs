//! A CloudEvent as Camunda's inbound connectors would show what they received, for models that were drawn for them:
//! `request.body.order` instead of `data.order`.
//!
//! What the connector shows stands before the CloudEvent's own attributes and `data`, which stay visible. Each shape also
//! has all of its own as `response`, as connectors have.
//!
//! **Invariant**: a function of the CloudEvent: what only the transport knew (query parameters, offsets) is not there, and
//! is null to an expression.

use kapelle_feel::{Variable, Variables, msgpack};

use crate::attribute::PARTITION_KEY;
use crate::context::Context;
use crate::{CloudEvent, Data, Timestamp};

/// Which connector's view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// `request.body`, `request.headers`, `request.params`.
    Webhook,
    /// `key`, `value`, `rawValue`, `headers`.
    Kafka,
    /// `message.body`, `message.properties`.
    Rabbitmq,
    /// `body`, `headers`.
    Body,
}

/// A view of a CloudEvent that FEEL expressions can read.
#[derive(Debug)]
pub struct Payload<'e> {
    context: Context<'e>,
    response: Vec<u8>,
}

impl CloudEvent {
    /// As that connector would show it.
    pub fn as_payload(&self, shape: Shape) -> Payload<'_> {
        Payload {
            context: self.as_context(),
            response: response(self, shape),
        }
    }
}

impl Variables for Payload<'_> {
    fn get(&self, name: &str) -> Option<Variable<'_>> {
        if name == "response" {
            return Some(Variable::Stored(&self.response));
        }
        match msgpack::get(&self.response, name) {
            Some(value) => Some(Variable::Stored(value)),
            None => self.context.get(name),
        }
    }
}

fn response(event: &CloudEvent, shape: Shape) -> Vec<u8> {
    let body = event.stored_data();
    match shape {
        Shape::Webhook => {
            // Over HTTP, the attributes are these headers; names of headers are shown in small letters.
            let headers = headers(event, "ce-", Some("content-type"));
            let empty = msgpack::map_from([]);
            let request = msgpack::map_from([
                ("body", body.as_slice()),
                ("headers", &headers),
                ("params", &empty),
            ]);
            msgpack::map_from([("request", request.as_slice()), ("connectorData", &empty)])
        }
        Shape::Kafka => {
            let key = event.extension(PARTITION_KEY).map(|key| key.to_text());
            let key = text(key.as_deref().or_else(|| event.subject()));
            let raw = event.data().map(Data::as_bytes);
            let raw = text(raw.and_then(|bytes| str::from_utf8(bytes).ok()));
            let headers = headers(event, "ce_", Some("content-type"));
            msgpack::map_from([
                ("key", key.as_slice()),
                ("value", &body),
                ("rawValue", &raw),
                ("headers", &headers),
            ])
        }
        Shape::Rabbitmq => {
            let properties = amqp_properties(event);
            let message =
                msgpack::map_from([("body", body.as_slice()), ("properties", &properties)]);
            msgpack::map_from([("message", message.as_slice())])
        }
        Shape::Body => {
            let headers = headers(event, "ce-", Some("content-type"));
            msgpack::map_from([("body", body.as_slice()), ("headers", &headers)])
        }
    }
}

fn amqp_properties(event: &CloudEvent) -> Vec<u8> {
    let headers = headers(event, "cloudEvents:", None);
    msgpack::map_from([
        ("contentType", text(event.data_content_type()).as_slice()),
        ("messageId", &text(Some(event.id()))),
        ("type", &text(Some(event.event_type()))),
        ("correlationId", &text(event.correlation_id())),
        ("timestamp", &text(event.time().map(Timestamp::as_str))),
        ("headers", &headers),
    ])
}

/// All attributes as texts under their names with a prefix; the content type of the data under a name of its own.
fn headers(event: &CloudEvent, prefix: &str, content_type: Option<&str>) -> Vec<u8> {
    let mut members: Vec<(String, Vec<u8>)> = event
        .texts()
        .map(|(name, value)| (format!("{prefix}{name}"), text(Some(&value))))
        .collect();
    if let (Some(name), Some(value)) = (content_type, event.data_content_type()) {
        members.push((name.to_owned(), text(Some(value))));
    }
    let members = members
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_slice()));
    msgpack::map_from(members)
}

fn text(text: Option<&str>) -> Vec<u8> {
    let mut out = Vec::new();
    match text {
        Some(text) => msgpack::write_str(&mut out, text),
        None => msgpack::write_nil(&mut out),
    }
    out
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use kapelle_feel::{Env, Expr, json};

    use super::*;

    fn check(shape: Shape, expressions: &[&str], expected: Expect) {
        let event = CloudEvent::builder("1", "/shop", "order.placed")
            .subject("A-1")
            .data("application/json", r#"{"id": "o-1", "total": 12}"#)
            .extension("partitionkey", "north")
            .build()
            .unwrap();
        let payload = event.as_payload(shape);
        let mut seen = String::new();
        for text in expressions {
            let value = Expr::parse(text)
                .unwrap()
                .evaluate(&payload, &Env::default())
                .unwrap()
                .value;
            let stored = msgpack::to_msgpack(&value);
            seen.push_str(&format!("{text}: {}\n", json::from_msgpack(&stored)));
        }
        expected.assert_eq(&seen);
    }

    #[test]
    fn a_webhook_shows_its_request() {
        check(
            Shape::Webhook,
            &[
                "request.body.id",
                "request.headers",
                "request.params.page",
                "connectorData",
                "response.request.body.total",
                "data.id",
                "subject",
            ],
            expect![[r#"
                request.body.id: "o-1"
                request.headers: {"ce-specversion":"1.0","ce-id":"1","ce-source":"/shop","ce-type":"order.placed","ce-subject":"A-1","ce-partitionkey":"north","content-type":"application/json"}
                request.params.page: null
                connectorData: {}
                response.request.body.total: 12
                data.id: "o-1"
                subject: "A-1"
            "#]],
        );
    }

    #[test]
    fn kafka_shows_key_and_value() {
        check(
            Shape::Kafka,
            &["key", "value.total", "rawValue", "headers.ce_type", "type"],
            expect![[r#"
                key: "north"
                value.total: 12
                rawValue: "{\"id\": \"o-1\", \"total\": 12}"
                headers.ce_type: "order.placed"
                type: "order.placed"
            "#]],
        );
    }

    #[test]
    fn rabbitmq_shows_body_and_properties() {
        check(
            Shape::Rabbitmq,
            &["message.body.id", "message.properties"],
            expect![[r#"
                message.body.id: "o-1"
                message.properties: {"contentType":"application/json","messageId":"1","type":"order.placed","correlationId":null,"timestamp":null,"headers":{"cloudEvents:specversion":"1.0","cloudEvents:id":"1","cloudEvents:source":"/shop","cloudEvents:type":"order.placed","cloudEvents:subject":"A-1","cloudEvents:partitionkey":"north"}}
            "#]],
        );
    }

    #[test]
    fn others_show_their_body() {
        check(
            Shape::Body,
            &["body", "headers.`content-type`", "response"],
            expect![[r#"
                body: {"id":"o-1","total":12}
                headers.`content-type`: "application/json"
                response: {"body":{"id":"o-1","total":12},"headers":{"ce-specversion":"1.0","ce-id":"1","ce-source":"/shop","ce-type":"order.placed","ce-subject":"A-1","ce-partitionkey":"north","content-type":"application/json"}}
            "#]],
        );
    }
}
