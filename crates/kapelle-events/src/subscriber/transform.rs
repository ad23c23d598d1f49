//! Another shape for a subscriber: attributes and data computed from the CloudEvent.
//!
//! **Invariant**: `id`, `source` and the tracing extensions stay unless a transform names them: whoever gets it can find what
//! was stored.

use kapelle_feel::{Env, Expr, Value, json};

use super::read::Fields;
use crate::document::Read;
use crate::filter::Subject;
use crate::{CloudEvent, Timestamp};

/// Expressions for what is to be different.
#[derive(Debug, Clone, PartialEq)]
pub struct Transform {
    attributes: Vec<(Box<str>, Expr)>,
    data: Option<Expr>,
}

/// A CloudEvent cannot be transformed: which part, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("transform.{part}: {why}")]
pub struct TransformError {
    /// The attribute, or `data`.
    pub part: String,
    /// What is wrong.
    pub why: String,
}

impl Transform {
    pub(super) fn from_value(document: &Value, at: &str) -> Read<Self> {
        let fields = Fields::of(document, at)?;
        let mut transform = Self {
            attributes: Vec::new(),
            data: fields.expression("data")?,
        };
        for (name, _) in document
            .as_context()
            .into_iter()
            .flat_map(|context| context.iter())
        {
            if name != "data"
                && let Some(expr) = fields.expression(name)?
            {
                transform.attributes.push((name.into(), expr));
            }
        }
        Ok(transform)
    }

    /// The CloudEvent as the subscriber gets it.
    ///
    /// # Errors
    /// An expression that fails or gives what no attribute can be; trying again cannot help.
    pub fn apply(&self, subject: &Subject<'_>, env: &Env) -> Result<CloudEvent, TransformError> {
        let mut builder = subject.event().to_builder();
        for (name, expr) in &self.attributes {
            let value = evaluate(name, expr, subject, env)?;
            let text = match &value {
                Value::String(text) => text.to_string(),
                Value::Number(_) | Value::Bool(_) => value.to_string(),
                other => {
                    return Err(failed(
                        name,
                        format!("an attribute is a text, found {}", other.type_name()),
                    ));
                }
            };
            builder = match &**name {
                "id" => builder.id(text),
                "source" => builder.source(text),
                "type" => builder.event_type(text),
                "subject" => builder.subject(text),
                "dataschema" => builder.data_schema(text),
                "datacontenttype" => builder.data_content_type(text),
                "time" => match Timestamp::parse(&text) {
                    Some(time) => builder.time(time),
                    None => {
                        return Err(failed(name, format!("\"{text}\" is no RFC 3339 timestamp")));
                    }
                },
                extension => builder.extension(extension, text),
            };
        }
        if let Some(expr) = &self.data {
            let value = evaluate("data", expr, subject, env)?;
            builder = builder.data("application/json", json::from_value(&value).into_bytes());
        }
        builder
            .build()
            .map_err(|error| failed("result", error.to_string()))
    }
}

fn evaluate(
    part: &str,
    expr: &Expr,
    subject: &Subject<'_>,
    env: &Env,
) -> Result<Value, TransformError> {
    match expr.evaluate(subject.context(), env) {
        Ok(evaluation) if evaluation.value.is_null() => {
            let warnings: Vec<_> = evaluation
                .warnings
                .iter()
                .map(ToString::to_string)
                .collect();
            match part {
                // Null is good data, unless something went wrong on the way to it.
                "data" if warnings.is_empty() => Ok(Value::Null),
                _ => Err(failed(
                    part,
                    format!("it is null {}", warnings.join("; "))
                        .trim_end()
                        .to_owned(),
                )),
            }
        }
        Ok(evaluation) => Ok(evaluation.value),
        Err(error) => Err(failed(part, error.to_string())),
    }
}

fn failed(part: &str, why: String) -> TransformError {
    TransformError {
        part: part.to_owned(),
        why,
    }
}
