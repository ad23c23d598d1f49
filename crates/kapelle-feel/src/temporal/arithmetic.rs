//! Sums and differences of temporal values.

use super::time::NANOS_PER_DAY;
use super::{Date, DateTime, DaysTimeDuration, Time, YearsMonthsDuration, Zone};
use crate::number::{Number, Rounding};

impl Date {
    /// Some time on, from the day's beginning; the time of day that comes out is dropped.
    pub fn plus(self, duration: DaysTimeDuration) -> Option<Date> {
        self.plus_days(i64::try_from(duration.nanos().div_euclid(NANOS_PER_DAY.into())).ok()?)
    }

    /// Whole months from `earlier` to this day, cut towards zero.
    pub fn months_since(self, earlier: Date) -> Option<YearsMonthsDuration> {
        let count = |date: Date| i64::from(date.year()) * 12 + i64::from(date.month());
        let mut months = count(self) - count(earlier);
        if months > 0 && self.day() < earlier.day() {
            months -= 1;
        } else if months < 0 && self.day() > earlier.day() {
            months += 1;
        }
        YearsMonthsDuration::from_months(months)
    }
}

impl Time {
    /// Some time on, around midnight if need be.
    pub fn plus(self, duration: DaysTimeDuration) -> Time {
        Time::from_nanos_of_day(
            i128::from(self.nanos_of_day()) + duration.nanos(),
            self.zone(),
        )
    }

    /// Nanoseconds since midnight in UTC (not modulo a day); of a local time, on its wall.
    pub(crate) fn comparable(self) -> (bool, i128) {
        let offset = self.offset_seconds();
        (
            offset.is_some(),
            i128::from(self.nanos_of_day()) - i128::from(offset.unwrap_or(0)) * 1_000_000_000,
        )
    }
}

impl DateTime {
    /// Some time on; a region's clock may be set forward or back in between.
    pub fn plus(self, duration: DaysTimeDuration) -> Option<DateTime> {
        DateTime::from_epoch_nanos(
            self.epoch_nanos().checked_add(duration.nanos())?,
            self.zone(),
        )
    }

    /// Some months on, at the same time of day.
    pub fn plus_months(self, months: i64) -> Option<DateTime> {
        DateTime::new(self.date().plus_months(months)?, self.time())
    }

    /// The same moment on another zone's clock; a local one is read as on that clock.
    pub fn at_zone(self, zone: Zone) -> Option<DateTime> {
        if self.zone() == Zone::Local {
            return DateTime::from_wall(self.date(), self.time().nanos_of_day(), zone);
        }
        DateTime::from_epoch_nanos(self.epoch_nanos(), zone)
    }

    /// Nanoseconds since the epoch, and whether that is a moment or only the time on a wall.
    pub(crate) fn comparable(self) -> (bool, i128) {
        (self.zone() != Zone::Local, self.epoch_nanos())
    }
}

impl DaysTimeDuration {
    /// Sum.
    pub fn plus(self, other: DaysTimeDuration) -> Option<DaysTimeDuration> {
        DaysTimeDuration::from_nanos(self.nanos().checked_add(other.nanos())?)
    }

    /// The same span backwards.
    pub fn negated(self) -> Option<DaysTimeDuration> {
        DaysTimeDuration::from_nanos(-self.nanos())
    }

    /// The span in seconds.
    pub fn to_number(self) -> Option<Number> {
        Some(Number::new(self.nanos(), -9)?.normalized())
    }

    /// That many seconds, to the nanosecond.
    pub fn from_number(seconds: Number) -> Option<DaysTimeDuration> {
        let nanos = seconds
            .mul(Number::from(1_000_000_000))?
            .round(0, Rounding::HalfEven)?;
        DaysTimeDuration::from_nanos(nanos.to_i128()?)
    }
}

impl YearsMonthsDuration {
    /// Sum.
    pub fn plus(self, other: YearsMonthsDuration) -> Option<YearsMonthsDuration> {
        YearsMonthsDuration::from_months(self.months().checked_add(other.months())?)
    }

    /// The same span backwards.
    pub fn negated(self) -> Option<YearsMonthsDuration> {
        YearsMonthsDuration::from_months(self.months().checked_neg()?)
    }
}
