//! Variables as they lie stored: read where they are, decoded only where they stay.

use expect_test::expect;
use kapelle_feel::{Env, Expr, StoredMap, Value, json, msgpack};

use crate::outcome;

const ORDER: &str = r#"{
    "id": "A-1",
    "total": 120.5,
    "count": 18446744073709551615,
    "customer": {"name": "Zoë", "tier": "gold", "tags": []},
    "items": [{"sku": "a", "price": 12.5, "qty": 2}, {"sku": "b", "price": 7, "qty": 1}, {"sku": "c", "price": 30, "qty": null}],
    "matrix": [[1, 2], [3, [4]]],
    "nothing": null
}"#;

fn check(text: &str, expected: expect_test::Expect) {
    let bytes = json::to_msgpack(ORDER.as_bytes()).unwrap();
    let stored = outcome(text, &StoredMap(&bytes), &Env::default());
    // The same values decoded first must give the same answer.
    let decoded = outcome(
        text,
        &msgpack::from_msgpack(&bytes).unwrap(),
        &Env::default(),
    );
    assert_eq!(stored, decoded, "stored and decoded differ");
    expected.assert_eq(&stored);
}

#[test]
fn paths_and_comparisons_read_in_place() {
    check("total > 100 and customer.tier = \"gold\"", expect!["true"]);
    check("customer.tags = [] and nothing = null", expect!["true"]);
    check("count + 1", expect!["18446744073709551616"]);
    check("customer = customer", expect!["true"]);
    check("customer.name + id", expect![[r#""ZoëA-1""#]]);
    check("matrix[2][2][1]", expect!["4"]);
    check(
        "id.x",
        expect![[r#"
        null
          [NO_PROPERTY_FOUND] No property found with name 'x' of value '"A-1"'"#]],
    );
    check(
        "customer.age",
        expect![[r#"
        null
          [NO_CONTEXT_ENTRY_FOUND] No context entry found with key 'age'. Available keys: 'name', 'tier', 'tags'"#]],
    );
}

#[test]
fn lists_are_filtered_and_projected_in_place() {
    check("items[price > 10].sku", expect![[r#"["a", "c"]"#]]);
    check("items[qty = null].sku[1]", expect![[r#""c""#]]);
    check("items[-1].price", expect!["30"]);
    check("items.price", expect!["[12.5, 7, 30]"]);
    check(
        "sum(for i in items[qty != null] return i.price * i.qty)",
        expect!["32.0"],
    );
    check(
        "some i in items satisfies i.price > total / 5",
        expect!["true"],
    );
    check(
        "count(items[price > customer.limit])",
        expect![[r#"
        0
          [NO_CONTEXT_ENTRY_FOUND] No context entry found with key 'limit'. Available keys: 'name', 'tier', 'tags'
          [NOT_COMPARABLE] Can't compare '12.5' with 'null'
          [NO_CONTEXT_ENTRY_FOUND] No context entry found with key 'limit'. Available keys: 'name', 'tier', 'tags'
          [NOT_COMPARABLE] Can't compare '7' with 'null'
          [NO_CONTEXT_ENTRY_FOUND] No context entry found with key 'limit'. Available keys: 'name', 'tier', 'tags'
          [NOT_COMPARABLE] Can't compare '30' with 'null'"#]],
    );
    check(
        "{best: items[price = max(items.price)][1], all: flatten(matrix)}",
        expect![[r#"{best:{sku:"c", price:30, qty:null}, all:[1, 2, 3, 4]}"#]],
    );
}

#[test]
fn a_usual_condition_allocates_nothing() {
    let bytes = json::to_msgpack(ORDER.as_bytes()).unwrap();
    let expr =
        Expr::parse("total > 100 and customer.tier = \"gold\" and count(items) = 3").unwrap();
    let condition = Expr::parse("total > 100 and customer.tier = \"gold\"").unwrap();
    let (variables, env) = (StoredMap(&bytes), Env::default());
    let count = |expr: &Expr| {
        let measured = allocation_counter::measure(|| {
            assert_eq!(
                expr.evaluate(&variables, &env).unwrap().value,
                Value::Bool(true)
            );
        });
        measured.count_total
    };
    assert_eq!(count(&condition), 0);
    assert_ne!(
        count(&expr),
        0,
        "a list as an argument is decoded; if this counts nothing, nothing is counted"
    );
}

#[test]
fn only_the_names_that_an_expression_reads_are_asked_for() {
    let names = |text: &str| {
        let expr = Expr::parse(text).unwrap();
        expr.variables()
            .iter()
            .map(|name| name.to_string())
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(
        names("total > 100 and customer.tier = \"gold\" and total < x"),
        "total customer x"
    );
    assert_eq!(names("for i in items return i.price * rate"), "items rate");
    assert_eq!(names("items[price > limit]"), "items price limit");
    assert_eq!(names("{a: 1, b: a, c: function(d) d + e}"), "e");
    assert_eq!(names("count(xs) + f(1)"), "xs f");
}

#[test]
fn malformed_bytes_are_null_and_do_no_harm() {
    let broken: [&[u8]; 4] = [
        &[0x81, 0xa1, b'x'],
        &[0x81, 0xa1, b'x', 0x92, 1],
        &[0xc1],
        &[],
    ];
    for bytes in broken {
        let value = Expr::parse("x = null or x[1] = 1")
            .unwrap()
            .evaluate(&StoredMap(bytes), &Env::default());
        assert!(value.is_ok());
    }
}

#[test]
fn results_leave_as_zeebe_writes_them() {
    let stored = |text: &str| {
        let value = Expr::parse(text)
            .unwrap()
            .evaluate(&(), &Env::default())
            .unwrap()
            .value;
        json::from_msgpack(&msgpack::to_msgpack(&value))
    };
    assert_eq!(stored("[1, 1.0, 1/3, 0.1]"), "[1,1,0.3333333333333333,0.1]");
    assert_eq!(
        stored("{at: @\"2024-03-31T12:00:00@Europe/Berlin\", d: @\"P1D\", day: @\"2024-03-31\"}"),
        r#"{"at":"2024-03-31T12:00:00+02:00[Europe/Berlin]","d":"P1D","day":"2024-03-31"}"#
    );
    assert_eq!(Value::from("x").to_string(), "\"x\"");
}
