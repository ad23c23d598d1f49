//! MQTT: user properties with bare names, structured mode, and messages of MQTT 3.1.1.

use expect_test::expect;
use kapelle_events::mqtt::{self, Message};
use kapelle_events::{CloudEvent, Error, Limits, json};

use crate::show::{show, show_result};
use crate::{full, minimal, varied};

fn decode(
    content_type: Option<&str>,
    properties: &[(&str, &str)],
    body: &[u8],
) -> Result<CloudEvent, Error> {
    let properties = properties.iter().copied();
    mqtt::decode(content_type, properties, body, &Limits::DEFAULT)
}

fn decode_message(message: &Message) -> Result<CloudEvent, Error> {
    let properties: Vec<_> = message
        .properties
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    decode(message.content_type.as_deref(), &properties, &message.body)
}

const REQUIRED: [(&str, &str); 4] = [
    ("specversion", "1.0"),
    ("type", "t"),
    ("id", "1"),
    ("source", "/s"),
];

fn with(content_type: Option<&str>, properties: &[(&str, &str)]) -> String {
    show_result(decode(
        content_type,
        &[&REQUIRED, properties].concat(),
        b"x",
    ))
}

#[test]
fn examples_of_the_specification_are_read() {
    // MQTT protocol binding 1.0.2, §3.1.4 and §3.2.4.
    let json = "application/json; charset=utf-8";
    let binary = [
        ("specversion", "1.0"),
        ("type", "com.example.someevent"),
        ("time", "2018-04-05T03:56:24Z"),
        ("id", "1234-1234-1234"),
        ("source", "/mycontext/subcontext"),
        ("datacontenttype", json),
    ];
    let structured = br#"{"specversion":"1.0","type":"com.example.someevent","id":"1234","source":"/mycontext","data":{"a":1}}"#;
    let cloud_event = Some("application/cloudevents+json; charset=utf-8");
    let seen = [
        show_result(decode(Some(json), &binary, b"{\"a\": 1}")),
        show_result(decode(cloud_event, &[], structured)),
        show_result(decode(None, &[], structured)),
    ]
    .concat();
    expect![[r#"
        1234-1234-1234 | /mycontext/subcontext | com.example.someevent
          time = 2018-04-05T03:56:24Z
          datacontenttype = application/json; charset=utf-8
          data = {\"a\": 1}
        1234 | /mycontext | com.example.someevent
          data = {\"a\":1}
        1234 | /mycontext | com.example.someevent
          data = {\"a\":1}
    "#]]
    .assert_eq(&seen);
}

#[test]
fn all_that_can_be_an_attribute_is_one() {
    let seen = [
        with(
            Some(""),
            &[("shop", "größe"), ("Shop", "no"), ("kapelle-attempt", "2")],
        ),
        with(None, &[("datacontenttype", "text/plain"), ("", "no")]),
    ]
    .concat();
    expect![[r#"
        1 | /s | t
          shop = größe (a string)
          data = x
        1 | /s | t
          datacontenttype = text/plain
          data = x
    "#]]
    .assert_eq(&seen);
}

#[test]
fn malformed_messages_get_a_precise_error() {
    let plain = |content_type, body: &[u8]| show_result(decode(content_type, &[], body));
    let seen = [
        plain(None, b""),
        plain(None, b"21.5"),
        plain(None, b"{\"temperature\":21.5}"),
        plain(Some("application/json"), b"{}"),
        plain(Some("application/cloudevents+avro"), b"x"),
        plain(Some("application/cloudevents-batch+json"), b"[]"),
        show_result(decode(None, &REQUIRED[1..], b"{}")),
        with(None, &[("source", "/other")]),
        with(None, &[("time", "yesterday")]),
    ]
    .concat();
    expect![[r#"
        KAP-CE-002: neither CloudEvents headers nor a CloudEvents content type are present
        KAP-CE-002: neither CloudEvents headers nor a CloudEvents content type are present
        KAP-CE-002: neither CloudEvents headers nor a CloudEvents content type are present
        KAP-CE-002: neither CloudEvents headers nor a CloudEvents content type are present
        KAP-CE-001: media type "application/cloudevents+avro" is not a supported CloudEvents format
        KAP-CE-001: media type "application/cloudevents-batch+json" is not a supported CloudEvents format
        KAP-CE-004: required attribute "specversion" is missing
        KAP-CE-009: attribute "source" occurs more than once
        KAP-CE-007: attribute "time" is invalid: it is no RFC 3339 timestamp
    "#]]
    .assert_eq(&seen);
}

#[test]
fn golden_properties_of_binary_mode() {
    let message = mqtt::encode_binary(&full());
    let line = |(name, value): &(String, String)| format!("{name}: {value}\n");
    expect![[r#"
        specversion: 1.0
        id: A234-1234-1234
        source: /mycontext/größe
        type: com.example.someevent
        subject: order 50% "x"
        time: 2018-04-05T17:31:00.250+02:00
        dataschema: https://example.com/schema?a=b#c
        causationid: cause-1
        comexamplebinary: AAH+/w==
        comexampleflag: true
        comexamplenumber: -7
        comexampletext: € 5
        correlationid: conversation-1
        dataref: /claims/1
        expirytime: 2018-04-06T00:00:00Z
        traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01
    "#]]
    .assert_eq(&message.properties.iter().map(line).collect::<String>());
    assert_eq!(message.content_type.as_deref(), Some("application/json"));
    assert_eq!(message.body, full().data().unwrap().as_bytes());
    assert_eq!(mqtt::encode_binary(&minimal()).properties.len(), 4);
}

#[test]
fn what_is_written_is_read_back() {
    for event in varied() {
        let structured = mqtt::encode_structured(&event);
        let binary = decode_message(&mqtt::encode_binary(&event)).unwrap();
        // User properties have no types.
        assert_eq!(binary.identity_hash("t"), event.identity_hash("t"));
        assert_eq!(binary.content_hash(), event.content_hash());
        // A client of MQTT 3.1.1 sends the body alone.
        for content_type in [structured.content_type.as_deref(), None] {
            let back = decode(content_type, &[], &structured.body).unwrap();
            let expected = json::decode(&structured.body, &Limits::DEFAULT).unwrap();
            assert_eq!(show(&back), show(&expected));
        }
    }
}
