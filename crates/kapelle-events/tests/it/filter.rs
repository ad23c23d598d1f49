//! Filters: what passes and what does not, what is refused when it is read, and the index against a plain loop.

use expect_test::{Expect, expect};
use kapelle_events::CloudEvent;
use kapelle_events::filter::{Filter, Index, Pattern, Subject};
use kapelle_feel::{Env, json};

/// The event that most of these look at.
fn order() -> CloudEvent {
    CloudEvent::builder("7", "/shop/berlin", "order.placed")
        .subject("A-1")
        .extension("region", "EU")
        .extension("priority", kapelle_events::Value::Integer(5))
        .data(
            "application/json",
            r#"{"total": 120.5, "customer": {"tier": "gold", "ip": "10.0.0.7"}, "state": null,
                "items": [{"sku": "a", "count": 1}, {"sku": "b", "count": 2}], "tags": ["x", "y"], "empty": []}"#,
        )
        .build()
        .unwrap()
}

fn read(filter: &str) -> Filter {
    Filter::from_value(&json::to_value(filter).unwrap()).unwrap()
}

fn passes(filter: &str, event: &CloudEvent) -> bool {
    read(filter).matches(&Subject::new(event), &Env::default())
}

/// One line a filter: whether the order passes.
fn check(filters: &[&str], expected: Expect) {
    let event = order();
    let lines: Vec<_> = filters
        .iter()
        .map(|filter| {
            format!(
                "{} {filter}\n",
                if passes(filter, &event) { "yes" } else { "no " }
            )
        })
        .collect();
    expected.assert_eq(&lines.concat());
}

#[test]
fn the_dialects_of_the_subscriptions_api() {
    check(
        &[
            r#"{"exact": {"type": "order.placed"}}"#,
            r#"{"exact": {"type": "order.placed", "region": "US"}}"#,
            r#"{"exact": {"type": "Order.Placed"}}"#,
            r#"{"exact": {"priority": "5"}}"#,
            r#"{"exact": {"missing": "x"}}"#,
            r#"{"prefix": {"type": "order."}}"#,
            r#"{"prefix": {"subject": "B"}}"#,
            r#"{"suffix": {"source": "/berlin", "type": "placed"}}"#,
            r#"{"all": [{"prefix": {"type": "o"}}, {"exact": {"region": "EU"}}]}"#,
            r#"{"any": [{"exact": {"region": "US"}}, {"exact": {"region": "EU"}}]}"#,
            r#"{"not": {"exact": {"region": "US"}}}"#,
            r#"{"not": {"exact": {"missing": "x"}}}"#,
            r#"[{"exact": {"region": "EU"}}, {"sql": "priority > 4"}]"#,
            r#"[]"#,
        ],
        expect![[r#"
            yes {"exact": {"type": "order.placed"}}
            no  {"exact": {"type": "order.placed", "region": "US"}}
            no  {"exact": {"type": "Order.Placed"}}
            yes {"exact": {"priority": "5"}}
            no  {"exact": {"missing": "x"}}
            yes {"prefix": {"type": "order."}}
            no  {"prefix": {"subject": "B"}}
            yes {"suffix": {"source": "/berlin", "type": "placed"}}
            yes {"all": [{"prefix": {"type": "o"}}, {"exact": {"region": "EU"}}]}
            yes {"any": [{"exact": {"region": "US"}}, {"exact": {"region": "EU"}}]}
            yes {"not": {"exact": {"region": "US"}}}
            yes {"not": {"exact": {"missing": "x"}}}
            yes [{"exact": {"region": "EU"}}, {"sql": "priority > 4"}]
            yes []
        "#]],
    );
}

#[test]
fn patterns_of_event_bridge() {
    check(
        &[
            r#"{"pattern": {"type": ["order.placed", "order.paid"]}}"#,
            r#"{"pattern": {"type": [{"prefix": "order."}], "data": {"total": [{"numeric": [">", 100, "<=", 120.5]}]}}}"#,
            r#"{"pattern": {"data": {"total": [{"numeric": ["=", 120]}]}}}"#,
            r#"{"pattern": {"data": {"customer": {"tier": [{"anything-but": ["silver", "bronze"]}]}}}}"#,
            r#"{"pattern": {"data": {"customer": {"tier": [{"anything-but": {"prefix": "g"}}]}}}}"#,
            r#"{"pattern": {"data": {"customer": {"name": [{"anything-but": "x"}]}}}}"#,
            r#"{"pattern": {"data": {"customer": {"ip": [{"cidr": "10.0.0.0/24"}]}}}}"#,
            r#"{"pattern": {"data": {"customer": {"tier": [{"equals-ignore-case": "GOLD"}]}}}}"#,
            r#"{"pattern": {"source": [{"wildcard": "/shop/*lin"}]}}"#,
            r#"{"pattern": {"source": [{"wildcard": "*/shop*x"}]}}"#,
            r#"{"pattern": {"data": {"state": [null]}}}"#,
            r#"{"pattern": {"data": {"state": [{"exists": true}]}}}"#,
            r#"{"pattern": {"data": {"customer": [{"exists": false}]}}}"#,
            r#"{"pattern": {"data": {"empty": [{"exists": false}]}}}"#,
            r#"{"pattern": {"data": {"missing": [{"exists": false}], "tags": ["y"]}}}"#,
            r#"{"pattern": {"data": {"missing": ["z", {"exists": false}]}}}"#,
            r#"{"pattern": {"data": {"items": {"sku": [{"exists": false}]}}}}"#,
            // Array consistency: no single item is both.
            r#"{"pattern": {"data": {"items": {"sku": ["a"], "count": [1]}}}}"#,
            r#"{"pattern": {"data": {"items": {"sku": ["a"], "count": [2]}}}}"#,
            r#"{"pattern": {"$or": [{"type": ["x"]}, {"data": {"total": [{"numeric": [">", 1]}]}}], "region": ["EU"]}}"#,
            r#"{"pattern": {"data": {"items": {"sku": ["b"]}, "$or": [{"items": {"count": [1]}}, {"tags": ["z"]}]}}}"#,
            r#"{"pattern": {"data": {"items": {"sku": ["b"]}, "$or": [{"items": {"count": [2]}}, {"tags": ["z"]}]}}}"#,
            r#"{"pattern": {"$or": ["a"], "type": ["order.placed"]}}"#,
        ],
        expect![[r#"
            yes {"pattern": {"type": ["order.placed", "order.paid"]}}
            yes {"pattern": {"type": [{"prefix": "order."}], "data": {"total": [{"numeric": [">", 100, "<=", 120.5]}]}}}
            no  {"pattern": {"data": {"total": [{"numeric": ["=", 120]}]}}}
            yes {"pattern": {"data": {"customer": {"tier": [{"anything-but": ["silver", "bronze"]}]}}}}
            no  {"pattern": {"data": {"customer": {"tier": [{"anything-but": {"prefix": "g"}}]}}}}
            no  {"pattern": {"data": {"customer": {"name": [{"anything-but": "x"}]}}}}
            yes {"pattern": {"data": {"customer": {"ip": [{"cidr": "10.0.0.0/24"}]}}}}
            yes {"pattern": {"data": {"customer": {"tier": [{"equals-ignore-case": "GOLD"}]}}}}
            yes {"pattern": {"source": [{"wildcard": "/shop/*lin"}]}}
            no  {"pattern": {"source": [{"wildcard": "*/shop*x"}]}}
            yes {"pattern": {"data": {"state": [null]}}}
            yes {"pattern": {"data": {"state": [{"exists": true}]}}}
            yes {"pattern": {"data": {"customer": [{"exists": false}]}}}
            yes {"pattern": {"data": {"empty": [{"exists": false}]}}}
            yes {"pattern": {"data": {"missing": [{"exists": false}], "tags": ["y"]}}}
            yes {"pattern": {"data": {"missing": ["z", {"exists": false}]}}}
            no  {"pattern": {"data": {"items": {"sku": [{"exists": false}]}}}}
            yes {"pattern": {"data": {"items": {"sku": ["a"], "count": [1]}}}}
            no  {"pattern": {"data": {"items": {"sku": ["a"], "count": [2]}}}}
            yes {"pattern": {"$or": [{"type": ["x"]}, {"data": {"total": [{"numeric": [">", 1]}]}}], "region": ["EU"]}}
            no  {"pattern": {"data": {"items": {"sku": ["b"]}, "$or": [{"items": {"count": [1]}}, {"tags": ["z"]}]}}}
            yes {"pattern": {"data": {"items": {"sku": ["b"]}, "$or": [{"items": {"count": [2]}}, {"tags": ["z"]}]}}}
            no  {"pattern": {"$or": ["a"], "type": ["order.placed"]}}
        "#]],
    );
}

#[test]
fn feel_sees_attributes_and_data() {
    check(
        &[
            r#"{"feel": "data.total > 100 and region = \"EU\""}"#,
            r#"{"feel": "count(data.items) = 3"}"#,
            r#"{"feel": "data.missing.thing > 1"}"#,
            r#"{"feel": "\"true\""}"#,
        ],
        expect![[r#"
            yes {"feel": "data.total > 100 and region = \"EU\""}
            no  {"feel": "count(data.items) = 3"}
            no  {"feel": "data.missing.thing > 1"}
            no  {"feel": "\"true\""}
        "#]],
    );
}

#[test]
fn what_is_no_filter_is_refused_with_its_place() {
    let mut seen = String::new();
    for filter in [
        r#""type""#,
        r#"{}"#,
        r#"{"exact": {"type": "a"}, "prefix": {"type": "a"}}"#,
        r#"{"exakt": {"type": "a"}}"#,
        r#"{"regex": {"type": "a"}}"#,
        r#"{"exact": {}}"#,
        r#"{"exact": {"type": ""}}"#,
        r#"{"exact": {"type": 1}}"#,
        r#"{"exact": {"data": "x"}}"#,
        r#"{"exact": {"Type": "x"}}"#,
        r#"{"any": []}"#,
        r#"{"any": [{"exact": {"type": "a"}}, {"sql": "type ="}]}"#,
        r#"{"sql": ""}"#,
        r#"{"sql": "LENGHT(type) > 1"}"#,
        r#"{"sql": "type LIKE subject"}"#,
        r#"{"sql": "'open"}"#,
        r#"{"sql": "99999999999 = 1"}"#,
        r#"{"feel": "data.total >"}"#,
        r#"{"pattern": {}}"#,
        r#"{"pattern": {"type": "x"}}"#,
        r#"{"pattern": {"type": []}}"#,
        r#"{"pattern": {"data": {"a": [{"numerik": [">", 1]}]}}}"#,
        r#"{"pattern": {"data": {"a": [{"numeric": [">"]}]}}}"#,
        r#"{"pattern": {"data": {"a": [{"cidr": "10.0.0.0/33"}]}}}"#,
        r#"{"pattern": {"data": {"a": [{"wildcard": "a**b"}]}}}"#,
        r#"{"pattern": {"data": {"a": [{"anything-but": ["a", 1]}]}}}"#,
    ] {
        let error = Filter::from_value(&json::to_value(filter).unwrap()).unwrap_err();
        seen.push_str(&format!("{filter}\n    {error}\n"));
    }
    expect![[r#"
        "type"
            filter: a filter is an object or a list of them, found string
        {}
            filter: a filter is an object with one language as its key, this one has 0
        {"exact": {"type": "a"}, "prefix": {"type": "a"}}
            filter: a filter is an object with one language as its key, this one has 2
        {"exakt": {"type": "a"}}
            filter: "exakt" is no filter language, did you mean "exact"?
        {"regex": {"type": "a"}}
            filter: "regex" is no filter language; there are exact, prefix, suffix, all, any, not, sql, pattern, feel
        {"exact": {}}
            filter.exact: an object of attribute names and texts is needed, with one at least
        {"exact": {"type": ""}}
            filter.exact.type: the text is empty, and no attribute is
        {"exact": {"type": 1}}
            filter.exact.type: a text is needed, found number
        {"exact": {"data": "x"}}
            filter.exact: "data" is no attribute; names are lower-case letters and digits, and data is for pattern and feel
        {"exact": {"Type": "x"}}
            filter.exact: "Type" is no attribute; names are lower-case letters and digits, and data is for pattern and feel
        {"any": []}
            filter.any: at least one filter is needed
        {"any": [{"exact": {"type": "a"}}, {"sql": "type ="}]}
            filter.any[1].sql: expected an expression at byte 6, found the end
        {"sql": ""}
            filter.sql: the expression is empty
        {"sql": "LENGHT(type) > 1"}
            filter.sql: CESQL has no function LENGHT with these arguments
        {"sql": "type LIKE subject"}
            filter.sql: expected a text in quotes as the pattern of LIKE at byte 10, found `subject`
        {"sql": "'open"}
            filter.sql: expected the closing ' of the text that begins at byte 0 at byte 5, found the end
        {"sql": "99999999999 = 1"}
            filter.sql: expected an integer of 32 bits at byte 0, found `99999999999`
        {"feel": "data.total >"}
            filter.feel: expected an expression, found the end at line 1 column 13
        {"pattern": {}}
            filter.pattern: a pattern names one field at least
        {"pattern": {"type": "x"}}
            filter.pattern.type: accepted values stand in a list, found string alone
        {"pattern": {"type": []}}
            filter.pattern.type: the list of accepted values is empty
        {"pattern": {"data": {"a": [{"numerik": [">", 1]}]}}}
            filter.pattern.data.a[0].numerik: "numerik" is no operator; there are prefix, suffix, equals-ignore-case, wildcard, anything-but, numeric, cidr, exists
        {"pattern": {"data": {"a": [{"numeric": [">"]}]}}}
            filter.pattern.data.a[0].numeric: a list such as [">", 0] or [">", 0, "<=", 5] is needed
        {"pattern": {"data": {"a": [{"cidr": "10.0.0.0/33"}]}}}
            filter.pattern.data.a[0].cidr: "10.0.0.0/33" is no CIDR block such as 10.0.0.0/24
        {"pattern": {"data": {"a": [{"wildcard": "a**b"}]}}}
            filter.pattern.data.a[0].wildcard: two * in a row
        {"pattern": {"data": {"a": [{"anything-but": ["a", 1]}]}}}
            filter.pattern.data.a[0].anything-but: texts and numbers are mixed
    "#]].assert_eq(&seen);
}

#[test]
fn an_explanation_names_the_part_that_failed_and_its_values() {
    let filter = read(
        r#"[{"exact": {"type": "order.Placed"}},
            {"any": [{"prefix": {"subject": "B"}}, {"suffix": {"kind": "x"}}]},
            {"sql": "priority > 5 AND missing = 'x'"},
            {"pattern": {"data": {"customer": {"tier": ["silver"]}}}},
            {"feel": "data.totl > 100"}]"#,
    );
    let event = order();
    let verdict = filter.explain(&Subject::new(&event), &Env::default());
    expect![[r#"
        ✗ all of
          ✗ type is "order.Placed"  (it is "order.placed", which differs in upper and lower case)
          ✗ any of
            ✗ subject begins with "B"  (it is "A-1")
            ✗ kind ends with "x"  (the CloudEvent has no kind)
          ✗ sql: priority > 5 AND missing = 'x'
            ✓ priority  (it is 5)
            ✗ priority > 5  (it is false)
            ✗ priority > 5 AND missing = 'x'  (it is false)
          ✗ pattern  (data.customer.tier is "gold")
          ✗ feel: data.totl > 100  (it is null; [NO_CONTEXT_ENTRY_FOUND] No context entry found with key 'totl'. Available keys: 'total', 'customer', 'state', 'items', 'tags', 'empty'; [NOT_COMPARABLE] Can't compare 'null' with '100')
            ✓ data  (it is {total:120.5, customer:{tier:"gold", ip:"10.0.0.7"}, state:null, items:[{sku:"a", count:1}, {sku:"b", count:2}], tags:["x", "y"], empty:[]})
    "#]].assert_eq(&verdict.to_string());
}

#[test]
fn deep_and_long_expressions_are_refused_and_do_not_overflow() {
    use kapelle_events::filter::Sql;
    let deep = format!("{}1{}", "(".repeat(5_000), ")".repeat(5_000));
    let minus = format!("{}a", "-".repeat(5_000));
    let sum = format!("1{}", " + 1".repeat(3_000));
    let long = "a".repeat(20_000);
    for text in [&deep, &minus, &sum, &long] {
        assert!(Sql::parse(text).is_err(), "{}…", &text[..10]);
    }
    let chain = format!("type = 'x'{}", " OR type = 'order.placed'".repeat(500));
    assert!(Sql::parse(&chain).unwrap().matches(&order()));
    let nested = (0..100).fold("{\"exact\": {\"type\": \"a\"}}".to_owned(), |inner, _| {
        format!("{{\"not\": {inner}}}")
    });
    assert!(Filter::from_value(&json::to_value(&nested).unwrap()).is_err());
}

/// A small generator (xorshift): the same sequence in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }

    fn pick<'t>(&mut self, of: &[&'t str]) -> &'t str {
        of[self.roll(of.len() as u64) as usize]
    }
}

const TYPES: [&str; 6] = [
    "order.placed",
    "order.paid",
    "orders",
    "truck.moved",
    "TRUE",
    "5",
];
const REGIONS: [&str; 4] = ["EU", "US", "TRUE", "5"];

fn random_event(dice: &mut Dice) -> CloudEvent {
    let mut builder = CloudEvent::builder("1", "/s", dice.pick(&TYPES));
    if dice.roll(2) == 0 {
        builder = builder.subject(dice.pick(&["A-1", "B-2", "order.placed"]));
    }
    builder = match dice.roll(4) {
        0 => builder.extension("region", dice.pick(&REGIONS)),
        1 => builder.extension("region", kapelle_events::Value::Boolean(true)),
        2 => builder.extension("region", kapelle_events::Value::Integer(5)),
        _ => builder,
    };
    builder
        .data("application/json", "{\"n\": 5}")
        .build()
        .unwrap()
}

fn random_filter(dice: &mut Dice, depth: u64) -> String {
    let text = if dice.roll(2) == 0 {
        dice.pick(&TYPES)
    } else {
        dice.pick(&REGIONS)
    };
    let name = dice.pick(&["type", "subject", "region"]);
    let many = |dice: &mut Dice| {
        let items: Vec<_> = (0..=dice.roll(3))
            .map(|_| random_filter(dice, depth + 1))
            .collect();
        items.join(",")
    };
    match dice.roll(if depth < 3 { 13 } else { 10 }) {
        0 => format!(r#"{{"exact": {{"{name}": "{text}"}}}}"#),
        1 => format!(r#"{{"prefix": {{"{name}": "{}"}}}}"#, &text[..1]),
        2 => format!(
            r#"{{"suffix": {{"{name}": "{}"}}}}"#,
            &text[text.len() - 1..]
        ),
        3 => format!(r#"{{"sql": "{name} = '{text}'"}}"#),
        4 => format!(
            r#"{{"sql": "'{text}' = {name} OR {name} LIKE '{}%'"}}"#,
            &text[..1]
        ),
        5 => format!(r#"{{"sql": "{name} IN ('{text}', 'EU') AND EXISTS subject"}}"#),
        6 => format!(r#"{{"pattern": {{"{name}": ["{text}", {{"prefix": "o"}}]}}}}"#),
        7 => format!(
            r#"{{"pattern": {{"$or": [{{"{name}": ["{text}"]}}, {{"data": {{"n": [5, 6]}}}}]}}}}"#
        ),
        8 => format!(r#"{{"feel": "{name} = \"{text}\" and data.n = 5"}}"#),
        9 => format!(r#"{{"feel": "{name} = \"{text}\" or data.n = 5"}}"#),
        10 => format!(r#"{{"not": {}}}"#, random_filter(dice, depth + 1)),
        11 => format!(r#"{{"all": [{}]}}"#, many(dice)),
        _ => format!(r#"{{"any": [{}]}}"#, many(dice)),
    }
}

#[test]
fn the_index_finds_exactly_the_filters_that_a_loop_finds() {
    let mut dice = Dice(42);
    let mut found = 0;
    for _ in 0..60 {
        let filters: Vec<_> = (0..60)
            .map(|_| read(&random_filter(&mut dice, 0)))
            .collect();
        let mut index = Index::default();
        for (id, filter) in filters.iter().enumerate() {
            index.insert(id, filter.clone());
        }
        let removed = dice.roll(60) as usize;
        index.remove(&removed);
        for _ in 0..40 {
            let event = random_event(&mut dice);
            let subject = Subject::new(&event);
            let looped: Vec<_> = (0..filters.len())
                .filter(|id| *id != removed && filters[*id].matches(&subject, &Env::default()))
                .collect();
            found += looped.len();
            assert_eq!(
                index.matches(&subject, &Env::default()),
                looped,
                "{event:?}"
            );
        }
    }
    assert!(
        found > 10_000,
        "only {found} matches: the test exercised too little"
    );
}

/// `exact`, `prefix`, `suffix` and their CESQL restatements say the same.
#[test]
fn the_dialects_agree_with_their_restatements_in_cesql() {
    let mut dice = Dice(7);
    let mut passed = 0;
    for _ in 0..5_000 {
        let event = random_event(&mut dice);
        let name = dice.pick(&["type", "subject", "region"]);
        let text = dice.pick(&TYPES);
        let (dialect, sql) = match dice.roll(4) {
            0 => (
                format!(r#"{{"exact": {{"{name}": "{text}"}}}}"#),
                format!("{name} = '{text}'"),
            ),
            1 => (
                format!(
                    r#"{{"prefix": {{"{name}": "{}"}}}}"#,
                    &text[..2.min(text.len())]
                ),
                format!("{name} LIKE '{}%'", &text[..2.min(text.len())]),
            ),
            2 => (
                format!(
                    r#"{{"suffix": {{"{name}": "{}"}}}}"#,
                    &text[text.len() - 1..]
                ),
                format!("{name} LIKE '%{}'", &text[text.len() - 1..]),
            ),
            _ => (
                format!(
                    r#"{{"any": [{{"exact": {{"{name}": "{text}"}}}}, {{"exact": {{"type": "orders"}}}}]}}"#
                ),
                format!("type = 'orders' OR {name} = '{text}'"),
            ),
        };
        let filter = passes(&dialect, &event);
        passed += usize::from(filter);
        assert_eq!(
            filter,
            passes(&format!(r#"{{"sql": "{sql}"}}"#), &event),
            "{dialect} {sql} {event:?}"
        );
    }
    assert!(
        passed > 500,
        "only {passed} passed: the test exercised too little"
    );
}

#[test]
fn a_pattern_matches_any_document() {
    let pattern =
        Pattern::from_value(&json::to_value(r#"{"a": {"b": [1, "x"]}}"#).unwrap()).unwrap();
    for (document, expected) in [
        (r#"{"a": {"b": 1.0}}"#, true),
        (r#"{"a": [{"b": 2}, {"b": ["x"]}]}"#, true),
        (r#"{"a": 1}"#, false),
        ("3", false),
    ] {
        assert_eq!(
            pattern.matches(&json::to_value(document).unwrap()),
            expected,
            "{document}"
        );
    }
}
