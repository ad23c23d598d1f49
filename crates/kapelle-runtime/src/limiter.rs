//! How many commands may wait for the writer: adapts so that waiting stays short.
//!
//! **Invariant**: between `MIN` and the configured maximum. Additive increase, multiplicative decrease on how long the
//! oldest command waited before it was decided: a queue that drains in time may grow, one that does not shrinks, and
//! who comes then is refused at once instead of after a time-out.
//!
//! A queue of commands that cost a millisecond each must be shorter than one of commands that cost a hundredth of it, or
//! those that are taken under overload wait many times as long as else. So, whatever the disk does, no more may wait than
//! is decided within `DECIDE_MAX`. That is measured apart from how long commands wait, because on a slow disk they wait for
//! a sync, and a shorter queue would only make batches small.

use std::time::Duration;

/// Below this a burst of a few hundred clients would be refused by an idle partition.
const MIN: usize = 256;

/// Longer in the queue than this is too long: ten times the worst answer wanted under load, a hundredth of the usual
/// request time-out.
const WAIT_MAX: Duration = Duration::from_millis(100);

/// All that waits is decided within this, where the disk does not hinder.
const DECIDE_MAX: Duration = Duration::from_millis(8);

/// However large commands are, so many may wait: the writer must find the next one when it has decided one.
const FEWEST: usize = 8;

/// Of so many commands it is looked what they cost.
const SAMPLE: u64 = 64;

#[derive(Debug)]
pub(crate) struct Limiter {
    limit: usize,
    max: usize,
    /// Of one command, smoothed; 0: not known yet.
    cost_ns: u64,
    /// Commands and nanoseconds when the last sample was complete.
    seen: (u64, u64),
}

impl Limiter {
    pub(crate) fn new(max: usize) -> Self {
        Self {
            limit: max,
            max,
            cost_ns: 0,
            seen: (0, 0),
        }
    }

    pub(crate) fn limit(&self) -> usize {
        let nanos = u64::try_from(DECIDE_MAX.as_nanos()).unwrap_or(u64::MAX);
        let Some(quickly) = nanos.checked_div(self.cost_ns) else {
            return self.limit;
        };
        let quickly = usize::try_from(quickly).unwrap_or(usize::MAX);
        self.limit.min(quickly.max(FEWEST.min(self.max)))
    }

    /// So many commands have been decided so far, in so much time.
    pub(crate) fn decided(&mut self, commands: u64, nanos: u64) {
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
            self.limit = (self.limit - self.limit / 8).max(MIN.min(self.max));
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
        let mut limiter = Limiter::new(1_000);
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

    #[test]
    fn no_more_may_wait_than_is_decided_soon() {
        let mut limiter = Limiter::new(4_096);
        limiter.decided(SAMPLE - 1, 1_000_000_000);
        assert_eq!(limiter.limit(), 4_096, "a few commands show nothing");
        // A millisecond each.
        limiter.decided(1_000, 1_000_000_000);
        assert_eq!(limiter.limit(), 8);
        // A hundredth of that, for long enough.
        for round in 1..=40 {
            limiter.decided(1_000 + 100 * round, 1_000_000_000 + 1_000_000 * round);
        }
        assert!(
            (760..=800).contains(&limiter.limit()),
            "{}",
            limiter.limit()
        );
        // A second each.
        limiter.decided(10_000, 10_000_000_000_000);
        assert_eq!(limiter.limit(), FEWEST);
    }

    #[test]
    fn a_configured_maximum_below_the_floor_holds() {
        let mut limiter = Limiter::new(10);
        limiter.observe(Duration::from_secs(1), 10);
        assert!(limiter.limit() <= 10, "{}", limiter.limit());
    }
}
