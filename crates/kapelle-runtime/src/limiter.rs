//! How many commands may wait for the writer: adapts so that waiting stays short.
//!
//! **Invariant**: at most the configured maximum. Between it and the least (`MIN`, but in a simulation), additive increase
//! and multiplicative decrease on how long the oldest command waited before it was decided: a queue that drains in time
//! may grow, one that does not shrinks, and who comes then is refused at once instead of after a time-out.
//!
//! A queue of commands that cost a millisecond each must be shorter than one of commands that cost a hundredth of it, or
//! those that are taken under overload wait many times as long as else. So, whatever the disk does, no more may wait than
//! is decided within `DECIDE_MAX`. That is measured apart from how long commands wait, because on a slow disk they wait for
//! a sync, and a shorter queue would only make batches small. It begins to hold once the queue has been long for a
//! while, so that a burst after quiet is taken as a whole, and ends when nobody had to be refused for a while: that the
//! queue is short shows nothing, because the limit keeps it so.

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

/// What is decided within this may come at once; a queue that is still long after so much deciding is no burst.
const BURST: Duration = Duration::from_millis(500);

/// Overload is over when nobody was refused for so long.
const CALM: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct Limiter {
    limit: usize,
    least: usize,
    max: usize,
    /// Of one command, smoothed; 0: not known yet.
    cost_ns: u64,
    /// Commands and nanoseconds when the last sample was complete.
    seen: (u64, u64),
    /// Time spent deciding until the queue was short for the last time.
    short_at: u64,
    /// Whether no more may wait than is decided soon.
    is_strict: bool,
}

impl Limiter {
    pub(crate) fn new(least: usize, max: usize) -> Self {
        Self {
            limit: max,
            least: least.min(max),
            max,
            cost_ns: 0,
            seen: (0, 0),
            short_at: 0,
            is_strict: false,
        }
    }

    pub(crate) fn limit(&self) -> usize {
        self.limit.min(if self.is_strict {
            self.quickly()
        } else {
            self.within(BURST)
        })
    }

    fn quickly(&self) -> usize {
        self.within(DECIDE_MAX)
    }

    /// How many are decided within that time.
    fn within(&self, time: Duration) -> usize {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let Some(count) = nanos.checked_div(self.cost_ns) else {
            return self.max;
        };
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        count.max(FEWEST.min(self.max))
    }

    /// So many commands have been decided so far, in so much time; `length` wait, and it is so long since the last refusal.
    pub(crate) fn decided(
        &mut self,
        (commands, nanos): (u64, u64),
        length: usize,
        unrefused: Duration,
    ) {
        if self.is_strict && unrefused >= CALM || length <= self.quickly() {
            self.short_at = nanos;
        }
        let long = u128::from(nanos - self.short_at) >= BURST.as_nanos();
        self.is_strict = long || self.is_strict && unrefused < CALM;
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
            limiter.decided((100 * step, 100_000_000 * step), 1_000, Duration::ZERO);
        }
        limiter
    }

    #[test]
    fn no_more_may_wait_than_is_decided_soon() {
        let mut limiter = overloaded();
        assert_eq!(limiter.limit(), 8);
        // A hundredth of that, for long enough.
        for step in 1..=40 {
            let so_far = (1_000 + 100 * step, 1_000_000_000 + 1_000_000 * step);
            limiter.decided(so_far, 1_000, Duration::ZERO);
        }
        assert!(
            (760..=800).contains(&limiter.limit()),
            "{}",
            limiter.limit()
        );
        // A second each.
        limiter.decided((10_000, 10_000_000_000_000), 1_000, Duration::ZERO);
        assert_eq!(limiter.limit(), FEWEST);
    }

    #[test]
    fn a_burst_after_quiet_is_taken_as_a_whole() {
        let mut limiter = overloaded();
        limiter.decided((1_001, 1_001_000_000), 1, CALM / 2);
        assert_eq!(limiter.limit(), 8, "the limit keeps it short");
        limiter.decided((1_002, 1_002_000_000), 1, CALM);
        let burst = limiter.limit();
        assert!(
            (480..=500).contains(&burst),
            "half a second's work: {burst}"
        );
        limiter.decided((1_102, 1_401_000_000), 1_000, CALM);
        assert!(limiter.limit() > 100, "less than half a second is a burst");
        limiter.decided((1_302, 1_601_000_000), 1_000, Duration::ZERO);
        assert_eq!(limiter.limit(), limiter.quickly());
    }

    #[test]
    fn a_configured_maximum_below_the_floor_holds() {
        let mut limiter = Limiter::new(MIN, 10);
        limiter.observe(Duration::from_secs(1), 10);
        assert!(limiter.limit() <= 10, "{}", limiter.limit());
    }
}
