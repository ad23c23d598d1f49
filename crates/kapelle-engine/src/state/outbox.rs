//! CloudEvents on their way out, those given up, and what came in and was none.

use std::sync::Arc;

use crate::encode::Record;
use crate::ids::{OutboxKey, Timestamp};
use crate::keep::Keep;
use crate::state::tables;

/// What is known of the delivery of one that waits. No bytes for most, which are delivered at the first attempt.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PendingEntry {
    /// Attempts that failed.
    pub(crate) attempts: u32,
    /// When the next one is due.
    pub(crate) retry_at: Timestamp,
    /// Of the last attempt.
    pub(crate) error: Arc<str>,
}

/// What is known of the delivery, if it is neither over nor given up.
pub(crate) fn pending(keep: &dyn Keep, entry: OutboxKey) -> Option<PendingEntry> {
    let value = keep.get(&tables::outbox_pending(entry))?;
    Some(PendingEntry::read(&value).expect("the engine wrote this entry"))
}

/// Delivery was given up. The payload stays where it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BuriedEntry {
    pub(crate) attempts: u32,
    pub(crate) error: Arc<str>,
    pub(crate) at: Timestamp,
}

/// A broker's record that is no CloudEvent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RejectedEntry {
    pub(crate) tenant: Arc<str>,
    pub(crate) source_name: Arc<str>,
    pub(crate) raw: Arc<[u8]>,
    pub(crate) content_type: Option<Arc<str>>,
    pub(crate) reason: Arc<str>,
    pub(crate) at: Timestamp,
}
