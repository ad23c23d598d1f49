//! What was decided. Events are the only thing that changes state, and the only thing replay reads.
//!
//! **Invariant**: an event carries all that each of its targets needs; applying it reads that target and the event and
//! nothing else. That is why a `JobCompleted` names the job's type and deadline: the indexes need them.
//! Discriminants and field numbers on disk are in `encode.rs`.

mod targets;

use std::sync::Arc;

use kapelle_events::CloudEvent;
use kapelle_model::graph::{ElementIndex, FlowIndex, MessageIndex};

use crate::command::Due;
use crate::document::{Document, StoredValue};
use crate::ids::{
    DefinitionKey, DeploymentKey, ElementInstanceKey, IncidentKey, JobKey, MessageKey, OutboxKey,
    ProcessInstanceKey, ResourceKey, Sequence, SubscriptionKey, TimerKey, Timestamp, VariableKey,
};
use crate::response::{Match, Outcome};
use crate::step::Step;

/// A record of what was decided, by family.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    // Partition
    LeaderAnnounced {
        epoch: u64,
        incarnation: u64,
    },

    // Definitions
    ResourceStored {
        resource: ResourceKey,
        tenant: Arc<str>,
        name: Arc<str>,
        bytes: Arc<[u8]>,
        checksum: [u8; 32],
    },
    ProcessDeployed(Box<ProcessDeployed>),
    DeploymentCreated {
        deployment: DeploymentKey,
        tenant: Arc<str>,
    },

    // Instances
    InstanceCreated(Box<InstanceCreated>),
    /// The last event of an instance: its aggregate and everything it owns is gone.
    InstanceEnded(InstanceEnded),
    ElementActivating {
        instance: ProcessInstanceKey,
        key: ElementInstanceKey,
        element: ElementIndex,
        scope: ElementInstanceKey,
        /// The flow whose token it takes; none where a scope begins, a boundary event is met or a join consumed.
        flow: Option<FlowIndex>,
        /// The element instance whose pending trigger it takes over.
        trigger_of: Option<ElementInstanceKey>,
    },
    ElementActivated {
        instance: ProcessInstanceKey,
        key: ElementInstanceKey,
        element: ElementIndex,
        /// It waits here, and commands that name it by its key alone must find its instance from now on. A task with a
        /// job is found through that.
        rests: bool,
    },
    ElementCompleting {
        instance: ProcessInstanceKey,
        key: ElementInstanceKey,
        element: ElementIndex,
    },
    ElementCompleted {
        instance: ProcessInstanceKey,
        key: ElementInstanceKey,
        element: ElementIndex,
        /// It could be found by its key alone.
        rested: bool,
    },
    ElementTerminating {
        instance: ProcessInstanceKey,
        key: ElementInstanceKey,
        element: ElementIndex,
    },
    ElementTerminated {
        instance: ProcessInstanceKey,
        key: ElementInstanceKey,
        element: ElementIndex,
        /// It could be found by its key alone.
        rested: bool,
    },
    /// A token leaves `flow`'s source; it is in flight until an element takes it.
    FlowTaken {
        instance: ProcessInstanceKey,
        scope: ElementInstanceKey,
        flow: FlowIndex,
        target: ElementIndex,
    },
    /// The scope is being ended: its tokens that no element has are gone (in flight, at a join, about to leave a boundary
    /// event).
    TokensDiscarded {
        instance: ProcessInstanceKey,
        scope: ElementInstanceKey,
    },
    /// A parallel join took one token from each of its incoming flows.
    JoinConsumed {
        instance: ProcessInstanceKey,
        scope: ElementInstanceKey,
        gateway: ElementIndex,
    },
    /// A catching element was met (message, timer, error): its payload waits to become variables.
    BpmnEventTriggered(Box<BpmnEventTriggered>),

    // Variables
    VariableSet {
        instance: ProcessInstanceKey,
        scope: ElementInstanceKey,
        variable: VariableKey,
        name: Arc<str>,
        value: StoredValue,
    },

    // Jobs
    JobCreated(Box<JobCreated>),
    JobActivated(Box<JobActivated>),
    JobMadeAvailable {
        job: JobRef,
        cause: AvailableCause,
        backoff_until: Option<Timestamp>,
        deadline: Option<Timestamp>,
    },
    JobCompleted {
        job: JobRef,
        deadline: Option<Timestamp>,
        backoff_until: Option<Timestamp>,
    },
    JobFailed(Box<JobFailed>),
    JobErrorThrown {
        job: JobRef,
        code: Arc<str>,
        message: Arc<str>,
        deadline: Option<Timestamp>,
        backoff_until: Option<Timestamp>,
        /// The model knows what to do: the job is over. Otherwise it stays with an incident.
        caught: bool,
    },
    JobCanceled {
        job: JobRef,
        deadline: Option<Timestamp>,
        backoff_until: Option<Timestamp>,
    },
    JobRetriesUpdated {
        job: JobRef,
        retries: i32,
    },
    JobTimeoutUpdated {
        job: JobRef,
        old_deadline: Timestamp,
        deadline: Timestamp,
        pushed_by: Option<u64>,
    },
    /// No worker can be given the job as it is: it waits for its incident to be resolved.
    JobWithheld {
        job: JobRef,
    },

    // Messages
    MessagePublished(Box<MessagePublished>),
    /// A message met a subscription of an instance.
    MessageCorrelated(Box<MessageCorrelated>),
    /// A message started an instance.
    MessageStarted(Box<MessageStarted>),
    /// The message leaves the buffer (time to live over, or it was never to be buffered).
    MessageExpired(Box<MessageExpired>),
    SubscriptionOpened(Box<SubscriptionOpened>),
    SubscriptionClosed(Box<SubscriptionClosed>),
    StartSubscriptionOpened(Box<StartSubscription>),
    StartSubscriptionClosed(Box<StartSubscription>),
    /// CloudEvents of a type reach this message of this process from now on.
    EventBindingOpened(Box<EventBindingOpened>),
    /// An instance started by a keyed message holds (process id, key) until it ends.
    StartLockReleased {
        tenant: Arc<str>,
        process_id: Arc<str>,
        correlation_key: Arc<str>,
        instance: ProcessInstanceKey,
    },

    // Timers
    TimerScheduled(TimerEvent),
    TimerTriggered(TimerEvent),
    TimerCanceled(TimerEvent),

    // Incidents
    IncidentRaised(Box<IncidentRaised>),
    IncidentResolved {
        incident: IncidentKey,
        instance: ProcessInstanceKey,
        element: ElementInstanceKey,
        job: Option<JobKey>,
    },
    /// The engine failed on it: it is left alone until that incident is resolved.
    InstanceQuarantined {
        instance: ProcessInstanceKey,
        reason: Arc<str>,
        incident: IncidentKey,
    },
    /// A follow-up waits with the instance until that incident is resolved.
    StepInterrupted(Box<StepInterrupted>),

    // CloudEvents
    /// Stored; its position is this record's sequence.
    CloudEventReceived {
        tenant: Arc<str>,
        source_name: Arc<str>,
        identity: u128,
        content: u128,
        event: Arc<CloudEvent>,
        /// The body of the record that it was made of, where its data is another.
        raw: Option<Arc<[u8]>>,
    },
    /// What it came to: always in the same batch as the `CloudEventReceived` it names.
    CloudEventRouted {
        position: Sequence,
        outcome: Outcome,
        matches: Vec<Match>,
        reason: Arc<str>,
        identity: u128,
        content: u128,
        bucket: u64,
    },
    /// A repeat inside the dedup window: no effect. Source and id are empty for a record that is no CloudEvent.
    CloudEventRepeated {
        tenant: Arc<str>,
        source_name: Arc<str>,
        source: Arc<str>,
        id: Arc<str>,
        identity: u128,
        first: Sequence,
        first_outcome: Outcome,
        same_content: bool,
    },
    /// A broker's record that is no CloudEvent, kept raw among the dead letters.
    RecordRejected {
        tenant: Arc<str>,
        source_name: Arc<str>,
        raw: Arc<[u8]>,
        content_type: Option<Arc<str>>,
        reason: Arc<str>,
        identity: u128,
        bucket: u64,
    },
    /// The window's lower edge passes this bucket: its identities count as new from now on.
    DedupBucketDropped {
        bucket: u64,
    },
    /// Entries of dropped buckets are removed from the index, some at a time.
    DedupForgotten {
        bucket: u64,
        identities: Vec<u128>,
        /// Arrived again in a later bucket: only their mark in this one goes.
        renewed: Vec<u128>,
        /// Nothing of this bucket is left.
        last: bool,
    },

    // Outbox
    OutboxAdded(Box<OutboxAdded>),
    OutboxAcked {
        entry: OutboxKey,
    },
    /// An attempt to deliver it failed; there will be another one.
    OutboxDeferred {
        entry: OutboxKey,
        /// All that failed so far.
        attempts: u32,
        retry_at: Timestamp,
        error: Arc<str>,
    },
    OutboxBuried {
        entry: OutboxKey,
        attempts: u32,
        error: Arc<str>,
    },

    // Idempotent requests
    RequestRemembered {
        tenant: Arc<str>,
        request: Arc<str>,
        instance: ProcessInstanceKey,
        definition: DefinitionKey,
        until: Timestamp,
    },
    RequestForgotten {
        tenant: Arc<str>,
        request: Arc<str>,
        instance: ProcessInstanceKey,
        until: Timestamp,
    },

    // Subscribers
    /// Who wants CloudEvents from now on, or wants them otherwise.
    SubscriberPut {
        tenant: Arc<str>,
        name: Arc<str>,
        /// JSON, as it was written.
        document: Arc<str>,
        is_new: bool,
    },
    SubscriberDeleted {
        tenant: Arc<str>,
        name: Arc<str>,
    },
    /// What somebody decided about dead letters: they are tried again, or discarded with a reason.
    DeadLettersSettled {
        tenant: Arc<str>,
        subscriber: Arc<str>,
        positions: Vec<Sequence>,
        redrive: bool,
        reason: Arc<str>,
    },

    // Due work
    /// An entry of the due queue is looked at later (its instance is set aside), or dropped because nothing is due any more.
    DueMoved {
        due: Due,
        owner: DueOwner,
        to: Option<Timestamp>,
    },
}

/// A version of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessDeployed {
    pub definition: DefinitionKey,
    pub deployment: DeploymentKey,
    pub resource: ResourceKey,
    pub tenant: Arc<str>,
    pub process_id: Arc<str>,
    pub version: i32,
    pub version_tag: Option<Arc<str>>,
    pub name: Option<Arc<str>>,
    pub resource_name: Arc<str>,
    /// Of the compiler that accepted it: compiling these bytes again can never fail (design §4).
    pub semantics: u32,
}

/// What made an instance or an outgoing CloudEvent happen: carried along for `correlationid`, `causationid`, `traceparent`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cause {
    pub event_id: Option<Arc<str>>,
    pub correlation_id: Option<Arc<str>>,
    pub traceparent: Option<Arc<str>>,
}

/// An instance begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceCreated {
    pub instance: ProcessInstanceKey,
    pub definition: DefinitionKey,
    pub tenant: Arc<str>,
    pub process_id: Arc<str>,
    pub version: i32,
    /// The start event that was used.
    pub start: ElementIndex,
    pub awaited: Option<Arc<[Arc<str>]>>,
    pub tags: Vec<Arc<str>>,
    pub business_id: Option<Arc<str>>,
    /// Set when a keyed message started it: it holds the start lock of this key.
    pub start_lock: Option<Arc<str>>,
    pub cause: Cause,
}

/// An instance is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InstanceEnded {
    pub instance: ProcessInstanceKey,
    pub definition: DefinitionKey,
    pub completed: bool,
}

/// A catching element was met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BpmnEventTriggered {
    pub instance: ProcessInstanceKey,
    /// The element instance that was waiting: the catch event, the gateway, the host of a boundary event.
    pub waiting: ElementInstanceKey,
    /// The element that goes on: the catch event, the boundary event.
    pub element: ElementIndex,
    pub variables: Document,
    pub cause: Cause,
}

/// A job as events name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobRef {
    pub job: JobKey,
    pub instance: ProcessInstanceKey,
    pub element: ElementInstanceKey,
    pub tenant: Arc<str>,
    pub job_type: Arc<str>,
}

/// A job begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobCreated {
    pub job: JobRef,
    pub element: ElementIndex,
    pub retries: i32,
    /// A worker's stream takes it in the same decision: it is never available to others.
    pub taken: bool,
    /// Headers that were computed; empty where the definition's are all static.
    pub headers: Vec<Header>,
}

/// A computed header of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    pub key: Arc<str>,
    pub value: Arc<str>,
}

/// A worker has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobActivated {
    pub job: JobRef,
    pub worker: Arc<str>,
    pub deadline: Timestamp,
    /// Set when it was pushed down a stream by this incarnation; the next one makes it available again.
    pub pushed_by: Option<u64>,
    /// Never activated before, so its entry in the due queue can't have been on disk.
    pub first: bool,
    /// It could be taken by others until now; not so if it was made for this worker in the same decision.
    pub was_available: bool,
}

/// Why a job may be taken (again). Discriminants are on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum AvailableCause {
    Yielded = 1,
    TimedOut = 2,
    BackoffOver = 3,
    LeaderChanged = 4,
    IncidentResolved = 5,
}

/// A worker could not do it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobFailed {
    pub job: JobRef,
    pub retries: i32,
    pub message: Arc<str>,
    /// Of the activation that failed.
    pub deadline: Option<Timestamp>,
    /// Of an earlier failure, when it fails while in back-off.
    pub old_backoff_until: Option<Timestamp>,
    /// `Some` while it waits before it is available again; `None` with retries left means available now.
    pub backoff_until: Option<Timestamp>,
}

/// A message enters the buffer (or passes through it).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessagePublished {
    pub message: MessageKey,
    pub tenant: Arc<str>,
    pub name: Arc<str>,
    pub correlation_key: Arc<str>,
    pub message_id: Arc<str>,
    pub expires: Timestamp,
    pub variables: Document,
    pub cause: Cause,
    /// Set when a CloudEvent became this message.
    pub binding: Option<FromBinding>,
    /// An element threw it.
    pub thrown: bool,
}

/// A message leaves the buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageExpired {
    pub message: MessageKey,
    pub tenant: Arc<str>,
    pub name: Arc<str>,
    pub correlation_key: Arc<str>,
    pub message_id: Arc<str>,
    pub expires: Timestamp,
    /// Processes it met, each once: the index entries that say so go with it.
    pub process_ids: Vec<Arc<str>>,
}

/// Whether a correlation key was written as a text or as a number. Clients of Camunda cannot tell the two apart
/// (`123` meets `"123"`); a CloudEvent's key meets only its own kind (design §7). Discriminants are on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum KeyKind {
    Text = 1,
    Number = 2,
}

/// A message that a CloudEvent became: it reaches one process only, and only keys of its own kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FromBinding {
    pub process_id: Arc<str>,
    pub key_kind: KeyKind,
    /// Whether an instance it starts locks its key.
    pub lock: bool,
}

/// A message met an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageCorrelated {
    pub message: MessageKey,
    pub tenant: Arc<str>,
    pub name: Arc<str>,
    pub correlation_key: Arc<str>,
    pub process_id: Arc<str>,
    pub subscription: SubscriptionKey,
    pub instance: ProcessInstanceKey,
    pub element_instance: ElementInstanceKey,
}

/// A message started an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageStarted {
    pub message: MessageKey,
    pub tenant: Arc<str>,
    pub name: Arc<str>,
    pub correlation_key: Arc<str>,
    pub process_id: Arc<str>,
    pub subscription: SubscriptionKey,
    pub instance: ProcessInstanceKey,
}

/// An instance waits for a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriptionOpened {
    pub subscription: SubscriptionKey,
    pub instance: ProcessInstanceKey,
    pub definition: DefinitionKey,
    pub tenant: Arc<str>,
    pub process_id: Arc<str>,
    pub name: Arc<str>,
    pub correlation_key: Arc<str>,
    pub key_kind: KeyKind,
    /// The element instance that waits: the catch event, the gateway, the host of a boundary event.
    pub element_instance: ElementInstanceKey,
    /// The element that goes on when it is met.
    pub element: ElementIndex,
    /// Closed by its first message; a non-interrupting boundary event's stays open.
    pub once: bool,
}

/// Why a subscription is no longer open: *explain* shows it beside an event that came too late. Discriminants are on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum CloseReason {
    /// A message met it.
    Correlated = 1,
    /// Its element went on by another path (its gateway's or host's other event, completion of the host).
    ElementLeft = 2,
    /// Its element or instance was terminated.
    Terminated = 3,
    /// A newer version of the process took over.
    Replaced = 4,
}

/// An instance no longer waits for a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriptionClosed {
    pub subscription: SubscriptionKey,
    pub instance: ProcessInstanceKey,
    pub tenant: Arc<str>,
    pub process_id: Arc<str>,
    pub name: Arc<str>,
    pub correlation_key: Arc<str>,
    pub reason: CloseReason,
}

/// A definition's message start event listens (or no longer does).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartSubscription {
    pub subscription: SubscriptionKey,
    pub definition: DefinitionKey,
    pub tenant: Arc<str>,
    pub process_id: Arc<str>,
    pub name: Arc<str>,
    pub element: ElementIndex,
}

/// A message of a process is reached by CloudEvents of a type; of several versions the last that was deployed counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventBindingOpened {
    pub tenant: Arc<str>,
    pub event_type: Arc<str>,
    pub process_id: Arc<str>,
    pub message: Arc<str>,
    pub definition: DefinitionKey,
    pub index: MessageIndex,
}

/// Whom an entry of the due queue concerns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DueOwner {
    /// The partition itself: messages, the dedup window.
    Partition {},
    Instance {
        instance: ProcessInstanceKey,
    },
    /// An instance's job that was pushed down a stream by that incarnation.
    PushedJob {
        instance: ProcessInstanceKey,
        incarnation: u64,
    },
    Definition {
        definition: DefinitionKey,
    },
    Request {
        tenant: Arc<str>,
        request: Arc<str>,
    },
    /// A follow-up that failed and that no instance could keep.
    Step {
        step: Box<Step>,
    },
}

/// Whose timer it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimerOwner {
    /// An element instance waits; `element` goes on.
    Instance {
        instance: ProcessInstanceKey,
        element_instance: ElementInstanceKey,
        element: ElementIndex,
    },
    /// A definition's timer start event.
    Definition {
        definition: DefinitionKey,
        element: ElementIndex,
    },
}

/// A timer, as scheduled, fired or cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimerEvent {
    pub timer: TimerKey,
    pub owner: TimerOwner,
    pub due: Timestamp,
    /// How often it still fires after this time; `None` = for ever, `Some(0)` = this is the last.
    pub repetitions: Option<u32>,
}

/// What kind of problem an incident is, as the API spells it. Discriminants are on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum IncidentKind {
    JobNoRetries = 1,
    UnhandledErrorEvent = 2,
    IoMappingError = 3,
    ConditionError = 4,
    ExtractValueError = 5,
    MessageSizeExceeded = 6,
    /// A limit of ours was reached on the way (loops, totals).
    ResourceLimit = 7,
    /// The engine failed on this instance.
    Quarantined = 8,
}

impl IncidentKind {
    /// As the API spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::JobNoRetries => "JOB_NO_RETRIES",
            Self::UnhandledErrorEvent => "UNHANDLED_ERROR_EVENT",
            Self::IoMappingError => "IO_MAPPING_ERROR",
            Self::ConditionError => "CONDITION_ERROR",
            Self::ExtractValueError => "EXTRACT_VALUE_ERROR",
            Self::MessageSizeExceeded => "MESSAGE_SIZE_EXCEEDED",
            Self::ResourceLimit => "RESOURCE_LIMIT_EXCEEDED",
            Self::Quarantined => "UNKNOWN",
        }
    }
}

/// A problem that an operator can mend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IncidentRaised {
    pub incident: IncidentKey,
    pub instance: ProcessInstanceKey,
    pub definition: DefinitionKey,
    pub element_instance: ElementInstanceKey,
    pub element: ElementIndex,
    pub job: Option<JobKey>,
    pub kind: IncidentKind,
    pub message: Arc<str>,
}

/// A follow-up that could not be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepInterrupted {
    pub instance: ProcessInstanceKey,
    pub incident: IncidentKey,
    pub step: Step,
}

/// A CloudEvent leaves.
#[derive(Clone, Debug, PartialEq)]
pub struct OutboxAdded {
    pub entry: OutboxKey,
    pub instance: ProcessInstanceKey,
    pub tenant: Arc<str>,
    /// Name of the configured sink, or a webhook's URL.
    pub to: Arc<str>,
    pub event: CloudEvent,
}

/// Which part of the state an event changes. Each target may be ahead of any other on disk (design §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Targets {
    /// The aggregate of this instance.
    pub instance: Option<ProcessInstanceKey>,
    /// The indexes and the partition object, which share one cut.
    pub indexes: bool,
}
