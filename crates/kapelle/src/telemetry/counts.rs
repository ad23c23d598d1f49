//! Counters by names that users make up: processes, job types, sources of CloudEvents.
//!
//! **Invariant**: the names are bounded: [`NAMES_MAX`] have a counter of their own, in the order in which they come; all
//! others are counted together under [`OTHER`]. A client that invents a name for each request costs no memory here, and
//! none in whatever collects the metrics.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// So many names have a counter of their own in each family.
const NAMES_MAX: usize = 200;

/// Longer ones are cut: a name is for a label, not for data.
const NAME_CHARS_MAX: usize = 100;

/// All names beyond. A process of this name shares it.
const OTHER: &str = "other";

/// How often what happened to each name.
#[derive(Debug)]
pub(crate) struct Counts<K>(Mutex<BTreeMap<String, BTreeMap<K, u64>>>);

impl<K> Default for Counts<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Ord> Counts<K> {
    pub(crate) fn add(&self, name: &str, what: K) {
        let name = match name.char_indices().nth(NAME_CHARS_MAX) {
            Some((end, _)) => &name[..end],
            None => name,
        };
        let mut names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let counted = if let Some(known) = names.get_mut(name) {
            known
        } else {
            let is_full = names.len() >= NAMES_MAX;
            let name = if is_full { OTHER } else { name };
            names.entry(name.to_owned()).or_default()
        };
        *counted.entry(what).or_default() += 1;
    }

    pub(crate) fn for_each(&self, mut tell: impl FnMut(&str, &K, u64)) {
        let names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, counted) in names.iter() {
            counted
                .iter()
                .for_each(|(what, count)| tell(name, what, *count));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(counts: &Counts<u8>) -> Vec<(String, u8, u64)> {
        let mut all = Vec::new();
        counts.for_each(|name, what, count| all.push((name.to_owned(), *what, count)));
        all
    }

    #[test]
    fn names_beyond_the_bound_are_counted_together() {
        let counts = Counts::default();
        for number in 0..10_000 {
            counts.add(&format!("{number:05}"), 1);
        }
        counts.add("00007", 1);
        let all = all(&counts);
        assert_eq!(all.len(), NAMES_MAX + 1);
        assert!(all.contains(&("00007".to_owned(), 1, 2)));
        assert!(all.contains(&(OTHER.to_owned(), 1, 10_000 - NAMES_MAX as u64)));
    }

    #[test]
    fn a_long_name_is_cut_between_characters() {
        let counts = Counts::default();
        counts.add(&"ü".repeat(500), 1);
        counts.add(&"ü".repeat(600), 1);
        assert_eq!(all(&counts), [("ü".repeat(NAME_CHARS_MAX), 1, 2)]);
    }
}
