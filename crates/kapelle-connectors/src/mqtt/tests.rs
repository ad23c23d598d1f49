//! Packets and messages without a broker: what goes out comes back in both versions, and what is no CloudEvent is kept.

use bytes::BytesMut;
use kapelle_events::{CloudEvent, Limits};

use super::config::{Mode, Quality, SinkConfig, Version};
use super::message::{outgoing, received};
use super::packet::{self, Incoming, Outgoing, Publish};
use crate::secret::Secret;
use crate::sink::Publication;
use crate::source::Delivery;

fn event() -> CloudEvent {
    CloudEvent::builder("1", "/shop", "order.placed")
        .subject("größe")
        .data("application/json", "{ \"a\": 1.0 }")
        .build()
        .unwrap()
}

fn sent(version: Version, mode: Mode, attempt: u32) -> Publish {
    let event = event();
    let publication = Publication {
        event: &event,
        target: None,
        attempt,
    };
    let config = SinkConfig {
        version,
        mode,
        quality: Quality::ExactlyOnce,
        retain: true,
        ..SinkConfig::new(Secret::Plain(String::new()))
    };
    let mut publish = outgoing(&publication, "orders/north", &config);
    publish.id = 7;
    publish
}

#[test]
fn what_goes_out_comes_back_also_bit_by_bit() {
    for version in [Version::V3, Version::V5] {
        for mode in [Mode::Binary, Mode::Structured] {
            let publish = sent(version, mode, 1);
            let mut bytes = BytesMut::new();
            let packet = Outgoing::Publish(publish.clone());
            packet::write(version, packet, usize::MAX, &mut bytes).unwrap();
            let last = bytes.split_off(bytes.len() - 1);
            assert!(packet::read(version, &mut bytes).unwrap().is_none());
            bytes.unsplit(last);
            let Some(Incoming::Publish(back)) = packet::read(version, &mut bytes).unwrap() else {
                panic!("another packet")
            };
            assert!(bytes.is_empty());
            assert_eq!(
                (&back.topic[..], back.qos, back.retain, back.id),
                ("orders/north", 2, true, 7)
            );
            assert_eq!(
                received("orders/#", &back, &Limits::DEFAULT),
                Delivery::Event(event())
            );
            if version == Version::V5 {
                assert_eq!(back, publish);
            }
        }
    }
}

#[test]
fn what_is_larger_than_the_broker_takes_is_not_written() {
    for version in [Version::V3, Version::V5] {
        let mut bytes = BytesMut::new();
        let packet = Outgoing::Publish(sent(version, Mode::Structured, 1));
        let too_large = packet::write(version, packet, 100, &mut bytes).unwrap_err();
        assert_eq!((too_large.bytes_max, bytes.len()), (100, 0));
    }
}

#[test]
fn what_is_not_mqtt_is_an_error() {
    for version in [Version::V3, Version::V5] {
        let mut bytes = BytesMut::from(b"\xf0\x02HTTP/1.1".as_slice());
        assert!(packet::read(version, &mut bytes).is_err());
    }
}

#[test]
fn a_repeated_attempt_says_so() {
    let attempt = |attempt| {
        let publish = sent(Version::V5, Mode::Binary, attempt);
        publish.properties.last().cloned()
    };
    let expected = ("kapelle-attempt".to_owned(), "3".to_owned());
    assert_eq!(attempt(3), Some(expected));
    assert_eq!(attempt(1).unwrap().0, "subject");
}

#[test]
fn what_is_no_cloud_event_is_kept_as_it_came() {
    let limits = Limits {
        event_bytes_max: 10,
        ..Limits::DEFAULT
    };
    let publish = Publish {
        content_type: Some("text/plain".to_owned()),
        properties: vec![("shop".to_owned(), "south".to_owned())],
        payload: b"0123456789abc".as_slice().into(),
        ..sent(Version::V5, Mode::Binary, 1)
    };
    let Delivery::Rejected(rejected) = received("orders/#", &publish, &limits) else {
        panic!("it was accepted")
    };
    assert_eq!(
        (
            rejected.body.as_slice(),
            rejected.body_bytes,
            &rejected.place[..]
        ),
        (
            b"0123456789".as_slice(),
            13,
            &[
                ("filter", "orders/#".to_owned()),
                ("topic", "orders/north".to_owned())
            ][..]
        )
    );
    let headers = [
        ("topic", "orders/north"),
        ("content-type", "text/plain"),
        ("shop", "south"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(rejected.headers, headers);
}
