//! How many commands may wait for the writer: adapts so that waiting stays short.
//!
//! **Invariant**: at most the configured maximum. Between it and the least (`MIN`, but in a simulation), additive increase
//! and multiplicative decrease on how long the oldest command waited before it was decided: a queue that drains in time
//! may grow, one that does not shrinks, and who comes then is refused at once instead of after a time-out.
//!
//! A queue of commands that cost a millisecond each must be shorter than one of commands that cost a hundredth of it, or
//! those that are taken under overload wait many times as long as else. So, whatever the disk does, no more may wait than
//! is decided within `DECIDE_MAX`. That is measured apart from how long commands wait, because on a slow disk they wait for
//! a sync, and a shorter queue would only make batches small. It holds once the queue has been long for a while: a burst
//! after quiet is taken as a whole.

use std::time::Duration;

/// Below this a burst of a few hundred clients would be refused by an idle partition.
pub(crate) const MIN: usize = 256;

/// Longer in the queue than this is too long: ten times the worst answer wanted under load, a hundredth of the usual
/// request time-out.
const WAIT_MAX: Duration = Duration::from_millis(100);

/// All that waits is decided within this, where the disk does not hinder.
const DECIDE_MAX: Duration = Duration::from_millis(8);

/// However large commands are, so many may wait: the writer must find the next one when it has decided one.
const FEWEST: usize = 8;

/// Of so many commands it is looked what they cost.
const SAMPLE: u64 = 64;

/// A queue that is still long after so much deciding is no burst.
const BURST: Duration = Duration::from_millis(500);

#[derive(Debug)]
pub(crate) struct Limiter {
    limit: usize,
    least: usize,
    max: usize,
    /// Of one command, smoothed; 0: not known yet.
    cost_ns: u64,
    /// Commands and nanoseconds when the last sample was complete.
    seen: (u64, u64),
    /// Time spent deciding until now, and until the queue was short for the last time.
    nanos: u64,
    short_at: u64,
}

impl Limiter {
    pub(crate) fn new(least: usize, max: usize) -> Self {
        Self {
            limit: max,
            least: least.min(max),
            max,
            cost_ns: 0,
            seen: (0, 0),
            nanos: 0,
            short_at: 0,
        }
    }

    pub(crate) fn limit(&self) -> usize {
        if u128::from(self.nanos - self.short_at) < BURST.as_nanos() {
            return self.limit;
        }
        self.limit.min(self.quickly())
    }

    /// How many are decided within `DECIDE_MAX`.
    fn quickly(&self) -> usize {
        let nanos = u64::try_from(DECIDE_MAX.as_nanos()).unwrap_or(u64::MAX);
        let Some(quickly) = nanos.checked_div(self.cost_ns) else {
            return self.max;
        };
        let quickly = usize::try_from(quickly).unwrap_or(usize::MAX);
        quickly.max(FEWEST.min(self.max))
    }

    /// So many commands have been decided so far, in so much time, and `length` wait.
    pub(crate) fn decided(&mut self, commands: u64, nanos: u64, length: usize) {
        self.nanos = nanos;
        if length * 2 <= self.quickly() {
            self.short_at = nanos;
        }
        let count = commands - self.seen.0;
        if count >= SAMPLE {
            let sample = (nanos - self.seen.1) / count;
            self.cost_ns = match self.cost_ns {
                0 => sample,
                known => (3 * known + sample) / 4,
            };
            self.seen = (commands, nanos);
        }
    }

    /// A batch of commands left the queue, the oldest after having waited this long, while `length` were in it.
    pub(crate) fn observe(&mut self, waited: Duration, length: usize) {
        if waited > WAIT_MAX {
            self.limit = (self.limit - self.limit / 8).max(self.least);
        } else if length * 2 >= self.limit {
            // Only a queue that is used shows that it may be longer.
            self.limit = (self.limit + 1 + self.limit / 64).min(self.max);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_batches_shrink_the_queue_to_its_floor_and_quick_ones_let_it_grow_again() {
        let mut limiter = Limiter::new(MIN, 1_000);
        for _ in 0..100 {
            limiter.observe(Duration::from_millis(101), 1_000);
        }
        assert_eq!(limiter.limit(), MIN);
        limiter.observe(Duration::from_millis(1), 10);
        assert_eq!(limiter.limit(), MIN, "an empty queue proves nothing");
        for _ in 0..1_000 {
            limiter.observe(Duration::from_millis(1), limiter.limit());
        }
        assert_eq!(limiter.limit(), 1_000);
    }

    /// After a second of commands that cost a millisecond each, behind a queue of a thousand.
    fn overloaded() -> Limiter {
        let mut limiter = Limiter::new(MIN, 4_096);
        for step in 1..=10 {
            limiter.decided(100 * step, 100_000_000 * step, 1_000);
        }
        limiter
    }

    #[test]
    fn no_more_may_wait_than_is_decided_soon() {
        let mut limiter = overloaded();
        assert_eq!(limiter.limit(), 8);
        // A hundredth of that, for long enough.
        for step in 1..=40 {
            limiter.decided(1_000 + 100 * step, 1_000_000_000 + 1_000_000 * step, 1_000);
        }
        assert!(
            (760..=800).contains(&limiter.limit()),
            "{}",
            limiter.limit()
        );
        // A second each.
        limiter.decided(10_000, 10_000_000_000_000, 1_000);
        assert_eq!(limiter.limit(), FEWEST);
    }

    #[test]
    fn a_burst_after_quiet_is_taken_as_a_whole() {
        let mut limiter = overloaded();
        limiter.decided(1_001, 1_001_000_000, 1);
        assert_eq!(limiter.limit(), 4_096);
        limiter.decided(1_101, 1_401_000_000, 1_000);
        assert_eq!(limiter.limit(), 4_096, "half a second is a burst");
        limiter.decided(1_301, 1_601_000_000, 1_000);
        assert_eq!(limiter.limit(), limiter.quickly());
    }

    #[test]
    fn a_configured_maximum_below_the_floor_holds() {
        let mut limiter = Limiter::new(MIN, 10);
        limiter.observe(Duration::from_secs(1), 10);
        assert!(limiter.limit() <= 10, "{}", limiter.limit());
    }
}
