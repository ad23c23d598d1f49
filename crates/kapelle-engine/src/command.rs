//! What may be asked of the engine. A command may be refused; a refused one changes nothing.
//!
//! Commands from outside come with their payload already converted to the stored form. Commands of the engine's own
//! (`Command::is_internal`) are made by the runtime from what [`crate::Engine::due`] finds, or follow from other commands.

mod check;
mod deploy;
pub(crate) mod due;
mod event_ingest;
mod incident;
mod instance;
mod job;
pub(crate) mod leader;
pub(crate) mod message;
mod outbox;
mod set_aside;
mod subscriber;
mod variable;

use std::sync::Arc;

use kapelle_events::CloudEvent;

use crate::ctx::Ctx;
use crate::document::Document;
use crate::ids::{
    DefinitionKey, ElementInstanceKey, IncidentKey, JobKey, OutboxKey, ProcessInstanceKey,
    Sequence, Timestamp,
};
use crate::limits::Limits;
use crate::rejection::Rejection;
use crate::response::Response;
pub use crate::run::Run;
pub use crate::step::Step;

/// Who asked, when, and on what trace: travels beside every command and is written with its records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommandMeta {
    /// The record's time: max(last record, clock). The only time a decision sees.
    pub now: Timestamp,
    /// W3C `traceparent` of the caller, if it sent one.
    pub traceparent: Option<Arc<str>>,
}

/// Everything the engine can be asked.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    // Definitions
    Deploy(Deploy),
    // Instances
    CreateInstance(CreateInstance),
    CancelInstance {
        instance: ProcessInstanceKey,
    },
    SetVariables(SetVariables),
    ResolveIncident {
        incident: IncidentKey,
    },
    // Jobs
    ActivateJobs(ActivateJobs),
    CompleteJob {
        job: JobKey,
        variables: Document,
    },
    FailJob(FailJob),
    ThrowJobError(ThrowJobError),
    /// `retries`, `timeout_ms` or both; the REST operation changes both in one request.
    UpdateJob {
        job: JobKey,
        retries: Option<i32>,
        timeout_ms: Option<i64>,
    },
    // Messages
    PublishMessage(PublishMessage),
    CorrelateMessage(CorrelateMessage),
    // CloudEvents
    IngestEvents(IngestEvents),

    // Subscribers
    PutSubscriber(PutSubscriber),
    DeleteSubscriber {
        tenant: Arc<str>,
        name: Arc<str>,
    },
    SettleDeadLetters(SettleDeadLetters),

    // Internal: never from outside.
    /// A push over a stream did not reach its worker: make the job available again at once.
    YieldJob {
        job: JobKey,
    },
    /// Something that was due is due; the engine looks again whether it still is.
    Due(Due),
    /// The receiver has an outgoing CloudEvent.
    AckOutbox {
        entry: OutboxKey,
    },
    /// An attempt to deliver an outgoing CloudEvent failed, and there will be another one: kept, so that a restart neither
    /// begins to count anew nor tries at once.
    DeferOutbox {
        entry: OutboxKey,
        /// All that failed so far: saying it twice changes nothing.
        attempts: u32,
        /// From now to the next attempt.
        delay_ms: i64,
        error: Arc<str>,
    },
    /// Delivery of an outgoing CloudEvent was given up: keep it with the dead letters.
    BuryOutbox {
        entry: OutboxKey,
        attempts: u32,
        error: Arc<str>,
    },
    /// A new incarnation of the process leads the partition: the first command after every start.
    AnnounceLeader {
        epoch: u64,
        incarnation: u64,
    },
    /// Deciding something failed: set its instance aside, visible and resumable.
    SetAside(SetAside),
    /// What an earlier command left to do when it reached its limit of follow-ups.
    Continue(FollowUp),
}

/// Deploy files as one unit: all or none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deploy {
    pub tenant: Arc<str>,
    pub resources: Vec<Resource>,
}

/// One file of a deployment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    pub name: Arc<str>,
    pub bytes: Arc<[u8]>,
}

/// Which version of a process to start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProcessSelector {
    Key(DefinitionKey),
    Latest { process_id: Arc<str> },
    Version { process_id: Arc<str>, version: i32 },
}

/// Start an instance at its none start event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateInstance {
    pub tenant: Arc<str>,
    pub process: ProcessSelector,
    pub variables: Document,
    /// `Some` defers the answer until the instance has ended; names the variables wanted (empty = all).
    pub await_result: Option<Vec<Arc<str>>>,
    pub tags: Vec<Arc<str>>,
    pub business_id: Option<Arc<str>>,
    /// A repeat with the same key inside the window gets the first answer again and starts nothing.
    pub idempotency_key: Option<Arc<str>>,
}

/// Merge variables into a scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetVariables {
    /// A process instance's key or an element instance's.
    pub scope: ElementInstanceKey,
    pub variables: Document,
    /// `false`: each goes to the nearest scope that has the name, else to the root.
    pub local: bool,
}

/// Take available jobs of a type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActivateJobs {
    pub tenants: Vec<Arc<str>>,
    pub job_type: Arc<str>,
    pub worker: Arc<str>,
    pub timeout_ms: i64,
    pub max_jobs: u32,
    /// Empty = all variables that the element sees.
    pub fetch_variables: Vec<Arc<str>>,
}

/// A worker could not do it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailJob {
    pub job: JobKey,
    /// How many are left.
    pub retries: i32,
    pub message: Arc<str>,
    pub backoff_ms: i64,
    /// Set locally in the task's scope.
    pub variables: Document,
}

/// A worker met an error that the model may know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThrowJobError {
    pub job: JobKey,
    pub code: Arc<str>,
    pub message: Arc<str>,
    pub variables: Document,
}

/// Publish a message: buffer with a time to live.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishMessage {
    pub tenant: Arc<str>,
    pub name: Arc<str>,
    /// Empty = none: a start always starts anew, a catch is never met.
    pub correlation_key: Arc<str>,
    /// Empty = no check for uniqueness.
    pub message_id: Arc<str>,
    pub ttl_ms: i64,
    pub variables: Document,
}

/// Correlate at once or not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CorrelateMessage {
    pub tenant: Arc<str>,
    pub name: Arc<str>,
    pub correlation_key: Arc<str>,
    pub variables: Document,
}

/// Take in what arrived from one source: one journal batch, all or nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct IngestEvents {
    pub tenant: Arc<str>,
    /// Name of the configured source, `http` for `POST /events`.
    pub source_name: Arc<str>,
    pub arrivals: Vec<Arrival>,
}

/// One thing that came from a source.
#[derive(Clone, Debug, PartialEq)]
pub enum Arrival {
    Event(Arc<CloudEvent>),
    /// A CloudEvent with data made of a broker's record, which is kept beside it.
    Made {
        event: Arc<CloudEvent>,
        raw: Arc<[u8]>,
    },
    /// A broker's record that cannot become a CloudEvent: kept raw, outcome `REJECTED`.
    Malformed {
        raw: Arc<[u8]>,
        content_type: Option<Arc<str>>,
        reason: Arc<str>,
        /// Stands for the record in the dedup window: a broker may deliver it again.
        identity: u128,
    },
}

/// Create a subscriber, or change it: the new document counts from the next CloudEvent on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PutSubscriber {
    pub tenant: Arc<str>,
    pub name: Arc<str>,
    /// JSON, as [`kapelle_events::subscriber::Subscriber`] reads it.
    pub document: Arc<str>,
}

/// Say what becomes of dead letters of a subscriber.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettleDeadLetters {
    pub tenant: Arc<str>,
    pub subscriber: Arc<str>,
    /// Of the CloudEvents.
    pub positions: Vec<Sequence>,
    /// Tried again; otherwise discarded.
    pub redrive: bool,
    /// Why they are discarded.
    pub reason: Arc<str>,
}

/// Something whose time has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Due {
    pub at: Timestamp,
    pub what: DueKind,
    /// The key of the timer, job or message; a bucket's number for the dedup window.
    pub key: u64,
}

/// What can become due. Discriminants are on disk (index keys).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum DueKind {
    Timer = 1,
    /// An activated job's time-out.
    JobDeadline = 2,
    /// A failed job's back-off.
    JobBackoff = 3,
    /// A buffered message's time to live.
    MessageExpiry = 4,
    /// A time bucket of the dedup window.
    DedupBucket = 5,
    /// A kept answer to an idempotent request.
    IdempotencyExpiry = 6,
    /// A follow-up that failed and that no instance could keep; its key is the record that says so.
    PostponedStep = 7,
}

/// What the runtime took back, because deciding it panicked or came to more than the journal takes.
#[derive(Clone, Debug, PartialEq)]
pub struct SetAside {
    pub reason: Arc<str>,
    /// The instance that was reached for last.
    pub reached: Option<ProcessInstanceKey>,
    /// What nobody would ask again otherwise.
    pub interrupted: Option<Interrupted>,
}

/// A command of the engine's own that failed.
#[derive(Clone, Debug, PartialEq)]
pub enum Interrupted {
    Step(FollowUp),
    Due(Due),
}

/// A step that was left over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FollowUp {
    pub step: Step,
    /// What it is part of.
    pub run: Run,
}

impl Command {
    /// Made by the engine or the runtime, never taken from outside; goes on when external commands are refused.
    #[must_use]
    pub const fn is_internal(&self) -> bool {
        matches!(
            self,
            Self::YieldJob { .. }
                | Self::Due(_)
                | Self::AckOutbox { .. }
                | Self::DeferOutbox { .. }
                | Self::BuryOutbox { .. }
                | Self::AnnounceLeader { .. }
                | Self::SetAside(_)
                | Self::Continue(_)
        )
    }
}

/// Decides a command: dispatch, nothing else.
pub(crate) fn decide(ctx: &mut Ctx<'_>, command: Command) -> Result<Response, Rejection> {
    match command {
        Command::Deploy(deploy) => deploy::deploy(ctx, &deploy),

        Command::CreateInstance(create) => instance::create(ctx, create),
        Command::CancelInstance { instance } => instance::cancel(ctx, instance),
        Command::SetVariables(set) => variable::set(ctx, &set),
        Command::ResolveIncident { incident } => incident::resolve(ctx, incident),

        Command::ActivateJobs(activate) => job::activate(ctx, &activate),
        Command::CompleteJob { job, variables } => job::complete(ctx, job, &variables),
        Command::FailJob(fail) => job::fail(ctx, fail),
        Command::ThrowJobError(throw) => job::throw_error(ctx, throw),
        Command::UpdateJob {
            job,
            retries,
            timeout_ms,
        } => job::update(ctx, job, retries, timeout_ms),
        Command::YieldJob { job } => job::yield_back(ctx, job),

        Command::PublishMessage(publish) => message::publish(ctx, publish),
        Command::CorrelateMessage(correlate) => message::correlate(ctx, correlate),
        Command::IngestEvents(ingest) => event_ingest::ingest(ctx, ingest),

        Command::PutSubscriber(put) => subscriber::put(ctx, put),
        Command::DeleteSubscriber { tenant, name } => subscriber::delete(ctx, tenant, name),
        Command::SettleDeadLetters(settle) => subscriber::settle_dead(ctx, settle),

        Command::Due(due) => due::due(ctx, due),
        Command::AckOutbox { entry } => outbox::ack(ctx, entry),
        Command::DeferOutbox {
            entry,
            attempts,
            delay_ms,
            error,
        } => outbox::defer(ctx, entry, attempts, delay_ms, &error),
        Command::BuryOutbox {
            entry,
            attempts,
            error,
        } => outbox::bury(ctx, entry, attempts, &error),
        Command::AnnounceLeader { epoch, incarnation } => leader::announce(ctx, epoch, incarnation),
        Command::SetAside(command) => set_aside::set_aside(ctx, command),
        Command::Continue(follow_up) => {
            ctx.push(follow_up.step);
            Ok(Response::Done)
        }
    }
}

/// How long one bucket of the dedup window takes in at most.
pub(crate) fn bucket_ms(limits: &Limits) -> i64 {
    limits.dedup_window_ms / event_ingest::BUCKETS
}
