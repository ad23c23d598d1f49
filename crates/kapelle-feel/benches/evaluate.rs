//! Times the expressions that processes are made of: `cargo bench -p kapelle-feel`.
//!
//! A plain loop and the best of many runs; enough to see a factor, and no dependency. The comparison with other engines lives in
//! `bench/`.

#![expect(
    clippy::print_stdout,
    clippy::disallowed_types,
    reason = "a benchmark measures time and prints it"
)]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::Instant;

use kapelle_feel::{Env, Expr, Value, Variable, Variables, json, msgpack};

/// Variables as the engine keeps them: by name, stored.
struct Scope(BTreeMap<String, Vec<u8>>);

impl Variables for Scope {
    fn get(&self, name: &str) -> Option<Variable<'_>> {
        self.0.get(name).map(|bytes| Variable::Stored(bytes))
    }
}

fn scope(others: usize) -> Scope {
    let store =
        |text: &str| json::to_msgpack(text.as_bytes()).expect("the benchmark's JSON is valid");
    let mut entries: BTreeMap<String, Vec<u8>> = (0..others)
        .map(|n| (format!("variable{n}"), store("{\"a\":[1,2,3]}")))
        .collect();
    entries.insert("orderValue".into(), store("120.5"));
    entries.insert(
        "customer".into(),
        store(r#"{"name":"Ann","since":2019,"tier":"gold","city":"Köln"}"#),
    );
    entries.insert("five".into(), store(&items(5)));
    entries.insert("hundred".into(), store(&items(100)));
    Scope(entries)
}

fn items(count: usize) -> String {
    let item = |n: usize| {
        format!(
            r#"{{"sku":"sku-{n}","name":"item {n}","price":{}.5,"qty":{}}}"#,
            n * 3 % 40,
            n % 7
        )
    };
    format!("[{}]", (0..count).map(item).collect::<Vec<_>>().join(","))
}

/// The best of many short runs, in nanoseconds a call: what disturbs a run only ever makes it longer.
fn time(mut body: impl FnMut()) -> f64 {
    let mut run = |calls: u32| {
        let start = Instant::now();
        (0..calls).for_each(|_| body());
        start.elapsed().as_nanos() as f64
    };
    let mut calls = 1;
    while run(calls) < 1e6 {
        calls *= 2;
    }
    (0..100).map(|_| run(calls)).fold(f64::INFINITY, f64::min) / f64::from(calls)
}

fn main() {
    let env = Env::default();
    let condition = r#"orderValue > 100 and customer.tier = "gold""#;
    let expressions = [
        condition,
        "orderValue > 100",
        "five[price > 10].name",
        "sum(for i in hundred return i.price * i.qty)",
        "hundred[sku = \"sku-99\"][1].price",
        "if orderValue > 100 then \"large\" else \"small\"",
        "{id: customer.name, total: orderValue * 1.19}",
        "orderValue + 1 + 2 * 3 - 4 / 5",
        "contains(lower case(customer.name), \"nn\")",
        "matches(customer.name, \"^[A-Z][a-z]+$\")",
        "some i in hundred satisfies i.qty > 10",
    ];
    for others in [10, 100] {
        let scope = scope(others);
        println!("{others} other variables");
        for text in expressions {
            let expr = Expr::parse(text).expect("the benchmark's expressions are valid");
            let nanos = time(|| {
                black_box(expr.evaluate(black_box(&scope), &env)).ok();
            });
            println!("{nanos:>10.0} ns  {text}");
        }
    }
    println!("parse, stored form, JSON");
    let document = format!("{{\"items\":{}}}", items(100));
    let stored = json::to_msgpack(document.as_bytes()).expect("the benchmark's JSON is valid");
    let value: Value = msgpack::from_msgpack(&stored).expect("what was written can be read");
    println!(
        "{:>10.0} ns  parse {condition}",
        time(|| drop(black_box(Expr::parse(condition))))
    );
    println!(
        "{:>10.0} ns  JSON to stored, {} bytes",
        time(|| drop(black_box(json::to_msgpack(document.as_bytes())))),
        document.len()
    );
    println!(
        "{:>10.0} ns  stored to JSON",
        time(|| drop(black_box(json::from_msgpack(&stored))))
    );
    println!(
        "{:>10.0} ns  validate",
        time(|| assert!(black_box(msgpack::validate(&stored)).is_ok()))
    );
    println!(
        "{:>10.0} ns  stored to value",
        time(|| drop(black_box(msgpack::from_msgpack(&stored))))
    );
    println!(
        "{:>10.0} ns  value to stored",
        time(|| drop(black_box(msgpack::to_msgpack(&value))))
    );
}
