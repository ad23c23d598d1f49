//! What the builder refuses, and what a CloudEvent tells about itself.

use expect_test::expect;
use kapelle_events::{Builder, CloudEvent, Limits, Timestamp, Value};

use crate::show::show_result;
use crate::{full, minimal};

fn event() -> Builder {
    CloudEvent::builder("1", "/s", "t")
}

#[test]
fn values_that_break_a_rule_are_refused() {
    let limits = Limits {
        value_bytes_max: 10,
        extensions_max: 2,
        event_bytes_max: 40,
        ..Limits::DEFAULT
    };
    let mut seen = String::new();
    for builder in [
        Builder::default(),
        Builder::default().id("1"),
        Builder::default().id("1").source("/s"),
        event().id(""),
        event().id("a\nb"),
        event().source(""),
        event().source("my service"),
        event().event_type(""),
        event().event_type("\u{FFFF}"),
        event().subject(""),
        event().data_content_type("json"),
        event().data_content_type("a/b\r\n"),
        event().data_schema("/relative"),
        event().extension("Upper", "x"),
        event().extension("time", "x"),
        event().extension("x", "a\u{0}b"),
        event().extension("expirytime", "soon"),
        event().extension("expirytime", Value::Integer(5)),
        event().extension("sampledrate", "2147483648"),
        event().subject("01234567890"),
        event()
            .extension("a", "1")
            .extension("b", "2")
            .extension("c", "3"),
        event().extension("a", "01234567890"),
        event().bare_data([0u8; 41].as_slice()),
    ] {
        seen.push_str(&show_result(builder.build_within(&limits)));
    }
    expect![[r#"
        KAP-CE-004: required attribute "id" is missing
        KAP-CE-004: required attribute "source" is missing
        KAP-CE-004: required attribute "type" is missing
        KAP-CE-007: attribute "id" is invalid: it is empty
        KAP-CE-007: attribute "id" is invalid: it holds a control character
        KAP-CE-007: attribute "source" is invalid: it is empty
        KAP-CE-007: attribute "source" is invalid: it holds white space, which a URI can't have
        KAP-CE-007: attribute "type" is invalid: it is empty
        KAP-CE-007: attribute "type" is invalid: it holds a Unicode noncharacter
        KAP-CE-007: attribute "subject" is invalid: it is empty
        KAP-CE-007: attribute "datacontenttype" is invalid: it is no media type
        KAP-CE-007: attribute "datacontenttype" is invalid: it holds a control character
        KAP-CE-007: attribute "dataschema" is invalid: it is no absolute URI
        KAP-CE-006: attribute name "Upper" is invalid: only lower-case ASCII letters and digits are allowed
        KAP-CE-006: attribute name "time" is invalid: the specification uses it for something else
        KAP-CE-007: attribute "x" is invalid: it holds a control character
        KAP-CE-007: attribute "expirytime" is invalid: it is no RFC 3339 timestamp
        KAP-CE-008: attribute "expirytime" has the wrong type: expected a timestamp, found an integer
        KAP-CE-007: attribute "sampledrate" is invalid: it is no 32-bit integer
        KAP-CE-013: size of an attribute value is 11, the limit is 10
        KAP-CE-013: number of extensions is 3, the limit is 2
        KAP-CE-013: size of an attribute value is 11, the limit is 10
        KAP-CE-013: size of the CloudEvent is 45, the limit is 40
    "#]].assert_eq(&seen);
}

#[test]
fn limits_are_reached_exactly() {
    let limits = Limits {
        event_bytes_max: 10,
        ..Limits::DEFAULT
    };
    let sized = |data: &[u8]| event().bare_data(data).build_within(&limits);
    assert_eq!(sized(&[0; 6]).unwrap().size(), 10);
    assert!(sized(&[0; 7]).is_err());
    let long = "x".repeat(Limits::DEFAULT.value_bytes_max);
    assert!(event().subject(long.clone()).build().is_ok());
    assert!(event().subject(long + "x").build().is_err());
}

#[test]
fn order_is_kept_by_partition_key_or_subject_or_source() {
    assert_eq!(event().build().unwrap().partition_key(), "/s");
    assert_eq!(
        event().subject("sub").build().unwrap().partition_key(),
        "sub"
    );
    assert_eq!(
        event()
            .subject("sub")
            .extension("partitionkey", "pk")
            .build()
            .unwrap()
            .partition_key(),
        "pk"
    );
}

#[test]
fn correlation_tracing_and_expiry_are_read_by_their_names() {
    let event = full();
    assert_eq!(event.correlation_id(), Some("conversation-1"));
    assert_eq!(event.causation_id(), Some("cause-1"));
    assert_eq!(
        event.trace_parent(),
        Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    );
    assert_eq!(
        event.expiry_time().map(Timestamp::unix_ms),
        Some(1_522_972_800_000)
    );
    let event = minimal();
    assert_eq!((event.correlation_id(), event.expiry_time()), (None, None));
}

#[test]
fn known_extensions_have_their_type_whatever_they_were_set_with() {
    let event = event()
        .extension("expirytime", "2018-04-06T00:00:00Z")
        .extension("sampledrate", "5")
        .build()
        .unwrap();
    assert_eq!(
        event.expiry_time().map(Timestamp::as_str),
        Some("2018-04-06T00:00:00Z")
    );
    assert_eq!(event.extension("sampledrate"), Some(&Value::Integer(5)));
}

#[test]
fn a_copy_differs_only_in_what_is_set_on_it() {
    assert_eq!(full().to_builder().build().unwrap(), full());
    assert_eq!(
        full().to_builder().id("other").build().unwrap().id(),
        "other"
    );
}
