//! The codecs as their users see them: examples of the specification, round trips, golden bytes, malformed input and
//! mutations.

#![expect(
    clippy::unwrap_used,
    reason = "clippy knows tests by their attribute, and here the helpers between them are tests too"
)]
#![expect(
    clippy::print_stdout,
    reason = "suites print what passed and what was skipped"
)]

mod amqp;
mod builder;
mod cesql;
mod context;
mod filter;
mod http;
mod journal;
mod json;
mod kafka;
mod mqtt;
mod mutation;
mod nats;
mod rule;
mod sdk;
mod show;
mod subscriber;

use kapelle_events::{CloudEvent, Timestamp, Value};

/// A CloudEvent with everything that there is.
fn full() -> CloudEvent {
    CloudEvent::builder(
        "A234-1234-1234",
        "/mycontext/größe",
        "com.example.someevent",
    )
    .subject("order 50% \"x\"")
    .time(Timestamp::parse("2018-04-05T17:31:00.250+02:00").unwrap())
    .data_schema("https://example.com/schema?a=b#c")
    .extension("comexampleflag", Value::Boolean(true))
    .extension("comexamplenumber", Value::Integer(-7))
    .extension("comexamplebinary", Value::Binary([0, 1, 254, 255].into()))
    .extension("comexampletext", "€ 5")
    .extension("dataref", Value::UriReference("/claims/1".into()))
    .extension(
        "expirytime",
        Timestamp::parse("2018-04-06T00:00:00Z").unwrap(),
    )
    .correlation_id("conversation-1")
    .causation_id("cause-1")
    .trace_parent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    .data(
        "application/json",
        "{ \"b\":1.0, \"a\" : [1e2 ,\"\\u00e4\"]}",
    )
    .build()
    .unwrap()
}

/// The least that a CloudEvent has.
fn minimal() -> CloudEvent {
    CloudEvent::builder("1", "/s", "t").build().unwrap()
}

/// CloudEvents whose data is of every sort that a codec treats in its own way.
fn varied() -> Vec<CloudEvent> {
    let with = |content_type: &str, data: &[u8]| {
        CloudEvent::builder("1", "/s", "t")
            .data(content_type, data)
            .build()
            .unwrap()
    };
    vec![
        full(),
        minimal(),
        with("application/json", b"null"),
        with("application/json", b"\"text\""),
        with("application/json", b"not json"),
        with("application/json", b"\xff"),
        with("application/vnd.example+json; charset=utf-8", b"[1, 2]"),
        with("text/plain", "line\n\"ü\"\u{0}".as_bytes()),
        with("text/plain", b"\xffbinary"),
        with("application/xml", b"<a/>"),
        with("application/octet-stream", &[0, 159, 146, 150]),
        CloudEvent::builder("1", "/s", "t")
            .bare_data("{}")
            .build()
            .unwrap(),
        CloudEvent::builder("1", "/s", "t")
            .bare_data("no json")
            .build()
            .unwrap(),
    ]
}
