//! A time of day, and a day with a time: local, with an offset, or in a region's zone.

use std::fmt;

use super::{Date, Zone};

/// Nanoseconds of a day.
pub(crate) const NANOS_PER_DAY: u64 = 86_400 * 1_000_000_000;

/// A time of day.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Time {
    nanos: u64,
    zone: Zone,
}

impl Time {
    /// The time of day, if there is one of that name. `nanos` are those after the second.
    pub fn new(hour: i64, minute: i64, second: i64, nanos: u32, zone: Zone) -> Option<Time> {
        let fits = |value: i64, end: i64| (0..end).contains(&value);
        if !fits(hour, 24) || !fits(minute, 60) || !fits(second, 60) || nanos >= 1_000_000_000 {
            return None;
        }
        let seconds = (hour * 3_600 + minute * 60 + second) as u64;
        Some(Time {
            nanos: seconds * 1_000_000_000 + u64::from(nanos),
            zone,
        })
    }

    /// Nanoseconds since midnight, taken modulo a day.
    pub fn from_nanos_of_day(nanos: i128, zone: Zone) -> Time {
        Time {
            nanos: nanos.rem_euclid(NANOS_PER_DAY.into()) as u64,
            zone,
        }
    }

    /// Nanoseconds since midnight.
    pub fn nanos_of_day(self) -> u64 {
        self.nanos
    }

    /// 0 to 23.
    pub fn hour(self) -> u64 {
        self.nanos / 3_600_000_000_000
    }

    /// 0 to 59.
    pub fn minute(self) -> u64 {
        self.nanos / 60_000_000_000 % 60
    }

    /// 0 to 59.
    pub fn second(self) -> u64 {
        self.nanos / 1_000_000_000 % 60
    }

    /// What the clock on that wall follows.
    pub fn zone(self) -> Zone {
        self.zone
    }

    /// Seconds east of UTC. A region has no offset without a day; feel-scala takes its standard one.
    pub fn offset_seconds(self) -> Option<i32> {
        self.zone.standard_offset()
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_clock(f, self.nanos)?;
        match self.zone {
            Zone::Local => Ok(()),
            Zone::Offset(seconds) => write_offset(f, seconds),
            Zone::Region(name) => write!(f, "@{name}"),
        }
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A day and a time of day.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct DateTime {
    date: Date,
    nanos: u64,
    zone: Zone,
    /// Seconds east of UTC at that moment; zero without a zone.
    offset: i32,
}

impl DateTime {
    /// The moment on the clock of that zone. A time that the region's clock skips moves on by the gap; of a time that
    /// it shows twice the first is meant, as in Java.
    pub fn new(date: Date, time: Time) -> Option<DateTime> {
        Self::from_wall(date, time.nanos, time.zone)
    }

    pub(crate) fn from_wall(date: Date, nanos: u64, zone: Zone) -> Option<DateTime> {
        let Zone::Region(name) = zone else {
            return Some(DateTime {
                date,
                nanos,
                zone,
                offset: zone.standard_offset().unwrap_or(0),
            });
        };
        let wall = date.epoch_days() * 86_400 + (nanos / 1_000_000_000) as i64;
        let (offset, gap) = super::tzif::offset_of_wall(name, wall)?;
        let moved =
            i128::from(wall + i64::from(gap)) * 1_000_000_000 + i128::from(nanos % 1_000_000_000);
        let (date, nanos) = split_days(moved)?;
        Some(DateTime {
            date,
            nanos,
            zone,
            offset,
        })
    }

    /// The moment that many nanoseconds after the epoch, on the clock of that zone. `Zone::Local` reads it as UTC.
    pub fn from_epoch_nanos(nanos: i128, zone: Zone) -> Option<DateTime> {
        let seconds = i64::try_from(nanos.div_euclid(1_000_000_000)).ok()?;
        let offset = zone.offset_at(seconds)?;
        let (date, nanos) = split_days(nanos + i128::from(offset) * 1_000_000_000)?;
        Some(DateTime {
            date,
            nanos,
            zone,
            offset,
        })
    }

    /// Nanoseconds since the epoch; a local one is read as UTC.
    pub fn epoch_nanos(self) -> i128 {
        let days = i128::from(self.date.epoch_days()) * i128::from(NANOS_PER_DAY);
        days + i128::from(self.nanos) - i128::from(self.offset) * 1_000_000_000
    }

    /// Milliseconds since the epoch, rounded down; a local one is read as UTC.
    pub fn epoch_millis(self) -> i64 {
        self.epoch_nanos()
            .div_euclid(1_000_000)
            .clamp(i64::MIN.into(), i64::MAX.into()) as i64
    }

    /// The day.
    pub fn date(self) -> Date {
        self.date
    }

    /// The time of day. A region is kept.
    pub fn time(self) -> Time {
        Time {
            nanos: self.nanos,
            zone: self.zone,
        }
    }

    /// What the clock on that wall follows.
    pub fn zone(self) -> Zone {
        self.zone
    }

    /// Seconds east of UTC at that moment; `None` for a local one.
    pub fn offset_seconds(self) -> Option<i32> {
        (self.zone != Zone::Local).then_some(self.offset)
    }

    /// ISO 8601 as Java writes it: offset, then a region in brackets. This is how date-times leave as JSON.
    pub fn to_iso_string(self) -> String {
        match self.zone {
            Zone::Region(name) => {
                let fixed = DateTime {
                    zone: Zone::Offset(self.offset),
                    ..self
                };
                format!("{fixed}[{name}]")
            }
            _ => self.to_string(),
        }
    }
}

/// Days and nanoseconds of a count of nanoseconds.
fn split_days(nanos: i128) -> Option<(Date, u64)> {
    let days = i64::try_from(nanos.div_euclid(NANOS_PER_DAY.into())).ok()?;
    Some((
        Date::from_epoch_days(days)?,
        nanos.rem_euclid(NANOS_PER_DAY.into()) as u64,
    ))
}

/// FEEL's text: offset, or `@` and the region.
impl fmt::Display for DateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}T{}", self.date, self.time())
    }
}

impl fmt::Debug for DateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn write_clock(f: &mut fmt::Formatter<'_>, nanos: u64) -> fmt::Result {
    let seconds = nanos / 1_000_000_000;
    write!(
        f,
        "{:02}:{:02}:{:02}",
        seconds / 3_600,
        seconds / 60 % 60,
        seconds % 60
    )?;
    write_fraction(f, (nanos % 1_000_000_000) as u32)
}

/// `.5` for half a second; nothing for a whole one.
pub(super) fn write_fraction(f: &mut fmt::Formatter<'_>, nanos: u32) -> fmt::Result {
    if nanos == 0 {
        return Ok(());
    }
    let digits = format!("{nanos:09}");
    write!(f, ".{}", digits.trim_end_matches('0'))
}

pub(super) fn write_offset(f: &mut fmt::Formatter<'_>, seconds: i32) -> fmt::Result {
    if seconds == 0 {
        return f.write_str("Z");
    }
    let sign = if seconds < 0 { '-' } else { '+' };
    let seconds = seconds.abs();
    write!(f, "{sign}{:02}:{:02}", seconds / 3_600, seconds / 60 % 60)?;
    if seconds % 60 != 0 {
        write!(f, ":{:02}", seconds % 60)?;
    }
    Ok(())
}
