//! Now and today (of the record), days of weeks, months and years.

use super::{Call, Failure, Outcome, Overload, function};
use crate::temporal::{Date, DateTime};
use crate::value::Value;

pub(super) const FUNCTIONS: &[Overload] = &[
    function("now", &[], |call| Ok(Value::DateTime(Box::new(now(call)?)))),
    function("today", &[], |call| Ok(Value::Date(now(call)?.date()))),
    function("day of week", &["date"], day_of_week),
    function("day of year", &["date"], |call| {
        Ok(Value::from(i64::from(day(call)?.day_of_year())))
    }),
    function("week of year", &["date"], |call| {
        Ok(Value::from(i64::from(day(call)?.week_of_year())))
    }),
    function("month of year", &["date"], month_of_year),
    function("last day of month", &["date"], |call| {
        Ok(Value::Date(day(call)?.last_day_of_month()))
    }),
];

const WEEKDAYS: [&str; 7] = [
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
];

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

fn now(call: &Call<'_, '_>) -> Result<DateTime, Failure> {
    let env = call.meter.env;
    DateTime::from_epoch_nanos(i128::from(env.now_ms) * 1_000_000, env.zone).ok_or(Failure::Illegal)
}

fn day(call: &Call<'_, '_>) -> Result<Date, Failure> {
    match call.value(0) {
        Value::Date(date) => Ok(*date),
        Value::DateTime(at) => Ok(at.date()),
        _ => Err(Failure::Illegal),
    }
}

fn day_of_week(call: &mut Call<'_, '_>) -> Outcome {
    let name = WEEKDAYS.get(usize::from(day(call)?.weekday()) - 1);
    Ok(name.copied().map_or(Value::Null, Value::from))
}

fn month_of_year(call: &mut Call<'_, '_>) -> Outcome {
    let name = MONTHS.get(usize::from(day(call)?.month()) - 1);
    Ok(name.copied().map_or(Value::Null, Value::from))
}
