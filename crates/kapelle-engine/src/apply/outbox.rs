//! CloudEvents on their way out, and what is kept among the dead letters.

use super::dedup;
use crate::encode::Record;
use crate::event::Event;
use crate::ids::{Sequence, Timestamp};
use crate::keep::Keep;
use crate::response::Outcome;
use crate::state::dedup::DedupEntry;
use crate::state::outbox::{BuriedEntry, PendingEntry, RejectedEntry};
use crate::state::tables;

pub(super) fn to_indexes(keep: &mut dyn Keep, event: &Event, sequence: Sequence, at: Timestamp) {
    match event {
        Event::OutboxAdded(added) => {
            keep.insert(&tables::outbox(added.entry), &added.to_bytes());
            keep.insert(&tables::outbox_pending(added.entry), &[]);
        }
        Event::OutboxAcked { entry } => {
            keep.delete(&tables::outbox(*entry));
            keep.delete(&tables::outbox_pending(*entry));
        }
        Event::OutboxDeferred {
            entry,
            attempts,
            retry_at,
            error,
        } => {
            let pending = PendingEntry {
                attempts: *attempts,
                retry_at: *retry_at,
                error: error.clone(),
            };
            keep.put(&tables::outbox_pending(*entry), &pending.to_bytes());
        }
        Event::OutboxBuried {
            entry,
            attempts,
            error,
        } => {
            let buried = BuriedEntry {
                attempts: *attempts,
                error: error.clone(),
                at,
            };
            keep.put(&tables::outbox_buried(*entry), &buried.to_bytes());
            keep.delete(&tables::outbox_pending(*entry));
        }
        Event::RecordRejected {
            tenant,
            source_name,
            raw,
            content_type,
            reason,
            identity,
            bucket,
        } => {
            let entry = RejectedEntry {
                tenant: tenant.clone(),
                source_name: source_name.clone(),
                raw: raw.clone(),
                content_type: content_type.clone(),
                reason: reason.clone(),
                at,
            };
            keep.insert(&tables::record_rejected(sequence), &entry.to_bytes());
            let seen = DedupEntry {
                bucket: *bucket,
                first: sequence,
                outcome: Outcome::Rejected,
                content: *identity,
            };
            dedup::remember(keep, *identity, &seen, at);
        }
        _ => unreachable!("dispatched by family"),
    }
}
