//! What FEEL expressions see of a CloudEvent.

use expect_test::expect;
use kapelle_events::CloudEvent;
use kapelle_feel::{Env, Expr, Variable, Variables, json};

use crate::{full, minimal, varied};

fn check(event: &CloudEvent, names: &[&str]) -> String {
    let context = event.as_context();
    let line = |name: &&str| match context.get(name) {
        Some(Variable::Stored(bytes)) => format!("{name} = {}\n", json::from_msgpack(bytes)),
        Some(Variable::Value(value)) => format!("{name} = {}\n", json::from_value(value)),
        None => format!("{name} is unknown\n"),
    };
    names.iter().map(line).collect()
}

#[test]
fn attributes_extensions_and_data_are_variables() {
    let seen = check(
        &full(),
        &[
            "specversion",
            "id",
            "source",
            "type",
            "subject",
            "time",
            "datacontenttype",
            "dataschema",
            "comexampleflag",
            "comexamplenumber",
            "comexamplebinary",
            "expirytime",
            "correlationid",
            "data",
            "nothing",
        ],
    );
    expect![[r#"
        specversion = "1.0"
        id = "A234-1234-1234"
        source = "/mycontext/größe"
        type = "com.example.someevent"
        subject = "order 50% \"x\""
        time = "2018-04-05T17:31:00.250+02:00"
        datacontenttype = "application/json"
        dataschema = "https://example.com/schema?a=b#c"
        comexampleflag = true
        comexamplenumber = -7
        comexamplebinary = "AAH+/w=="
        expirytime = "2018-04-06T00:00:00Z"
        correlationid = "conversation-1"
        data = {"b":1.0,"a":[100.0,"ä"]}
        nothing is unknown
    "#]]
    .assert_eq(&seen);
    expect![[r#"
        subject = null
        time = null
        data = null
        correlationid is unknown
    "#]]
    .assert_eq(&check(
        &minimal(),
        &["subject", "time", "data", "correlationid"],
    ));
}

#[test]
fn data_is_json_or_text_or_base64() {
    expect![[r#"
        data = {"b":1.0,"a":[100.0,"ä"]}
        data = null
        data = null
        data = "text"
        data = "not json"
        data = "/w=="
        data = [1,2]
        data = "line\n\"ü\"\u0000"
        data = "/2JpbmFyeQ=="
        data = "<a/>"
        data = "AJ+Slg=="
        data = {}
        data = "no json"
    "#]]
    .assert_eq(
        &varied()
            .iter()
            .map(|event| check(event, &["data"]))
            .collect::<String>(),
    );
}

#[test]
fn expressions_reach_into_the_data() {
    let event = CloudEvent::builder("1", "/shop", "order.placed")
        .data(
            "application/json",
            r#"{"amount": 120.50, "items": [{"sku": "a"}, {"sku": "b"}]}"#,
        )
        .build()
        .unwrap();
    let context = event.as_context();
    let evaluate = |text: &str| {
        Expr::parse(text)
            .unwrap()
            .evaluate(&context, &Env::default())
            .unwrap()
            .value
    };
    assert_eq!(
        json::from_value(&evaluate(r#"type = "order.placed" and data.amount > 120"#)),
        "true"
    );
    assert_eq!(json::from_value(&evaluate("data.items[2].sku")), "\"b\"");
    assert_eq!(json::from_value(&evaluate("subject")), "null");
}
