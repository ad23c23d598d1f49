//! Subscribers as they are written, and what a transform makes of a CloudEvent.

use expect_test::{Expect, expect};
use kapelle_events::CloudEvent;
use kapelle_events::filter::Subject;
use kapelle_events::subscriber::Subscriber;
use kapelle_feel::{Env, json};

fn read(document: &str) -> Result<Subscriber, String> {
    Subscriber::from_value(&json::to_value(document).unwrap()).map_err(|error| error.to_string())
}

#[test]
fn everything_but_the_target_has_a_default() {
    let subscriber = read(r#"{"target": {"webhook": {"url": "http://localhost:1/x"}}}"#).unwrap();
    expect![[r#"
        Subscriber {
            filter: All(
                [],
            ),
            transform: None,
            target: Webhook {
                url: "http://localhost:1/x",
            },
            order: Key,
            start: Latest,
            end: None,
            retry: Retry {
                attempts: 20,
                age_ms: 86400000,
                first_ms: 1000,
                limit_ms: 3600000,
            },
            paused: false,
        }
    "#]]
    .assert_eq(&format!("{subscriber:#?}\n"));
}

#[test]
fn a_full_subscriber_is_read() {
    let subscriber = read(
        r#"{"filter": {"exact": {"type": "order.placed"}},
            "transform": {"type": "\"invoice.due\"", "data": "={amount: data.total}"},
            "target": {"webhook": {"url": "https://billing.example/hook"}},
            "order": "parallel", "start": {"time": "2026-01-01T00:00:00Z"}, "end": {"position": 900},
            "retry": {"attempts": 3, "age": "P1D", "first": "PT0.5S", "limit": "PT1H"}, "paused": true}"#,
    );
    assert!(subscriber.is_ok(), "{subscriber:?}");
    for target in [
        r#"{"sink": {"name": "kafka", "to": "orders"}}"#,
        r#"{"message": {"name": "paid", "key": "subject", "variables": "{total: data.total}", "ttl": "PT5M"}}"#,
        r#"{"pull": {}}"#,
        r#"{"pull": {"lock": "PT1M"}}"#,
    ] {
        assert!(
            read(&format!(r#"{{"target": {target}}}"#)).is_ok(),
            "{target}"
        );
    }
}

#[test]
fn what_is_no_subscriber_is_refused_with_its_place() {
    let mut seen = String::new();
    for document in [
        r#"[]"#,
        r#"{}"#,
        r#"{"target": {}}"#,
        r#"{"target": {"webhook": {"url": "http://x"}, "pull": {}}}"#,
        r#"{"target": {"queue": {}}}"#,
        r#"{"target": {"webhook": {}}}"#,
        r#"{"target": {"webhook": {"url": "ftp://x"}}}"#,
        r#"{"target": {"webhook": {"url": "http://x", "secret": "whsec_abc"}}}"#,
        r#"{"target": {"sink": {}}}"#,
        r#"{"target": {"message": {"name": "m", "key": "1 +"}}}"#,
        r#"{"target": {"pull": {"lock": "30s"}}}"#,
        r#"{"target": {"pull": {}}, "filter": {"sql": "type ="}}"#,
        r#"{"target": {"pull": {}}, "transform": {"data": 5}}"#,
        r#"{"target": {"pull": {}}, "order": "fifo"}"#,
        r#"{"target": {"pull": {}}, "start": "now"}"#,
        r#"{"target": {"pull": {}}, "start": {"time": "yesterday"}}"#,
        r#"{"target": {"pull": {}}, "end": {"position": -1}}"#,
        r#"{"target": {"pull": {}}, "retry": {"attempts": 1.5}}"#,
        r#"{"target": {"pull": {}}, "retries": {}}"#,
        r#"{"target": {"pull": {}}, "paused": "yes"}"#,
    ] {
        seen.push_str(&format!(
            "{document}\n    {}\n",
            read(document).unwrap_err()
        ));
    }
    expect![[r#"
        []
            subscriber: an object is needed, found list
        {}
            target: a subscriber needs one: webhook, sink, message or pull
        {"target": {}}
            target: exactly one is needed: webhook, sink, message or pull
        {"target": {"webhook": {"url": "http://x"}, "pull": {}}}
            target: exactly one is needed: webhook, sink, message or pull
        {"target": {"queue": {}}}
            target.queue: unknown; there are webhook, sink, message, pull
        {"target": {"webhook": {}}}
            target.webhook.url: it is missing
        {"target": {"webhook": {"url": "ftp://x"}}}
            target.webhook.url: "ftp://x" is no http or https URL
        {"target": {"webhook": {"url": "http://x", "secret": "whsec_abc"}}}
            target.webhook.secret: unknown; there are url
        {"target": {"sink": {}}}
            target.sink.name: it is missing
        {"target": {"message": {"name": "m", "key": "1 +"}}}
            target.message.key: expected an expression, found the end at line 1 column 4
        {"target": {"pull": {"lock": "30s"}}}
            target.pull.lock: a duration such as "PT30S" or "P1D" is needed, found "30s"
        {"target": {"pull": {}}, "filter": {"sql": "type ="}}
            filter.sql: expected an expression at byte 6, found the end
        {"target": {"pull": {}}, "transform": {"data": 5}}
            transform.data: a text is needed, found number
        {"target": {"pull": {}}, "order": "fifo"}
            order: "key" or "parallel" is needed, found "fifo"
        {"target": {"pull": {}}, "start": "now"}
            start: "latest", "earliest", a time or a position is needed, found "now"
        {"target": {"pull": {}}, "start": {"time": "yesterday"}}
            start.time: "yesterday" is no RFC 3339 timestamp
        {"target": {"pull": {}}, "end": {"position": -1}}
            end.position: a whole number is needed, found -1
        {"target": {"pull": {}}, "retry": {"attempts": 1.5}}
            retry.attempts: a whole number from 1 to 1000 is needed, found 1.5
        {"target": {"pull": {}}, "retries": {}}
            retries: unknown; there are filter, transform, target, order, start, end, retry, paused
        {"target": {"pull": {}}, "paused": "yes"}
            paused: true or false is needed, found string
    "#]]
    .assert_eq(&seen);
}

/// The CloudEvent after the transform, or why there is none.
fn check(transform: &str, expected: Expect) {
    let subscriber = read(&format!(
        r#"{{"target": {{"pull": {{}}}}, "transform": {transform}}}"#
    ))
    .unwrap();
    let event = CloudEvent::builder("7", "/shop", "order.placed")
        .subject("A-1")
        .trace_parent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
        .data("application/json", r#"{"total": 120.5}"#)
        .build()
        .unwrap();
    let seen = match subscriber
        .transform
        .unwrap()
        .apply(&Subject::new(&event), &Env::default())
    {
        Ok(event) => String::from_utf8(kapelle_events::json::encode(&event)).unwrap(),
        Err(error) => error.to_string(),
    };
    expected.assert_eq(&seen);
}

#[test]
fn a_transform_changes_what_it_names_and_keeps_the_rest() {
    check(
        r#"{"type": "\"invoice.due\"", "data": "{amount: data.total}"}"#,
        expect![[
            r#"{"specversion":"1.0","id":"7","source":"/shop","type":"invoice.due","subject":"A-1","datacontenttype":"application/json","traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01","data":{"amount":120.5}}"#
        ]],
    );
    check(
        r#"{"subject": "string(data.total)", "tenantid": "5"}"#,
        expect![[
            r#"{"specversion":"1.0","id":"7","source":"/shop","type":"order.placed","subject":"120.5","datacontenttype":"application/json","tenantid":"5","traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01","data":{"total": 120.5}}"#
        ]],
    );
    check(
        r#"{"data": "null"}"#,
        expect![[
            r#"{"specversion":"1.0","id":"7","source":"/shop","type":"order.placed","subject":"A-1","datacontenttype":"application/json","traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01","data":null}"#
        ]],
    );
}

#[test]
fn a_transform_that_fails_says_which_part_and_why() {
    check(
        r#"{"subject": "data.missing"}"#,
        expect![
            "transform.subject: it is null [NO_CONTEXT_ENTRY_FOUND] No context entry found with key 'missing'. Available keys: 'total'"
        ],
    );
    check(
        r#"{"data": "data.missing"}"#,
        expect![
            "transform.data: it is null [NO_CONTEXT_ENTRY_FOUND] No context entry found with key 'missing'. Available keys: 'total'"
        ],
    );
    check(
        r#"{"subject": "[1]"}"#,
        expect!["transform.subject: an attribute is a text, found list"],
    );
    check(
        r#"{"time": "\"noon\""}"#,
        expect![[r#"transform.time: "noon" is no RFC 3339 timestamp"#]],
    );
    check(
        r#"{"Upper": "1"}"#,
        expect![[
            r#"transform.result: attribute name "Upper" is invalid: only lower-case ASCII letters and digits are allowed"#
        ]],
    );
}
