//! What waits to leave, read from state: how effects are derived again after a crash; and what waits for somebody to come.
//!
//! Every reader goes on behind what it was given, in order, and takes at most `max`: nothing without a small limit of its own
//! is ever read as a whole.

use std::ops::ControlFlow;
use std::sync::Arc;

use crate::document::Document;
use crate::encode::Record;
use crate::event::OutboxAdded;
use crate::ids::{MessageKey, OutboxKey, Sequence, Timestamp};
use crate::keep::Keep;
use crate::state::outbox::{BuriedEntry, RejectedEntry};
use crate::state::{messages, outbox, scan_prefix, subscribers, tables};

/// A CloudEvent that waits for delivery.
#[derive(Clone, Debug, PartialEq)]
pub struct Waiting {
    pub added: OutboxAdded,
    /// Attempts that failed before.
    pub attempts: u32,
    /// When the next one is due; meaningless before the first.
    pub retry_at: Timestamp,
}

/// A CloudEvent whose delivery was given up.
#[derive(Clone, Debug, PartialEq)]
pub struct DeadLetter {
    pub added: OutboxAdded,
    pub attempts: u32,
    pub error: Arc<str>,
    pub buried: Timestamp,
}

/// A broker's record that is no CloudEvent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectedRecord {
    pub position: Sequence,
    pub tenant: Arc<str>,
    pub source_name: Arc<str>,
    pub raw: Arc<[u8]>,
    pub content_type: Option<Arc<str>>,
    pub reason: Arc<str>,
    pub at: Timestamp,
}

/// Somebody who wants CloudEvents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriberDocument {
    pub tenant: Arc<str>,
    pub name: Arc<str>,
    /// JSON, as it was written.
    pub document: Arc<str>,
}

/// All subscribers, in the order of tenant and name; there are `subscribers_max` at most.
pub fn subscribers(keep: &dyn Keep) -> Vec<SubscriberDocument> {
    let document = |entry: subscribers::SubscriberEntry| SubscriberDocument {
        tenant: entry.tenant,
        name: entry.name,
        document: entry.document,
    };
    subscribers::all(keep).into_iter().map(document).collect()
}

/// CloudEvents that wait for delivery, the oldest first, behind `after`.
pub fn outbox(keep: &dyn Keep, after: Option<OutboxKey>, max: usize) -> Vec<Waiting> {
    let from = after.map(|after| tables::outbox_pending(OutboxKey(after.0.saturating_add(1))));
    let keys = numbers(keep, &tables::outbox_pending_all(), from.as_deref(), max);
    let read = |key| {
        let pending = outbox::pending(keep, OutboxKey(key))?;
        Some(Waiting {
            added: outbox_entry(keep, OutboxKey(key))?,
            attempts: pending.attempts,
            retry_at: pending.retry_at,
        })
    };
    keys.into_iter().filter_map(read).collect()
}

/// One CloudEvent of the outbox, waiting or given up.
#[must_use]
pub fn outbox_entry(keep: &dyn Keep, entry: OutboxKey) -> Option<OutboxAdded> {
    let value = keep.get(&tables::outbox(entry))?;
    Some(OutboxAdded::read(&value).expect("the engine wrote this entry"))
}

/// CloudEvents whose delivery was given up, the oldest first, behind `after`.
pub fn dead_letters(keep: &dyn Keep, after: Option<OutboxKey>, max: usize) -> Vec<DeadLetter> {
    let from = after.map(|after| tables::outbox_buried(OutboxKey(after.0.saturating_add(1))));
    let keys = numbers(keep, &tables::outbox_buried_all(), from.as_deref(), max);
    let read = |key| {
        let value = keep.get(&tables::outbox_buried(OutboxKey(key)))?;
        let buried = BuriedEntry::read(&value).expect("the engine wrote this entry");
        let added = outbox_entry(keep, OutboxKey(key))?;
        Some(DeadLetter {
            added,
            attempts: buried.attempts,
            error: buried.error,
            buried: buried.at,
        })
    };
    keys.into_iter().filter_map(read).collect()
}

/// Records of brokers that are no CloudEvents, the oldest first, behind `after`.
pub fn rejected_records(
    keep: &dyn Keep,
    after: Option<Sequence>,
    max: usize,
) -> Vec<RejectedRecord> {
    let from = after.map(|after| tables::record_rejected(Sequence(after.0.saturating_add(1))));
    let keys = numbers(keep, &tables::records_rejected(), from.as_deref(), max);
    let read = |key| {
        let value = keep.get(&tables::record_rejected(Sequence(key)))?;
        let entry = RejectedEntry::read(&value).expect("the engine wrote this entry");
        let RejectedEntry {
            tenant,
            source_name,
            raw,
            content_type,
            reason,
            at,
        } = entry;
        Some(RejectedRecord {
            position: Sequence(key),
            tenant,
            source_name,
            raw,
            content_type,
            reason,
            at,
        })
    };
    keys.into_iter().filter_map(read).collect()
}

/// A message that waits in the buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BufferedMessage {
    pub key: MessageKey,
    pub tenant: Arc<str>,
    pub name: Arc<str>,
    pub correlation_key: Arc<str>,
    pub message_id: Arc<str>,
    pub expires: Timestamp,
    pub variables: Document,
}

/// Messages that wait in the buffer, the oldest first, behind `after`.
pub fn messages(keep: &dyn Keep, after: Option<MessageKey>, max: usize) -> Vec<BufferedMessage> {
    let from = after.map(|after| tables::message(MessageKey(after.0.saturating_add(1))));
    let keys = numbers(keep, &tables::messages(), from.as_deref(), max);
    let read = |key| {
        let entry = messages::by_key(keep, MessageKey(key))?;
        Some(BufferedMessage {
            key: MessageKey(key),
            tenant: entry.tenant,
            name: entry.name,
            correlation_key: entry.correlation_key,
            message_id: entry.message_id,
            expires: entry.expires,
            variables: entry.variables,
        })
    };
    keys.into_iter().filter_map(read).collect()
}

/// Tenants and types of jobs that can be taken, in the order of the index, behind `after`.
///
/// Jumps from type to type: its cost is the number of types, not of jobs.
pub fn job_types(
    keep: &dyn Keep,
    after: Option<(&str, &str)>,
    max: usize,
) -> Vec<(Arc<str>, Arc<str>)> {
    let all = tables::jobs_available_all();
    let behind =
        |tenant: &str, job_type: &str| tables::behind_all(tables::jobs_available(tenant, job_type));
    let mut from = after.map(|(tenant, job_type)| behind(tenant, job_type));
    let mut types = Vec::new();
    while types.len() < max {
        let mut found = None;
        scan_prefix(keep, &all, from.as_deref(), &mut |key, _| {
            found = Some(tables::parse_job_available(key));
            ControlFlow::Break(())
        });
        let Some((tenant, job_type)) = found else {
            break;
        };
        from = Some(behind(&tenant, &job_type));
        types.push((tenant, job_type));
    }
    types
}

fn numbers(keep: &dyn Keep, prefix: &[u8], from: Option<&[u8]>, max: usize) -> Vec<u64> {
    let mut numbers = Vec::new();
    scan_prefix(keep, prefix, from, &mut |key, _| {
        if numbers.len() == max {
            return ControlFlow::Break(());
        }
        numbers.push(tables::last_number(key));
        ControlFlow::Continue(())
    });
    numbers
}
