//! Rounding, remainders, roots, logarithms.

use super::arguments::number;
use super::{Call, Failure, Outcome, Overload, function};
use crate::number::{Number, Rounding};
use crate::value::Value;

pub(super) const FUNCTIONS: &[Overload] = &[
    function("decimal", &["n", "scale"], |call| {
        round(call, Rounding::HalfEven)
    }),
    function("decimal", &["n", "scale", "mode"], decimal_with_mode),
    function("floor", &["n"], |call| round(call, Rounding::Floor)),
    function("floor", &["n", "scale"], |call| {
        round(call, Rounding::Floor)
    }),
    function("ceiling", &["n"], |call| round(call, Rounding::Ceiling)),
    function("ceiling", &["n", "scale"], |call| {
        round(call, Rounding::Ceiling)
    }),
    function("round up", &["n", "scale"], |call| {
        round(call, Rounding::Up)
    }),
    function("round down", &["n", "scale"], |call| {
        round(call, Rounding::Down)
    }),
    function("round half up", &["n", "scale"], |call| {
        round(call, Rounding::HalfUp)
    }),
    function("round half down", &["n", "scale"], |call| {
        round(call, Rounding::HalfDown)
    }),
    function("abs", &["n|number"], abs),
    function("modulo", &["dividend", "divisor"], modulo),
    function("sqrt", &["number"], |call| number(call.number(0)?.sqrt())),
    function("log", &["number"], log),
    function("exp", &["number"], |call| {
        number(Number::from_f64(call.number(0)?.to_f64().exp()))
    }),
    function("odd", &["number"], |call| parity(call, 1)),
    function("even", &["number"], |call| parity(call, 0)),
    function("random number", &[], random_number),
];

/// To so many decimals; without a scale to a whole number.
fn round(call: &mut Call<'_, '_>, mode: Rounding) -> Outcome {
    let scale = if call.arguments.len() > 1 {
        call.integer(1)?
    } else {
        0
    };
    // DMN's bounds for a scale, those of decimal128.
    let scale = i32::try_from(scale)
        .ok()
        .filter(|scale| (-6111..=6176).contains(scale))
        .ok_or(Failure::Illegal)?;
    number(call.number(0)?.round(scale, mode))
}

fn decimal_with_mode(call: &mut Call<'_, '_>) -> Outcome {
    let mode = Rounding::from_name(&call.text(2)?).ok_or(Failure::Illegal)?;
    round(call, mode)
}

fn abs(call: &mut Call<'_, '_>) -> Outcome {
    match call.value(0) {
        Value::Number(number) => Ok(Value::Number(number.abs())),
        Value::DaysTimeDuration(span) if span.nanos() < 0 => span
            .negated()
            .map(Value::DaysTimeDuration)
            .ok_or(Failure::Illegal),
        Value::YearsMonthsDuration(span) if span.months() < 0 => span
            .negated()
            .map(Value::YearsMonthsDuration)
            .ok_or(Failure::Illegal),
        value @ (Value::DaysTimeDuration(_) | Value::YearsMonthsDuration(_)) => Ok(value.clone()),
        _ => Err(Failure::Illegal),
    }
}

fn modulo(call: &mut Call<'_, '_>) -> Outcome {
    number(call.number(0)?.modulo(call.number(1)?))
}

fn log(call: &mut Call<'_, '_>) -> Outcome {
    let argument = call.number(0)?;
    if argument <= Number::ZERO {
        return Err(Failure::Illegal);
    }
    number(Number::from_f64(argument.to_f64().ln()))
}

fn parity(call: &mut Call<'_, '_>, remainder: i64) -> Outcome {
    let argument = call.number(0)?;
    if !argument.is_integer() {
        return Ok(Value::Bool(false));
    }
    let rest = argument.modulo(Number::from(2)).ok_or(Failure::Illegal)?;
    Ok(Value::Bool(rest == Number::from(remainder)))
}

/// From 0 to below 1, of the sequence that the record's seed begins.
fn random_number(call: &mut Call<'_, '_>) -> Outcome {
    const BITS: u32 = 53; // As many as a double holds.
    let drawn = call.meter.random() >> (64 - BITS);
    number(Number::from_f64(drawn as f64 / (1u64 << BITS) as f64))
}
