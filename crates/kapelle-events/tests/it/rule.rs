//! What a source's rule makes of records that are no CloudEvents.

use expect_test::{Expect, expect};
use kapelle_events::rule::{Record, Rule};
use kapelle_events::{IdentityHash, Limits, json};
use kapelle_feel::Expr;

/// 2026-01-31T12:00:00Z
const NOW_MS: i64 = 1_769_860_800_000;

/// A rule of lines like `type = payload.kind`.
fn rule(lines: &str) -> Rule {
    let find = |name: &str| {
        let line = lines
            .lines()
            .find_map(|line| line.trim().strip_prefix(name)?.strip_prefix(" = "));
        line.map(|text| Expr::parse(text).unwrap())
    };
    Rule {
        event_type: find("type").unwrap(),
        source: find("source"),
        id: find("id"),
        subject: find("subject"),
        key: find("key"),
        time: find("time"),
        data: find("data"),
    }
}

struct Came<'c> {
    content_type: Option<&'c str>,
    headers: Vec<(String, String)>,
    body: &'c [u8],
}

fn came(body: &[u8]) -> Came<'_> {
    Came {
        content_type: None,
        headers: Vec::new(),
        body,
    }
}

fn apply(lines: &str, came: &Came<'_>) -> Result<kapelle_events::CloudEvent, String> {
    let place = [
        ("queue", "orders".to_owned()),
        ("routingKey", "orders.new".to_owned()),
    ];
    let headers = came.headers.iter();
    let headers = headers.map(|(name, value)| (name.as_str(), value.as_str()));
    let record = Record {
        source_name: "old shop",
        place: &place,
        headers: &came.headers,
        content_type: came.content_type,
        body: came.body,
        identity: IdentityHash::of_record("<default>", "old shop", headers, came.body),
    };
    rule(lines)
        .apply(&record, NOW_MS, &Limits::DEFAULT)
        .map_err(|error| format!("{}: {error}", error.code()))
}

fn check(lines: &str, came: &Came<'_>, expected: Expect) {
    let seen = match apply(lines, came) {
        Ok(event) => String::from_utf8(json::encode(&event)).unwrap(),
        Err(why) => why,
    };
    expected.assert_eq(&seen);
}

const ORDER: &[u8] =
    br#"{ "kind":"placed", "no": 7, "at": "2026-01-01T10:00:00+01:00", "net": 8.50 }"#;

#[test]
fn every_attribute_comes_from_payload_headers_and_place() {
    let mut order = came(ORDER);
    order.headers = vec![
        ("message-id".to_owned(), "m-1".to_owned()),
        ("shop".to_owned(), "nørth".to_owned()),
        ("shop".to_owned(), "south".to_owned()),
    ];
    check(
        r#"type = "order." + payload.kind
           source = "/shops/" + queue
           id = headers.`message-id`
           subject = payload.no
           key = headers.shop
           time = payload.at
           data = {order: payload.no, by: routingKey}"#,
        &order,
        expect![[
            r#"{"specversion":"1.0","id":"m-1","source":"/shops/orders","type":"order.placed","subject":"7","time":"2026-01-01T10:00:00+01:00","datacontenttype":"application/json","partitionkey":"nørth","data":{"order":7,"by":"orders.new"}}"#
        ]],
    );
}

#[test]
fn without_expressions_the_id_stands_for_the_record_and_the_body_is_the_data() {
    check(
        r#"type = "order.placed""#,
        &came(ORDER),
        expect![[
            r#"{"specversion":"1.0","id":"37f0b2e5ded8210e66d970c2b19647ab","source":"/kapelle/sources/old%20shop","type":"order.placed","data":{ "kind":"placed", "no": 7, "at": "2026-01-01T10:00:00+01:00", "net": 8.50 }}"#
        ]],
    );
    let [one, again, other] = [&b"1"[..], b"1", b"2"]
        .map(|body| apply("type = \"t\"", &came(body)).unwrap().id().to_owned());
    assert_eq!(one, again);
    assert_ne!(one, other);
    // An id that a record lacks is no reason to lose it.
    let without = apply("type = \"t\"\nid = payload.id", &came(b"1")).unwrap();
    assert_eq!(without.id(), one);
}

#[test]
fn bodies_of_every_sort_stay_as_they_are() {
    for (content_type, body, payload) in [
        (None, &b"\xff\x00"[..], r#""/wA=""#),
        (None, b"{ \"a\" : 1.0 }", r#"{"a":1}"#),
        (
            Some("text/plain"),
            b"{ \"a\" : 1.0 }",
            r#""{ \"a\" : 1.0 }""#,
        ),
        (Some("application/json"), b"{broken", r#""{broken""#),
        (None, b"", r#""""#),
    ] {
        let mut came = came(body);
        came.content_type = content_type;
        let event = apply("type = \"t\"", &came).unwrap();
        let data = event.data().map_or(&b""[..], |data| data.as_bytes());
        assert_eq!((data, event.data_content_type()), (body, content_type));
        let seen = apply("type = \"t\"\ndata = payload", &came).unwrap();
        let seen = std::str::from_utf8(seen.data().unwrap().as_bytes()).unwrap();
        assert_eq!(seen, payload, "{body:?}");
    }
}

#[test]
fn the_time_may_be_a_value_or_a_text_and_chance_is_the_records_own() {
    let time = |time: &str| {
        let event = apply(&format!("type = \"t\"\ntime = {time}"), &came(b"1"));
        event.map(|event| event.time().map(|time| time.as_str().to_owned()))
    };
    assert_eq!(
        time(r#"date and time("2026-01-01T00:00:00Z")"#),
        Ok(Some("2026-01-01T00:00:00Z".to_owned()))
    );
    assert_eq!(time("now()"), Ok(Some("2026-01-31T12:00:00Z".to_owned())));
    assert_eq!(time("payload.at"), Ok(None));
    expect!["KAP-CE-017: the rule's `time` fails: \"yesterday\" is no RFC 3339 timestamp such as 2026-01-31T12:00:00Z"]
        .assert_eq(&time("\"yesterday\"").unwrap_err());
    expect!["KAP-CE-017: the rule's `time` fails: it is a number, but must be a date and time, or the text of one"]
        .assert_eq(&time("7").unwrap_err());
    let id = |body: &[u8]| {
        apply("type = \"t\"\nid = uuid()", &came(body))
            .unwrap()
            .id()
            .to_owned()
    };
    assert_eq!(id(b"1"), id(b"1"));
    assert_ne!(id(b"1"), id(b"2"));
}

#[test]
fn a_failure_names_the_expression_and_why() {
    let order = came(ORDER);
    check(
        "type = payload.sort",
        &order,
        expect![
            "KAP-CE-017: the rule's `type` fails: it is null: [NO_CONTEXT_ENTRY_FOUND] No context entry found with key 'sort'. Available keys: 'kind', 'no', 'at', 'net'"
        ],
    );
    check(
        "type = null",
        &order,
        expect!["KAP-CE-017: the rule's `type` fails: it is null"],
    );
    check(
        "type = payload",
        &order,
        expect!["KAP-CE-017: the rule's `type` fails: it is a context, but must be a text"],
    );
    check(
        "type = \"t\"\nsubject = assert(payload.no, payload.no > 7, \"too small\")",
        &order,
        expect!["KAP-CE-017: the rule's `subject` fails: too small"],
    );
    check(
        "type = \"t\"\ndata = payload.net + \"€\"",
        &order,
        expect![
            "KAP-CE-017: the rule's `data` fails: it is null: [INVALID_TYPE] Can't add '\"€\"' to '8.5'"
        ],
    );
    check(
        "type = \"t\"\nsource = \"a b\"",
        &order,
        expect![[
            r#"KAP-CE-007: attribute "source" is invalid: it holds white space, which a URI can't have"#
        ]],
    );
    check(
        "type = \"t\"\nid = string(count(for i in 1..10000000 return i))",
        &order,
        expect![
            "KAP-CE-017: the rule's `id` fails: the expression was given up after 1000000 steps"
        ],
    );
}

#[test]
fn null_is_data_where_nothing_went_wrong() {
    let event = apply("type = \"t\"\ndata = payload.x", &came(br#"{"x":null}"#)).unwrap();
    assert_eq!(event.data().unwrap().as_bytes(), b"null");
}
