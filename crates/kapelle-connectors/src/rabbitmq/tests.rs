//! Messages without a broker: what goes out comes back, and what is no CloudEvent is kept as it came.

use expect_test::expect;
use kapelle_events::{CloudEvent, Limits, Timestamp, Value};
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};

use super::config::Mode;
use super::message::{Place, outgoing, received};
use crate::sink::Publication;
use crate::source::Delivery;

const PLACE: Place<'_> = Place {
    queue: "orders",
    exchange: "",
    routing_key: "orders.new",
};

fn event() -> CloudEvent {
    CloudEvent::builder("1", "/shop", "order.placed")
        .subject("größe")
        .time(Timestamp::parse("2018-04-05T17:31:00.5Z").unwrap())
        .extension("flag", Value::Boolean(true))
        .extension("number", Value::Integer(-7))
        .extension("bytes", Value::Binary([0, 255].into()))
        .extension(
            "expirytime",
            Timestamp::parse("2018-04-06T00:00:00Z").unwrap(),
        )
        .data("application/json", "{ \"a\": 1.0 }")
        .build()
        .unwrap()
}

#[test]
fn what_goes_out_comes_back() {
    let event = event();
    let (properties, body) = outgoing(
        &Publication {
            event: &event,
            target: None,
            attempt: 1,
        },
        Mode::Binary,
    );
    assert_eq!(
        received(&PLACE, &properties, body, &Limits::DEFAULT),
        Delivery::Event(event.clone())
    );
    let (properties, body) = outgoing(
        &Publication {
            event: &event,
            target: None,
            attempt: 3,
        },
        Mode::Structured,
    );
    let Delivery::Event(back) = received(&PLACE, &properties, body, &Limits::DEFAULT) else {
        panic!("it was rejected")
    };
    assert_eq!((back.id(), back.data()), (event.id(), event.data()));
}

#[test]
fn outgoing_messages_are_persistent_and_tell_the_attempt() {
    let event = event();
    let (properties, _) = outgoing(
        &Publication {
            event: &event,
            target: None,
            attempt: 3,
        },
        Mode::Binary,
    );
    assert_eq!(properties.delivery_mode(), &Some(2));
    let headers = properties.headers().as_ref().unwrap().inner();
    assert_eq!(
        headers.get("kapelle-attempt"),
        Some(&AMQPValue::LongUInt(3))
    );
}

#[test]
fn what_is_no_cloud_event_is_kept_as_it_came() {
    let limits = Limits {
        event_bytes_max: 10,
        ..Limits::DEFAULT
    };
    let mut headers = FieldTable::default();
    headers.insert("cloudEvents_id".into(), AMQPValue::LongString("1".into()));
    headers.insert(
        "x-death".into(),
        AMQPValue::FieldTable(FieldTable::default()),
    );
    headers.insert("count".into(), AMQPValue::ShortInt(7));
    headers.insert("raw".into(), AMQPValue::LongString(vec![0xff].into()));
    let properties = BasicProperties::default()
        .with_headers(headers)
        .with_content_type("text/plain".into());
    let Delivery::Rejected(rejected) =
        received(&PLACE, &properties, b"0123456789abc".to_vec(), &limits)
    else {
        panic!("it was accepted")
    };
    expect![[r#"
        Rejected {
            place: [
                (
                    "queue",
                    "orders",
                ),
                (
                    "exchange",
                    "",
                ),
                (
                    "routingKey",
                    "orders.new",
                ),
            ],
            body: [
                48,
                49,
                50,
                51,
                52,
                53,
                54,
                55,
                56,
                57,
            ],
            body_bytes: 13,
            headers: [
                (
                    "content-type",
                    "text/plain",
                ),
                (
                    "cloudEvents_id",
                    "1",
                ),
                (
                    "count",
                    "7",
                ),
                (
                    "raw",
                    "\\xff",
                ),
            ],
            why: Error {
                batch_entry: None,
                kind: MissingAttribute {
                    name: "specversion",
                },
            },
        }
    "#]]
    .assert_debug_eq(&rejected);
}
