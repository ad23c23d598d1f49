//! What a journal has done, as plain counters; `kapelle` turns them into metrics.

use std::time::Duration;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    pub batches: u64,
    pub records: u64,
    /// Bytes written to segments, padding included.
    pub bytes: u64,
    pub syncs: u64,
    /// Time from the beginning of a batch's write to the end of its sync.
    pub sync_time: Histogram,
    /// Time the writer stood still in `submit` or `wait`.
    pub waited: Duration,
    pub segments_created: u64,
    pub segments_recycled: u64,
    /// Segments that hold records now.
    pub segments_live: u64,
}

/// Counts by powers of two of microseconds: bucket *i* holds times below 2^*i* µs, the last one all others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Histogram {
    pub buckets: [u64; Self::BUCKETS],
    pub sum: Duration,
    pub max: Duration,
}

impl Histogram {
    /// The last bucket begins at a second: slower than that is an outage, not a distribution.
    pub const BUCKETS: usize = 22;

    pub fn observe(&mut self, time: Duration) {
        let micros = time.as_micros().max(1);
        let index = (u128::BITS - micros.leading_zeros()) as usize;
        self.buckets[index.min(Self::BUCKETS - 1)] += 1;
        self.sum += time;
        self.max = self.max.max(time);
    }

    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// An upper bound of the quantile `q` in 0..=1: the edge of its bucket.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Duration {
        let rank = (self.count() as f64 * q).ceil() as u64;
        let mut seen = 0;
        for (index, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= rank.max(1) {
                return Duration::from_micros(1 << index).min(self.max);
            }
        }
        Duration::ZERO
    }
}
