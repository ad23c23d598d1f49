//! Messages without a server: what goes out comes back, and what is no CloudEvent is kept as it came.

use async_nats::{HeaderMap, Message};
use bytes::Bytes;
use expect_test::expect;
use kapelle_events::{CloudEvent, Limits};

use super::config::Mode;
use super::message::{outgoing, received};
use crate::sink::Publication;
use crate::source::Delivery;

fn event(id: &str) -> CloudEvent {
    CloudEvent::builder(id, "/shop", "order.placed")
        .subject("größe 50%")
        .data("application/json", "{ \"a\": 1.0 }")
        .build()
        .unwrap()
}

fn sent(id: &str, attempt: u32, subject: &str, mode: Mode) -> (HeaderMap, Bytes) {
    let event = event(id);
    let publication = Publication {
        event: &event,
        target: None,
        attempt,
    };
    outgoing(&publication, subject, mode)
}

fn message((headers, payload): (HeaderMap, Bytes)) -> Message {
    Message {
        subject: "orders.north".into(),
        reply: None,
        length: payload.len(),
        payload,
        headers: Some(headers),
        status: None,
        description: None,
    }
}

#[test]
fn what_goes_out_comes_back() {
    for mode in [Mode::Binary, Mode::Structured] {
        let message = message(sent("1", 1, "orders", mode));
        assert_eq!(
            received("s", 7, &message, &Limits::DEFAULT),
            Delivery::Event(event("1"))
        );
    }
}

#[test]
fn attempts_have_one_message_id_and_other_events_and_subjects_another() {
    let id = |(headers, _): (HeaderMap, Bytes)| {
        let attempt = headers.get("kapelle-attempt").map(ToString::to_string);
        (headers.get("Nats-Msg-Id").unwrap().to_string(), attempt)
    };
    let (first, attempt) = id(sent("1", 1, "orders", Mode::Binary));
    assert_eq!((first.len(), attempt), (32, None));
    let again = id(sent("1", 2, "orders", Mode::Structured));
    assert_eq!(again, (first.clone(), Some("2".to_owned())));
    assert_ne!(id(sent("2", 1, "orders", Mode::Binary)).0, first);
    assert_ne!(id(sent("1", 1, "bills", Mode::Binary)).0, first);
}

#[test]
fn what_is_no_cloud_event_is_kept_as_it_came_with_headers_in_one_order() {
    let limits = Limits {
        event_bytes_max: 10,
        ..Limits::DEFAULT
    };
    let mut headers = HeaderMap::new();
    for (name, value) in [("shop", "south"), ("ce-id", "1"), ("shop", "north")] {
        headers.append(name, value);
    }
    let told = |headers: HeaderMap| {
        let message = message((headers, Bytes::from_static(b"0123456789abc")));
        match received("orders", 7, &message, &limits) {
            Delivery::Rejected(rejected) => rejected,
            Delivery::Event(_) => panic!("it was accepted"),
        }
    };
    let rejected = told(headers.clone());
    assert_eq!(
        (rejected.body.as_slice(), rejected.body_bytes),
        (b"0123456789".as_slice(), 13)
    );
    expect![[r#"
        [
            (
                "subject",
                "orders.north",
            ),
            (
                "sequence",
                "7",
            ),
            (
                "ce-id",
                "1",
            ),
            (
                "shop",
                "south",
            ),
            (
                "shop",
                "north",
            ),
        ]
    "#]]
    .assert_debug_eq(&rejected.headers);
    expect!["required attribute \"specversion\" is missing"].assert_eq(&rejected.why.to_string());
    // Each map has an order of its own.
    for _ in 0..20 {
        let same: Vec<_> = headers.iter().collect();
        let mut headers = HeaderMap::new();
        for (name, values) in same {
            for value in values {
                headers.append(name.clone(), value.clone());
            }
        }
        assert_eq!(told(headers), rejected);
    }
}
