//! Which CloudEvents were here before.

use crate::encode::Record;
use crate::ids::Sequence;
use crate::keep::Keep;
use crate::response::Outcome;
use crate::state::tables;

/// A CloudEvent inside the window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DedupEntry {
    pub(crate) bucket: u64,
    pub(crate) first: Sequence,
    pub(crate) outcome: Outcome,
    pub(crate) content: u128,
}

/// The first arrival of that identity, if it is still inside the window.
pub(crate) fn find(keep: &dyn Keep, identity: u128) -> Option<DedupEntry> {
    let entry = raw(keep, identity)?;
    (entry.bucket >= keep.partition().dedup.lower).then_some(entry)
}

/// The entry, inside the window or only not yet removed.
pub(crate) fn raw(keep: &dyn Keep, identity: u128) -> Option<DedupEntry> {
    let value = keep.get(&tables::dedup(identity))?;
    Some(DedupEntry::read(&value).expect("the engine wrote this entry"))
}
