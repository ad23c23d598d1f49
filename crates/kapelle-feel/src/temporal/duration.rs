//! The two kinds of duration: an exact span of time, and a count of months whose length depends on the calendar.

use std::fmt;

const NANOS_PER_SECOND: i128 = 1_000_000_000;

/// An exact span of time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DaysTimeDuration {
    /// Whole seconds, rounded down.
    seconds: i64,
    /// What is over, 0 to 999,999,999.
    nanos: u32,
}

impl DaysTimeDuration {
    /// No time at all.
    pub const ZERO: DaysTimeDuration = DaysTimeDuration {
        seconds: 0,
        nanos: 0,
    };

    /// From nanoseconds; `None` outside of Java's range (seconds are an i64).
    pub fn from_nanos(nanos: i128) -> Option<DaysTimeDuration> {
        let seconds = i64::try_from(nanos.div_euclid(NANOS_PER_SECOND)).ok()?;
        Some(DaysTimeDuration {
            seconds,
            nanos: nanos.rem_euclid(NANOS_PER_SECOND) as u32,
        })
    }

    /// From seconds.
    pub const fn from_seconds(seconds: i64) -> DaysTimeDuration {
        DaysTimeDuration { seconds, nanos: 0 }
    }

    /// The whole span in nanoseconds.
    pub fn nanos(self) -> i128 {
        i128::from(self.seconds) * NANOS_PER_SECOND + i128::from(self.nanos)
    }

    /// The whole span in milliseconds, cut towards zero; saturated.
    pub fn millis(self) -> i64 {
        let millis = self.nanos() / 1_000_000;
        millis.clamp(i64::MIN.into(), i64::MAX.into()) as i64
    }

    /// The span without its sign, as days, hours, minutes, seconds, nanoseconds.
    pub(crate) fn parts(self) -> (bool, [u64; 5]) {
        let total = self.nanos().unsigned_abs();
        let seconds = (total / NANOS_PER_SECOND as u128) as u64;
        let nanos = (total % NANOS_PER_SECOND as u128) as u64;
        (
            self.seconds < 0,
            [
                seconds / 86_400,
                seconds / 3_600 % 24,
                seconds / 60 % 60,
                seconds % 60,
                nanos,
            ],
        )
    }
}

/// `P1DT2H3M4.5S`; zero is `P0D`.
impl fmt::Display for DaysTimeDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == DaysTimeDuration::ZERO {
            return f.write_str("P0D");
        }
        let (negative, [days, hours, minutes, seconds, nanos]) = self.parts();
        f.write_str(if negative { "-P" } else { "P" })?;
        if days > 0 {
            write!(f, "{days}D")?;
        }
        if hours + minutes + seconds + nanos > 0 {
            f.write_str("T")?;
        }
        if hours > 0 {
            write!(f, "{hours}H")?;
        }
        if minutes > 0 {
            write!(f, "{minutes}M")?;
        }
        if seconds + nanos > 0 {
            write!(f, "{seconds}")?;
            super::time::write_fraction(f, nanos as u32)?;
            f.write_str("S")?;
        }
        Ok(())
    }
}

impl fmt::Debug for DaysTimeDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A number of months.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct YearsMonthsDuration {
    months: i64,
}

impl YearsMonthsDuration {
    /// That many months; `None` beyond what a range of years can hold.
    pub fn from_months(months: i64) -> Option<YearsMonthsDuration> {
        const MONTHS_MAX: i64 = 12 * 2_147_483_647; // Java's `Period` counts years in an int.
        (months.abs() <= MONTHS_MAX).then_some(YearsMonthsDuration { months })
    }

    /// The whole span in months.
    pub fn months(self) -> i64 {
        self.months
    }
}

/// `P1Y2M`; zero is `P0Y`.
impl fmt::Display for YearsMonthsDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (years, months) = (self.months.abs() / 12, self.months.abs() % 12);
        f.write_str(if self.months < 0 { "-P" } else { "P" })?;
        if years > 0 || months == 0 {
            write!(f, "{years}Y")?;
        }
        if months > 0 {
            write!(f, "{months}M")?;
        }
        Ok(())
    }
}

impl fmt::Debug for YearsMonthsDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
