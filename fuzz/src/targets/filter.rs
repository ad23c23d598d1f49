//! Filters of subscribers: CloudEvents dialects, CESQL, EventBridge patterns and FEEL, read from JSON and asked about events.

use kapelle_events::CloudEvent;
use kapelle_events::filter::{Filter, Index, Sql, Subject};
use kapelle_feel::{Env, Limits, json};

use super::{KIB, MIB};
use crate::Target;
use crate::seeds::{Seeds, joined, texts};

/// An input is a filter in JSON, or an expression of CESQL, and perhaps the data of an event.
pub const FILTER: Target = Target {
    name: "filter",
    run,
    seeds,
    dictionary: DICTIONARY,
    len_max: 2 * KIB,
    bytes_max: 32 * MIB,
    cpu_ms_max: 1_000,
};

fn run(input: &[u8]) {
    let Some(parts) = texts(input) else {
        return;
    };
    let events = events(parts.get(1).copied());
    match Sql::parse(parts[0]) {
        Ok(sql) => check_sql(&sql, &events),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    let Ok(document) = json::to_value(parts[0]) else {
        return;
    };
    match Filter::from_value(&document) {
        Ok(filter) => {
            assert_eq!(Filter::from_value(&document).as_ref(), Ok(&filter));
            check_filter(&filter, &events);
        }
        Err(error) => assert!(
            error.to_string().len() < 2 * KIB + 2 * input.len(),
            "{error}"
        ),
    }
}

/// The examples, and one with that data.
pub(super) fn events(data: Option<&str>) -> Vec<CloudEvent> {
    let mut events = super::events::examples();
    events.extend(data.and_then(|data| {
        CloudEvent::builder("1", "/s", "order.placed")
            .subject("x")
            .data("application/json", data.as_bytes())
            .build()
            .ok()
    }));
    events
}

/// With limits that are met.
pub(super) fn env() -> Env {
    Env {
        limits: Limits {
            steps: 10_000,
            bytes: 1 << 20,
            depth: 100,
        },
        ..Env::default()
    }
}

fn check_sql(sql: &Sql, events: &[CloudEvent]) {
    assert_eq!(Sql::parse(sql.text()).as_ref(), Ok(sql));
    for event in events {
        let shown = format!("{:?}", sql.evaluate(event));
        assert_eq!(
            format!("{:?}", sql.evaluate(event)),
            shown,
            "an evaluation is a function"
        );
        let _ = sql.matches(event);
        drop(sql.explain(event));
    }
    drop(sql.unknown_functions());
}

/// The filter alone, its explanation and an index of filters say the same.
fn check_filter(filter: &Filter, events: &[CloudEvent]) {
    let env = env();
    let mut index = Index::default();
    index.insert(1, filter.clone());
    index.insert(2, Filter::Not(Box::new(filter.clone())));
    for event in events {
        let subject = Subject::new(event);
        let matches = filter.matches(&subject, &env);
        assert_eq!(
            index.matches(&subject, &env),
            [if matches { 1 } else { 2 }],
            "the index says the same"
        );
        let explained = filter.explain(&subject, &env);
        assert_eq!(
            explained.passed, matches,
            "the explanation says the same: {explained:?}"
        );
    }
    assert_eq!(index.remove(&1).as_ref(), Some(filter));
    index.remove(&2);
    assert!(index.is_empty());
}

fn seeds(seeds: &mut Seeds) {
    for line in EXAMPLES.lines() {
        seeds.add(joined(&[line, DATA]));
    }
    for file in seeds.suite_files("cesql", ".yaml") {
        let text = String::from_utf8_lossy(&file);
        let expressions = text
            .lines()
            .filter_map(|line| line.trim().strip_prefix("expression:"));
        for expression in expressions {
            seeds.add(expression.trim().trim_matches(['"', '\'']));
        }
    }
}

pub(super) const DATA: &str =
    r#"{"total": 120.5, "name": "abc", "list": ["x", "y"], "ip": "10.0.0.7", "none": null}"#;

const EXAMPLES: &str = r#"{"exact": {"type": "order.placed", "source": "/s"}}
{"prefix": {"type": "order."}}
{"suffix": {"type": ".placed"}}
{"all": [{"exact": {"type": "a"}}, {"not": {"prefix": {"subject": "x"}}}]}
{"any": [{"suffix": {"id": "1"}}, {"sql": "type LIKE 'order.%' AND EXISTS subject"}]}
{"feel": "data.total > 100 and type = \"order.placed\""}
{"pattern": {"type": ["order.placed", {"prefix": "x."}], "data": {"total": [{"numeric": [">", 100, "<=", 200]}]}}}
{"pattern": {"data": {"name": [{"suffix": "c"}, {"anything-but": ["a", "b"]}, {"equals-ignore-case": "ABC"}, {"wildcard": "a*c"}]}}}
{"pattern": {"data": {"ip": [{"cidr": "10.0.0.0/8"}], "none": [null], "gone": [{"exists": false}]}}}
{"pattern": {"$or": [{"type": ["a"]}, {"data": {"list": ["x"]}}]}}
type = 'order.placed' AND (subject LIKE 'x_%' OR NOT EXISTS time)
LENGTH(CONCAT(id, source)) > 3 AND UPPER(type) IN ('A', 'B')
INT('12') + 3 * -4 % 5 / 2 <= 7 XOR TRUE
ABS(-2147483648) = 2147483647 OR LEFT(type, -1) = 'x'
SUBSTRING(type, 2, 3) = RIGHT(type, 2)"#;

const DICTIONARY: &str = r#"{"exact":{
{"prefix":{
{"suffix":{
{"all":[
{"any":[
{"not":{
{"sql":"
{"feel":"
{"pattern":{
"data":{
{"numeric":[">",
{"anything-but":
{"prefix":
{"suffix":
{"wildcard":"*
{"cidr":"10.0.0.0/8"}
{"exists":true}
{"equals-ignore-case":
"$or":[
AND
OR
XOR
NOT
LIKE
IN (
EXISTS 
TRUE
FALSE
INT(
STRING(
BOOL(
IS_BOOL(
IS_INT(
LENGTH(
CONCAT(
CONCAT_WS(
LOWER(
UPPER(
TRIM(
LEFT(
RIGHT(
SUBSTRING(
ABS(
!=
<>
<=
>=
'%'
'_'
'\%'
2147483647
-2147483648
%%"#;
