//! A day of the proleptic Gregorian calendar.

use std::fmt;

/// Java's range of years: `LocalDate` ends there.
const YEAR_MAX: i32 = 999_999_999;

/// A day, without a time and without a zone.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date {
    year: i32,
    month: u8,
    day: u8,
}

impl Date {
    /// The day, if there is one of that name.
    pub fn new(year: i64, month: i64, day: i64) -> Option<Date> {
        let year = i32::try_from(year).ok().filter(|y| y.abs() <= YEAR_MAX)?;
        let month = u8::try_from(month).ok().filter(|m| (1..=12).contains(m))?;
        let day = u8::try_from(day)
            .ok()
            .filter(|d| (1..=days_in_month(year, month)).contains(d))?;
        Some(Date { year, month, day })
    }

    /// The day that many days after 1970-01-01.
    pub fn from_epoch_days(days: i64) -> Option<Date> {
        // Years begin in March here, so the leap day is the last one; 400 years are 146,097 days.
        let shifted = days.checked_add(719_468)?;
        let era = shifted.div_euclid(146_097);
        let day_of_era = shifted.rem_euclid(146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
        let month = if month_from_march < 10 {
            month_from_march + 3
        } else {
            month_from_march - 9
        };
        Date::new(year_of_era + era * 400 + i64::from(month <= 2), month, day)
    }

    /// Days since 1970-01-01.
    pub fn epoch_days(self) -> i64 {
        let year = i64::from(self.year) - i64::from(self.month <= 2);
        let era = year.div_euclid(400);
        let year_of_era = year.rem_euclid(400);
        let month_from_march = (i64::from(self.month) + 9) % 12;
        let day_of_year = (153 * month_from_march + 2) / 5 + i64::from(self.day) - 1;
        era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year
            - 719_468
    }

    /// The year; zero and below are BC.
    pub fn year(self) -> i32 {
        self.year
    }

    /// 1 to 12.
    pub fn month(self) -> u8 {
        self.month
    }

    /// 1 to 31.
    pub fn day(self) -> u8 {
        self.day
    }

    /// 1 (Monday) to 7 (Sunday).
    pub fn weekday(self) -> u8 {
        ((self.epoch_days() + 3).rem_euclid(7) + 1) as u8 // 1970-01-01 was a Thursday.
    }

    /// 1 to 366.
    pub fn day_of_year(self) -> u16 {
        let first = Date {
            month: 1,
            day: 1,
            ..self
        };
        (self.epoch_days() - first.epoch_days() + 1) as u16
    }

    /// ISO 8601: week 1 is the one with the year's first Thursday.
    pub fn week_of_year(self) -> u8 {
        let thursday = self.epoch_days() + 4 - i64::from(self.weekday());
        let of_year = Date::from_epoch_days(thursday).map_or(1, Date::day_of_year);
        ((of_year - 1) / 7 + 1) as u8
    }

    /// The last day of this day's month.
    pub fn last_day_of_month(self) -> Date {
        Date {
            day: days_in_month(self.year, self.month),
            ..self
        }
    }

    /// The same day some months on; a day that month does not have becomes its last.
    pub fn plus_months(self, months: i64) -> Option<Date> {
        let total = i64::from(self.year) * 12 + i64::from(self.month) - 1;
        let total = total.checked_add(months)?;
        let first = Date::new(total.div_euclid(12), total.rem_euclid(12) + 1, 1)?;
        Some(Date {
            day: self.day.min(first.last_day_of_month().day),
            ..first
        })
    }

    /// Some days on.
    pub fn plus_days(self, days: i64) -> Option<Date> {
        Date::from_epoch_days(self.epoch_days().checked_add(days)?)
    }
}

fn days_in_month(year: i32, month: u8) -> u8 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.year < 0 { "-" } else { "" };
        write!(
            f,
            "{sign}{:04}-{:02}-{:02}",
            self.year.abs(),
            self.month,
            self.day
        )
    }
}

impl fmt::Debug for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
