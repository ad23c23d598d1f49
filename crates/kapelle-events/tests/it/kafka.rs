//! Kafka: headers, keys, tombstones, structured mode, and records from before there were headers.

use expect_test::expect;
use kapelle_events::kafka::{self, Incoming, Key, Record};
use kapelle_events::{CloudEvent, Error, Limits, json};

use crate::show::{show, show_result};
use crate::{full, minimal, varied};

fn decode(
    headers: &[(&str, &[u8])],
    value: Option<&[u8]>,
    key: Option<&[u8]>,
) -> Result<CloudEvent, Error> {
    let record = Incoming {
        key,
        headers,
        value,
    };
    kafka::decode(record, Key::PartitionKey, &Limits::DEFAULT)
}

fn decode_record(record: &Record, key: Key) -> Result<CloudEvent, Error> {
    let headers: Vec<_> = record
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_bytes()))
        .collect();
    let record = Incoming {
        key: record.key.as_deref(),
        headers: &headers,
        value: record.value.as_deref(),
    };
    kafka::decode(record, key, &Limits::DEFAULT)
}

const REQUIRED: [(&str, &[u8]); 4] = [
    ("ce_specversion", b"1.0"),
    ("ce_id", b"1"),
    ("ce_source", b"/s"),
    ("ce_type", b"t"),
];

fn with(headers: &[(&str, &[u8])]) -> String {
    show_result(decode(&[&REQUIRED, headers].concat(), Some(b"x"), None))
}

#[test]
fn example_of_the_specification_is_read() {
    // Kafka protocol binding 1.0.2, §3.2.5.
    let seen = decode(
        &[
            ("ce_specversion", b"1.0"),
            ("ce_type", b"com.example.someevent"),
            ("ce_source", b"/mycontext/subcontext"),
            ("ce_id", b"1234-1234-1234"),
            ("ce_time", b"2018-04-05T03:56:24Z"),
            ("content-type", b"application/avro"),
            ("other", b"\xff"),
        ],
        Some(b"\x00\x01"),
        Some(b"mykey"),
    );
    expect![[r#"
        1234-1234-1234 | /mycontext/subcontext | com.example.someevent
          time = 2018-04-05T03:56:24Z
          datacontenttype = application/avro
          partitionkey = mykey (a string)
          data = \x00\x01
    "#]]
    .assert_eq(&show_result(seen));
}

#[test]
fn a_key_becomes_the_partition_key_where_there_is_none_and_it_can_be_one() {
    let key = |key: &[u8], headers: &[(&str, &[u8])]| {
        let event = decode(&[&REQUIRED, headers].concat(), None, Some(key)).unwrap();
        format!("{:?}\n", event.extension("partitionkey"))
    };
    let own: [(&str, &[u8]); 1] = [("ce_partitionkey", b"own")];
    let seen = [
        key("größe".as_bytes(), &[]),
        key(b"key", &own),
        key(b"", &[]),
        key(b"\xff", &[]),
        key(b"a\x00b", &[]),
        key(&[b'k'; 10_000], &[]),
    ]
    .concat();
    expect![[r#"
        Some(String("größe"))
        Some(String("own"))
        None
        None
        None
        None
    "#]]
    .assert_eq(&seen);
    let record = Incoming {
        key: Some(b"key"),
        headers: &REQUIRED,
        value: None,
    };
    let apart = kafka::decode(record, Key::Apart, &Limits::DEFAULT).unwrap();
    assert_eq!(apart, minimal());
    let keyed = minimal().to_builder().extension("partitionkey", "k");
    let keyed = keyed.build().unwrap();
    assert_eq!(kafka::encode_binary(&keyed, Key::Apart).key, None);
    let record = kafka::encode_structured(&keyed, Key::PartitionKey);
    assert_eq!(record.key.as_deref(), Some(b"k".as_slice()));
    assert_eq!(
        kafka::encode_binary(&minimal(), Key::PartitionKey).key,
        None
    );
}

#[test]
fn no_data_is_a_tombstone_and_empty_data_is_not() {
    let tombstone = kafka::encode_binary(&minimal(), Key::Apart);
    assert_eq!(tombstone.value, None);
    assert_eq!(decode_record(&tombstone, Key::Apart).unwrap().data(), None);
    let empty = decode(&REQUIRED, Some(b""), None).unwrap();
    assert_eq!(empty.data().unwrap().as_bytes(), b"");
    let again = kafka::encode_binary(&empty, Key::Apart);
    assert_eq!(again.value, Some(Vec::new()));
    // Structured mode always has a value.
    let structured = kafka::encode_structured(&minimal(), Key::Apart);
    assert_eq!(structured.value.unwrap(), json::encode(&minimal()));
}

#[test]
fn malformed_records_get_a_precise_error() {
    let plain = |headers: &[(&str, &[u8])], value| show_result(decode(headers, value, None));
    let structured: [(&str, &[u8]); 1] = [("Content-Type", b"application/CloudEvents+json")];
    let seen = [
        plain(&[], None),
        plain(&[], Some(b"hello")),
        plain(&[], Some(b"{\"specversion\":\"1.0\"")),
        plain(&[("content-type", b"application/json")], Some(b"{}")),
        plain(
            &[("content-type", b"application/cloudevents+avro")],
            Some(b"x"),
        ),
        plain(
            &[("content-type", b"application/cloudevents-batch+json")],
            Some(b"[]"),
        ),
        plain(&structured, None),
        plain(&REQUIRED[1..], Some(b"{}")),
        with(&[("ce_source", b"/other")]),
        with(&[("ce_subject", b"\xff")]),
        with(&[("content-type", b"a/b"), ("content-type", b"c/d")]),
        with(&[("content-type", b"\xff")]),
        with(&[("ce_Upper", b"x")]),
    ]
    .concat();
    expect![[r#"
        KAP-CE-002: neither CloudEvents headers nor a CloudEvents content type are present
        KAP-CE-002: neither CloudEvents headers nor a CloudEvents content type are present
        KAP-CE-003: malformed JSON at byte 20: expected "," or "}"
        KAP-CE-002: neither CloudEvents headers nor a CloudEvents content type are present
        KAP-CE-001: media type "application/cloudevents+avro" is not a supported CloudEvents format
        KAP-CE-001: media type "application/cloudevents-batch+json" is not a supported CloudEvents format
        KAP-CE-003: malformed JSON at byte 0: expected a value
        KAP-CE-004: required attribute "specversion" is missing
        KAP-CE-009: attribute "source" occurs more than once
        KAP-CE-010: attribute "subject" is not valid UTF-8
        KAP-CE-009: attribute "content-type" occurs more than once
        KAP-CE-010: content-type is not valid UTF-8
        KAP-CE-006: attribute name "Upper" is invalid: only lower-case ASCII letters and digits are allowed
    "#]]
    .assert_eq(&seen);
}

#[test]
fn golden_headers_of_binary_mode() {
    let record = kafka::encode_binary(&full(), Key::PartitionKey);
    let line = |(name, value): &(String, String)| format!("{name}: {value}\n");
    expect![[r#"
        ce_specversion: 1.0
        ce_id: A234-1234-1234
        ce_source: /mycontext/größe
        ce_type: com.example.someevent
        ce_subject: order 50% "x"
        ce_time: 2018-04-05T17:31:00.250+02:00
        ce_dataschema: https://example.com/schema?a=b#c
        ce_causationid: cause-1
        ce_comexamplebinary: AAH+/w==
        ce_comexampleflag: true
        ce_comexamplenumber: -7
        ce_comexampletext: € 5
        ce_correlationid: conversation-1
        ce_dataref: /claims/1
        ce_expirytime: 2018-04-06T00:00:00Z
        ce_traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01
        content-type: application/json
    "#]]
    .assert_eq(&record.headers.iter().map(line).collect::<String>());
    assert_eq!(
        record.value.as_deref(),
        Some(full().data().unwrap().as_bytes())
    );
}

#[test]
fn what_is_written_is_read_back() {
    for event in varied() {
        for key in [Key::Apart, Key::PartitionKey] {
            let binary = decode_record(&kafka::encode_binary(&event, key), key).unwrap();
            // Headers have no types.
            assert_eq!(binary.identity_hash("t"), event.identity_hash("t"));
            assert_eq!(binary.content_hash(), event.content_hash());
            let mut structured = kafka::encode_structured(&event, key);
            let expected = json::decode(&json::encode(&event), &Limits::DEFAULT).unwrap();
            let back = decode_record(&structured, key).unwrap();
            assert_eq!(show(&back), show(&expected));
            // Before there were headers.
            structured.headers.clear();
            let back = decode_record(&structured, key).unwrap();
            assert_eq!(show(&back), show(&expected));
        }
    }
}
