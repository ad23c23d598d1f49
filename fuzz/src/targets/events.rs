//! CloudEvents in all codecs: whatever is accepted survives the journal and every way out.

use kapelle_events::amqp::{self, Property};
use kapelle_events::{CloudEvent, Limits, Timestamp, Value, encode, http, json, kafka, mqtt, nats};

use super::{KIB, MIB};
use crate::Target;
use crate::seeds::Seeds;

/// Binary, structured and batch mode, by the content type, over HTTP, NATS and Kafka. An input is lines `name: value`, an empty line, and the body.
pub const HTTP: Target = Target {
    name: "events_http",
    run: over_http,
    seeds: http_seeds,
    dictionary: DICTIONARY,
    len_max: 4 * KIB,
    bytes_max: 8 * MIB,
    cpu_ms_max: 300,
};

/// An input is lines `name` TYPE `value`, where TYPE is one of `=?#$@!`, an empty line, and the body.
pub const AMQP: Target = Target {
    name: "events_amqp",
    run: over_amqp,
    seeds: amqp_seeds,
    dictionary: DICTIONARY,
    len_max: 4 * KIB,
    bytes_max: 8 * MIB,
    cpu_ms_max: 300,
};

/// Small ones, so that limits are met.
const LIMITS: Limits = Limits {
    name_chars_max: 20,
    value_bytes_max: 512,
    extensions_max: 8,
    event_bytes_max: 2 * KIB,
    batch_events_max: 8,
    batch_bytes_max: 3 * KIB,
};

fn over_http(input: &[u8]) {
    let (head, body) = split_head(input);
    let headers: Vec<(&str, &[u8])> = head
        .split(|byte| *byte == b'\n')
        .filter_map(|line| line.split_at_checked(line.iter().position(|byte| *byte == b':')?))
        .filter_map(|(name, value)| {
            Some((std::str::from_utf8(name).ok()?, value[1..].trim_ascii()))
        })
        .collect();
    for limits in [&LIMITS, &Limits::DEFAULT] {
        match http::decode(headers.iter().copied(), body, limits) {
            Ok((_, events)) => events.iter().for_each(check),
            Err(error) => assert!(
                !error.code().is_empty() && error.to_string().len() < 2 * KIB + 2 * input.len()
            ),
        }
        if let Ok(event) = nats::decode(headers.iter().copied(), body, limits) {
            check(&event);
        }
        let record = kafka::Incoming {
            key: headers.first().map(|(_, value)| *value),
            headers: &headers,
            value: Some(body),
        };
        if let Ok(event) = kafka::decode(record, kafka::Key::PartitionKey, limits) {
            check(&event);
        }
    }
}

fn over_amqp(input: &[u8]) {
    let (head, body) = split_head(input);
    let mut content_type = None;
    let mut properties: Vec<(&str, Property<'_>)> = Vec::new();
    for line in head.split(|byte| *byte == b'\n') {
        let Some((name, value)) = property(line) else {
            continue;
        };
        match value {
            Property::Text(text) if name == "content-type" => {
                content_type = std::str::from_utf8(text).ok()
            }
            value => properties.push((name, value)),
        }
    }
    for limits in [&LIMITS, &Limits::DEFAULT] {
        if let Ok(event) = amqp::decode(content_type, properties.iter().copied(), body, limits) {
            check(&event);
        }
    }
}

fn property(line: &[u8]) -> Option<(&str, Property<'_>)> {
    let at = line.iter().position(|byte| b"=?#$@!".contains(byte))?;
    let name = std::str::from_utf8(&line[..at]).ok()?;
    let value = &line[at + 1..];
    let number = || std::str::from_utf8(value).ok()?.parse().ok();
    Some((
        name,
        match line[at] {
            b'=' => Property::Text(value),
            b'?' => Property::Boolean(value == b"true"),
            b'#' => Property::Integer(number()?),
            b'$' => Property::Binary(value),
            b'@' => Property::UnixMs(number()?),
            _ => Property::Other("float"),
        },
    ))
}

fn split_head(input: &[u8]) -> (&[u8], &[u8]) {
    let end = input.windows(2).position(|pair| pair == b"\n\n");
    end.map_or((input, &[][..]), |at| (&input[..at], &input[at + 2..]))
}

/// An event that exists is valid, and is the same on every way.
pub(super) fn check(event: &CloudEvent) {
    let mut stored = Vec::new();
    encode::encode(event, &mut stored);
    assert_eq!(encode::decode(&stored).as_ref(), Ok(event));

    let structured =
        json::decode(&json::encode(event), &Limits::DEFAULT).expect("our own JSON is read");
    assert_same(&structured, event);
    let batch = json::decode_batch(&json::encode_batch([event, event]), &Limits::DEFAULT);
    let batch = batch.expect("our own batch is read");
    assert_eq!(batch.len(), 2);
    batch.iter().for_each(|other| assert_same(other, event));

    let message = http::encode_binary(event);
    for (name, value) in &message.headers {
        assert!(
            value.bytes().all(|byte| (0x20..0x7f).contains(&byte)),
            "{name}: {value:?} breaks out"
        );
    }
    let headers = message
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_bytes()));
    let (_, binary) = http::decode(headers, &message.body, &Limits::DEFAULT)
        .unwrap_or_else(|error| panic!("our own headers are not read: {error}: {message:?}"));
    assert_same(&binary[0], event);

    let message = nats::encode_binary(event);
    let headers = message
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_bytes()));
    let binary = nats::decode(headers, &message.body, &Limits::DEFAULT)
        .unwrap_or_else(|error| panic!("our own headers are not read: {error}: {message:?}"));
    assert_same(&binary, event);

    let record = kafka::encode_binary(event, kafka::Key::PartitionKey);
    let headers: Vec<(&str, &[u8])> = record
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_bytes()))
        .collect();
    let incoming = kafka::Incoming {
        key: record.key.as_deref(),
        headers: &headers,
        value: record.value.as_deref(),
    };
    let binary = kafka::decode(incoming, kafka::Key::PartitionKey, &Limits::DEFAULT)
        .unwrap_or_else(|error| panic!("our own record is not read: {error}: {record:?}"));
    assert_same(&binary, event);

    let message = mqtt::encode_binary(event);
    let properties = message
        .properties
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    let content_type = message.content_type.as_deref();
    let binary = mqtt::decode(content_type, properties, &message.body, &Limits::DEFAULT)
        .unwrap_or_else(|error| panic!("our own properties are not read: {error}: {message:?}"));
    assert_same(&binary, event);

    let message = amqp::encode_binary(event);
    let properties: Vec<_> = message
        .properties
        .iter()
        .map(|(name, value)| (name.as_str(), as_property(value)))
        .collect();
    let binary = amqp::decode(
        message.content_type.as_deref(),
        properties,
        &message.body,
        &Limits::DEFAULT,
    )
    .unwrap_or_else(|error| panic!("our own properties are not read: {error}: {message:?}"));
    assert_same(&binary, event);

    let context = event.as_context();
    drop(context);
    kapelle_feel::msgpack::validate(&event.stored_attributes())
        .expect("attributes are stored values");
    kapelle_feel::msgpack::validate(&event.stored_data()).expect("data is a stored value");
    assert_eq!(
        event.to_builder().build_within(&Limits::DEFAULT).as_ref(),
        Ok(event)
    );
}

fn as_property(value: &Value) -> Property<'_> {
    match value {
        Value::Boolean(value) => Property::Boolean(*value),
        Value::Integer(value) => Property::Integer(i64::from(*value)),
        Value::Binary(bytes) => Property::Binary(bytes),
        text => Property::Text(text.as_str().expect("all others are text").as_bytes()),
    }
}

/// Types of extensions become text on some ways, and empty data is none; nothing else may change.
fn assert_same(other: &CloudEvent, event: &CloudEvent) {
    assert_eq!(other.identity_hash("t"), event.identity_hash("t"));
    for name in [
        "id",
        "source",
        "type",
        "subject",
        "time",
        "datacontenttype",
        "dataschema",
    ] {
        assert_eq!(
            other.attribute_text(name),
            event.attribute_text(name),
            "{name}"
        );
    }
    let texts = |event: &CloudEvent| {
        event
            .extensions()
            .map(|(name, value)| (name.to_owned(), value.to_text().into_owned()))
            .collect::<Vec<_>>()
    };
    assert_eq!(texts(other), texts(event));
    // Blanks around JSON belong to the text that it stands in.
    let bytes = |event: &CloudEvent| {
        let bytes = event.data().map(|data| data.as_bytes()).unwrap_or_default();
        if event.data_is_json() {
            bytes.trim_ascii().to_vec()
        } else {
            bytes.to_vec()
        }
    };
    assert_eq!(bytes(other), bytes(event));
}

/// Events of every kind.
pub(super) fn examples() -> Vec<CloudEvent> {
    let with = |content_type: &str, data: &[u8]| {
        CloudEvent::builder("1", "/s", "t")
            .data(content_type, data)
            .build()
    };
    let full = CloudEvent::builder(
        "A234-1234",
        "https://example.com/orders?x=1",
        "com.example.order.placed",
    )
    .subject("order/17 ä🐎")
    .time(Timestamp::parse("2024-02-29T10:00:00.123456789+02:00").expect("a time"))
    .data_schema("https://example.com/schema#order")
    .extension("partitionkey", "k 17%")
    .extension("comexampleflag", Value::Boolean(true))
    .extension("comexamplecount", Value::Integer(-17))
    .extension("comexamplebytes", Value::Binary(vec![0, 255, 7].into()))
    .data(
        "application/json; charset=utf-8",
        br#"{"total": 12.50, "items": [1, null, "x"]}"#.as_slice(),
    )
    .build();
    [
        full,
        CloudEvent::builder("1", "/s", "t").build(),
        with("application/json", b"null"),
        with("application/json", b"not json"),
        with("text/plain", "line\n\"ü\"\u{0}".as_bytes()),
        with("application/octet-stream", &[0, 159, 146, 150]),
        CloudEvent::builder("1", "/s", "t").bare_data("{}").build(),
    ]
    .into_iter()
    .map(|event| event.expect("the examples are valid"))
    .collect()
}

fn http_seeds(seeds: &mut Seeds) {
    for event in examples() {
        for message in [http::encode_binary(&event), http::encode_structured(&event)] {
            let head: String = message
                .headers
                .iter()
                .map(|(name, value)| format!("{name}: {value}\n"))
                .collect();
            seeds.add([head.as_bytes(), b"\n", &message.body].concat());
        }
    }
    let batch = json::encode_batch(&examples());
    seeds.add(
        [
            b"content-type: application/cloudevents-batch+json\n\n",
            &*batch,
        ]
        .concat(),
    );
}

fn amqp_seeds(seeds: &mut Seeds) {
    for event in examples() {
        for message in [amqp::encode_binary(&event), amqp::encode_structured(&event)] {
            let mut input = Vec::new();
            if let Some(content_type) = &message.content_type {
                input.extend(format!("content-type={content_type}\n").bytes());
            }
            for (name, value) in &message.properties {
                let kind = match value {
                    Value::Boolean(_) => '?',
                    Value::Integer(_) => '#',
                    Value::Binary(_) => '$',
                    _ => '=',
                };
                input.extend(format!("{name}{kind}{}\n", value.to_text()).bytes());
            }
            input.extend(b"\n");
            input.extend(&message.body);
            seeds.add(input);
        }
    }
}

const DICTIONARY: &str = "ce-id: 
ce-source: 
ce-type: 
ce-specversion: 1.0
ce-subject: 
ce-time: 
ce-dataschema: 
content-type: 
application/cloudevents+json
application/cloudevents-batch+json
application/json
; charset=utf-8
; charset=utf-16
; charset=\"utf-8\"
text/plain
cloudEvents:
cloudEvents_
\"specversion\":\"1.0\"
\"id\":
\"source\":
\"type\":
\"data\":
\"data_base64\":
\"datacontenttype\":
\"time\":
\"subject\":
\"dataschema\":
%20
%C3%A4
%00
%0A
2024-02-29T10:00:00Z
partitionkey
expirytime
traceparent
null";
