//! Answers kept for requests that carry an idempotency key.

use crate::encode::Record;
use crate::ids::{DefinitionKey, ProcessInstanceKey, Timestamp};
use crate::keep::Keep;
use crate::state::tables;

/// What the request started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RequestEntry {
    pub(crate) instance: ProcessInstanceKey,
    pub(crate) definition: DefinitionKey,
    pub(crate) until: Timestamp,
}

pub(crate) fn find(keep: &dyn Keep, tenant: &str, request: &str) -> Option<RequestEntry> {
    let value = keep.get(&tables::request(tenant, request))?;
    Some(RequestEntry::read(&value).expect("the engine wrote this entry"))
}
