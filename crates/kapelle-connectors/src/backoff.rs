//! Waits between attempts: exponential, bounded, with jitter.
//!
//! **Invariant**: a wait is at least half of what the exponent says and at most all of it, so a wait never becomes a busy
//! loop, and a thousand clients of a restarted broker do not come back in step.

use std::time::Duration;

/// The first and the longest wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// The wait after the first failure.
    pub first: Duration,
    /// The longest wait.
    pub max: Duration,
}

impl Bounds {
    /// What sources and sinks at brokers wait, unless they are told otherwise.
    #[cfg(feature = "broker")]
    pub(crate) const BROKER: Self = Self {
        first: Duration::from_millis(200),
        max: Duration::from_secs(30),
    };
}

/// The state between failures.
#[derive(Debug, Clone)]
pub struct Backoff {
    bounds: Bounds,
    failures: u32,
}

impl Backoff {
    /// No failure yet.
    pub fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            failures: 0,
        }
    }

    /// How long to wait after one more failure.
    pub fn next_wait(&mut self) -> Duration {
        self.next_wait_with(fastrand::f64())
    }

    /// Something worked: the next wait is the first again.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    fn next_wait_with(&mut self, jitter: f64) -> Duration {
        let doubled = self
            .bounds
            .first
            .saturating_mul(2u32.saturating_pow(self.failures));
        self.failures = self.failures.saturating_add(1);
        doubled.min(self.bounds.max).mul_f64(0.5 + jitter / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn waits_double_up_to_the_longest_and_begin_anew_after_a_success() {
        let mut backoff = Backoff::new(Bounds {
            first: Duration::from_millis(100),
            max: Duration::from_secs(30),
        });
        let mut waits = |jitter: f64| -> String {
            let waits = (0..12)
                .map(|_| format!("{} ", backoff.next_wait_with(jitter).as_millis()))
                .collect();
            backoff.reset();
            waits
        };
        expect!["50 100 200 400 800 1600 3200 6400 12800 15000 15000 15000 "]
            .assert_eq(&waits(0.0));
        expect!["100 200 400 800 1600 3200 6400 12800 25600 30000 30000 30000 "]
            .assert_eq(&waits(1.0));
    }

    #[test]
    fn failures_without_end_do_not_overflow() {
        let mut backoff = Backoff::new(Bounds {
            first: Duration::from_secs(1),
            max: Duration::from_secs(2),
        });
        backoff.failures = u32::MAX;
        assert_eq!(backoff.next_wait_with(1.0), Duration::from_secs(2));
    }
}
