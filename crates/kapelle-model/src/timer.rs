//! When timers are due: ISO-8601 date-times, durations and cycles, and cron, read from text and computed from a given
//! "now".
//!
//! Purpose: the one place that knows timer texts; used for static timers at deployment and for evaluated ones by the
//! engine.
//!
//! Invariants: pure; every accepted schedule has a next due time for every "now" (a cron expression that never matches
//! is refused); arithmetic saturates at the calendar's ends instead of overflowing. Calendar units and cron count in UTC.
//!
//! Deliberately absent: the clock, and time zone names. A date-time needs `Z` or an offset; a zone in brackets after it
//! is accepted and the offset counts. FEEL temporal values need no text: make a [`Schedule::Date`] or a [`Period`].

use std::fmt;

use crate::graph::TimerKind;

mod calendar;
mod cron;
mod iso;

pub use cron::Cron;

/// Why a text is not a timer. Completes "failed to parse timer: …".
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TimerError {
    #[error("'{text}' is not a date-time such as 2027-05-01T12:00:00Z: {reason}")]
    Date { text: String, reason: &'static str },
    #[error("'{text}' is not a duration such as PT30S or P1DT12H: {reason}")]
    Duration { text: String, reason: &'static str },
    #[error(
        "'{text}' is not a cycle such as R3/PT10S or a cron expression such as 0 0 9 * * MON-FRI: {reason}"
    )]
    Cycle { text: String, reason: &'static str },
    #[error("'{text}' is not a cron expression such as 0 0 9 * * MON-FRI: {reason}")]
    Cron { text: String, reason: String },
}

/// A timer that is known completely. Times are Unix milliseconds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Schedule {
    Date(i64),
    Duration(Period),
    Cycle(Cycle),
}

/// A duration of calendar months and of exact time; either may be negative.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Period {
    pub months: i32,
    pub ms: i64,
}

/// Something that recurs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cycle {
    /// How often it fires in total, at least once; `None`: without end.
    pub repetitions: Option<u32>,
    /// When it fires first, if that is still to come.
    pub start_ms: Option<i64>,
    pub every: Every,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Every {
    Period(Period),
    Cron(Box<Cron>),
}

impl TimerKind {
    /// Reads a text as a timer of this kind.
    pub fn parse(self, text: &str) -> Result<Schedule, TimerError> {
        let text = text.trim();
        match self {
            Self::Date => iso::parse_date_time(text)
                .map(Schedule::Date)
                .map_err(|reason| TimerError::Date {
                    text: text.to_owned(),
                    reason,
                }),
            Self::Duration => Period::parse(text).map(Schedule::Duration),
            Self::Cycle => parse_cycle(text).map(Schedule::Cycle),
        }
    }
}

impl Schedule {
    /// Reads a timer of any kind, told by its first characters.
    pub fn parse(text: &str) -> Result<Self, TimerError> {
        let trimmed = text.trim();
        let kind = if trimmed.starts_with(['R', 'r', '@']) || trimmed.contains(char::is_whitespace)
        {
            TimerKind::Cycle
        } else if trimmed
            .trim_start_matches(['-', '+'])
            .starts_with(['P', 'p'])
        {
            TimerKind::Duration
        } else {
            TimerKind::Date
        };
        kind.parse(trimmed)
    }

    /// How often it fires in total; `None`: without end.
    #[must_use]
    pub fn repetitions(&self) -> Option<u32> {
        match self {
            Self::Date(_) | Self::Duration(_) => Some(1),
            Self::Cycle(cycle) => cycle.repetitions,
        }
    }

    /// When it fires first, seen from `now_ms`. May lie in the past: then it is due at once.
    #[must_use]
    pub fn first_due(&self, now_ms: i64) -> i64 {
        match self {
            Self::Date(due) => *due,
            Self::Duration(period) => period.after(now_ms),
            Self::Cycle(cycle) => match cycle.start_ms {
                Some(start) if start >= now_ms => start,
                // A start in the past does not set a grid: the first time is one interval from now (camunda8.md §3.3).
                _ => cycle.every.after(now_ms),
            },
        }
    }

    /// When it fires after it was due at `previous_due_ms`, or `None` if that was the last time. `remaining` is how often
    /// it had yet to fire, that time included; `None`: without end. Counts from the due time, so it does not drift.
    #[must_use]
    pub fn next_due(&self, previous_due_ms: i64, remaining: Option<u32>) -> Option<i64> {
        match self {
            Self::Date(_) | Self::Duration(_) => None,
            Self::Cycle(_) if remaining.is_some_and(|times| times <= 1) => None,
            Self::Cycle(cycle) => Some(cycle.every.after(previous_due_ms)),
        }
    }
}

impl Period {
    /// Reads an ISO-8601 duration.
    pub fn parse(text: &str) -> Result<Self, TimerError> {
        iso::parse_period(text.trim()).map_err(|reason| TimerError::Duration {
            text: text.to_owned(),
            reason,
        })
    }

    /// This much after `from_ms`; a day of month that does not exist becomes the last one.
    #[must_use]
    pub fn after(self, from_ms: i64) -> i64 {
        calendar::add_months(from_ms, self.months).saturating_add(self.ms)
    }

    fn is_positive(self) -> bool {
        self.months >= 0 && self.ms >= 0 && (self.months > 0 || self.ms > 0)
    }
}

impl Every {
    fn after(&self, from_ms: i64) -> i64 {
        match self {
            Self::Period(period) => period.after(from_ms),
            Self::Cron(cron) => cron.next_after(from_ms),
        }
    }
}

fn parse_cycle(text: &str) -> Result<Cycle, TimerError> {
    if !text.starts_with(['R', 'r']) {
        let cron = Cron::parse(text).map_err(|reason| TimerError::Cron {
            text: text.to_owned(),
            reason,
        })?;
        return Ok(Cycle {
            repetitions: None,
            start_ms: None,
            every: Every::Cron(Box::new(cron)),
        });
    }
    let refuse = |reason| TimerError::Cycle {
        text: text.to_owned(),
        reason,
    };
    let parts: Vec<&str> = text.split('/').collect();
    let (repetitions, start, period) = match parts.as_slice() {
        [repetitions, period] => (*repetitions, None, *period),
        [repetitions, start, period] => (*repetitions, Some(*start), *period),
        _ => return Err(refuse("expected R[n]/duration or R[n]/start/duration")),
    };
    let repetitions = match &repetitions[1..] {
        "" | "-1" => None,
        count => match count.parse::<u32>() {
            Ok(0) => return Err(refuse("it must fire at least once")),
            Ok(count) => Some(count),
            Err(_) => return Err(refuse("the number after R is not a whole number")),
        },
    };
    let start_ms = match start {
        None | Some("") => None,
        Some(start) => Some(iso::parse_date_time(start).map_err(refuse)?),
    };
    let period = iso::parse_period(period).map_err(refuse)?;
    if !period.is_positive() {
        // Zero would fire for ever at one moment: a loop that time cannot leave.
        return Err(refuse("the interval must be greater than zero"));
    }
    Ok(Cycle {
        repetitions,
        start_ms,
        every: Every::Period(period),
    })
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Date(ms) => iso::write_date_time(f, *ms),
            Self::Duration(period) => period.fmt(f),
            Self::Cycle(Cycle {
                every: Every::Cron(cron),
                ..
            }) => f.write_str(cron.text()),
            Self::Cycle(Cycle {
                repetitions,
                start_ms,
                every: Every::Period(period),
            }) => {
                f.write_str("R")?;
                if let Some(times) = repetitions {
                    write!(f, "{times}")?;
                }
                if let Some(start) = start_ms {
                    f.write_str("/")?;
                    iso::write_date_time(f, *start)?;
                }
                write!(f, "/{period}")
            }
        }
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        iso::write_period(f, *self)
    }
}

#[cfg(test)]
mod tests;
