//! CloudEvents on their way out, those given up, and what came in and was none.

use std::sync::Arc;

use crate::ids::Timestamp;

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
