//! Cron in the six-field form Camunda uses: `second minute hour day-of-month month day-of-week`, and `@daily` and friends.
//!
//! Invariant: an accepted expression has a next time after every moment. Both day fields must match, as in Spring.
//! Deliberately absent: years as a seventh field, and time zones.

use super::calendar::{DAY_MS, Date, date_from_days, days_from_date, days_in_month, weekday};

/// 2000-01-01, from where an expression is tried: a leap year, and far from the calendar's ends.
const TRIAL_MS: i64 = 946_684_800_000;

/// A 29th of February on a given weekday can be 40 years away (across 2100); nothing takes longer.
const SEARCH_MONTHS: i64 = 41 * 12;

/// The year 262,000 or so: behind it nothing is due any more, so a saturated "now" cannot overflow a search.
const LAST_DAY: i64 = 95_000_000;

/// A cron expression, ready to be asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cron {
    text: String,
    seconds: u64,
    minutes: u64,
    hours: u64,
    days: Vec<Day>,
    months: u64,
    weekdays: Vec<Weekday>,
}

/// One alternative of the day-of-month field.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Day {
    /// Bits 1 to 31.
    Set(u64),
    /// `L`, `L-3`: so many days before the last.
    Last(u32),
    /// `LW`: the last working day.
    LastWorking,
    /// `15W`: the working day nearest to it in the same month.
    Nearest(u32),
}

/// One alternative of the day-of-week field; 0 is Sunday.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Weekday {
    Set(u64),
    /// `5L`: the last such day of the month.
    Last(u32),
    /// `5#2`: the second such day of the month.
    Nth(u32, u32),
}

const MONTHS: [&str; 12] = [
    "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
];
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

impl Cron {
    /// As it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let expanded = match text.to_ascii_lowercase().as_str() {
            "@yearly" | "@annually" => "0 0 0 1 1 *",
            "@monthly" => "0 0 0 1 * *",
            "@weekly" => "0 0 0 * * 0",
            "@daily" | "@midnight" => "0 0 0 * * *",
            "@hourly" => "0 0 * * * *",
            _ => text,
        };
        let fields: Vec<&str> = expanded.split_whitespace().collect();
        let [second, minute, hour, day, month, week] = fields.as_slice() else {
            return Err(format!(
                "expected 6 fields (second minute hour day month weekday), found {}",
                fields.len()
            ));
        };
        let cron = Self {
            text: text.to_owned(),
            seconds: set(second, "second", 0, 59, &[])?,
            minutes: set(minute, "minute", 0, 59, &[])?,
            hours: set(hour, "hour", 0, 23, &[])?,
            days: day.split(',').map(parse_day).collect::<Result<_, _>>()?,
            months: set(month, "month", 1, 12, &MONTHS)?,
            weekdays: week
                .split(',')
                .map(parse_weekday)
                .collect::<Result<_, _>>()?,
        };
        if cron.search(TRIAL_MS).is_none() {
            return Err("it never comes true".to_owned());
        }
        Ok(cron)
    }

    /// The first matching second after `from_ms`.
    pub(super) fn next_after(&self, from_ms: i64) -> i64 {
        // `None` only at the end of the calendar, where "never" is the right answer.
        self.search(from_ms).unwrap_or(i64::MAX)
    }

    fn search(&self, from_ms: i64) -> Option<i64> {
        let second = from_ms.div_euclid(1000).saturating_add(1);
        let first_day = second.div_euclid(86_400).max(-LAST_DAY);
        if first_day > LAST_DAY {
            return None;
        }
        if self.matches_day(first_day)
            && let Some(time) = self.next_time(second.rem_euclid(86_400))
        {
            return Some(first_day * DAY_MS + time * 1000);
        }
        let time = self.next_time(0)?;
        let mut date = date_from_days(first_day + 1);
        for _ in 0..SEARCH_MONTHS {
            if has(self.months, date.month) {
                let first = days_from_date(date);
                let count = i64::from(days_in_month(date.year, date.month) - date.day);
                if let Some(day) = (first..=first + count).find(|day| self.matches_day(*day)) {
                    return Some(day * DAY_MS + time * 1000);
                }
            }
            date = if date.month == 12 {
                Date {
                    year: date.year + 1,
                    month: 1,
                    day: 1,
                }
            } else {
                Date {
                    month: date.month + 1,
                    day: 1,
                    ..date
                }
            };
        }
        None
    }

    /// The first matching second of day that is not before `from`.
    fn next_time(&self, from: i64) -> Option<i64> {
        let from = u32::try_from(from).expect("invariant: a second of day fits");
        let (mut hour, mut minute, mut second) = (from / 3600, from / 60 % 60, from % 60);
        loop {
            let next = first(self.hours, hour, 23)?;
            if next != hour {
                (hour, minute, second) = (next, 0, 0);
            }
            let Some(next) = first(self.minutes, minute, 59) else {
                (hour, minute, second) = (hour + 1, 0, 0);
                continue;
            };
            if next != minute {
                (minute, second) = (next, 0);
            }
            if let Some(second) = first(self.seconds, second, 59) {
                return Some(i64::from(hour * 3600 + minute * 60 + second));
            }
            (minute, second) = (minute + 1, 0);
        }
    }

    fn matches_day(&self, day: i64) -> bool {
        let date = date_from_days(day);
        has(self.months, date.month)
            && self
                .days
                .iter()
                .any(|wanted| matches_day_of_month(*wanted, date, day))
            && self
                .weekdays
                .iter()
                .any(|wanted| matches_weekday(*wanted, date, day))
    }
}

fn matches_day_of_month(wanted: Day, date: Date, day: i64) -> bool {
    let last = days_in_month(date.year, date.month);
    let first_of_month = day - i64::from(date.day) + 1;
    match wanted {
        Day::Set(days) => has(days, date.day),
        Day::Last(before) => date.day + before == last,
        Day::LastWorking => date.day == nearest_working(last, last, first_of_month),
        Day::Nearest(wanted) => {
            wanted <= last && date.day == nearest_working(wanted, last, first_of_month)
        }
    }
}

/// Saturday moves to Friday, Sunday to Monday, never into another month.
fn nearest_working(wanted: u32, last: u32, first_of_month: i64) -> u32 {
    match weekday(first_of_month + i64::from(wanted) - 1) {
        6 if wanted == 1 => 3,
        6 => wanted - 1,
        0 if wanted == last => wanted - 2,
        0 => wanted + 1,
        _ => wanted,
    }
}

fn matches_weekday(wanted: Weekday, date: Date, day: i64) -> bool {
    let weekday = weekday(day);
    match wanted {
        Weekday::Set(days) => has(days, weekday),
        Weekday::Last(wanted) => {
            weekday == wanted && date.day + 7 > days_in_month(date.year, date.month)
        }
        Weekday::Nth(wanted, nth) => weekday == wanted && (date.day - 1) / 7 + 1 == nth,
    }
}

fn has(set: u64, value: u32) -> bool {
    set >> value & 1 == 1
}

fn first(set: u64, from: u32, to: u32) -> Option<u32> {
    (from..=to).find(|value| has(set, *value))
}

fn parse_day(part: &str) -> Result<Day, String> {
    let upper = part.to_ascii_uppercase();
    let number = |text: &str| value(text, "day of month", 1, 31, &[]);
    if upper == "L" {
        Ok(Day::Last(0))
    } else if upper == "LW" {
        Ok(Day::LastWorking)
    } else if let Some(before) = upper.strip_prefix("L-") {
        Ok(Day::Last(number(before)?))
    } else if let Some(near) = upper.strip_suffix('W') {
        Ok(Day::Nearest(number(near)?))
    } else {
        set(&upper, "day of month", 1, 31, &[]).map(Day::Set)
    }
}

fn parse_weekday(part: &str) -> Result<Weekday, String> {
    let upper = part.to_ascii_uppercase();
    let number = |text: &str| value(text, "day of week", 0, 7, &WEEKDAYS).map(|day| day % 7);
    if let Some((day, nth)) = upper.split_once('#') {
        return Ok(Weekday::Nth(
            number(day)?,
            value(nth, "week of month", 1, 5, &[])?,
        ));
    }
    if let Some(day) = upper.strip_suffix('L')
        && !day.is_empty()
    {
        return Ok(Weekday::Last(number(day)?));
    }
    let days = set(&upper, "day of week", 0, 7, &WEEKDAYS)?;
    // Seven is Sunday too.
    Ok(Weekday::Set(if has(days, 7) { days | 1 } else { days }))
}

/// A field of values, ranges and steps as a set of bits. `names` stand for the numbers from `min` on.
fn set(field: &str, what: &str, min: u32, max: u32, names: &[&str]) -> Result<u64, String> {
    let mut bits = 0;
    for part in field.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, Some(value(step, "step", 1, 60, &[])?)),
            None => (part, None),
        };
        let (from, to) = if range == "*" || range == "?" {
            (min, max)
        } else if let Some((from, to)) = range.split_once('-') {
            (
                value(from, what, min, max, names)?,
                value(to, what, min, max, names)?,
            )
        } else {
            let from = value(range, what, min, max, names)?;
            // `5/10` means from 5 on; a lone `5` means 5.
            (from, if step.is_some() { max } else { from })
        };
        if from > to {
            return Err(format!("the {what} range '{range}' runs backwards"));
        }
        for value in (from..=to).step_by(step.unwrap_or(1) as usize) {
            bits |= 1 << value;
        }
    }
    Ok(bits)
}

fn value(text: &str, what: &str, min: u32, max: u32, names: &[&str]) -> Result<u32, String> {
    if let Some(index) = names
        .iter()
        .position(|name| name.eq_ignore_ascii_case(text))
    {
        return Ok(u32::try_from(index).expect("invariant: at most twelve names") + min);
    }
    match text.parse::<u32>() {
        Ok(number) if (min..=max).contains(&number) => Ok(number),
        _ => Err(format!("'{text}' is not a {what} from {min} to {max}")),
    }
}
