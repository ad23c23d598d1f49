//! Where the partition's time comes from.
//!
//! **Invariant**: a record's time never goes back. Within a process it advances by the monotonic clock, so a correction of
//! the machine's wall clock moves nothing; at a start it is max(last record, wall clock), and a wall clock more than an
//! hour ahead of the last record is taken over only when an operator said so (design §4, *Time*): a wrong clock would
//! otherwise fire every timer at once, for ever.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use kapelle_engine::ids::Timestamp;

/// A source of time.
pub trait Clock: Send {
    /// The wall clock: milliseconds since 1970. Asked once at a start.
    fn wall_ms(&self) -> i64;
    /// Time that only moves forward, from any origin.
    fn monotonic(&self) -> Duration;
}

/// The machine's clocks.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    origin: Instant,
}

impl SystemClock {
    /// Starts counting now.
    #[must_use]
    pub fn new() -> Self {
        Self {
            origin: Instant::now(),
        }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn wall_ms(&self) -> i64 {
        // A clock before 1970 is a machine without one: time then starts at the last record.
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }

    fn monotonic(&self) -> Duration {
        self.origin.elapsed()
    }
}

/// A clock that stands until it is moved: for tests and the simulator.
#[derive(Clone, Debug, Default)]
pub struct ManualClock {
    now_ms: Arc<AtomicI64>,
}

impl ManualClock {
    /// Stands at this wall-clock time.
    #[must_use]
    pub fn at(now_ms: i64) -> Self {
        Self {
            now_ms: Arc::new(AtomicI64::new(now_ms)),
        }
    }

    /// Moves on.
    pub fn advance(&self, ms: i64) {
        self.now_ms.fetch_add(ms, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn wall_ms(&self) -> i64 {
        self.now_ms.load(Ordering::SeqCst)
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.wall_ms()).unwrap_or(0))
    }
}

/// A wall clock further ahead of the last record than this is not believed.
pub const JUMP_MAX_MS: i64 = 60 * 60 * 1000;

/// The wall clock was not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockJump {
    pub last_record: Timestamp,
    pub wall_ms: i64,
}

/// The partition's time within one process.
#[derive(Debug)]
pub(crate) struct PartitionTime<C> {
    clock: C,
    base_ms: i64,
    base: Duration,
    last: Timestamp,
    jump: Option<ClockJump>,
}

impl<C: Clock> PartitionTime<C> {
    /// `last_record` is `None` in an empty journal, where any clock is believed. `accept_jump` is the operator's word.
    pub(crate) fn start(clock: C, last_record: Option<Timestamp>, accept_jump: bool) -> Self {
        let wall_ms = clock.wall_ms();
        let (base_ms, jump) = match last_record {
            Some(last) if wall_ms.saturating_sub(last.0) > JUMP_MAX_MS && !accept_jump => (
                last.0,
                Some(ClockJump {
                    last_record: last,
                    wall_ms,
                }),
            ),
            Some(last) => (wall_ms.max(last.0), None),
            None => (wall_ms, None),
        };
        let base = clock.monotonic();
        Self {
            clock,
            base_ms,
            base,
            last: Timestamp(base_ms),
            jump,
        }
    }

    pub(crate) fn now(&mut self) -> Timestamp {
        let passed = self.clock.monotonic().saturating_sub(self.base);
        let passed_ms = i64::try_from(passed.as_millis()).unwrap_or(i64::MAX);
        self.last = self
            .last
            .max(Timestamp(self.base_ms.saturating_add(passed_ms)));
        self.last
    }

    /// The latest time that was told: no record has a later one.
    pub(crate) fn last(&self) -> Timestamp {
        self.last
    }

    pub(crate) fn monotonic(&self) -> Duration {
        self.clock.monotonic()
    }

    pub(crate) fn jump(&self) -> Option<ClockJump> {
        self.jump
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn started(wall_ms: i64, last: Option<i64>, accept: bool) -> PartitionTime<ManualClock> {
        PartitionTime::start(ManualClock::at(wall_ms), last.map(Timestamp), accept)
    }

    #[test]
    fn time_never_goes_back_behind_the_last_record() {
        assert_eq!(started(5_000, Some(9_000), false).now(), Timestamp(9_000));
    }

    #[test]
    fn a_jump_of_more_than_an_hour_needs_an_operator() {
        let wall = 1_000 + JUMP_MAX_MS + 1;
        let mut doubted = started(wall, Some(1_000), false);
        assert_eq!(doubted.now(), Timestamp(1_000));
        assert_eq!(
            doubted.jump(),
            Some(ClockJump {
                last_record: Timestamp(1_000),
                wall_ms: wall
            })
        );
        let mut accepted = started(wall, Some(1_000), true);
        assert_eq!((accepted.now(), accepted.jump()), (Timestamp(wall), None));
        assert_eq!(
            started(wall - 1, Some(1_000), false).now(),
            Timestamp(wall - 1),
            "exactly an hour is believed"
        );
    }

    #[test]
    fn time_advances_by_the_monotonic_clock() {
        let clock = ManualClock::at(1_000);
        let mut time = PartitionTime::start(clock.clone(), Some(Timestamp(4_000)), false);
        clock.advance(250);
        assert_eq!(time.now(), Timestamp(4_250));
    }
}
