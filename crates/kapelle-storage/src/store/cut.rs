//! The net change of all indexes from one cut to the next.

use crate::position::Sequence;
use std::{collections::BTreeMap, fmt, ops::Bound, sync::Arc};

/// A key and its new value; `None` deletes.
pub type Change<'a> = (&'a [u8], Option<&'a [u8]>);

/// Puts and deletes in the order of their keys, at most one for each key, which nobody changes any more.
///
/// A trait, because the runtime has them in memory in a form of its own: bringing half a million of them into another
/// one would keep its writer from deciding.
pub trait Changes: fmt::Debug + Send + Sync {
    fn len(&self) -> usize;

    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes held, for the queue's limit.
    fn bytes(&self) -> usize;

    /// What they say of a key: nothing, deleted, or a value.
    fn get(&self, key: &[u8]) -> Option<Option<&[u8]>>;

    /// The first change between the bounds.
    fn first(&self, from: Bound<&[u8]>, to: Bound<&[u8]>) -> Option<Change<'_>>;

    fn each(&self, visit: &mut dyn FnMut(Change<'_>));
}

impl Changes for BTreeMap<Vec<u8>, Option<Vec<u8>>> {
    fn len(&self) -> usize {
        BTreeMap::len(self)
    }

    fn bytes(&self) -> usize {
        self.iter()
            .map(|(key, value)| key.len() + value.as_ref().map_or(0, Vec::len))
            .sum()
    }

    fn get(&self, key: &[u8]) -> Option<Option<&[u8]>> {
        BTreeMap::get(self, key).map(Option::as_deref)
    }

    fn first(&self, from: Bound<&[u8]>, to: Bound<&[u8]>) -> Option<Change<'_>> {
        if is_empty_range(from, to) {
            return None;
        }
        let (key, value) = self.range::<[u8], _>((from, to)).next()?;
        Some((key, value.as_deref()))
    }

    fn each(&self, visit: &mut dyn FnMut(Change<'_>)) {
        for (key, value) in self {
            visit((key, value.as_deref()));
        }
    }
}

/// `BTreeMap::range` panics where others only find nothing.
#[must_use]
pub fn is_empty_range(from: Bound<&[u8]>, to: Bound<&[u8]>) -> bool {
    match (from, to) {
        (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
        (Bound::Included(from), Bound::Included(to)) => from > to,
        (
            Bound::Included(from) | Bound::Excluded(from),
            Bound::Included(to) | Bound::Excluded(to),
        ) => from >= to,
    }
}

/// Changes and the position they lead to.
///
/// Shared, so that reads through the queue and the writer look at the same memory.
#[derive(Debug, Clone)]
pub struct Cut {
    pub(crate) applied: Sequence,
    pub(crate) changes: Arc<dyn Changes>,
}

impl Cut {
    #[must_use]
    pub fn new(applied: Sequence, changes: BTreeMap<Vec<u8>, Option<Vec<u8>>>) -> Self {
        Self::of(applied, Arc::new(changes))
    }

    #[must_use]
    pub fn of(applied: Sequence, changes: Arc<dyn Changes>) -> Self {
        Self { applied, changes }
    }

    #[must_use]
    pub fn applied(&self) -> Sequence {
        self.applied
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.changes.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// What this cut says of a key: nothing, deleted, or a value.
    pub(crate) fn get(&self, key: &[u8]) -> Option<Option<&[u8]>> {
        self.changes.get(key)
    }
}
