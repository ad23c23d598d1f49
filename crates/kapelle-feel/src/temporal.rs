//! Dates, times, date-times and durations as FEEL has them.
//!
//! **Invariant:** a value of these types is a real day and a real time of day; what is not (`2023-02-29`) was refused
//! when it was read. The calendar is the proleptic Gregorian one with Java's range of years.
//!
//! Deliberately absent: the clock. "Now" comes from the record through `Env`.

mod arithmetic;
mod date;
mod duration;
mod parse;
mod time;
mod tzif;
mod zone;

pub use date::Date;
pub use duration::{DaysTimeDuration, YearsMonthsDuration};
pub use time::{DateTime, Time};
pub use zone::Zone;

pub use parse::ParseTemporalError;
pub(crate) use parse::{parse_duration, parse_literal};
