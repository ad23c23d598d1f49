//! Values of one type from values of another.

use std::cmp::Ordering;

use super::arguments::number;
use super::{Call, Failure, Outcome, Overload, function};
use crate::eval::{Order, order};
use crate::json;
use crate::number::Number;
use crate::parser::parse_range;
use crate::temporal::{Date, DateTime, Time, Zone, parse_duration};
use crate::value::{Context, Text, Value};

pub(super) const FUNCTIONS: &[Overload] = &[
    function("date", &["from"], date),
    function("date", &["year", "month", "day"], date_of_parts),
    function("time", &["from"], time),
    function("time", &["hour", "minute", "second"], time_of_parts),
    function(
        "time",
        &["hour", "minute", "second", "offset"],
        time_of_parts,
    ),
    function("date and time", &["from"], date_and_time),
    function("date and time", &["date", "time"], date_and_time_of_parts),
    function(
        "date and time",
        &["date", "timezone"],
        date_and_time_of_parts,
    ),
    function("number", &["from"], number_of),
    function(
        "number",
        &["from", "grouping separator"],
        number_with_separators,
    ),
    function(
        "number",
        &["from", "grouping separator", "decimal separator"],
        number_with_separators,
    ),
    function("string", &["from"], string),
    function("duration", &["from"], duration),
    function(
        "years and months duration",
        &["from", "to"],
        years_and_months,
    ),
    function("context", &["entries"], context),
    function("range", &["from"], range),
    function("from json", &["value"], from_json),
    function("to json", &["value"], to_json),
];

fn date(call: &mut Call<'_, '_>) -> Outcome {
    match call.value(0) {
        Value::String(text) => text
            .parse()
            .map(Value::Date)
            .map_err(|_| invalid("date", text)),
        Value::Date(date) => Ok(Value::Date(*date)),
        Value::DateTime(at) => Ok(Value::Date(at.date())),
        _ => Err(Failure::Illegal),
    }
}

fn invalid(kind: &str, text: &str) -> Failure {
    let shown: String = text.chars().take(60).collect();
    Failure::Reason(format!("Failed to parse {kind} from '{shown}'"))
}

fn date_of_parts(call: &mut Call<'_, '_>) -> Outcome {
    let date = Date::new(call.integer(0)?, call.integer(1)?, call.integer(2)?);
    date.map(Value::Date).ok_or(Failure::Illegal)
}

fn time(call: &mut Call<'_, '_>) -> Outcome {
    let time = match call.value(0) {
        Value::String(text) => text.parse().map_err(|_| invalid("time", text))?,
        Value::Time(time) => **time,
        Value::DateTime(at) => at.time(),
        Value::Date(_) => Time::from_nanos_of_day(0, Zone::UTC),
        _ => return Err(Failure::Illegal),
    };
    Ok(Value::Time(Box::new(time)))
}

fn time_of_parts(call: &mut Call<'_, '_>) -> Outcome {
    let zone = match call.value(3) {
        Value::Null => Zone::Local,
        Value::DaysTimeDuration(offset) => {
            let seconds = offset.nanos() / 1_000_000_000;
            let seconds = i32::try_from(seconds)
                .ok()
                .filter(|s| s.abs() <= 18 * 3_600)
                .ok_or(Failure::Illegal)?;
            Zone::Offset(seconds)
        }
        _ => return Err(Failure::Illegal),
    };
    let second = call.integer(2)?;
    let fraction = call
        .number(2)?
        .sub(Number::from(second))
        .and_then(|f| f.mul(Number::from(1_000_000_000)));
    let nanos = fraction
        .and_then(Number::truncate_i64)
        .and_then(|n| u32::try_from(n).ok())
        .ok_or(Failure::Illegal)?;
    let time = Time::new(call.integer(0)?, call.integer(1)?, second, nanos, zone)
        .ok_or(Failure::Illegal)?;
    Ok(Value::Time(Box::new(time)))
}

fn moment(at: Option<DateTime>) -> Outcome {
    at.map(|at| Value::DateTime(Box::new(at)))
        .ok_or(Failure::Illegal)
}

fn date_and_time(call: &mut Call<'_, '_>) -> Outcome {
    match call.value(0) {
        Value::String(text) => match text.parse::<Date>() {
            Ok(date) => moment(midnight(date)),
            Err(_) => moment(Some(
                text.parse().map_err(|_| invalid("date and time", text))?,
            )),
        },
        Value::DateTime(at) => Ok(Value::DateTime(at.clone())),
        Value::Date(date) => moment(midnight(*date)),
        _ => Err(Failure::Illegal),
    }
}

fn midnight(date: Date) -> Option<DateTime> {
    DateTime::new(date, Time::new(0, 0, 0, 0, Zone::Local)?)
}

/// A day with a time, or a moment on the clock of another zone.
fn date_and_time_of_parts(call: &mut Call<'_, '_>) -> Outcome {
    match (call.value(0), call.value(1)) {
        (Value::Date(date), Value::Time(time)) => moment(DateTime::new(*date, **time)),
        (Value::DateTime(at), Value::Time(time)) => moment(DateTime::new(at.date(), **time)),
        (Value::DateTime(at), Value::String(zone)) => {
            let zone = Zone::parse(zone).ok_or_else(|| invalid("time zone", zone))?;
            moment(at.at_zone(zone))
        }
        _ => Err(Failure::Illegal),
    }
}

fn number_of(call: &mut Call<'_, '_>) -> Outcome {
    match call.value(0) {
        Value::String(text) => text
            .parse()
            .map(Value::Number)
            .map_err(|_| invalid("number", text)),
        Value::Number(number) => Ok(Value::Number(*number)),
        _ => Err(Failure::Illegal),
    }
}

/// A separator of null is none. The two must differ, and only the usual ones are known.
fn number_with_separators(call: &mut Call<'_, '_>) -> Outcome {
    let text = call.text(0)?;
    let separator = |at: usize, known: &[&str]| match call.value(at) {
        Value::Null => Ok(None),
        Value::String(separator) if known.contains(&separator.as_str()) => {
            Ok(Some(separator.clone()))
        }
        _ => Err(Failure::Illegal),
    };
    let grouping = separator(1, &[" ", ".", ","])?;
    let decimal = separator(2, &[".", ","])?;
    if grouping.is_some() && grouping == decimal {
        return Err(Failure::Illegal);
    }
    let mut plain = text.to_string();
    if let Some(grouping) = grouping {
        plain = plain.replace(grouping.as_str(), "");
    }
    if let Some(decimal) = decimal.filter(|decimal| decimal != ".") {
        if plain.contains('.') {
            return Err(invalid("number", &text));
        }
        plain = plain.replace(decimal.as_str(), ".");
    }
    number(plain.parse().ok())
}

fn string(call: &mut Call<'_, '_>) -> Outcome {
    match call.value(0) {
        Value::Null => Ok(Value::Null),
        Value::String(text) => Ok(Value::String(text.clone())),
        value => {
            call.meter.bytes(value.shape().bytes)?;
            Ok(Value::from(call.value(0).to_string()))
        }
    }
}

fn duration(call: &mut Call<'_, '_>) -> Outcome {
    match call.value(0) {
        Value::String(text) => parse_duration(text).ok_or_else(|| invalid("duration", text)),
        value @ (Value::DaysTimeDuration(_) | Value::YearsMonthsDuration(_)) => Ok(value.clone()),
        _ => Err(Failure::Illegal),
    }
}

fn years_and_months(call: &mut Call<'_, '_>) -> Outcome {
    let day = |at: usize| match call.value(at) {
        Value::Date(date) => Ok(*date),
        Value::DateTime(at) => Ok(at.date()),
        _ => Err(Failure::Illegal),
    };
    let months = day(1)?.months_since(day(0)?).ok_or(Failure::Illegal)?;
    Ok(Value::YearsMonthsDuration(months))
}

/// A range of literals, as text.
fn range(call: &mut Call<'_, '_>) -> Outcome {
    let text = call.text(0)?;
    call.meter.steps(text.len() as u64)?; // Parsing takes longer than reading.
    let range = parse_range(&text).ok_or_else(|| invalid("range", &text))?;
    if let (Some(low), Some(high)) = (range.start.value(), range.end.value())
        && order(low, high, call.meter)? == Order::Is(Ordering::Greater)
    {
        return Err(invalid("range", &text));
    }
    Ok(Value::Range(Box::new(range)))
}

/// From a list of `{key, value}`.
fn context(call: &mut Call<'_, '_>) -> Outcome {
    let entries = match call.value(0) {
        Value::List(list) => list.as_slice(),
        single @ Value::Context(_) => std::slice::from_ref(single),
        _ => return Err(Failure::Illegal),
    };
    let entry = |entry: &Value| -> Option<(Text, Value)> {
        let entry = entry.as_context()?;
        match entry.get("key")? {
            Value::String(key) => Some((key.clone(), entry.get("value")?.clone())),
            _ => None,
        }
    };
    let entries: Option<Vec<_>> = entries.iter().map(entry).collect();
    entries
        .map(|entries| Value::Context(Context::new(entries)))
        .ok_or(Failure::Illegal)
}

fn from_json(call: &mut Call<'_, '_>) -> Outcome {
    let text = call.text(0)?;
    // Each value takes at least two characters, its separator included.
    call.meter
        .bytes(text.len() as u64 / 2 * crate::value::Shape::BASE)?;
    json::to_value(&text).map_err(|error| Failure::Reason(format!("Failed to read JSON: {error}")))
}

fn to_json(call: &mut Call<'_, '_>) -> Outcome {
    call.meter.bytes(
        call.arguments
            .first()
            .map_or(0, |value| value.shape().bytes),
    )?;
    Ok(Value::from(json::from_value(call.value(0))))
}
