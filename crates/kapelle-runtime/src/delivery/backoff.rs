//! How long to wait before trying again: exponential, capped, with jitter so that many failures do not return at once.

/// Delays between attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    pub first_ms: i64,
    pub max_ms: i64,
}

impl Default for Backoff {
    /// A receiver that restarts is met within seconds, one that is down for long is asked every five minutes.
    fn default() -> Self {
        Self {
            first_ms: 1_000,
            max_ms: 5 * 60 * 1_000,
        }
    }
}

impl Backoff {
    /// After the attempt of that number (the first is 1): between half and all of the exponential delay, a function of
    /// `seed` and the number.
    #[must_use]
    pub fn delay_ms(&self, attempt: u32, seed: u64) -> i64 {
        let doublings = attempt.saturating_sub(1).min(32);
        let full = self
            .first_ms
            .saturating_mul(1_i64 << doublings)
            .min(self.max_ms)
            .max(1);
        let half = full / 2;
        let spread = u64::try_from(full - half).unwrap_or(0) + 1;
        half + i64::try_from(mix(seed.wrapping_add(u64::from(attempt))) % spread).unwrap_or(0)
    }
}

/// The finaliser of splitmix64: neighbouring seeds give unrelated numbers.
const fn mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_between_half_and_all_up_to_the_cap() {
        let backoff = Backoff {
            first_ms: 1_000,
            max_ms: 8_000,
        };
        for seed in 0..50 {
            for (attempt, full) in [
                (1, 1_000),
                (2, 2_000),
                (3, 4_000),
                (4, 8_000),
                (5, 8_000),
                (90, 8_000),
            ] {
                let delay = backoff.delay_ms(attempt, seed);
                assert!(
                    (full / 2..=full).contains(&delay),
                    "attempt {attempt}: {delay}"
                );
            }
        }
        assert_ne!(
            backoff.delay_ms(4, 1),
            backoff.delay_ms(4, 2),
            "jitter comes from the seed"
        );
        assert_eq!(backoff.delay_ms(4, 1), backoff.delay_ms(4, 1));
    }
}
