//! `not`, `is`, `is defined`, `get or else`, `assert`.

use super::{Call, Failure, Outcome, Overload, function};
use crate::eval::same;
use crate::expr::EvalError;
use crate::value::Value;

pub(super) const FUNCTIONS: &[Overload] = &[
    function("not", &["negand"], not),
    function("is", &["value1", "value2"], is),
    function("is defined", &["value"], is_defined),
    function("get or else", &["value", "default"], get_or_else),
    function("assert", &["value", "condition"], assert),
    function("assert", &["value", "condition", "cause"], assert),
];

fn not(call: &mut Call<'_, '_>) -> Outcome {
    match call.value(0) {
        Value::Bool(value) => Ok(Value::Bool(!value)),
        Value::Null => Ok(Value::Null),
        _ => Err(Failure::Illegal),
    }
}

/// The same in type, content and zone: where `=` compares moments, this compares clocks.
fn is(call: &mut Call<'_, '_>) -> Outcome {
    let (left, right) = (call.value(0).clone(), call.value(1).clone());
    let answer = match (&left, &right) {
        (Value::Time(_), _) | (Value::DateTime(_), _) => left == right,
        _ => same(&left, &right, call.meter)?,
    };
    Ok(Value::Bool(answer))
}

/// Null counts as not defined, as in feel-scala since 1.17.
fn is_defined(call: &mut Call<'_, '_>) -> Outcome {
    Ok(Value::Bool(!call.value(0).is_null()))
}

fn get_or_else(call: &mut Call<'_, '_>) -> Outcome {
    Ok(call.value(usize::from(call.value(0).is_null())).clone())
}

/// The only function whose failure is not null.
fn assert(call: &mut Call<'_, '_>) -> Outcome {
    if call.value(1).as_bool() == Some(true) {
        return Ok(call.value(0).clone());
    }
    let cause = match call.value(2) {
        Value::String(cause) => cause.to_string(),
        _ => "the condition is not fulfilled".to_owned(),
    };
    Err(Failure::Stop(Box::new(EvalError::Assert(cause))))
}
