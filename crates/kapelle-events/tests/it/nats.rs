//! NATS: headers like those of HTTP with `datacontenttype` among them, structured mode, and the version without headers.

use expect_test::expect;
use kapelle_events::nats::{self, Message};
use kapelle_events::{CloudEvent, Error, Limits, json};

use crate::show::{show, show_result};
use crate::{full, minimal, varied};

fn decode(headers: &[(&str, &str)], body: &[u8]) -> Result<CloudEvent, Error> {
    let headers: Vec<_> = headers
        .iter()
        .map(|(name, value)| (*name, value.as_bytes()))
        .collect();
    nats::decode(headers, body, &Limits::DEFAULT)
}

fn decode_message(message: &Message) -> Result<CloudEvent, Error> {
    let headers: Vec<_> = message
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    decode(&headers, &message.body)
}

const REQUIRED: [(&str, &str); 4] = [
    ("ce-specversion", "1.0"),
    ("ce-id", "1"),
    ("ce-source", "/s"),
    ("ce-type", "t"),
];

fn with(headers: &[(&str, &str)], body: &str) -> String {
    show_result(decode(&[&REQUIRED, headers].concat(), body.as_bytes()))
}

#[test]
fn example_of_the_specification_is_read() {
    // NATS protocol binding 1.0.3, §3.1.4.
    let seen = decode(
        &[
            ("ce-specversion", "1.0"),
            ("ce-type", "com.example.someevent"),
            ("ce-time", "2018-04-05T03:56:24Z"),
            ("ce-id", "1234-1234-1234"),
            ("ce-source", "/mycontext/subcontext"),
            ("ce-datacontenttype", "application/json"),
            ("Nats-Msg-Id", "x"),
        ],
        b"{\"a\": 1}",
    );
    expect![[r#"
        1234-1234-1234 | /mycontext/subcontext | com.example.someevent
          time = 2018-04-05T03:56:24Z
          datacontenttype = application/json
          data = {\"a\": 1}
    "#]]
    .assert_eq(&show_result(seen));
}

#[test]
fn a_content_type_tells_the_mode_and_is_no_attribute() {
    let json = r#"{"specversion":"1.0","id":"2","source":"/j","type":"t"}"#;
    let seen = [
        with(&[("Content-Type", "text/plain")], "x"),
        with(&[("CE-DataContentType", "text/plain;%20a=%22b%22")], "x"),
        with(&[("content-type", "Application/CloudEvents+JSON")], json),
        with(&[], json),
    ]
    .concat();
    expect![[r#"
        1 | /s | t
          data = x
        1 | /s | t
          datacontenttype = text/plain; a="b"
          data = x
        2 | /j | t
        1 | /s | t
          data = {\"specversion\":\"1.0\",\"id\":\"2\",\"source\":\"/j\",\"type\":\"t\"}
    "#]]
    .assert_eq(&seen);
}

#[test]
fn a_message_without_headers_is_one_json_document() {
    let json = json::encode(&minimal());
    assert_eq!(decode(&[], &json).unwrap(), minimal());
    let padded = [b" \n".as_slice(), &json].concat();
    let headers = [("Nats-Msg-Id", "x")];
    assert_eq!(decode(&headers, &padded).unwrap(), minimal());
}

#[test]
fn malformed_messages_get_a_precise_error() {
    let plain = |headers: &[_], body: &[u8]| show_result(decode(headers, body));
    let seen = [
        plain(&[], b""),
        plain(&[], b"hello"),
        plain(&[("shop", "north")], b"{\"orderNo\":1}"),
        plain(&[], b"{\"specversion\":\"1.0\""),
        plain(&[("content-type", "application/json")], b"{}"),
        plain(&[("content-type", "application/cloudevents+avro")], b"x"),
        plain(
            &[("content-type", "application/cloudevents-batch+json")],
            b"[]",
        ),
        plain(&REQUIRED[1..], b"{}"),
        with(&[("ce-source", "/other")], ""),
        with(&[("ce-subject", "%FF")], ""),
    ]
    .concat();
    expect![[r#"
        KAP-CE-002: neither CloudEvents headers nor a CloudEvents content type are present
        KAP-CE-002: neither CloudEvents headers nor a CloudEvents content type are present
        KAP-CE-002: neither CloudEvents headers nor a CloudEvents content type are present
        KAP-CE-003: malformed JSON at byte 20: expected "," or "}"
        KAP-CE-002: neither CloudEvents headers nor a CloudEvents content type are present
        KAP-CE-001: media type "application/cloudevents+avro" is not a supported CloudEvents format
        KAP-CE-001: media type "application/cloudevents-batch+json" is not a supported CloudEvents format
        KAP-CE-004: required attribute "specversion" is missing
        KAP-CE-009: attribute "source" occurs more than once
        KAP-CE-010: attribute "subject" is not valid UTF-8
    "#]]
    .assert_eq(&seen);
}

#[test]
fn golden_headers_of_binary_mode() {
    let message = nats::encode_binary(&full());
    let line = |(name, value): &(String, String)| format!("{name}: {value}\n");
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
        ce-datacontenttype: application/json
    "#]]
    .assert_eq(&message.headers.iter().map(line).collect::<String>());
    assert_eq!(message.body, full().data().unwrap().as_bytes());
    assert_eq!(nats::encode_binary(&minimal()).headers.len(), 4);
}

#[test]
fn what_is_written_is_read_back() {
    for event in varied() {
        let structured = decode_message(&nats::encode_structured(&event)).unwrap();
        let binary = decode_message(&nats::encode_binary(&event)).unwrap();
        assert_eq!(structured.identity_hash("t"), event.identity_hash("t"));
        // Headers have no types.
        assert_eq!(binary.content_hash(), event.content_hash());
        assert_eq!(
            show(&structured),
            show(&event).replace("(binary)", "(a string)")
        );
    }
}
