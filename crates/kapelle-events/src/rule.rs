//! A broker's record that is no CloudEvent becomes one, by FEEL expressions that stand in the configuration of its source.
//!
//! | expression | gives | without it, or where it is null |
//! |---|---|---|
//! | `type` | `type` | needed |
//! | `source` | `source` | `/kapelle/sources/NAME` |
//! | `id` | `id` | a hash of the record, so that one that is delivered again is the same CloudEvent |
//! | `subject`, `time` | `subject`, `time` | none |
//! | `key` | `partitionkey` | none |
//! | `data` | `data`, as JSON | the record's body, byte for byte |
//!
//! Expressions see `payload` (JSON as what it says, other UTF-8 as text, the rest as base64 text), `headers`, and where the record
//! lay under the names that its connector has for that, such as `queue` and `routingKey`. What comes by chance begins at the
//! record's hash: `uuid()` gives the same for the same record.
//!
//! **Invariant**: the same record, rule and time give the same CloudEvent.

use std::cell::OnceCell;
use std::collections::BTreeMap;

use kapelle_feel::{Env, Expr, Value, Variable, Variables, json};

use crate::attribute::{self, PARTITION_KEY};
use crate::{Builder, CloudEvent, Error, IdentityHash, Kind, Limits, Timestamp, context};

/// How a source's records become CloudEvents.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// Gives `type`.
    pub event_type: Expr,
    /// Gives `source`.
    pub source: Option<Expr>,
    /// Gives `id`.
    pub id: Option<Expr>,
    /// Gives `subject`.
    pub subject: Option<Expr>,
    /// Gives `partitionkey`.
    pub key: Option<Expr>,
    /// Gives `time`.
    pub time: Option<Expr>,
    /// Gives the data.
    pub data: Option<Expr>,
}

/// A record as it came.
#[derive(Debug, Clone, Copy)]
pub struct Record<'r> {
    /// The configured source.
    pub source_name: &'r str,
    /// Where it lay, under the names that expressions know.
    pub place: &'r [(&'static str, String)],
    /// Headers and properties.
    pub headers: &'r [(String, String)],
    /// The content type among them.
    pub content_type: Option<&'r str>,
    /// The body.
    pub body: &'r [u8],
    /// Stands for it, however often it is delivered.
    pub identity: IdentityHash,
}

/// What expressions see beside the names of the place.
pub const VARIABLES: [&str; 2] = ["payload", "headers"];

/// A rule runs on a thread that serves the network too: this many steps are some 50 ms.
const STEPS_MAX: u64 = 1_000_000;

impl Rule {
    /// The CloudEvent that a record becomes at that time, which is what `now()` gives.
    ///
    /// # Errors
    /// [`Kind::RuleFailed`] where an expression fails or gives what the attribute cannot be; else what is wrong with the
    /// CloudEvent.
    pub fn apply(
        &self,
        record: &Record<'_>,
        now_ms: i64,
        limits: &Limits,
    ) -> Result<CloudEvent, Error> {
        let run = Run::new(record, now_ms);
        let Some(event_type) = run.text("type", Some(&self.event_type))? else {
            return Err(failed("type", "it is null"));
        };
        let source = run.text("source", self.source.as_ref())?;
        let id = run.text("id", self.id.as_ref())?;
        let mut builder = CloudEvent::builder(
            id.unwrap_or_else(|| record.identity.to_string()),
            source.unwrap_or_else(|| default_source(record.source_name)),
            event_type,
        );
        if let Some(subject) = run.text("subject", self.subject.as_ref())? {
            builder = builder.subject(subject);
        }
        if let Some(key) = run.text("key", self.key.as_ref())? {
            builder = builder.extension(PARTITION_KEY, key);
        }
        if let Some(time) = run.time(self.time.as_ref())? {
            builder = builder.time(time);
        }
        self.with_data(builder, &run)?.build_within(limits)
    }

    /// Whether the data may differ from the record's body, which is then to be kept beside it.
    pub fn makes_data(&self) -> bool {
        self.data.is_some()
    }

    /// The names of all expressions with what they are.
    pub fn expressions(&self) -> impl Iterator<Item = (&'static str, &Expr)> {
        let optional = [
            ("source", &self.source),
            ("id", &self.id),
            ("subject", &self.subject),
            ("key", &self.key),
            ("time", &self.time),
            ("data", &self.data),
        ];
        let optional = optional
            .into_iter()
            .filter_map(|(name, expr)| Some((name, expr.as_ref()?)));
        std::iter::once(("type", &self.event_type)).chain(optional)
    }

    fn with_data(&self, builder: Builder, run: &Run<'_>) -> Result<Builder, Error> {
        let record = run.record;
        if let Some(expr) = &self.data {
            let (value, warnings) = run.evaluate("data", expr)?;
            // Null is good data, unless something went wrong on the way to it.
            if value.is_null() && !warnings.is_empty() {
                return Err(failed("data", format!("it is null: {warnings}")));
            }
            return Ok(builder.data("application/json", json::from_value(&value).into_bytes()));
        }
        let builder = match record.content_type.filter(|text| !text.is_empty()) {
            Some(content_type) => builder.data_content_type(content_type),
            None => builder,
        };
        Ok(match record.body {
            [] => builder,
            body => builder.bare_data(body),
        })
    }
}

/// One record under the expressions of one rule.
struct Run<'r> {
    record: &'r Record<'r>,
    env: Env,
    payload: OnceCell<Vec<u8>>,
    headers: OnceCell<Value>,
    place: Vec<(&'static str, Value)>,
}

impl<'r> Run<'r> {
    fn new(record: &'r Record<'r>, now_ms: i64) -> Self {
        let IdentityHash(hash) = record.identity;
        let [seed @ .., _, _, _, _, _, _, _, _] = hash;
        Self {
            record,
            env: Env {
                now_ms,
                seed: u64::from_be_bytes(seed),
                limits: kapelle_feel::Limits {
                    steps: STEPS_MAX,
                    ..kapelle_feel::Limits::default()
                },
                ..Env::default()
            },
            payload: OnceCell::new(),
            headers: OnceCell::new(),
            place: record
                .place
                .iter()
                .map(|(name, text)| (*name, Value::from(text.as_str())))
                .collect(),
        }
    }

    /// The value, and what went wrong on the way to it.
    fn evaluate(&self, name: &'static str, expr: &Expr) -> Result<(Value, String), Error> {
        let evaluation = expr
            .evaluate(self, &self.env)
            .map_err(|error| failed(name, error.to_string()))?;
        let warnings: Vec<_> = evaluation
            .warnings
            .iter()
            .map(ToString::to_string)
            .collect();
        Ok((evaluation.value, warnings.join("; ")))
    }

    /// A text; null is none, unless it is the type, whose null has a reason.
    fn text(&self, name: &'static str, expr: Option<&Expr>) -> Result<Option<String>, Error> {
        let Some(expr) = expr else { return Ok(None) };
        let (value, warnings) = self.evaluate(name, expr)?;
        match value {
            Value::String(text) => Ok(Some(text.to_string())),
            Value::Number(_) | Value::Bool(_) => Ok(Some(value.to_string())),
            Value::Null if name == "type" && !warnings.is_empty() => {
                Err(failed(name, format!("it is null: {warnings}")))
            }
            Value::Null => Ok(None),
            other => Err(failed(
                name,
                format!("it is a {}, but must be a text", other.type_name()),
            )),
        }
    }

    fn time(&self, expr: Option<&Expr>) -> Result<Option<Timestamp>, Error> {
        let Some(text) = self.time_text(expr)? else {
            return Ok(None);
        };
        Timestamp::parse(&text).map(Some).ok_or_else(|| {
            failed(
                "time",
                format!("\"{text}\" is no RFC 3339 timestamp such as 2026-01-31T12:00:00Z"),
            )
        })
    }

    fn time_text(&self, expr: Option<&Expr>) -> Result<Option<String>, Error> {
        let Some(expr) = expr else { return Ok(None) };
        match self.evaluate("time", expr)?.0 {
            Value::Null => Ok(None),
            Value::String(text) => Ok(Some(text.to_string())),
            time @ Value::DateTime(_) => Ok(Some(time.to_string())),
            other => Err(failed(
                "time",
                format!(
                    "it is a {}, but must be a date and time, or the text of one",
                    other.type_name()
                ),
            )),
        }
    }
}

impl Variables for Run<'_> {
    fn get(&self, name: &str) -> Option<Variable<'_>> {
        let Record {
            headers,
            body,
            content_type,
            ..
        } = self.record;
        match name {
            "payload" => Some(Variable::Stored(self.payload.get_or_init(|| {
                let is_json = content_type.is_none_or(attribute::is_json);
                context::stored(body, is_json)
            }))),
            "headers" => Some(Variable::Value(self.headers.get_or_init(|| {
                let mut entries = BTreeMap::new();
                for (name, text) in *headers {
                    // Of a name that comes twice the first counts: properties stand before headers.
                    entries
                        .entry(name.as_str())
                        .or_insert_with(|| Value::from(text.as_str()));
                }
                Value::from_iter(entries)
            }))),
            _ => self
                .place
                .iter()
                .find(|(known, _)| *known == name)
                .map(|(_, value)| Variable::Value(value)),
        }
    }
}

fn failed(attribute: &'static str, why: impl Into<String>) -> Error {
    Kind::RuleFailed {
        attribute,
        why: why.into(),
    }
    .into()
}

/// A name may hold what a URI must not.
fn default_source(name: &str) -> String {
    let mut source = String::from("/kapelle/sources/");
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            source.push(char::from(byte));
        } else {
            source.push_str(&format!("%{byte:02X}"));
        }
    }
    source
}
