//! ISO-8601 date-times and durations as text.
//!
//! Invariant: what is written reads back as the same value. Deliberately absent: week dates, ordinal dates and local
//! date-times, which BPMN timers do not have.

use std::fmt;

use super::Period;
use super::calendar::{DAY_MS, Date, date_from_days, days_from_date, days_in_month};

type Reason = &'static str;

/// Reads digits and separators from left to right.
struct Cursor<'a> {
    rest: &'a str,
}

impl<'a> Cursor<'a> {
    fn take(&mut self, wanted: char) -> bool {
        match self.rest.strip_prefix(wanted) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, wanted: char, reason: Reason) -> Result<(), Reason> {
        if self.take(wanted) {
            Ok(())
        } else {
            Err(reason)
        }
    }

    fn digits(&mut self) -> &'a str {
        let end = self
            .rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(self.rest.len());
        let (digits, rest) = self.rest.split_at(end);
        self.rest = rest;
        digits
    }

    /// Exactly `count` digits as a number.
    fn number(&mut self, count: usize, reason: Reason) -> Result<u32, Reason> {
        let digits = self.rest.get(..count).ok_or(reason)?;
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(reason);
        }
        self.rest = &self.rest[count..];
        digits.parse().map_err(|_| reason)
    }

    /// `.` or `,` and digits, as milliseconds, the rest cut off.
    fn fraction_ms(&mut self) -> Result<i64, Reason> {
        if !self.take('.') && !self.take(',') {
            return Ok(0);
        }
        let digits = self.digits();
        if digits.is_empty() || digits.len() > 9 {
            return Err("a fraction of a second has 1 to 9 digits");
        }
        let padded = format!("{digits:0<3}");
        padded[..3]
            .parse()
            .map_err(|_| "a fraction of a second has 1 to 9 digits")
    }
}

/// `2027-05-01T12:00[:00[.000]]` with `Z` or `±hh[:mm]`, and an optional `[Zone/Name]` that is not looked at.
pub(super) fn parse_date_time(text: &str) -> Result<i64, Reason> {
    let mut at = Cursor { rest: text };
    let shape = "expected year-month-dayThour:minute:second";
    let year = i64::from(at.number(4, shape)?);
    at.expect('-', shape)?;
    let month = at.number(2, shape)?;
    at.expect('-', shape)?;
    let day = at.number(2, shape)?;
    if !at.take('T') && !at.take('t') {
        return Err("the time after T is missing");
    }
    let hour = at.number(2, shape)?;
    at.expect(':', shape)?;
    let minute = at.number(2, shape)?;
    let second = if at.take(':') {
        at.number(2, shape)?
    } else {
        0
    };
    let ms = at.fraction_ms()?;
    let offset = parse_offset(&mut at)?;
    if !(1..=12).contains(&month) || day == 0 || day > days_in_month(year, month) {
        return Err("there is no such day");
    }
    if hour > 23 || minute > 59 || second > 59 {
        return Err("there is no such time of day");
    }
    let seconds = i64::from(hour * 3600 + minute * 60 + second);
    Ok(days_from_date(Date { year, month, day }) * DAY_MS + seconds * 1000 + ms - offset * 1000)
}

fn parse_offset(at: &mut Cursor<'_>) -> Result<i64, Reason> {
    let missing = "it needs Z or an offset such as +02:00 at the end";
    let seconds = if at.take('Z') || at.take('z') {
        0
    } else {
        let sign = if at.take('+') {
            1
        } else if at.take('-') {
            -1
        } else {
            return Err(missing);
        };
        let hours = at.number(2, missing)?;
        let minutes = if at.take(':') {
            at.number(2, missing)?
        } else {
            0
        };
        if hours > 18 || minutes > 59 {
            return Err("an offset is at most 18 hours");
        }
        sign * i64::from(hours * 3600 + minutes * 60)
    };
    if at.rest.is_empty() || (at.rest.starts_with('[') && at.rest.ends_with(']')) {
        Ok(seconds)
    } else {
        Err("there is text after its end")
    }
}

/// `PnYnMnWnDTnHnMnS`, each part optional and signed, seconds with a fraction, the whole with a sign.
pub(super) fn parse_period(text: &str) -> Result<Period, Reason> {
    let upper = text.to_ascii_uppercase();
    let mut at = Cursor { rest: &upper };
    let negative = at.take('-');
    if !negative {
        at.take('+');
    }
    at.expect('P', "it must begin with P")?;
    let mut parts = Parts {
        months: 0,
        ms: 0,
        next: 0,
        negative,
    };
    let mut in_time = false;
    let mut seen = false;
    while !at.rest.is_empty() {
        if !in_time && at.take('T') {
            in_time = true;
            seen = false;
            continue;
        }
        parts.read(&mut at, in_time)?;
        seen = true;
    }
    if seen {
        parts.finish()
    } else {
        Err("there is no number in it")
    }
}

struct Parts {
    months: i64,
    ms: i64,
    /// Position in the order of units that the next one must not be before.
    next: usize,
    negative: bool,
}

impl Parts {
    /// Unit, whether it stands behind `T`, and its length: months for the first two, milliseconds for the rest.
    const UNITS: [(char, bool, i64); 7] = [
        ('Y', false, 12),
        ('M', false, 1),
        ('W', false, 7 * DAY_MS),
        ('D', false, DAY_MS),
        ('H', true, 3_600_000),
        ('M', true, 60_000),
        ('S', true, 1000),
    ];

    fn read(&mut self, at: &mut Cursor<'_>, in_time: bool) -> Result<(), Reason> {
        let minus = at.take('-');
        if !minus {
            at.take('+');
        }
        let too_large = "the number is too large";
        let digits = at.digits();
        if digits.is_empty() {
            return Err("expected a number");
        }
        let number: i64 = digits.parse().map_err(|_| too_large)?;
        let has_fraction = at.rest.starts_with(['.', ',']);
        let fraction = at.fraction_ms()?;
        let unit = at
            .rest
            .chars()
            .next()
            .ok_or("a unit is missing after the number")?;
        let found = Self::UNITS
            .iter()
            .enumerate()
            .skip(self.next)
            .find(|(_, (name, time, _))| *name == unit && *time == in_time);
        let (index, (_, _, length)) =
            found.ok_or("units are Y M W D, then T, then H M S, in this order and once each")?;
        if has_fraction && unit != 'S' {
            return Err("only seconds may have a fraction");
        }
        at.take(unit);
        self.next = index + 1;
        let amount = number
            .checked_mul(*length)
            .and_then(|amount| amount.checked_add(fraction))
            .ok_or(too_large)?;
        let amount = if minus != self.negative {
            -amount
        } else {
            amount
        };
        let total = if index < 2 {
            &mut self.months
        } else {
            &mut self.ms
        };
        *total = total.checked_add(amount).ok_or(too_large)?;
        Ok(())
    }

    fn finish(self) -> Result<Period, Reason> {
        // A hundred thousand years: far beyond use, far within what calendar arithmetic can carry.
        let limit_months = 1_200_000;
        if self.months.abs() > limit_months
            || self.ms.unsigned_abs() > 36_525_000 * DAY_MS.unsigned_abs()
        {
            return Err("it is longer than a hundred thousand years");
        }
        let months = i32::try_from(self.months).map_err(|_| "the number is too large")?;
        Ok(Period {
            months,
            ms: self.ms,
        })
    }
}

pub(super) fn write_date_time(f: &mut fmt::Formatter<'_>, ms: i64) -> fmt::Result {
    let Date { year, month, day } = date_from_days(ms.div_euclid(DAY_MS));
    let time = ms.rem_euclid(DAY_MS);
    let (hour, minute, second) = (time / 3_600_000, time / 60_000 % 60, time / 1000 % 60);
    write!(
        f,
        "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}"
    )?;
    if time % 1000 != 0 {
        write!(f, ".{:03}", time % 1000)?;
    }
    f.write_str("Z")
}

pub(super) fn write_period(f: &mut fmt::Formatter<'_>, period: Period) -> fmt::Result {
    if period == Period::default() {
        return f.write_str("PT0S");
    }
    f.write_str("P")?;
    let (years, months) = (period.months / 12, period.months % 12);
    let days = period.ms / DAY_MS;
    for (amount, unit) in [
        (i64::from(years), 'Y'),
        (i64::from(months), 'M'),
        (days, 'D'),
    ] {
        if amount != 0 {
            write!(f, "{amount}{unit}")?;
        }
    }
    let time = period.ms % DAY_MS;
    if time == 0 {
        return Ok(());
    }
    f.write_str("T")?;
    for (amount, unit) in [(time / 3_600_000, 'H'), (time / 60_000 % 60, 'M')] {
        if amount != 0 {
            write!(f, "{amount}{unit}")?;
        }
    }
    let ms = time % 60_000;
    if ms == 0 {
        return Ok(());
    }
    let sign = if ms < 0 { "-" } else { "" };
    write!(f, "{sign}{}", ms.abs() / 1000)?;
    if ms % 1000 != 0 {
        write!(f, ".{:03}", ms.abs() % 1000)?;
    }
    f.write_str("S")
}
