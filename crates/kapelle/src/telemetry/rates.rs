//! How much goes through each connector a second, over the last moments.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Samples that are kept: with one a second, a rate is that of ten seconds.
const KEPT: usize = 11;

/// Counters over the last moments.
#[derive(Debug, Default)]
pub(crate) struct Rates(Mutex<VecDeque<Sample>>);

#[derive(Debug)]
struct Sample {
    at: Instant,
    counters: BTreeMap<String, u64>,
}

impl Rates {
    /// Takes the counters' values now.
    pub(crate) fn sample(&self, at: Instant, counters: BTreeMap<String, u64>) {
        let mut samples = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if samples.len() == KEPT {
            samples.pop_front();
        }
        samples.push_back(Sample { at, counters });
    }

    /// By how much a counter grew a second, from 0 on where it is new; `None` before there are two samples.
    pub(crate) fn of(&self, name: &str) -> Option<f64> {
        let samples = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (first, last) = (samples.front()?, samples.back()?);
        let seconds = last.at.duration_since(first.at).as_secs_f64();
        let first = first.counters.get(name).copied().unwrap_or(0);
        let last = *last.counters.get(name)?;
        // Counts stay far below 2^53.
        (seconds > 0.0).then(|| last.saturating_sub(first) as f64 / seconds)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_rate_is_that_of_the_samples_that_are_kept() {
        let rates = Rates::default();
        let began = Instant::now();
        let sample = |second: u64, count: u64| {
            let counters = BTreeMap::from([("orders".to_owned(), count)]);
            rates.sample(began + Duration::from_secs(second), counters);
        };
        sample(0, 100);
        assert_eq!(rates.of("orders"), None);
        sample(2, 300);
        assert_eq!((rates.of("orders"), rates.of("bills")), (Some(100.0), None));
    }

    #[test]
    fn what_came_before_a_connector_was_seen_counts() {
        let rates = Rates::default();
        let began = Instant::now();
        rates.sample(began, BTreeMap::new());
        assert_eq!(rates.of("orders"), None);
        let counters = BTreeMap::from([("orders".to_owned(), 6)]);
        rates.sample(began + Duration::from_secs(2), counters);
        assert_eq!(rates.of("orders"), Some(3.0));
    }

    #[test]
    fn what_is_long_ago_no_longer_counts() {
        let rates = Rates::default();
        let began = Instant::now();
        for second in 0..20 {
            let count = if second == 0 { 0 } else { 1_000 };
            let counters = BTreeMap::from([("orders".to_owned(), count)]);
            rates.sample(began + Duration::from_secs(second), counters);
        }
        assert_eq!(rates.of("orders"), Some(0.0));
    }
}
