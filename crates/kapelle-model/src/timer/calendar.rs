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

/// Days since 1970-01-01. The year is shifted to begin in March, so the leap day is its last and months have a linear
/// formula (Howard Hinnant, "chrono-compatible low-level date algorithms").
pub(super) fn days_from_date(date: Date) -> i64 {
    let year = if date.month <= 2 {
        date.year - 1
    } else {
        date.year
    };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month = i64::from((date.month + 9) % 12);
    let day_of_year = (153 * month + 2) / 5 + i64::from(date.day) - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The inverse of [`days_from_date`].
pub(super) fn date_from_days(days: i64) -> Date {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let small = |value: i64| u32::try_from(value).expect("invariant: months and days are below 32");
    Date {
        year,
        month: small(month),
        day: small(day),
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
