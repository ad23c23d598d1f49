//! Every index on disk: its number and how its keys are made.
//!
//! **Numbers are for ever**; a retired one stays here as a comment. Numbers are never 0 and stay below 128.
//!
//! A key is the table's number, then its parts: numbers big-endian, so that bytes order as numbers do; texts behind
//! their length, so that one never is the beginning of another. Where names are in a key, the tenant comes first.

use std::sync::Arc;

use kapelle_model::graph::ElementIndex;

use crate::command::{Due, DueKind};
use crate::ids::{
    DefinitionKey, ElementInstanceKey, IncidentKey, JobKey, MessageKey, OutboxKey, ResourceKey,
    Sequence, SubscriptionKey, TimerKey, Timestamp,
};
const DEFINITION: u8 = 1;
const DEFINITION_LATEST: u8 = 2;
const DEFINITION_VERSION: u8 = 3;
const RESOURCE: u8 = 4;
const DEFINITION_TIMER: u8 = 5;

const JOB: u8 = 10;
const JOB_AVAILABLE: u8 = 11;

const ELEMENT: u8 = 20;
const INCIDENT: u8 = 21;

const MESSAGE: u8 = 30;
const MESSAGE_BY_NAME: u8 = 31;
const MESSAGE_ID: u8 = 32;
const MESSAGE_MET: u8 = 33;
const SUBSCRIPTION: u8 = 34;
const START_SUBSCRIPTION: u8 = 35;
const START_LOCK: u8 = 36;
const EVENT_BINDING: u8 = 37;

const DUE: u8 = 40;
/// Deadlines of jobs have a table of their own: a new leader looks through what workers have, and nothing else.
const DUE_JOB: u8 = 41;

const DEDUP: u8 = 50;
const DEDUP_BUCKET: u8 = 51;

const OUTBOX: u8 = 60;
const OUTBOX_PENDING: u8 = 61;
const OUTBOX_BURIED: u8 = 62;
const RECORD_REJECTED: u8 = 63;

const REQUEST: u8 = 70;

const SUBSCRIBER: u8 = 80;

/// A key in the making.
struct Key(Vec<u8>);

impl Key {
    fn new(table: u8) -> Self {
        // Most keys are a table, a key and perhaps a time; those with names mostly stay below this too.
        let mut bytes = Vec::with_capacity(64);
        bytes.push(table);
        Self(bytes)
    }

    fn number(mut self, number: u64) -> Self {
        self.0.extend_from_slice(&number.to_be_bytes());
        self
    }

    fn hash(mut self, hash: u128) -> Self {
        self.0.extend_from_slice(&hash.to_be_bytes());
        self
    }

    /// Times before 1970 order before those after.
    fn time(self, at: Timestamp) -> Self {
        self.number(at.0.cast_unsigned() ^ 1 << 63)
    }

    fn text(mut self, text: &str) -> Self {
        let length = u16::try_from(text.len()).expect("texts of keys are limited far below 64 KiB");
        self.0.extend_from_slice(&length.to_be_bytes());
        self.0.extend_from_slice(text.as_bytes());
        self
    }
}

/// The number at the end of a key that ends with one.
pub(crate) fn last_number(key: &[u8]) -> u64 {
    let (_, number) = key.split_last_chunk().expect("the key ends with a number");
    u64::from_be_bytes(*number)
}

/// The hash at the end of a key that ends with one.
pub(crate) fn last_hash(key: &[u8]) -> u128 {
    let (_, hash) = key.split_last_chunk().expect("the key ends with a hash");
    u128::from_be_bytes(*hash)
}

/// A value that is one number.
pub(crate) fn number_value(number: u64) -> [u8; 8] {
    number.to_be_bytes()
}

/// Reads a value that is one number.
pub(crate) fn value_number(value: &[u8]) -> u64 {
    u64::from_be_bytes(value.try_into().expect("the value is one number"))
}

pub(crate) fn definition(definition: DefinitionKey) -> Vec<u8> {
    Key::new(DEFINITION).number(definition.0).0
}

pub(crate) fn definition_latest(tenant: &str, process_id: &str) -> Vec<u8> {
    Key::new(DEFINITION_LATEST).text(tenant).text(process_id).0
}

pub(crate) fn definition_version(tenant: &str, process_id: &str, version: i32) -> Vec<u8> {
    Key::new(DEFINITION_VERSION)
        .text(tenant)
        .text(process_id)
        .number(u64::from(version.cast_unsigned()))
        .0
}

pub(crate) fn resource(resource: ResourceKey) -> Vec<u8> {
    Key::new(RESOURCE).number(resource.0).0
}

pub(crate) fn definition_timers(definition: DefinitionKey) -> Vec<u8> {
    Key::new(DEFINITION_TIMER).number(definition.0).0
}

pub(crate) fn definition_timer(definition: DefinitionKey, timer: TimerKey) -> Vec<u8> {
    Key::new(DEFINITION_TIMER)
        .number(definition.0)
        .number(timer.0)
        .0
}

pub(crate) fn jobs() -> Vec<u8> {
    vec![JOB]
}

pub(crate) fn job(job: JobKey) -> Vec<u8> {
    Key::new(JOB).number(job.0).0
}

/// All available jobs, by tenant and type.
pub(crate) fn jobs_available_all() -> Vec<u8> {
    vec![JOB_AVAILABLE]
}

pub(crate) fn jobs_available(tenant: &str, job_type: &str) -> Vec<u8> {
    Key::new(JOB_AVAILABLE).text(tenant).text(job_type).0
}

/// Ordered by the job's key, which is the order of creation: a job that comes back is before those that never left.
pub(crate) fn job_available(tenant: &str, job_type: &str, job: JobKey) -> Vec<u8> {
    Key::new(JOB_AVAILABLE)
        .text(tenant)
        .text(job_type)
        .number(job.0)
        .0
}

/// Tenant and type in a key of `job_available`.
pub(crate) fn parse_job_available(key: &[u8]) -> (Arc<str>, Arc<str>) {
    let (tenant, rest) = key
        .get(1..)
        .and_then(split_text)
        .expect("the key has a tenant");
    let (job_type, _) = split_text(rest).expect("the key has a type");
    (tenant.into(), job_type.into())
}

fn split_text(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    let (text, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
    Some((str::from_utf8(text).ok()?, rest))
}

pub(crate) fn element(element: ElementInstanceKey) -> Vec<u8> {
    Key::new(ELEMENT).number(element.0).0
}

pub(crate) fn incident(incident: IncidentKey) -> Vec<u8> {
    Key::new(INCIDENT).number(incident.0).0
}

pub(crate) fn message(message: MessageKey) -> Vec<u8> {
    Key::new(MESSAGE).number(message.0).0
}

/// All buffered messages, the oldest first.
pub(crate) fn messages() -> Vec<u8> {
    vec![MESSAGE]
}

/// Buffered messages of a name and key, the oldest first.
pub(crate) fn messages_by_name(tenant: &str, name: &str, correlation_key: &str) -> Vec<u8> {
    Key::new(MESSAGE_BY_NAME)
        .text(tenant)
        .text(name)
        .text(correlation_key)
        .0
}

pub(crate) fn message_by_name(
    tenant: &str,
    name: &str,
    correlation_key: &str,
    message: MessageKey,
) -> Vec<u8> {
    Key::new(MESSAGE_BY_NAME)
        .text(tenant)
        .text(name)
        .text(correlation_key)
        .number(message.0)
        .0
}

pub(crate) fn message_id(
    tenant: &str,
    name: &str,
    correlation_key: &str,
    message_id: &str,
) -> Vec<u8> {
    Key::new(MESSAGE_ID)
        .text(tenant)
        .text(name)
        .text(correlation_key)
        .text(message_id)
        .0
}

pub(crate) fn messages_met(message: MessageKey) -> Vec<u8> {
    Key::new(MESSAGE_MET).number(message.0).0
}

pub(crate) fn message_met(message: MessageKey, process_id: &str) -> Vec<u8> {
    Key::new(MESSAGE_MET).number(message.0).text(process_id).0
}

/// Open subscriptions of instances, by process.
pub(crate) fn subscriptions(tenant: &str, name: &str, correlation_key: &str) -> Vec<u8> {
    Key::new(SUBSCRIPTION)
        .text(tenant)
        .text(name)
        .text(correlation_key)
        .0
}

/// Those of one process, the oldest first.
pub(crate) fn subscriptions_of(
    tenant: &str,
    name: &str,
    correlation_key: &str,
    process_id: &str,
) -> Vec<u8> {
    Key::new(SUBSCRIPTION)
        .text(tenant)
        .text(name)
        .text(correlation_key)
        .text(process_id)
        .0
}

pub(crate) fn subscription(
    tenant: &str,
    name: &str,
    correlation_key: &str,
    process_id: &str,
    subscription: SubscriptionKey,
) -> Vec<u8> {
    let mut key = subscriptions_of(tenant, name, correlation_key, process_id);
    key.extend_from_slice(&subscription.0.to_be_bytes());
    key
}

/// The process id in a key of `subscription`, behind what `subscriptions` gives.
pub(crate) fn process_id_behind(key: &[u8], prefix: &[u8]) -> Arc<str> {
    let (process_id, _) = key
        .get(prefix.len()..)
        .and_then(split_text)
        .expect("the key has a process id");
    process_id.into()
}

/// Where entries of a key's process (or job type) end: behind the highest number there could be.
pub(crate) fn behind_all(mut prefix: Vec<u8>) -> Vec<u8> {
    prefix.extend_from_slice(&[u8::MAX; 9]);
    prefix
}

pub(crate) fn start_subscriptions(tenant: &str, name: &str) -> Vec<u8> {
    Key::new(START_SUBSCRIPTION).text(tenant).text(name).0
}

pub(crate) fn start_subscription(
    tenant: &str,
    name: &str,
    process_id: &str,
    element: ElementIndex,
) -> Vec<u8> {
    Key::new(START_SUBSCRIPTION)
        .text(tenant)
        .text(name)
        .text(process_id)
        .number(u64::from(element.0))
        .0
}

pub(crate) fn start_lock(tenant: &str, process_id: &str, correlation_key: &str) -> Vec<u8> {
    Key::new(START_LOCK)
        .text(tenant)
        .text(process_id)
        .text(correlation_key)
        .0
}

pub(crate) fn event_bindings(tenant: &str, event_type: &str) -> Vec<u8> {
    Key::new(EVENT_BINDING).text(tenant).text(event_type).0
}

pub(crate) fn event_binding(
    tenant: &str,
    event_type: &str,
    process_id: &str,
    message: &str,
) -> Vec<u8> {
    Key::new(EVENT_BINDING)
        .text(tenant)
        .text(event_type)
        .text(process_id)
        .text(message)
        .0
}

/// What is due at some time, but for deadlines of jobs.
pub(crate) fn due_others() -> Vec<u8> {
    vec![DUE]
}

/// Deadlines of jobs.
pub(crate) fn due_jobs() -> Vec<u8> {
    vec![DUE_JOB]
}

/// The first key of that table (`due_others`, `due_jobs`) that is not due at that time.
pub(crate) fn due_after(mut table: Vec<u8>, at: Timestamp) -> Vec<u8> {
    table.extend_from_slice(&Key::new(DUE).time(at.plus_ms(1)).0[1..]);
    table
}

pub(crate) fn due(due: Due) -> Vec<u8> {
    let is_job = due.what == DueKind::JobDeadline;
    let mut key = Key::new(if is_job { DUE_JOB } else { DUE }).time(due.at);
    if !is_job {
        key.0.push(due.what as u8);
    }
    key.number(due.key).0
}

/// Reads what `due` wrote.
pub(crate) fn parse_due(key: &[u8]) -> Due {
    let (&table, rest) = key.split_first().expect("a key has a table");
    let (at, rest) = rest.split_first_chunk().expect("a due key has a time");
    let what = match rest.first() {
        _ if table == DUE_JOB => DueKind::JobDeadline,
        Some(1) => DueKind::Timer,
        Some(3) => DueKind::JobBackoff,
        Some(4) => DueKind::MessageExpiry,
        Some(5) => DueKind::DedupBucket,
        Some(6) => DueKind::IdempotencyExpiry,
        Some(7) => DueKind::PostponedStep,
        other => panic!("unknown kind of due entry {other:?}: a newer release wrote it"),
    };
    let at = Timestamp((u64::from_be_bytes(*at) ^ 1 << 63).cast_signed());
    Due {
        at,
        what,
        key: last_number(key),
    }
}

pub(crate) fn dedup(identity: u128) -> Vec<u8> {
    Key::new(DEDUP).hash(identity).0
}

pub(crate) fn dedup_bucket_all(bucket: u64) -> Vec<u8> {
    Key::new(DEDUP_BUCKET).number(bucket).0
}

pub(crate) fn dedup_bucket(bucket: u64, identity: u128) -> Vec<u8> {
    Key::new(DEDUP_BUCKET).number(bucket).hash(identity).0
}

pub(crate) fn outbox(entry: OutboxKey) -> Vec<u8> {
    Key::new(OUTBOX).number(entry.0).0
}

pub(crate) fn outbox_pending_all() -> Vec<u8> {
    vec![OUTBOX_PENDING]
}

pub(crate) fn outbox_pending(entry: OutboxKey) -> Vec<u8> {
    Key::new(OUTBOX_PENDING).number(entry.0).0
}

pub(crate) fn outbox_buried_all() -> Vec<u8> {
    vec![OUTBOX_BURIED]
}

pub(crate) fn outbox_buried(entry: OutboxKey) -> Vec<u8> {
    Key::new(OUTBOX_BURIED).number(entry.0).0
}

pub(crate) fn records_rejected() -> Vec<u8> {
    vec![RECORD_REJECTED]
}

pub(crate) fn record_rejected(position: Sequence) -> Vec<u8> {
    Key::new(RECORD_REJECTED).number(position.0).0
}

pub(crate) fn request(tenant: &str, request: &str) -> Vec<u8> {
    Key::new(REQUEST).text(tenant).text(request).0
}

pub(crate) fn subscribers() -> Vec<u8> {
    vec![SUBSCRIBER]
}

pub(crate) fn subscriber(tenant: &str, name: &str) -> Vec<u8> {
    Key::new(SUBSCRIBER).text(tenant).text(name).0
}
