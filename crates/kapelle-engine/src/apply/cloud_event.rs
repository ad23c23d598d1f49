//! The dedup window, the outbox, dead letters, and answers kept for idempotent requests.

use crate::command::{Due, DueKind};
use crate::encode::Record;
use crate::event::{DueOwner, Event};
use crate::ids::{ProcessInstanceKey, Sequence, Timestamp};
use crate::keep::Keep;
use crate::state::dedup::DedupEntry;
use crate::state::outbox::{BuriedEntry, RejectedEntry};
use crate::state::partition::{DedupBucket, DedupWindow};
use crate::state::requests::RequestEntry;
use crate::state::tables;

pub(super) fn to_indexes(keep: &mut dyn Keep, event: &Event, sequence: Sequence, at: Timestamp) {
    match event {
        Event::CloudEventRouted { position, outcome, identity, content, bucket, .. } => {
            let entry = DedupEntry { bucket: *bucket, first: *position, outcome: *outcome, content: *content };
            keep.put(&tables::dedup(*identity), &entry.to_bytes());
            keep.put(&tables::dedup_bucket(*bucket, *identity), &[]);
            admit(&mut keep.partition_mut().dedup, *bucket, at);
        }
        Event::DedupBucketDropped { bucket } => {
            let window = &mut keep.partition_mut().dedup;
            window.lower = bucket + 1;
            window.buckets.retain(|kept| kept.number > *bucket);
        }
        Event::DedupForgotten { bucket, identities, renewed, last } => {
            for identity in identities {
                keep.delete(&tables::dedup(*identity));
            }
            for identity in identities.iter().chain(renewed) {
                keep.delete(&tables::dedup_bucket(*bucket, *identity));
            }
            if *last {
                keep.partition_mut().dedup.swept = bucket + 1;
            }
        }
        Event::RecordRejected { tenant, source_name, raw, content_type, reason } => {
            let entry = RejectedEntry {
                tenant: tenant.clone(),
                source_name: source_name.clone(),
                raw: raw.clone(),
                content_type: content_type.clone(),
                reason: reason.clone(),
                at,
            };
            keep.insert(&tables::record_rejected(sequence), &entry.to_bytes());
        }
        Event::OutboxAdded(added) => {
            keep.insert(&tables::outbox(added.entry), &added.to_bytes());
            keep.insert(&tables::outbox_pending(added.entry), &[]);
        }
        Event::OutboxAcked { entry } => {
            keep.delete(&tables::outbox(*entry));
            keep.delete(&tables::outbox_pending(*entry));
        }
        Event::OutboxBuried { entry, attempts, error } => {
            let buried = BuriedEntry { attempts: *attempts, error: error.clone(), at };
            keep.put(&tables::outbox_buried(*entry), &buried.to_bytes());
            keep.delete(&tables::outbox_pending(*entry));
        }
        Event::RequestRemembered { tenant, request, instance, definition, until } => {
            let entry = RequestEntry { instance: *instance, definition: *definition, until: *until };
            keep.put(&tables::request(tenant, request), &entry.to_bytes());
            let owner = DueOwner::Request { tenant: tenant.clone(), request: request.clone() };
            keep.insert(&tables::due(expiry(*instance, *until)), &owner.to_bytes());
        }
        Event::RequestForgotten { tenant, request, instance, until } => {
            keep.delete(&tables::request(tenant, request));
            keep.delete(&tables::due(expiry(*instance, *until)));
        }
        _ => unreachable!("dispatched by family"),
    }
}

fn admit(window: &mut DedupWindow, bucket: u64, at: Timestamp) {
    match window.buckets.last_mut() {
        Some(last) if last.number == bucket => last.count += 1,
        _ => window.buckets.push(DedupBucket { number: bucket, started: at, count: 1 }),
    }
}

fn expiry(instance: ProcessInstanceKey, at: Timestamp) -> Due {
    Due { at, what: DueKind::IdempotencyExpiry, key: instance.0 }
}
