//! feel-scala's own assertions, as data. What passes is on record in `conformance/feel.baseline`, which may only grow.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use kapelle_feel::{Env, Expr, Value, json};

/// One line of the suite.
pub(crate) struct Assertion {
    pub(crate) number: usize,
    pub(crate) unary: bool,
    pub(crate) text: String,
    pub(crate) variables: Value,
    /// None where evaluation must fail.
    expected: Option<Expected>,
}

/// A value, and how the suite spells its type.
struct Expected(Value);

#[test]
fn the_assertions_of_feel_scala_pass_as_recorded() {
    let Some(assertions) = load() else { return };
    let mut passed = BTreeSet::new();
    let mut report = String::new();
    for assertion in &assertions {
        match outcome(assertion) {
            Ok(()) => {
                passed.insert(assertion.number);
            }
            Err(reason) => writeln!(
                report,
                "{} {}: {reason}",
                assertion.number,
                assertion.text.trim()
            )
            .unwrap(),
        }
    }
    println!(
        "feel-scala assertions: {} of {} pass\n{report}",
        passed.len(),
        assertions.len()
    );
    compare(&passed, assertions.len());
}

/// The suite, or a loud line that it is not there.
pub(crate) fn load() -> Option<Vec<Assertion>> {
    let folder = match std::env::var_os("KAPELLE_CONFORMANCE") {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/conformance"),
    };
    let path = folder.join("feel/feel-scala-assertions.jsonl");
    let Ok(text) = std::fs::read_to_string(&path) else {
        println!(
            "SKIPPED: feel-scala assertions: {} is missing",
            path.display()
        );
        return None;
    };
    Some(
        text.lines()
            .enumerate()
            .map(|(at, line)| read(at + 1, line))
            .collect(),
    )
}

fn read(number: usize, line: &str) -> Assertion {
    let line = json::to_value(line).unwrap();
    let field = |name: &str| line.as_context().unwrap().get(name).unwrap().clone();
    let mut variables: Vec<(String, Value)> = field("vars")
        .as_context()
        .unwrap()
        .iter()
        .map(|(name, value)| (name.to_owned(), value_of(value)))
        .collect();
    let unary = field("kind").as_str() == Some("unary");
    if unary {
        variables.push(("?".to_owned(), value_of(&field("in"))));
    }
    let expected = field("exp")
        .as_context()
        .unwrap()
        .get("ok")
        .map(|value| Expected(value_of(value)));
    let text = field("e").as_str().unwrap().to_owned();
    Assertion {
        number,
        unary,
        text,
        variables: variables.into_iter().collect(),
        expected,
    }
}

/// A value of the suite's notation, `{"t": TYPE, "v": …}`; temporal ones are made by FEEL's own literals.
fn value_of(tagged: &Value) -> Value {
    let Some(context) = tagged.as_context() else {
        return Value::Null;
    };
    let value = context.get("v").cloned().unwrap_or(Value::Null);
    match context.get("t").and_then(Value::as_str).unwrap() {
        "num" => Value::Number(value.as_str().unwrap().parse().unwrap()),
        "list" => value.as_list().unwrap().iter().map(value_of).collect(),
        "ctx" => value
            .as_context()
            .unwrap()
            .iter()
            .map(|(name, value)| (name, value_of(value)))
            .collect(),
        temporal if temporal.starts_with("T:") => {
            let literal = Expr::parse(&format!("@\"{}\"", value.as_str().unwrap())).unwrap();
            let value = literal.evaluate(&(), &Env::default()).unwrap().value;
            assert!(!value.is_null(), "the suite's temporal value was not read");
            value
        }
        _ => value,
    }
}

pub(crate) fn parse(assertion: &Assertion) -> Result<Expr, kapelle_feel::ParseError> {
    if assertion.unary {
        Expr::parse_unary_tests(&assertion.text)
    } else {
        Expr::parse(&assertion.text)
    }
}

fn outcome(assertion: &Assertion) -> Result<(), String> {
    let evaluated = catch_unwind(AssertUnwindSafe(|| {
        let expr = parse(assertion).map_err(|error| error.to_string())?;
        expr.evaluate(&assertion.variables, &Env::default())
            .map_err(|error| error.to_string())
    }));
    let evaluated = evaluated.map_err(|_| "panicked".to_owned())?;
    match (evaluated, &assertion.expected) {
        (Ok(evaluation), Some(Expected(expected))) if same(&evaluation.value, expected) => Ok(()),
        (Err(_), None) => Ok(()),
        (Ok(evaluation), Some(Expected(expected))) => {
            Err(format!("{} instead of {expected}", evaluation.value))
        }
        (Ok(evaluation), None) => Err(format!("{} instead of a failure", evaluation.value)),
        (Err(error), Some(Expected(expected))) => {
            Err(format!("failed ({error}) instead of {expected}"))
        }
    }
}

/// Equal, and contexts in the same order too.
fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::List(a), Value::List(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::Context(a), Value::Context(b)) => {
            a.len() == b.len()
                && a.iter()
                    .zip(b.iter())
                    .all(|((k, a), (l, b))| k == l && same(a, b))
        }
        _ => left == right,
    }
}

fn compare(passed: &BTreeSet<usize>, total: usize) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conformance/feel.baseline");
    let recorded: BTreeSet<usize> = std::fs::read_to_string(&path)
        .unwrap_or_default()
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.parse().ok())
        .collect();
    let lost: Vec<_> = recorded.difference(passed).collect();
    let gained: Vec<_> = passed.difference(&recorded).collect();
    if std::env::var_os("UPDATE_BASELINE").is_some() {
        assert!(
            lost.is_empty(),
            "the baseline only grows, but these passed before: {lost:?}"
        );
        let lines: Vec<String> = passed.iter().map(usize::to_string).collect();
        let head = format!(
            "# Lines of shared/conformance/feel/feel-scala-assertions.jsonl that pass: {} of {total}.\n\
             # Only grows. UPDATE_BASELINE=1 cargo test -p kapelle-feel rewrites it.\n",
            passed.len()
        );
        std::fs::write(&path, format!("{head}{}\n", lines.join("\n"))).unwrap();
        return;
    }
    assert!(lost.is_empty(), "passed before and fail now: {lost:?}");
    assert!(
        gained.is_empty(),
        "pass now but are not in the baseline (UPDATE_BASELINE=1 adds them): {gained:?}"
    );
}
