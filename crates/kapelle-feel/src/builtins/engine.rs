//! Functions that Camunda's engine adds to the language.

use super::{Call, Failure, Outcome, Overload, function};
use crate::value::Value;

pub(super) const FUNCTIONS: &[Overload] = &[
    function("cycle", &["interval"], |call| cycle(call, 0)),
    function("cycle", &["repetitions", "interval"], |call| cycle(call, 1)),
    function("fromAi", &["value"], from_ai),
    function("fromAi", &["value", "description"], from_ai),
    function("fromAi", &["value", "description", "type"], from_ai),
    function(
        "fromAi",
        &["value", "description", "type", "schema"],
        from_ai,
    ),
    function(
        "fromAi",
        &["value", "description", "type", "schema", "options"],
        from_ai,
    ),
];

/// A timer's cycle as ISO 8601 has it: `R3/PT1H`, without a number for ever.
fn cycle(call: &mut Call<'_, '_>, interval: usize) -> Outcome {
    let repetitions = match (interval, call.value(0)) {
        (1, Value::Number(_)) => call.integer(0)?.to_string(),
        (0, _) | (_, Value::Null) => String::new(),
        _ => return Err(Failure::Illegal),
    };
    match call.value(interval) {
        span @ (Value::DaysTimeDuration(_) | Value::YearsMonthsDuration(_)) => {
            Ok(Value::from(format!("R{repetitions}/{span}")))
        }
        _ => Err(Failure::Illegal),
    }
}

/// Marks a value as one that a language model fills in. To the engine it is the value.
fn from_ai(call: &mut Call<'_, '_>) -> Outcome {
    Ok(call.value(0).clone())
}
