//! FEEL: the parser, and the evaluator over variables as they are stored.

use std::fmt::Debug;

use kapelle_feel::{
    Env, Evaluation, Expr, Limits, Number, StoredMap, Value, Variable, Variables, json, msgpack,
};

use super::{KIB, MIB};
use crate::Target;
use crate::seeds::{Seeds, joined, texts};

pub const PARSE: Target = Target {
    name: "feel_parse",
    run: parse,
    seeds: |seeds| {
        for (text, _) in examples(seeds) {
            seeds.add(text);
        }
    },
    dictionary: DICTIONARY,
    len_max: 4 * KIB,
    bytes_max: 16 * MIB,
    cpu_ms_max: 300,
};

pub const EVALUATE: Target = Target {
    name: "feel_eval",
    run: |input| evaluate(input, Expr::parse),
    seeds,
    dictionary: DICTIONARY,
    len_max: 2 * KIB,
    bytes_max: 64 * MIB,
    cpu_ms_max: 2_000,
};

pub const UNARY: Target = Target {
    name: "feel_unary",
    run: |input| evaluate(input, Expr::parse_unary_tests),
    seeds,
    dictionary: DICTIONARY,
    len_max: 2 * KIB,
    bytes_max: 64 * MIB,
    cpu_ms_max: 2_000,
};

/// Low enough to be met often. A step is about 50 ns, so whatever takes longer than a fraction of a second does work that
/// nobody counts.
const LIMITS: Limits = Limits {
    steps: 100_000,
    bytes: 1 << 20,
    depth: 200,
};

fn parse(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    let lines = text.lines().count().max(1);
    for parse in [Expr::parse, Expr::parse_unary_tests] {
        match parse(text) {
            Ok(expr) => {
                assert_eq!(expr.text(), text);
                let again = parse(text).expect("what was accepted is accepted again");
                assert_eq!(again.variables(), expr.variables());
                assert!(expr.required_texts().count() <= text.len());
            }
            Err(error) => {
                assert_eq!(
                    parse(text),
                    Err(error.clone()),
                    "a refusal is always the same"
                );
                // One past the end is a place, too.
                assert!((1..=lines + 1).contains(&(error.line as usize)), "{error}");
                assert!(
                    error.column >= 1 && error.column as usize <= text.chars().count() + 1,
                    "{error}"
                );
                assert!(error.message.len() < 1_000 + text.len(), "{error}");
            }
        }
    }
}

fn evaluate(input: &[u8], parse: fn(&str) -> Result<Expr, kapelle_feel::ParseError>) {
    let Some(parts) = texts(input) else {
        return;
    };
    let Ok(expr) = parse(parts[0]) else {
        return;
    };
    let stored = stored_variables(parts.get(1).copied().unwrap_or("{}"));
    let env = Env {
        now_ms: 1_700_000_000_123,
        seed: 7,
        limits: LIMITS,
        ..Env::default()
    };
    let result = expr.evaluate(&StoredMap(&stored), &env);
    assert_eq!(
        shown(&expr.evaluate(&StoredMap(&stored), &env)),
        shown(&result),
        "an evaluation is a function"
    );
    let Ok(evaluation) = result else {
        return;
    };
    check_result(&evaluation);
    // Only the names that it says it reads count.
    let named = Named {
        names: expr.variables(),
        stored: &stored,
    };
    let Ok(again) = expr.evaluate(&named, &env) else {
        panic!("it reads what it did not name");
    };
    assert_eq!(
        shown_value(&again),
        shown_value(&evaluation),
        "it reads what it did not name"
    );
    // Decoding first makes no difference, as long as that is within the limits.
    let decoded = msgpack::from_msgpack(&stored).expect("valid bytes are read");
    if let Ok(other) = expr.evaluate(&decoded, &env) {
        assert_eq!(
            shown_value(&other),
            shown_value(&evaluation),
            "stored and decoded variables are the same"
        );
    }
    if evaluation.value == Value::Bool(true) {
        for (name, text) in expr.required_texts() {
            let found = decoded
                .as_context()
                .and_then(|variables| variables.get(name));
            assert_eq!(
                found,
                Some(&Value::from(text)),
                "it is true without what it requires of {name}"
            );
        }
    }
}

/// What comes out can be stored, read back, written and printed.
fn check_result(evaluation: &Evaluation) {
    let bytes = msgpack::to_msgpack(&evaluation.value);
    msgpack::validate(&bytes).unwrap_or_else(|error| panic!("a result cannot be stored: {error}"));
    let text = json::from_msgpack(&bytes);
    assert_eq!(
        json::to_msgpack(text.as_bytes()).as_ref(),
        Ok(&bytes),
        "{text}"
    );
    assert!(
        evaluation
            .warnings
            .iter()
            .all(|warning| warning.to_string().len() < 100 * KIB)
    );
    check_print(&evaluation.value);
}

/// Scalars are printed so that FEEL reads them back.
fn check_print(value: &Value) {
    let printed = value.to_string();
    match value {
        Value::Number(number) => {
            assert_eq!(printed.parse::<Number>().as_ref(), Ok(number), "{printed}");
        }
        Value::Date(_)
        | Value::Time(_)
        | Value::DateTime(_)
        | Value::DaysTimeDuration(_)
        | Value::YearsMonthsDuration(_) => {
            let literal =
                Expr::parse(&format!("@\"{printed}\"")).expect("a literal is an expression");
            let again = literal
                .evaluate(&(), &Env::default())
                .expect("a literal has a value")
                .value;
            assert_eq!(&again, value, "{printed}");
        }
        Value::List(items) => items.as_slice().iter().take(20).for_each(check_print),
        Value::Context(context) => context
            .iter()
            .take(20)
            .for_each(|(_, value)| check_print(value)),
        _ => {}
    }
}

fn shown(result: &impl Debug) -> String {
    format!("{result:?}")
}

/// Order of contexts and spelling of numbers count, so as text.
fn shown_value(evaluation: &Evaluation) -> String {
    evaluation.value.to_string()
}

fn stored_variables(text: &str) -> Vec<u8> {
    let stored = json::to_msgpack(text.as_bytes()).ok();
    stored
        .filter(|stored| msgpack::validate_map(stored).is_ok())
        .unwrap_or_else(|| vec![0x80])
}

/// Some of the variables.
struct Named<'a> {
    names: &'a [std::sync::Arc<str>],
    stored: &'a [u8],
}

impl Variables for Named<'_> {
    fn get(&self, name: &str) -> Option<Variable<'_>> {
        let is_named = self.names.iter().any(|other| &**other == name);
        let stored = msgpack::get(self.stored, name).filter(|_| is_named)?;
        Some(Variable::Stored(stored))
    }
}

fn seeds(seeds: &mut Seeds) {
    for (text, variables) in examples(seeds) {
        seeds.add(joined(&[&text, &variables]));
    }
}

/// Expressions and the JSON of their variables.
fn examples(seeds: &mut Seeds) -> Vec<(String, String)> {
    let own = EXAMPLES
        .lines()
        .map(|line| (line.to_owned(), VARIABLES.to_owned()));
    let suite = seeds
        .suite_files("feel", "feel-scala-assertions.jsonl")
        .concat();
    let suite = String::from_utf8(suite).expect("the suite is text");
    own.chain(suite.lines().filter_map(assertion)).collect()
}

/// One line of feel-scala's assertions.
fn assertion(line: &str) -> Option<(String, String)> {
    let line = json::to_value(line).ok()?;
    let line = line.as_context()?;
    let variables: Vec<(String, Value)> = line
        .get("vars")?
        .as_context()?
        .iter()
        .map(|(name, value)| (name.to_owned(), untagged(value)))
        .chain(
            line.get("in")
                .map(|input| ("?".to_owned(), untagged(input))),
        )
        .collect();
    let variables: Value = variables.into_iter().collect();
    Some((
        line.get("e")?.as_str()?.to_owned(),
        json::from_value(&variables),
    ))
}

/// The value without the suite's notation `{"t": TYPE, "v": …}`.
fn untagged(tagged: &Value) -> Value {
    let Some(context) = tagged.as_context() else {
        return Value::Null;
    };
    let value = context.get("v").cloned().unwrap_or(Value::Null);
    match context.get("t").and_then(Value::as_str) {
        Some("num") => value
            .as_str()
            .and_then(|text| text.parse().ok())
            .map_or(Value::Null, Value::Number),
        Some("list") => value
            .as_list()
            .into_iter()
            .flat_map(|list| list.as_slice())
            .map(untagged)
            .collect(),
        Some("ctx") => value
            .as_context()
            .into_iter()
            .flat_map(|context| context.iter())
            .map(|(name, value)| (name.to_owned(), untagged(value)))
            .collect(),
        _ => value,
    }
}

const VARIABLES: &str = r#"{"?": 7, "a": 1, "b": "text", "order": {"items": [{"price": 12.5, "name": "x"}, {"price": 3, "name": "y"}], "tier": "gold", "at": "2024-02-29T10:00:00Z"}, "n": null, "flags": [true, false, null], "big": 12345678901234567890, "long": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}"#;

const EXAMPLES: &str = r#"order.items[price > 10].name
a + 1 - 2 * 3 / 4 ** 2
if a > 0 then "yes" else "no"
for x in 1..10, y in [1, 2] return x * y + count(partial)
some x in order.items satisfies x.price > 3 and every y in flags satisfies y = true
{a: 1, "b c": a + 1, f: function(x, y) x + y, g: f(1, y: 2)}
@"2024-02-29" + @"P1Y2M" - duration("P3DT4H")
date and time("2024-03-31T02:30:00@Europe/Berlin") - @"PT1H"
(1..10], [a..b), ]1..2[, <3, >=4, not(1, 2)
a between 1 and 10 or b in ("x", "text") and n != null
`odd name` + order.`tier`
[1, 2, 3][-1] instance of number
string join(for i in order.items return i.name, ", ")
matches(long, "^(a+)+$", "i") and contains(b, "ex") and split(b, "[et]") = []
substring("foo🐎bar", -4, 2) + upper case(b) + replace(b, "(t)", "$1$1")
sort(order.items, function(x, y) x.price < y.price)
sum(order.items.price) / mean([1, 2, 3.5]) + median(1, 2) + stddev(2, 4, 7, 5)
get or else(missing.path, "none") = is defined(a)
context merge([{a: 1}, {b: 2}]) = context put({a: 1}, ["x", "y"], 2)
overlaps before([1..5], [4..9]) and includes([1..10], a)
decimal(1/3, 10) + round half up(2.5, 0) + modulo(-7, 3) + floor(-1.5) + exp(1)
day of week(@"2024-02-29") + string(today()) + string(now()) + uuid() + string(random number())
"a\nb\u00e4\"" + "\\" // comment
/* comment */ ? > 5 and ? < 10
distinct values(union([1, 2], [2, 3])) = flatten([[1], [2, [3]]])
number("1,000.5", ",", ".") = 1000.5
partition([1, 2, 3, 4, 5], 2)
list replace([1, 2, 3], 2, 9) = insert before([1, 3], 2, 2)"#;

const DICTIONARY: &str = r#"and
or
not(
if 
 then 
 else 
for x in 
 return 
some x in 
every x in 
 satisfies 
 between 
 in 
 instance of 
function(x) 
null
true
false
item
partial
..
**
!=
<=
>=
->
?
@"
"
`
//
/*
*/
\u
\U
list<
context<
%%
date(
time(
date and time(
duration(
years and months duration(
string(
number(
context(
string length(
substring(
substring before(
substring after(
upper case(
lower case(
contains(
starts with(
ends with(
matches(
replace(
split(
extract(
trim(
string join(
is blank(
to base64(
list contains(
count(
min(
max(
sum(
product(
mean(
median(
stddev(
mode(
all(
any(
sublist(
append(
concatenate(
insert before(
remove(
reverse(
index of(
union(
distinct values(
duplicate values(
flatten(
sort(
partition(
list replace(
is empty(
decimal(
floor(
ceiling(
round up(
round down(
round half up(
round half down(
abs(
modulo(
sqrt(
log(
exp(
odd(
even(
random number(
now(
today(
day of week(
day of year(
week of year(
month of year(
last day of month(
get value(
get entries(
context put(
context merge(
get or else(
is defined(
assert(
before(
after(
meets(
overlaps(
includes(
during(
starts(
finishes(
coincides(
uuid(
fromAi(
@Europe/Berlin
+02:00
P1Y
PT1H
2024-02-29
T10:00:00
9999999999999999999999999999999999
0.000000000000000000000000000000001"#;
