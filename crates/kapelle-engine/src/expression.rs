//! Expressions over what an element sees, and what type the engine needs of them.
//!
//! FEEL never fails on a wrong type: it gives null and a warning. Here is where null becomes an incident, with the
//! warnings in its text.

use std::borrow::Cow;
use std::sync::Arc;

use kapelle_feel::{Env, Evaluation, Expr, Value, Variable, Variables};
use kapelle_model::graph::{Text, TimerKind, TimerValue};
use kapelle_model::timer::Schedule;

use crate::ctx::Ctx;
use crate::event::KeyKind;
use crate::ids::{ElementInstanceKey, ProcessInstanceKey};
use crate::problem::Problem;
use crate::state::instance::Instance;

/// Whose variables an expression sees.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Sight<'v> {
    /// Those of an element instance and all scopes around it.
    Scope(ProcessInstanceKey, ElementInstanceKey),
    /// Something else entirely: a CloudEvent, or nothing.
    Other(&'v dyn VariablesDebug),
}

/// [`Variables`] that can be printed.
pub(crate) trait VariablesDebug: Variables + std::fmt::Debug {}
impl<T: Variables + std::fmt::Debug> VariablesDebug for T {}

/// What an element instance sees, with results of earlier mappings in front.
pub(crate) struct Visible<'a> {
    pub(crate) instance: &'a Instance,
    pub(crate) scope: ElementInstanceKey,
    pub(crate) earlier: &'a [(Arc<str>, Value)],
}

impl Variables for Visible<'_> {
    fn get(&self, name: &str) -> Option<Variable<'_>> {
        if let Some((_, value)) = self
            .earlier
            .iter()
            .rev()
            .find(|(earlier, _)| **earlier == *name)
        {
            return Some(Variable::Value(value));
        }
        self.instance
            .visible(self.scope, name)
            .map(|variable| Variable::Stored(&variable.value.0))
    }
}

/// The surroundings of every expression of a decision.
pub(crate) fn env(ctx: &Ctx<'_>) -> Env {
    let steps = ctx.limits().expression_steps_max;
    let limits = kapelle_feel::Limits {
        steps,
        ..kapelle_feel::Limits::default()
    };
    Env {
        now_ms: ctx.now().0,
        seed: ctx.seed(),
        limits,
        ..Env::default()
    }
}

/// Evaluates; a limit or a failed `assert` is a problem of the kind that `problem` makes.
pub(crate) fn evaluate(ctx: &Ctx<'_>, expr: &Expr, sight: Sight<'_>) -> Result<Evaluation, String> {
    let env = env(ctx);
    let result = match sight {
        Sight::Scope(instance, scope) => expr.evaluate(
            &Visible {
                instance: ctx.instance(instance),
                scope,
                earlier: &[],
            },
            &env,
        ),
        Sight::Other(variables) => expr.evaluate(&Widened(variables), &env),
    };
    result.map_err(|error| format!("Failed to evaluate expression '{}': {error}", expr.text()))
}

/// A `VariablesDebug` as plain `Variables`.
struct Widened<'v>(&'v dyn VariablesDebug);

impl Variables for Widened<'_> {
    fn get(&self, name: &str) -> Option<Variable<'_>> {
        self.0.get(name)
    }
}

/// As Zeebe names the types of results.
pub(crate) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "NULL",
        Value::Bool(_) => "BOOLEAN",
        Value::Number(_) => "NUMBER",
        Value::String(_) => "STRING",
        Value::List(_) => "ARRAY",
        Value::Context(_) => "OBJECT",
        Value::Date(_) => "DATE",
        Value::Time(_) => "TIME",
        Value::DateTime(_) => "DATE_TIME",
        Value::DaysTimeDuration(_) => "DURATION",
        Value::YearsMonthsDuration(_) => "PERIOD",
        Value::Range(_) | Value::Function(_) => "UNKNOWN",
    }
}

/// "…, but was 'NULL'." and why it is, if the evaluation said so.
pub(crate) fn unexpected(expr: &Expr, wanted: &str, evaluation: &Evaluation) -> String {
    let mut message = format!(
        "Expected result of the expression '{}' to be {wanted}, but was '{}'.",
        expr.text(),
        type_name(&evaluation.value)
    );
    append_warnings(&mut message, evaluation);
    message
}

fn append_warnings(message: &mut String, evaluation: &Evaluation) {
    if evaluation.warnings.is_empty() {
        return;
    }
    message.push_str(" The evaluation reported the following warnings:");
    for warning in &evaluation.warnings {
        message.push('\n');
        message.push_str(&warning.to_string());
    }
}

/// A condition.
pub(crate) fn boolean(ctx: &Ctx<'_>, expr: &Expr, sight: Sight<'_>) -> Result<bool, Problem> {
    let evaluation = evaluate(ctx, expr, sight).map_err(Problem::extract_value)?;
    evaluation
        .value
        .as_bool()
        .ok_or_else(|| Problem::extract_value(unexpected(expr, "'BOOLEAN'", &evaluation)))
}

/// A text, static or computed.
pub(crate) fn text(ctx: &Ctx<'_>, text: &Text, sight: Sight<'_>) -> Result<Arc<str>, Problem> {
    match text {
        Text::Static(text) => Ok(text.clone()),
        Text::Expr(expr) => {
            let evaluation = evaluate(ctx, expr, sight).map_err(Problem::extract_value)?;
            let text = evaluation.value.as_str().map(Arc::from);
            text.ok_or_else(|| Problem::extract_value(unexpected(expr, "'STRING'", &evaluation)))
        }
    }
}

/// A text that is left out where it computes to null.
pub(crate) fn optional_text(
    ctx: &Ctx<'_>,
    text: Option<&Text>,
    sight: Sight<'_>,
) -> Result<Option<Arc<str>>, Problem> {
    match text {
        None => Ok(None),
        Some(Text::Static(text)) => Ok(Some(text.clone())),
        Some(Text::Expr(expr)) => {
            let evaluation = evaluate(ctx, expr, sight).map_err(Problem::extract_value)?;
            match &evaluation.value {
                Value::Null => Ok(None),
                Value::String(text) => Ok(Some(text.as_str().into())),
                _ => Err(Problem::extract_value(unexpected(
                    expr,
                    "'STRING'",
                    &evaluation,
                ))),
            }
        }
    }
}

/// A whole number, static or computed.
pub(crate) fn whole_number(ctx: &Ctx<'_>, text: &Text, sight: Sight<'_>) -> Result<i32, Problem> {
    match text {
        Text::Static(text) => text.trim().parse().map_err(|_| {
            Problem::extract_value(format!(
                "Expected '{text}' to be a whole number, but it is not."
            ))
        }),
        Text::Expr(expr) => {
            let evaluation = evaluate(ctx, expr, sight).map_err(Problem::extract_value)?;
            let number = evaluation
                .value
                .as_number()
                .and_then(|number| i32::try_from(number.to_i64()?).ok());
            number.ok_or_else(|| Problem::extract_value(unexpected(expr, "'NUMBER'", &evaluation)))
        }
    }
}

/// A correlation key: a text, or a number as text. `None` if it is neither.
pub(crate) fn key_of(value: &Value) -> Option<(Arc<str>, KeyKind)> {
    match value {
        Value::String(text) => Some((text.as_str().into(), KeyKind::Text)),
        Value::Number(number) => Some((number.to_string().into(), KeyKind::Number)),
        _ => None,
    }
}

/// A correlation key of a waiting element.
pub(crate) fn correlation_key(
    ctx: &Ctx<'_>,
    expr: &Expr,
    sight: Sight<'_>,
) -> Result<(Arc<str>, KeyKind), Problem> {
    let evaluation = evaluate(ctx, expr, sight).map_err(Problem::extract_value)?;
    let key = key_of(&evaluation.value).ok_or_else(|| {
        let mut message = format!(
            "Failed to extract the correlation key for '{}': The value must be either a string or a number, but was '{}'.",
            expr.text(),
            type_name(&evaluation.value)
        );
        append_warnings(&mut message, &evaluation);
        Problem::extract_value(message)
    })?;
    check_index_text(ctx, "correlation key", &key.0)?;
    Ok(key)
}

/// A text that is to become part of an index key.
pub(crate) fn check_index_text(ctx: &Ctx<'_>, what: &str, text: &str) -> Result<(), Problem> {
    let max = ctx.limits().index_text_bytes_max;
    if text.len() > max {
        return Err(Problem::limit(format!(
            "Expected the {what} to have at most {max} bytes, but it has {}.",
            text.len()
        )));
    }
    Ok(())
}

/// A timer, static or computed. A temporal value is read by its ISO text.
pub(crate) fn schedule<'t>(
    ctx: &Ctx<'_>,
    kind: TimerKind,
    value: &'t TimerValue,
    sight: Sight<'_>,
) -> Result<Cow<'t, Schedule>, Problem> {
    let expr = match value {
        TimerValue::Static(schedule) => return Ok(Cow::Borrowed(schedule)),
        TimerValue::Expr(expr) => expr,
    };
    let evaluation = evaluate(ctx, expr, sight).map_err(Problem::extract_value)?;
    let text = match &evaluation.value {
        Value::String(text) => Some(text.to_string()),
        Value::Date(_)
        | Value::DateTime(_)
        | Value::DaysTimeDuration(_)
        | Value::YearsMonthsDuration(_) => {
            kapelle_feel::msgpack::as_str(&kapelle_feel::msgpack::to_msgpack(&evaluation.value))
                .map(str::to_owned)
        }
        _ => None,
    };
    let wanted = match kind {
        TimerKind::Date => "'DATE_TIME' or 'STRING'",
        TimerKind::Duration => "'DURATION', 'PERIOD' or 'STRING'",
        TimerKind::Cycle => "'STRING'",
    };
    let text = text.ok_or_else(|| Problem::extract_value(unexpected(expr, wanted, &evaluation)))?;
    let schedule = kind.parse(&text).map_err(|error| {
        Problem::extract_value(format!(
            "Failed to read the timer '{}' that the expression '{}' gave: {error}",
            text,
            expr.text()
        ))
    })?;
    Ok(Cow::Owned(schedule))
}
