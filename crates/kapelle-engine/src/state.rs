//! What the engine keeps: instances as typed aggregates, the partition object, and indexes as ordered bytes.
//!
//! | module | what |
//! |---|---|
//! | [`instance`] | one process instance with all it owns |
//! | [`partition`] | what there is once |
//! | [`held`] | what an instance holds, for whoever looks from outside |
//! | `tables` | every index: its number and its keys |
//! | the others | what an index says, one file per family |
//!
//! Reads are here; whatever writes is in `apply`.

pub(crate) mod dedup;
pub(crate) mod definitions;
pub(crate) mod due;
pub mod held;
pub mod instance;
pub(crate) mod jobs;
pub(crate) mod messages;
pub(crate) mod outbox;
pub mod partition;
pub(crate) mod requests;
pub(crate) mod subscribers;
pub(crate) mod tables;

use std::ops::ControlFlow;

use crate::keep::Keep;

/// Visits all entries whose key begins with `prefix`, in order, from `from` on if given.
#[expect(clippy::type_complexity, reason = "a visitor, as `Keep::scan` has it")]
pub(crate) fn scan_prefix(
    keep: &dyn Keep,
    prefix: &[u8],
    from: Option<&[u8]>,
    visit: &mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>,
) {
    let mut end = prefix.to_vec();
    // A prefix begins with a table's number, far below 255, so there always is a next one.
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            break;
        }
    }
    keep.scan(from.unwrap_or(prefix), &end, visit);
}
