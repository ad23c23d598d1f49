//! What changed in the indexes since the last cut that the store has: `current` grows, `frozen` waits until the journal has
//! made it durable.
//!
//! **Invariant**: a key's newest word is the first one found in `current`, `frozen`, store, in this order. An entry put by
//! `insert` has never been anywhere else, so deleting it before the freeze leaves nothing behind: what lives shorter than
//! a checkpoint costs the disk nothing.

use std::collections::BTreeMap;
use std::ops::Bound;

/// One key's word in the overlay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Word {
    /// `None` = deleted.
    pub(crate) value: Option<Box<[u8]>>,
    /// Nobody below has ever heard of the key.
    fresh: bool,
}

/// The net change between two cuts.
pub(crate) type Delta = BTreeMap<Box<[u8]>, Word>;

/// Both halves.
#[derive(Debug, Default)]
pub(crate) struct Overlay {
    current: Delta,
    frozen: Option<Delta>,
}

impl Overlay {
    /// `None` = ask the store; `Some(None)` = deleted.
    pub(crate) fn get(&self, key: &[u8]) -> Option<Option<&[u8]>> {
        let word = self
            .current
            .get(key)
            .or_else(|| self.frozen.as_ref()?.get(key))?;
        Some(word.value.as_deref())
    }

    pub(crate) fn put(&mut self, key: &[u8], value: &[u8]) {
        if let Some(word) = self.current.get_mut(key) {
            // A fresh entry stays fresh: the store still knows nothing of it.
            word.value = Some(value.into());
        } else {
            self.current.insert(
                key.into(),
                Word {
                    value: Some(value.into()),
                    fresh: false,
                },
            );
        }
    }

    pub(crate) fn insert(&mut self, key: &[u8], value: &[u8]) {
        let fresh = Word {
            value: Some(value.into()),
            fresh: true,
        };
        let before = self.current.insert(key.into(), fresh);
        debug_assert!(before.is_none(), "insert is for keys that never were there");
    }

    pub(crate) fn delete(&mut self, key: &[u8]) {
        match self.current.get_mut(key) {
            Some(word) if word.fresh => {
                self.current.remove(key);
            }
            Some(word) => word.value = None,
            None => {
                self.current.insert(
                    key.into(),
                    Word {
                        value: None,
                        fresh: false,
                    },
                );
            }
        }
    }

    /// Ends `current` at a batch boundary. There is at most one frozen half.
    pub(crate) fn freeze(&mut self) {
        assert!(self.frozen.is_none(), "one cut at a time");
        self.frozen = Some(std::mem::take(&mut self.current));
    }

    /// What was frozen: the store takes it, and answers for it from now on.
    pub(crate) fn thaw(&mut self) -> Delta {
        self.frozen
            .take()
            .expect("invariant: thawed once after it was frozen")
    }

    pub(crate) fn len(&self) -> usize {
        self.current.len() + self.frozen.as_ref().map_or(0, BTreeMap::len)
    }

    /// Both halves merged, in order; deleted keys are there too, so that they hide what the store has.
    pub(crate) fn range<'a>(
        &'a self,
        from: &'a [u8],
        to: &'a [u8],
    ) -> impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)> {
        let bounds = (Bound::Included(from), Bound::Excluded(to));
        let part = |delta: &'a Delta| {
            delta
                .range::<[u8], _>(bounds)
                .map(|(key, word)| (key.as_ref(), word.value.as_deref()))
        };
        // `range` panics on an empty interval.
        let some = from < to;
        let current = some.then(|| part(&self.current)).into_iter().flatten();
        let frozen = some
            .then_some(self.frozen.as_ref())
            .flatten()
            .map(part)
            .into_iter()
            .flatten();
        Merge {
            newer: current.peekable(),
            older: frozen.peekable(),
        }
    }
}

/// Two ordered sequences as one; of equal keys the newer one's value.
pub(crate) struct Merge<A: Iterator, B: Iterator> {
    newer: std::iter::Peekable<A>,
    older: std::iter::Peekable<B>,
}

impl<A: Iterator, B: Iterator> Merge<A, B> {
    pub(crate) fn new(newer: A, older: B) -> Self {
        Self {
            newer: newer.peekable(),
            older: older.peekable(),
        }
    }
}

impl<K: Ord, V, A: Iterator<Item = (K, V)>, B: Iterator<Item = (K, V)>> Iterator for Merge<A, B> {
    type Item = (K, V);

    fn next(&mut self) -> Option<(K, V)> {
        let (Some((newer, _)), Some((older, _))) = (self.newer.peek(), self.older.peek()) else {
            return self.newer.next().or_else(|| self.older.next());
        };
        match newer.cmp(older) {
            std::cmp::Ordering::Less => self.newer.next(),
            std::cmp::Ordering::Greater => self.older.next(),
            std::cmp::Ordering::Equal => {
                self.older.next();
                self.newer.next()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(overlay: &Overlay) -> String {
        let part = |(key, value): (&[u8], Option<&[u8]>)| {
            let value = value.map_or("-".into(), String::from_utf8_lossy);
            format!("{}={value}", String::from_utf8_lossy(key))
        };
        overlay
            .range(b"a", b"z")
            .map(part)
            .collect::<Vec<_>>()
            .join(" ")
    }

    #[test]
    fn inserted_and_deleted_before_a_freeze_leaves_nothing() {
        let mut overlay = Overlay::default();
        overlay.insert(b"b", b"1");
        overlay.put(b"b", b"2");
        overlay.delete(b"b");
        assert_eq!(text(&overlay), "");
        overlay.freeze();
        assert_eq!(overlay.thaw().len(), 0);
    }

    #[test]
    fn deleting_what_others_may_know_leaves_a_word() {
        let mut overlay = Overlay::default();
        overlay.insert(b"b", b"1");
        overlay.freeze();
        overlay.delete(b"b");
        overlay.put(b"c", b"1");
        overlay.delete(b"c");
        assert_eq!(text(&overlay), "b=- c=-");
        assert_eq!(overlay.get(b"b"), Some(None));
        assert_eq!(overlay.thaw().len(), 1);
        assert_eq!(text(&overlay), "b=- c=-");
        assert_eq!(overlay.get(b"d"), None);
    }

    #[test]
    fn the_current_half_hides_the_frozen_one() {
        let mut overlay = Overlay::default();
        for key in [b"a", b"c", b"d"] {
            overlay.put(key, b"old");
        }
        overlay.freeze();
        overlay.put(b"b", b"new");
        overlay.put(b"c", b"new");
        overlay.delete(b"d");
        assert_eq!(text(&overlay), "a=old b=new c=new d=-");
        assert_eq!(overlay.range(b"z", b"a").count(), 0);
    }
}
