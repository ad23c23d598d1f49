//! HTTP: binary mode with its percent-encoding, and the choice of the mode.

use expect_test::expect;
use kapelle_events::http::{self, Message, Mode};
use kapelle_events::{CloudEvent, Error, Limits, json};

use crate::show::{show, show_error};
use crate::{full, minimal, varied};

fn decode_message(message: &Message) -> Result<(Mode, Vec<CloudEvent>), Error> {
    let headers: Vec<_> = message
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_bytes()))
        .collect();
    http::decode(headers, &message.body, &Limits::DEFAULT)
}

fn decode(headers: &[(&str, &str)], body: &str) -> String {
    let headers: Vec<_> = headers
        .iter()
        .map(|(name, value)| (*name, value.as_bytes()))
        .collect();
    match http::decode(headers, body.as_bytes(), &Limits::DEFAULT) {
        Ok((mode, events)) => format!("{mode:?}\n{}", events.iter().map(show).collect::<String>()),
        Err(error) => show_error(&error),
    }
}

const VERSION: (&str, &str) = ("ce-specversion", "1.0");
const REQUIRED: [(&str, &str); 4] = [
    VERSION,
    ("ce-id", "1"),
    ("ce-source", "/s"),
    ("ce-type", "t"),
];

fn with(headers: &[(&str, &str)]) -> String {
    decode(&[&REQUIRED, headers].concat(), "")
}

#[test]
fn example_of_the_specification_is_read() {
    // HTTP protocol binding 1.0.2, §3.1.4.
    let seen = decode(
        &[
            ("Content-Type", "application/json; charset=utf-8"),
            ("CE-SpecVersion", "1.0"),
            ("ce-type", "com.example.someevent"),
            ("ce-time", "2018-04-05T03:56:24Z"),
            ("ce-id", "1234-1234-1234"),
            ("ce-source", "/mycontext/subcontext"),
            ("Host", "webhook.example.com"),
        ],
        "{\"a\": 1}\n",
    );
    expect![[r#"
        Binary
        1234-1234-1234 | /mycontext/subcontext | com.example.someevent
          time = 2018-04-05T03:56:24Z
          datacontenttype = application/json; charset=utf-8
          data = {\"a\": 1}\n
    "#]]
    .assert_eq(&seen);
}

#[test]
fn the_content_type_chooses_the_mode() {
    let one = String::from_utf8(json::encode(&minimal())).unwrap();
    let batch = format!("[{one},{one}]");
    let seen = [
        decode(
            &[(
                "content-type",
                "application/cloudevents+json; charset=UTF-8",
            )],
            &one,
        ),
        decode(
            &[
                ("content-type", "Application/CloudEvents+JSON"),
                ("ce-id", "ignored"),
            ],
            &one,
        ),
        decode(
            &[("content-type", "application/cloudevents-batch+json")],
            &batch,
        ),
        decode(
            &[("content-type", "application/cloudevents-batch+json")],
            &one,
        ),
        decode(&[("content-type", "application/cloudevents+json")], &batch),
        decode(
            &[("content-type", "application/cloudevents+xml")],
            "<event/>",
        ),
        decode(&[("content-type", "application/cloudevents")], &one),
        decode(&[("content-type", "application/json")], &one),
        decode(&[], ""),
    ]
    .concat();
    expect![[r#"
        Structured
        1 | /s | t
        Structured
        1 | /s | t
        Batch
        1 | /s | t
        1 | /s | t
        KAP-CE-014: a batch is a JSON array of CloudEvents, found an object
        KAP-CE-015: a CloudEvent is a JSON object, found an array
        KAP-CE-001: media type "application/cloudevents+xml" is not a supported CloudEvents format
        KAP-CE-001: media type "application/cloudevents" is not a supported CloudEvents format
        KAP-CE-002: neither CloudEvents headers nor a CloudEvents content type are present
        KAP-CE-002: neither CloudEvents headers nor a CloudEvents content type are present
    "#]]
    .assert_eq(&seen);
}

#[test]
fn header_values_are_percent_decoded_once() {
    let seen = [
        with(&[("ce-subject", "Euro%20%E2%82%AC%20%F0%9F%98%80")]),
        with(&[("ce-subject", "\"quoted%20\\\"string\\\"\"")]),
        with(&[("ce-subject", "%2525")]),
        with(&[("ce-subject", "50%")]),
        with(&[("ce-subject", "%zz%4")]),
        with(&[("ce-subject", "plain €")]),
    ]
    .concat();
    expect![[r#"
        Binary
        1 | /s | t
          subject = Euro € 😀
        Binary
        1 | /s | t
          subject = quoted "string"
        Binary
        1 | /s | t
          subject = %25
        Binary
        1 | /s | t
          subject = 50%
        Binary
        1 | /s | t
          subject = %zz%4
        Binary
        1 | /s | t
          subject = plain €
    "#]]
    .assert_eq(&seen);
}

#[test]
fn malformed_headers_get_a_precise_error() {
    let seen = [
        decode(&[("ce-id", "1")], ""),
        decode(&[("ce-id", "1"), ("ce-specversion", "0.3")], ""),
        decode(&REQUIRED[..3], ""),
        with(&[("CE-ID", "2")]),
        with(&[("ce-ext", "a"), ("ce-ext", "b")]),
        with(&[("ce-my-ext", "a")]),
        with(&[("ce-", "a")]),
        with(&[("ce-subject", "%ff")]),
        with(&[("ce-subject", "%0a")]),
        with(&[("ce-time", "now")]),
        with(&[("ce-data", "x")]),
        with(&[
            ("ce-datacontenttype", "text/plain"),
            ("content-type", "text/plain"),
        ]),
        with(&[
            ("content-type", "text/plain"),
            ("Content-Type", "text/html"),
        ]),
        with(&[("content-type", "plain")]),
        with(&[("ce-expirytime", "tomorrow")]),
        show_error(
            &http::decode([("ce-id", b"\xff".as_slice())], b"", &Limits::DEFAULT).unwrap_err(),
        ),
        show_error(
            &http::decode(
                [("content-type", b"\xff".as_slice())],
                b"",
                &Limits::DEFAULT,
            )
            .unwrap_err(),
        ),
    ]
    .concat();
    expect![[r#"
        KAP-CE-004: required attribute "specversion" is missing
        KAP-CE-005: specversion "0.3" is not supported, expected "1.0"
        KAP-CE-004: required attribute "type" is missing
        KAP-CE-009: attribute "id" occurs more than once
        KAP-CE-009: attribute "ext" occurs more than once
        KAP-CE-006: attribute name "my-ext" is invalid: only lower-case ASCII letters and digits are allowed
        KAP-CE-006: attribute name "" is invalid: it is empty
        KAP-CE-010: attribute "subject" is not valid UTF-8
        KAP-CE-007: attribute "subject" is invalid: it holds a control character
        KAP-CE-007: attribute "time" is invalid: it is no RFC 3339 timestamp
        KAP-CE-006: attribute name "data" is invalid: the specification uses it for something else
        KAP-CE-009: attribute "datacontenttype" occurs more than once
        KAP-CE-009: attribute "content-type" occurs more than once
        KAP-CE-007: attribute "datacontenttype" is invalid: it is no media type
        KAP-CE-007: attribute "expirytime" is invalid: it is no RFC 3339 timestamp
        KAP-CE-010: attribute "id" is not valid UTF-8
        KAP-CE-010: content-type is not valid UTF-8
    "#]].assert_eq(&seen);
}

#[test]
fn golden_headers_of_binary_mode() {
    let message = http::encode_binary(&full());
    let seen: String = message
        .headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}\n"))
        .collect();
    expect![[r#"
        ce-specversion: 1.0
        ce-id: A234-1234-1234
        ce-source: /mycontext/gr%C3%B6%C3%9Fe
        ce-type: com.example.someevent
        ce-subject: order%2050%25%20%22x%22
        ce-dataschema: https://example.com/schema?a=b#c
        ce-time: 2018-04-05T17:31:00.250+02:00
        ce-causationid: cause-1
        ce-comexamplebinary: AAH+/w==
        ce-comexampleflag: true
        ce-comexamplenumber: -7
        ce-comexampletext: %E2%82%AC%205
        ce-correlationid: conversation-1
        ce-dataref: /claims/1
        ce-expirytime: 2018-04-06T00:00:00Z
        ce-traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01
        content-type: application/json
    "#]]
    .assert_eq(&seen);
    assert_eq!(message.body, full().data().unwrap().as_bytes());
}

#[test]
fn a_content_type_is_printable_ascii_in_both_directions() {
    let received = with(&[("content-type", "text/plain; x=\u{34a}")]);
    assert!(received.contains("it is not printable ASCII"), "{received}");
    // Our own builder takes it, as events that are stored may have one.
    let event = CloudEvent::builder("1", "/s", "t")
        .data("text/plain; x=\u{34a}", "a")
        .build()
        .unwrap();
    let message = http::encode_binary(&event);
    assert_eq!(
        message.headers.last().unwrap(),
        &("content-type".to_owned(), "text/plain".to_owned())
    );
}

#[test]
fn what_is_written_is_read_back() {
    for event in varied() {
        let (mode, events) = decode_message(&http::encode_binary(&event)).unwrap();
        assert_eq!(mode, Mode::Binary);
        assert_eq!(
            events.iter().map(untyped).collect::<String>(),
            untyped(&event)
        );
        let (mode, events) = decode_message(&http::encode_structured(&event)).unwrap();
        assert_eq!(mode, Mode::Structured);
        assert_eq!(
            events.iter().map(untyped).collect::<String>(),
            untyped(&event)
        );
    }
}

/// Headers have no types but those of known extensions.
fn untyped(event: &CloudEvent) -> String {
    ["binary", "a boolean", "an integer"]
        .iter()
        .fold(show(event), |text, kind| {
            text.replace(&format!("({kind})"), "(a string)")
        })
}
