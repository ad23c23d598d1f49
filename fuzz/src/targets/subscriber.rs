//! Documents of subscribers: read from JSON, and their expressions asked about events.

use kapelle_events::filter::Subject;
use kapelle_events::subscriber::Subscriber;
use kapelle_feel::json;

use super::{KIB, MIB, events, filter};
use crate::Target;
use crate::seeds::{Seeds, joined, texts};

/// An input is a document, and perhaps the data of an event.
pub const SUBSCRIBER: Target = Target {
    name: "subscriber",
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
    let Ok(document) = json::to_value(parts[0]) else {
        return;
    };
    let subscriber = match Subscriber::from_value(&document) {
        Ok(subscriber) => subscriber,
        Err(error) => {
            let length = error.to_string().len();
            assert!(length > 0 && length < 2 * KIB + 2 * input.len(), "{error}");
            return;
        }
    };
    assert_eq!(
        Subscriber::from_value(&document).as_ref(),
        Ok(&subscriber),
        "reading is a function"
    );
    let retry = subscriber.retry;
    assert!(retry.attempts > 0 && retry.age_ms >= 0);
    let Some(transform) = subscriber.transform else {
        return;
    };
    for event in filter::events(parts.get(1).copied()) {
        if let Ok(transformed) = transform.apply(&Subject::new(&event), &filter::env()) {
            events::check(&transformed);
        }
    }
}

fn seeds(seeds: &mut Seeds) {
    for line in EXAMPLES.lines() {
        seeds.add(joined(&[line, filter::DATA]));
    }
}

const EXAMPLES: &str = r#"{"target": {"webhook": {"url": "https://billing.example/hook"}}}
{"filter": {"exact": {"type": "order.placed"}}, "transform": {"type": "\"invoice.due\"", "data": "{amount: data.total}"}, "target": {"pull": {"lock": "PT30S"}}, "order": "key", "start": {"time": "2026-01-01T00:00:00Z"}, "retry": {"attempts": 20, "age": "P1D", "first": "PT1S", "limit": "PT1H"}, "paused": false}
{"target": {"sink": {"name": "broker", "to": "orders"}}, "order": "parallel", "start": "earliest", "end": {"position": 17}}
{"target": {"message": {"name": "paid", "key": "data.name", "variables": "{n: data.total}", "ttl": "PT1H"}}, "start": {"position": 3}}
{"transform": {"id": "string(1)", "source": "\"/x\"", "subject": "type", "time": "\"2024-02-29T10:00:00Z\"", "dataschema": "\"/s\"", "datacontenttype": "\"text/plain\"", "flag": "true"}, "target": {"pull": {}}}"#;

const DICTIONARY: &str = r#""filter":{
"transform":{
"target":{
"webhook":{"url":"
"sink":{"name":"
"message":{"name":"
"pull":{}
"to":"
"key":"
"variables":"
"ttl":"
"lock":"
"order":"parallel"
"start":"latest"
"start":"earliest"
"end":{"time":"
"end":{"position":
"retry":{
"attempts":
"age":"
"first":"
"limit":"
"paused":true
PT1S
P1D
-P1D
P99999999999D
2024-02-29T10:00:00Z
data
time
id
source
datacontenttype
%%"#;
