//! Latencies in buckets that grow with the value: each is at most 1.6 % wide, which is finer than any run repeats.

use std::time::Duration;

/// Buckets per doubling.
const STEPS: u64 = 64;

#[derive(Clone, Debug, Default)]
pub(crate) struct Histogram {
    counts: Vec<u64>,
    count: u64,
    max_us: u64,
}

impl Histogram {
    pub(crate) fn record(&mut self, latency: Duration) {
        let us = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        let bucket = bucket(us);
        if self.counts.len() <= bucket {
            self.counts.resize(bucket + 1, 0);
        }
        self.counts[bucket] += 1;
        self.count += 1;
        self.max_us = self.max_us.max(us);
    }

    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// The latency in milliseconds that `share` of all did not exceed.
    pub(crate) fn quantile_ms(&self, share: f64) -> f64 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a rank within a count"
        )]
        let rank = ((self.count as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return to_ms(upper(bucket as u64).min(self.max_us));
            }
        }
        0.0
    }

    pub(crate) fn max_ms(&self) -> f64 {
        to_ms(self.max_us)
    }
}

#[expect(clippy::cast_precision_loss, reason = "latencies of hours still fit")]
fn to_ms(us: u64) -> f64 {
    us as f64 / 1000.0
}

/// Exact below `STEPS`; above, the position of the leading bit and the bits behind it.
fn bucket(us: u64) -> usize {
    let bucket = if us < STEPS {
        us
    } else {
        let shift = u64::from(us.ilog2()) - u64::from(STEPS.ilog2());
        (shift + 1) * STEPS + (us >> shift) - STEPS
    };
    usize::try_from(bucket).unwrap_or(usize::MAX)
}

/// The largest value of a bucket.
fn upper(bucket: u64) -> u64 {
    if bucket < STEPS {
        return bucket;
    }
    let shift = bucket / STEPS - 1;
    ((bucket % STEPS + STEPS + 1) << shift) - 1
}

#[cfg(test)]
mod tests {
    use super::{Histogram, bucket, upper};
    use std::time::Duration;

    #[test]
    fn a_value_lies_in_its_bucket_and_no_lower_one() {
        for us in (0..100_000).chain([1_000_000, 59_999_999]) {
            assert!(us <= upper(bucket(us) as u64), "{us}");
            assert!(bucket(us) == 0 || us > upper(bucket(us) as u64 - 1), "{us}");
        }
    }

    #[test]
    fn quantiles_are_within_two_percent() {
        let mut histogram = Histogram::default();
        for us in 1..=10_000 {
            histogram.record(Duration::from_micros(us));
        }
        let p99 = histogram.quantile_ms(0.99);
        assert!((9.9..10.1).contains(&p99), "{p99}");
        assert!((histogram.max_ms() - 10.0).abs() < f64::EPSILON);
    }
}
