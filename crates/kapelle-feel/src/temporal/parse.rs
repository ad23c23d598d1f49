//! Temporal values from their ISO 8601 texts.
//!
//! Deliberately absent: week dates and ordinal dates. feel-scala refuses them too.

use std::str::FromStr;

use super::{Date, DateTime, DaysTimeDuration, Time, YearsMonthsDuration, Zone};
use crate::value::Value;

/// The text is no day, time or duration of that kind, or there is no such one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a valid {0}")]
pub struct ParseTemporalError(&'static str);

/// What `@"…"` means: whichever temporal value the text is.
pub(crate) fn parse_literal(text: &str) -> Option<Value> {
    if let Ok(date) = text.parse() {
        return Some(Value::Date(date));
    }
    if let Ok(at) = text.parse::<DateTime>() {
        return Some(Value::DateTime(Box::new(at)));
    }
    if let Ok(time) = text.parse::<Time>() {
        return Some(Value::Time(Box::new(time)));
    }
    parse_duration(text)
}

/// A duration of either kind. Zero days come before zero months: `P0D` is a span of time.
pub(crate) fn parse_duration(text: &str) -> Option<Value> {
    match text.parse() {
        Ok(duration) => Some(Value::DaysTimeDuration(duration)),
        Err(_) => text.parse().ok().map(Value::YearsMonthsDuration),
    }
}

/// Reads what stands next and goes on.
struct Reader<'t> {
    rest: &'t str,
}

impl<'t> Reader<'t> {
    fn take(&mut self, prefix: char) -> bool {
        let rest = self.rest.strip_prefix(prefix);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn digits(&mut self) -> &'t str {
        let len = self.rest.bytes().take_while(u8::is_ascii_digit).count();
        let (digits, rest) = self.rest.split_at(len);
        self.rest = rest;
        digits
    }

    /// A number of exactly that many digits.
    fn fixed(&mut self, len: usize) -> Option<i64> {
        let digits = self.digits();
        if digits.len() == len {
            digits.parse().ok()
        } else {
            None
        }
    }

    /// `.5` as nanoseconds; at most nine digits.
    fn fraction(&mut self) -> Option<u32> {
        if !self.take('.') {
            return Some(0);
        }
        let digits = self.digits();
        if digits.is_empty() || digits.len() > 9 {
            return None;
        }
        format!("{digits:0<9}").parse().ok()
    }
}

fn read_date(reader: &mut Reader<'_>) -> Option<Date> {
    let negative = reader.take('-');
    let digits = reader.digits();
    // Four digits, or more without a needless zero in front.
    let long = digits.len() > 4;
    if digits.len() < 4 || digits.len() > 9 || (long && digits.starts_with('0')) {
        return None;
    }
    let year: i64 = digits.parse().ok()?;
    let month = reader.take('-').then(|| reader.fixed(2))??;
    let day = reader.take('-').then(|| reader.fixed(2))??;
    Date::new(if negative { -year } else { year }, month, day)
}

/// Nanoseconds of the day, without a zone.
fn read_clock(reader: &mut Reader<'_>) -> Option<Time> {
    let hour = reader.fixed(2)?;
    let minute = reader.take(':').then(|| reader.fixed(2))??;
    let (second, nanos) = if reader.take(':') {
        (reader.fixed(2)?, reader.fraction()?)
    } else {
        (0, 0)
    };
    Time::new(hour, minute, second, nanos, Zone::Local)
}

/// Nothing, `Z`, an offset, `@Region`, or an offset and a region in brackets as Java writes it.
fn read_zone(rest: &str) -> Option<Zone> {
    if rest.is_empty() {
        return Some(Zone::Local);
    }
    if let Some(region) = rest.strip_prefix('@') {
        return Zone::parse(region);
    }
    if let Some((_, region)) = rest.strip_suffix(']').and_then(|rest| rest.split_once('[')) {
        return Zone::parse(region);
    }
    if rest == "Z" || rest.starts_with(['+', '-']) {
        Zone::parse(rest)
    } else {
        None
    }
}

impl FromStr for Date {
    type Err = ParseTemporalError;

    fn from_str(text: &str) -> Result<Date, ParseTemporalError> {
        let mut reader = Reader { rest: text };
        read_date(&mut reader)
            .filter(|_| reader.rest.is_empty())
            .ok_or(ParseTemporalError("date"))
    }
}

impl FromStr for Time {
    type Err = ParseTemporalError;

    fn from_str(text: &str) -> Result<Time, ParseTemporalError> {
        let mut reader = Reader {
            rest: text.strip_prefix('T').unwrap_or(text),
        };
        let clock = read_clock(&mut reader);
        let zone = read_zone(reader.rest);
        match (clock, zone) {
            (Some(clock), Some(zone)) => {
                Ok(Time::from_nanos_of_day(clock.nanos_of_day().into(), zone))
            }
            _ => Err(ParseTemporalError("time")),
        }
    }
}

impl FromStr for DateTime {
    type Err = ParseTemporalError;

    fn from_str(text: &str) -> Result<DateTime, ParseTemporalError> {
        let error = ParseTemporalError("date and time");
        let (date, time) = text.split_once('T').ok_or(error)?;
        if time.starts_with('T') {
            return Err(error);
        }
        let mut date: Date = date.parse().map_err(|_| error)?;
        let midnight;
        let mut time = time;
        if let Some(zone) = time.strip_prefix("24:00:00") {
            // The end of a day is the beginning of the next.
            date = date.plus_days(1).ok_or(error)?;
            midnight = format!("00:00:00{zone}");
            time = &midnight;
        }
        DateTime::new(date, time.parse().map_err(|_| error)?).ok_or(error)
    }
}

/// The parts of a duration: signs, numbers and letters.
struct Parts {
    negative: bool,
    /// Whole number, nanoseconds, letter, after the `T` or not. The sign is in both numbers.
    parts: Vec<(i64, i64, char, bool)>,
}

fn duration_parts(text: &str) -> Option<Parts> {
    let mut reader = Reader { rest: text };
    let negative = reader.take('-');
    if !reader.take('P') {
        return None;
    }
    let mut parts = Vec::new();
    let mut time = false;
    while !reader.rest.is_empty() {
        if !time && reader.take('T') {
            time = true;
            if reader.rest.is_empty() {
                return None;
            }
        }
        let minus = reader.take('-');
        let sign = if minus { -1 } else { 1 };
        let number: i64 = reader.digits().parse().ok()?;
        let nanos = i64::from(reader.fraction()?);
        let letter = reader
            .rest
            .chars()
            .next()
            .filter(char::is_ascii_uppercase)?;
        reader.take(letter);
        if nanos != 0 && letter != 'S' {
            return None;
        }
        parts.push((sign * number, sign * nanos, letter, time));
    }
    if parts.is_empty() {
        None
    } else {
        Some(Parts { negative, parts })
    }
}

/// Letters must come in their order and once each.
fn in_order(parts: &Parts, order: &[(char, bool)]) -> bool {
    let mut rest = order.iter();
    parts
        .parts
        .iter()
        .all(|(_, _, letter, time)| rest.any(|known| known == &(*letter, *time)))
}

impl FromStr for DaysTimeDuration {
    type Err = ParseTemporalError;

    fn from_str(text: &str) -> Result<DaysTimeDuration, ParseTemporalError> {
        let error = ParseTemporalError("days and time duration");
        let parts = duration_parts(text).ok_or(error)?;
        if !in_order(
            &parts,
            &[('D', false), ('H', true), ('M', true), ('S', true)],
        ) {
            return Err(error);
        }
        let nanos = parts.parts.iter().map(|(number, nanos, letter, _)| {
            let seconds = match letter {
                'D' => 86_400,
                'H' => 3_600,
                'M' => 60,
                _ => 1,
            };
            i128::from(*number) * seconds * 1_000_000_000 + i128::from(*nanos)
        });
        let nanos: i128 = nanos.sum();
        DaysTimeDuration::from_nanos(if parts.negative { -nanos } else { nanos }).ok_or(error)
    }
}

impl FromStr for YearsMonthsDuration {
    type Err = ParseTemporalError;

    fn from_str(text: &str) -> Result<YearsMonthsDuration, ParseTemporalError> {
        let error = ParseTemporalError("years and months duration");
        let parts = duration_parts(text).ok_or(error)?;
        if !in_order(&parts, &[('Y', false), ('M', false)]) {
            return Err(error);
        }
        let months = parts
            .parts
            .iter()
            .try_fold(0i64, |sum, (number, _, letter, _)| {
                let months = number.checked_mul(if *letter == 'Y' { 12 } else { 1 })?;
                sum.checked_add(months)
            });
        let months = months.ok_or(error)?;
        YearsMonthsDuration::from_months(if parts.negative { -months } else { months }).ok_or(error)
    }
}

#[cfg(test)]
mod tests;
