//! The net change of all indexes from one cut to the next.

use crate::position::Sequence;
use std::{collections::BTreeMap, sync::Arc};

/// Puts and deletes, at most one for each key, and the position they lead to.
///
/// Sorted and shared, so that reads through the queue and the writer look at the same memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    pub(crate) applied: Sequence,
    pub(crate) changes: Arc<Vec<Change>>,
}

/// A key and its new value; `None` deletes.
pub(crate) type Change = (Vec<u8>, Option<Vec<u8>>);

impl Cut {
    #[must_use]
    pub fn new(applied: Sequence, changes: BTreeMap<Vec<u8>, Option<Vec<u8>>>) -> Self {
        Self {
            applied,
            changes: Arc::new(changes.into_iter().collect()),
        }
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
        let index = self
            .changes
            .binary_search_by(|(candidate, _)| candidate.as_slice().cmp(key))
            .ok()?;
        self.changes.get(index).map(|(_, value)| value.as_deref())
    }

    /// Bytes held, for the queue's limit.
    pub(crate) fn bytes(&self) -> usize {
        self.changes
            .iter()
            .map(|(key, value)| key.len() + value.as_ref().map_or(0, Vec::len))
            .sum()
    }
}
