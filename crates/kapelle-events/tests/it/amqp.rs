//! AMQP: typed properties, both prefixes, structured mode.

use expect_test::expect;
use kapelle_events::amqp::{self, Message, Property};
use kapelle_events::{CloudEvent, Error, Limits, Value};

use crate::show::{show, show_error, show_result};
use crate::{full, varied};

fn decode_message(message: &Message) -> Result<CloudEvent, Error> {
    let property = |value| match value {
        &Value::Boolean(value) => Property::Boolean(value),
        &Value::Integer(value) => Property::Integer(value.into()),
        Value::Binary(bytes) => Property::Binary(bytes),
        other => Property::Text(other.as_str().unwrap().as_bytes()),
    };
    let properties: Vec<_> = message
        .properties
        .iter()
        .map(|(name, value)| (name.as_str(), property(value)))
        .collect();
    amqp::decode(
        message.content_type.as_deref(),
        properties,
        &message.body,
        &Limits::DEFAULT,
    )
}

const REQUIRED: [(&str, Property<'static>); 4] = [
    ("cloudEvents_specversion", Property::Text(b"1.0")),
    ("cloudEvents:id", Property::Text(b"1")),
    ("cloudEvents_source", Property::Text(b"/s")),
    ("cloudEvents:type", Property::Text(b"t")),
];

fn with(properties: &[(&str, Property<'_>)]) -> String {
    let properties = [&REQUIRED, properties].concat();
    show_result(amqp::decode(
        Some("text/plain"),
        properties,
        b"x",
        &Limits::DEFAULT,
    ))
}

#[test]
fn both_prefixes_and_all_types_of_properties_are_read() {
    let seen = with(&[
        ("cloudEvents:flag", Property::Boolean(false)),
        ("cloudEvents_number", Property::Integer(-2_147_483_648)),
        ("cloudEvents_binary", Property::Binary(&[0, 255])),
        ("cloudEvents_time", Property::UnixMs(1_522_949_460_000)),
        ("cloudEvents_when", Property::UnixMs(-1)),
        (
            "cloudEvents_expirytime",
            Property::Text(b"2018-04-05T17:31:00Z"),
        ),
        ("x-death", Property::Other("a table")),
        ("CloudEvents_other", Property::Text(b"another prefix")),
    ]);
    expect![[r#"
        1 | /s | t
          time = 2018-04-05T17:31:00Z
          datacontenttype = text/plain
          binary = AP8= (binary)
          expirytime = 2018-04-05T17:31:00Z (a timestamp)
          flag = false (a boolean)
          number = -2147483648 (an integer)
          when = 1969-12-31T23:59:59.999Z (a timestamp)
          data = x
    "#]]
    .assert_eq(&seen);
}

#[test]
fn malformed_messages_get_a_precise_error() {
    let plain = |content_type| amqp::decode(content_type, [], b"{}", &Limits::DEFAULT).unwrap_err();
    let seen = [
        show_error(&plain(None)),
        show_error(&plain(Some("application/cloudevents+json"))),
        show_error(&plain(Some("application/cloudevents-batch+json"))),
        show_error(&plain(Some("application/cloudevents+avro"))),
        show_result(amqp::decode(
            None,
            REQUIRED[1..].to_vec(),
            b"",
            &Limits::DEFAULT,
        )),
        with(&[("cloudEvents:source", Property::Text(b"/s"))]),
        with(&[("cloudEvents:datacontenttype", Property::Text(b"text/plain"))]),
        with(&[("cloudEvents:subject", Property::Text(b"\xff"))]),
        with(&[("cloudEvents:subject", Property::Integer(1))]),
        with(&[("cloudEvents:ext", Property::Integer(2_147_483_648))]),
        with(&[("cloudEvents:ext", Property::Other("a table"))]),
        with(&[("cloudEvents:ext", Property::UnixMs(i64::MAX))]),
        with(&[("cloudEvents:time", Property::Boolean(true))]),
        with(&[("cloudEvents:sampledrate", Property::UnixMs(0))]),
    ]
    .concat();
    expect![[r#"
        KAP-CE-002: neither CloudEvents headers nor a CloudEvents content type are present
        KAP-CE-004: required attribute "specversion" is missing
        KAP-CE-001: media type "application/cloudevents-batch+json" is not a supported CloudEvents format
        KAP-CE-001: media type "application/cloudevents+avro" is not a supported CloudEvents format
        KAP-CE-004: required attribute "specversion" is missing
        KAP-CE-009: attribute "source" occurs more than once
        KAP-CE-009: attribute "datacontenttype" occurs more than once
        KAP-CE-010: attribute "subject" is not valid UTF-8
        KAP-CE-008: attribute "subject" has the wrong type: expected a string, found an integer
        KAP-CE-007: attribute "ext" is invalid: it is no 32-bit integer
        KAP-CE-008: attribute "ext" has the wrong type: expected a string, a boolean, an integer, binary or a timestamp, found a table
        KAP-CE-007: attribute "ext" is invalid: it is outside the years 0 to 9999
        KAP-CE-008: attribute "time" has the wrong type: expected a timestamp, found a boolean
        KAP-CE-008: attribute "sampledrate" has the wrong type: expected an integer, found a timestamp
    "#]].assert_eq(&seen);
}

#[test]
fn golden_properties_of_binary_mode() {
    let message = amqp::encode_binary(&full());
    let property = |(name, value): &(String, Value)| format!("{name} = {value:?}\n");
    expect![[r#"
        cloudEvents_specversion = String("1.0")
        cloudEvents_id = String("A234-1234-1234")
        cloudEvents_source = String("/mycontext/größe")
        cloudEvents_type = String("com.example.someevent")
        cloudEvents_subject = String("order 50% \"x\"")
        cloudEvents_dataschema = String("https://example.com/schema?a=b#c")
        cloudEvents_time = String("2018-04-05T17:31:00.250+02:00")
        cloudEvents_causationid = String("cause-1")
        cloudEvents_comexamplebinary = Binary([0, 1, 254, 255])
        cloudEvents_comexampleflag = Boolean(true)
        cloudEvents_comexamplenumber = Integer(-7)
        cloudEvents_comexampletext = String("€ 5")
        cloudEvents_correlationid = String("conversation-1")
        cloudEvents_dataref = String("/claims/1")
        cloudEvents_expirytime = String("2018-04-06T00:00:00Z")
        cloudEvents_traceparent = String("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    "#]]
    .assert_eq(&message.properties.iter().map(property).collect::<String>());
    assert_eq!(message.content_type.as_deref(), Some("application/json"));
}

#[test]
fn what_is_written_is_read_back() {
    for event in varied() {
        // Only URI-references that no document names and timestamps become text, and `full` has none.
        assert_eq!(decode_message(&amqp::encode_binary(&event)).unwrap(), event);
        let structured = decode_message(&amqp::encode_structured(&event)).unwrap();
        assert_eq!(
            show(&structured),
            show(&event).replace("(binary)", "(a string)")
        );
    }
}

#[test]
fn blanks_around_a_content_type_are_no_part_of_it() {
    // A header of HTTP cannot carry them, so the next one to get the event would see another one.
    let properties = [
        ("cloudEvents_specversion", Property::Text(b"1.0")),
        ("cloudEvents_id", Property::Text(b"1")),
        ("cloudEvents_source", Property::Text(b"/s")),
        ("cloudEvents_type", Property::Text(b"t")),
    ];
    let event = amqp::decode(Some(" text/plain "), properties, b"x", &Limits::DEFAULT).unwrap();
    assert_eq!(event.data_content_type(), Some("text/plain"));
}
