//! What changed in the indexes since the last cut that the store has, and what the last few cuts said.
//!
//! ```text
//! current ─ freeze ─► frozen ─ the journal is durable: hand_over ─► known ─► forgotten
//!                                          └─► store
//! ```
//!
//! **Invariants**
//! - A key's newest word is the first one found in `current`, `frozen`, `known` (newest first), store.
//! - An entry put by `insert` has never been anywhere else, so deleting it before the freeze leaves nothing behind: what
//!   lives shorter than a checkpoint costs the disk nothing.
//! - `known` is only a cache: the store has all of it, or has it in its queue. The two share one memory.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use kapelle_storage::store::{Change, Changes, is_empty_range};

use super::bytes::Bytes;

/// What the last cuts said is kept for reads: the job that is completed now was made a few cuts ago, and the tree here
/// answers ten times sooner than the store. More of them would make every miss slower.
const KNOWN_MAX: usize = 3;

/// What a word takes in the tree, near enough for limits.
const WORD_BYTES: usize = 96;

/// One key's word.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Word {
    /// `None` = deleted.
    value: Option<Bytes>,
    /// Nobody below has ever heard of the key.
    fresh: bool,
}

/// The net change between two cuts.
#[derive(Debug, Default)]
pub(crate) struct Delta {
    words: BTreeMap<Bytes, Word>,
    /// Of words that are too long to be in place; those that were replaced count too.
    heap_bytes: usize,
}

impl Delta {
    fn put(&mut self, key: &[u8], value: &[u8]) {
        let value = Bytes::from(value);
        self.heap_bytes += value.heap_bytes();
        if let Some(word) = self.words.get_mut(key) {
            // A fresh entry stays fresh: the store still knows nothing of it.
            word.value = Some(value);
        } else {
            self.add(
                key,
                Word {
                    value: Some(value),
                    fresh: false,
                },
            );
        }
    }

    fn insert(&mut self, key: &[u8], value: &[u8]) {
        let value = Bytes::from(value);
        self.heap_bytes += value.heap_bytes();
        let before = self.add(
            key,
            Word {
                value: Some(value),
                fresh: true,
            },
        );
        debug_assert!(before.is_none(), "insert is for keys that never were there");
    }

    fn delete(&mut self, key: &[u8]) {
        match self.words.get_mut(key) {
            Some(word) if word.fresh => {
                self.words.remove(key);
            }
            Some(word) => word.value = None,
            None => {
                self.add(
                    key,
                    Word {
                        value: None,
                        fresh: false,
                    },
                );
            }
        }
    }

    fn add(&mut self, key: &[u8], word: Word) -> Option<Word> {
        let key = Bytes::from(key);
        self.heap_bytes += key.heap_bytes();
        self.words.insert(key, word)
    }

    fn range<'a>(
        &'a self,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
    ) -> impl Iterator<Item = Change<'a>> + use<'a> {
        let words = (!is_empty_range(from, to)).then(|| self.words.range::<[u8], _>((from, to)));
        words
            .into_iter()
            .flatten()
            .map(|(key, word)| (&**key, word.value.as_deref()))
    }
}

impl Changes for Delta {
    fn len(&self) -> usize {
        self.words.len()
    }

    fn bytes(&self) -> usize {
        self.words.len() * WORD_BYTES + self.heap_bytes
    }

    fn get(&self, key: &[u8]) -> Option<Option<&[u8]>> {
        self.words.get(key).map(|word| word.value.as_deref())
    }

    fn first(&self, from: Bound<&[u8]>, to: Bound<&[u8]>) -> Option<Change<'_>> {
        self.range(from, to).next()
    }

    fn each(&self, visit: &mut dyn FnMut(Change<'_>)) {
        for (key, word) in &self.words {
            visit((key, word.value.as_deref()));
        }
    }
}

/// All of it.
#[derive(Debug, Default)]
pub(crate) struct Overlay {
    current: Delta,
    frozen: Option<Arc<Delta>>,
    known: VecDeque<Arc<Delta>>,
}

impl Overlay {
    /// `None` = ask the store; `Some(None)` = deleted.
    pub(crate) fn get(&self, key: &[u8]) -> Option<Option<&[u8]>> {
        let older = self.frozen.iter().chain(&self.known);
        self.current
            .get(key)
            .or_else(|| older.into_iter().find_map(|delta| delta.get(key)))
    }

    pub(crate) fn put(&mut self, key: &[u8], value: &[u8]) {
        self.current.put(key, value);
    }

    pub(crate) fn insert(&mut self, key: &[u8], value: &[u8]) {
        self.current.insert(key, value);
    }

    pub(crate) fn delete(&mut self, key: &[u8]) {
        self.current.delete(key);
    }

    /// Ends `current` at a batch boundary. There is at most one frozen delta.
    pub(crate) fn freeze(&mut self) {
        assert!(self.frozen.is_none(), "one cut at a time");
        self.frozen = Some(Arc::new(std::mem::take(&mut self.current)));
    }

    /// What was frozen: the store takes it, and answers for it from now on.
    pub(crate) fn hand_over(&mut self) -> Arc<Delta> {
        let frozen = self
            .frozen
            .take()
            .expect("invariant: handed over once after it was frozen");
        self.known.push_front(Arc::clone(&frozen));
        self.known.truncate(KNOWN_MAX);
        frozen
    }

    /// Words that the store does not have yet.
    pub(crate) fn len(&self) -> usize {
        self.current.len() + self.frozen.as_ref().map_or(0, |frozen| frozen.len())
    }

    /// Everything that the store does not have yet, in order; deleted keys are there too, so that they hide what the store
    /// has.
    pub(crate) fn range<'a>(
        &'a self,
        from: &[u8],
        to: &[u8],
    ) -> impl Iterator<Item = Change<'a>> + use<'a> {
        let (from, to) = (Bound::Included(from), Bound::Excluded(to));
        let frozen = self.frozen.as_ref().map(|frozen| frozen.range(from, to));
        Merge::new(self.current.range(from, to), frozen.into_iter().flatten())
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
        assert_eq!(overlay.hand_over().len(), 0);
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
        assert_eq!(overlay.hand_over().len(), 1);
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

    #[test]
    fn what_the_last_cuts_said_is_still_known_and_the_newest_word_counts() {
        let mut overlay = Overlay::default();
        for round in [b"1", b"2", b"3", b"4"] {
            overlay.put(b"every", round);
            overlay.put(round, b"here");
            overlay.freeze();
            overlay.hand_over();
        }
        assert_eq!(overlay.get(b"every"), Some(Some(b"4".as_slice())));
        assert_eq!(overlay.get(b"2"), Some(Some(b"here".as_slice())));
        assert_eq!(overlay.get(b"1"), None, "only the last three");
        assert_eq!(
            (text(&overlay).as_str(), overlay.len()),
            ("", 0),
            "the store has all of it"
        );
    }
}
