//! How many commands may wait for the writer: adapts so that waiting stays short.
//!
//! **Invariant**: between the least (`MIN`, but in a simulation) and the configured maximum. Additive increase, multiplicative decrease on how long the
//! oldest command waited before it was decided: a queue that drains in time may grow, one that does not shrinks, and
//! who comes then is refused at once instead of after a time-out.

use std::time::Duration;

/// Below this a burst of a few hundred clients would be refused by an idle partition.
pub(crate) const MIN: usize = 256;

/// Longer in the queue than this is too long: ten times the worst answer wanted under load, a hundredth of the usual
/// request time-out.
const WAIT_MAX: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub(crate) struct Limiter {
    limit: usize,
    least: usize,
    max: usize,
}

impl Limiter {
    pub(crate) fn new(least: usize, max: usize) -> Self {
        Self {
            limit: max,
            least: least.min(max),
            max,
        }
    }

    pub(crate) fn limit(&self) -> usize {
        self.limit
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

    #[test]
    fn a_configured_maximum_below_the_floor_holds() {
        let mut limiter = Limiter::new(MIN, 10);
        limiter.observe(Duration::from_secs(1), 10);
        assert!(limiter.limit() <= 10, "{}", limiter.limit());
    }
}
