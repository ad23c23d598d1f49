//! Why a CloudEvent passes a filter, or does not: each part with what it found.

use std::fmt;

use kapelle_feel::{Env, Expr, Value, Variable, Variables, msgpack};

use super::{Filter, Sql, Subject};

/// What one part of a filter came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Whether the CloudEvent passes it.
    pub passed: bool,
    /// The part, as it is written.
    pub part: String,
    /// What was there, and what is striking about it.
    pub found: String,
    /// The parts inside.
    pub inner: Vec<Verdict>,
}

impl Verdict {
    fn new(passed: bool, part: impl Into<String>, found: impl Into<String>) -> Self {
        Self {
            passed,
            part: part.into(),
            found: found.into(),
            inner: Vec::new(),
        }
    }

    fn of(passed: bool, part: &str, inner: Vec<Self>) -> Self {
        Self {
            passed,
            part: part.to_owned(),
            found: String::new(),
            inner,
        }
    }
}

/// One line a part, indented.
impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(self, 0, f)
    }
}

fn write(verdict: &Verdict, depth: usize, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mark = if verdict.passed { "✓" } else { "✗" };
    write!(
        f,
        "{:indent$}{mark} {}",
        "",
        verdict.part,
        indent = 2 * depth
    )?;
    if !verdict.found.is_empty() {
        write!(f, "  ({})", verdict.found)?;
    }
    writeln!(f)?;
    verdict
        .inner
        .iter()
        .try_for_each(|inner| write(inner, depth + 1, f))
}

impl Filter {
    /// What each part of the filter comes to for a CloudEvent.
    #[must_use]
    pub fn explain(&self, subject: &Subject<'_>, env: &Env) -> Verdict {
        let inside = |filters: &[Filter]| {
            filters
                .iter()
                .map(|filter| filter.explain(subject, env))
                .collect::<Vec<_>>()
        };
        let passed = self.matches(subject, env);
        match self {
            Self::Exact(attributes) => {
                attribute_tests(passed, "is", attributes, subject, |found, wanted| {
                    found == wanted
                })
            }
            Self::Prefix(attributes) => attribute_tests(
                passed,
                "begins with",
                attributes,
                subject,
                |found, wanted| found.starts_with(wanted),
            ),
            Self::Suffix(attributes) => {
                attribute_tests(passed, "ends with", attributes, subject, |found, wanted| {
                    found.ends_with(wanted)
                })
            }
            Self::All(filters) => Verdict::of(passed, "all of", inside(filters)),
            Self::Any(filters) => Verdict::of(passed, "any of", inside(filters)),
            Self::Not(filter) => Verdict::of(passed, "not", vec![filter.explain(subject, env)]),
            Self::Sql(sql) => explain_sql(passed, sql, subject),
            Self::Pattern(pattern) => {
                let found = pattern.mismatch(subject.document()).unwrap_or_default();
                Verdict::new(passed, "pattern", found)
            }
            Self::Feel(expr) => explain_feel(passed, expr, subject, env),
        }
    }
}

fn attribute_tests(
    passed: bool,
    relation: &str,
    attributes: &[(Box<str>, Box<str>)],
    subject: &Subject<'_>,
    test: fn(&str, &str) -> bool,
) -> Verdict {
    let mut verdicts: Vec<_> = attributes
        .iter()
        .map(|(name, wanted)| {
            let part = format!("{name} {relation} \"{wanted}\"");
            let Some(found) = subject.text(name) else {
                return Verdict::new(false, part, format!("the CloudEvent has no {name}"));
            };
            let passed = test(&found, wanted);
            let only_case = !passed && test(&found.to_lowercase(), &wanted.to_lowercase());
            let hint = if only_case {
                ", which differs in upper and lower case"
            } else {
                ""
            };
            Verdict::new(passed, part, format!("it is \"{found}\"{hint}"))
        })
        .collect();
    match verdicts.len() {
        1 => verdicts.remove(0),
        _ => Verdict::of(passed, "all of", verdicts),
    }
}

/// Parts that are literals tell nothing and are left out.
fn explain_sql(passed: bool, sql: &Sql, subject: &Subject<'_>) -> Verdict {
    let mut verdict = Verdict::new(passed, format!("sql: {}", sql.text()), String::new());
    for part in sql.explain(subject.event()) {
        let value = part.evaluation.value.to_string();
        if value == part.text || part.text.starts_with(['\'', '"']) {
            continue;
        }
        let found = match &part.evaluation.error {
            Some(error) => error.to_string(),
            None => format!("it is {value}"),
        };
        let holds = part.evaluation.error.is_none() && value != "false";
        verdict.inner.push(Verdict::new(holds, part.text, found));
    }
    verdict
}

fn explain_feel(passed: bool, expr: &Expr, subject: &Subject<'_>, env: &Env) -> Verdict {
    let found = match expr.evaluate(subject.context(), env) {
        Err(error) => error.to_string(),
        Ok(evaluation) => {
            let warnings = evaluation
                .warnings
                .iter()
                .map(|warning| format!("; {warning}"));
            format!("it is {}{}", evaluation.value, warnings.collect::<String>())
        }
    };
    let mut verdict = Verdict::new(passed, format!("feel: {}", expr.text()), found);
    for name in expr.variables() {
        let value = match subject.context().get(name) {
            None => continue,
            Some(Variable::Value(value)) => value.clone(),
            Some(Variable::Stored(bytes)) => msgpack::from_msgpack(bytes).unwrap_or(Value::Null),
        };
        verdict.inner.push(Verdict::new(
            !value.is_null(),
            name.to_string(),
            format!("it is {value}"),
        ));
    }
    verdict
}
