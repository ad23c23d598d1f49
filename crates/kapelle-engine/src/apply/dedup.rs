//! The window of CloudEvents that were here before.

use crate::encode::Record;
use crate::event::Event;
use crate::ids::Timestamp;
use crate::keep::Keep;
use crate::state::dedup::DedupEntry;
use crate::state::partition::{DedupBucket, DedupWindow};
use crate::state::tables;

pub(super) fn to_indexes(keep: &mut dyn Keep, event: &Event, at: Timestamp) {
    match event {
        Event::CloudEventRouted {
            position,
            outcome,
            identity,
            content,
            bucket,
            ..
        } => {
            let (bucket, first, outcome, content) = (*bucket, *position, *outcome, *content);
            let entry = DedupEntry {
                bucket,
                first,
                outcome,
                content,
            };
            remember(keep, *identity, &entry, at);
        }
        Event::DedupBucketDropped { bucket } => {
            let window = &mut keep.partition_mut().dedup;
            window.lower = bucket + 1;
            window.buckets.retain(|kept| kept.number > *bucket);
        }
        Event::DedupForgotten {
            bucket,
            identities,
            renewed,
            last,
        } => {
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
        _ => unreachable!("dispatched by family"),
    }
}

pub(super) fn remember(keep: &mut dyn Keep, identity: u128, entry: &DedupEntry, at: Timestamp) {
    keep.put(&tables::dedup(identity), &entry.to_bytes());
    keep.put(&tables::dedup_bucket(entry.bucket, identity), &[]);
    admit(&mut keep.partition_mut().dedup, entry.bucket, at);
}

fn admit(window: &mut DedupWindow, bucket: u64, at: Timestamp) {
    match window.buckets.last_mut() {
        Some(last) if last.number == bucket => last.count += 1,
        _ => window.buckets.push(DedupBucket {
            number: bucket,
            started: at,
            count: 1,
        }),
    }
}
