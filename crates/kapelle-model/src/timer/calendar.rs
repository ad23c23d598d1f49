//! The proleptic Gregorian calendar in UTC: days since 1970 to dates and back.
//!
//! Invariant: exact for every day an `i64` of milliseconds can name. Deliberately absent: leap seconds and zones.

pub(super) const DAY_MS: i64 = 86_400_000;

/// A day of the calendar. `month` and `day` count from 1.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Date {
    pub(super) year: i64,
    pub(super) month: u32,
    pub(super) day: u32,
}

/// Days since 1970-01-01.
pub(super) fn days_from_date(date: Date) -> i64 {
    kapelle_feel::Date::new(date.year, date.month.into(), date.day.into())
        .expect(
            "invariant: callers name days that exist, within the years of an i64 of milliseconds",
        )
        .epoch_days()
}

/// The inverse of [`days_from_date`].
pub(super) fn date_from_days(days: i64) -> Date {
    let date = kapelle_feel::Date::from_epoch_days(days)
        .expect("invariant: FEEL's years reach further than an i64 of milliseconds");
    Date {
        year: date.year().into(),
        month: date.month().into(),
        day: date.day().into(),
    }
}

pub(super) fn days_in_month(year: i64, month: u32) -> u32 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// 0 is Sunday, as cron counts.
pub(super) fn weekday(days: i64) -> u32 {
    u32::try_from((days + 4).rem_euclid(7)).expect("invariant: a remainder of 7 is below 7")
}

pub(super) fn add_months(ms: i64, months: i32) -> i64 {
    if months == 0 {
        return ms;
    }
    let date = date_from_days(ms.div_euclid(DAY_MS));
    let count = date.year * 12 + i64::from(date.month) - 1 + i64::from(months);
    let year = count.div_euclid(12);
    let month =
        u32::try_from(count.rem_euclid(12)).expect("invariant: a remainder of 12 is below 12") + 1;
    let day = date.day.min(days_in_month(year, month));
    days_from_date(Date { year, month, day })
        .saturating_mul(DAY_MS)
        .saturating_add(ms.rem_euclid(DAY_MS))
}
