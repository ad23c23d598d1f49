//! The executable graph: what the engine runs.
//!
//! Purpose: one pure data structure per process, made once when a definition is deployed (or replayed) and then only
//! read. Everything that can be looked up, parsed or resolved beforehand has been: expressions are compiled, static
//! timers are parsed, references are indexes.
//!
//! Invariants (kept by the front end, relied on by the engine):
//! * `elements[0]` is the process itself, the root scope, and its own parent; a parent stands before its children.
//! * Every [`ElementIndex`], [`FlowIndex`] and [`MessageIndex`] inside a process is valid in that process.
//! * A flow connects two elements of the same scope. `outgoing` and `incoming` are in document order of the flows.
//! * A boundary event stands in the scope of the activity it is attached to and is listed in that activity's `boundary`.
//! * A subprocess has exactly one none start event; a process has at least one start event.
//! * A message start has a static message name; a caught message has a correlation key.
//!
//! Deliberately absent: anything of BPMN's notation the engine does not need (lanes, data objects, diagrams), and the
//! engine's own state. Reserved shapes, to be added with their first caller (design §6): a flow target other than an
//! element (exit scope, end root), subscription groups with several filters, completion policies (multi-instance,
//! ad-hoc, fork), error predicates, retry policies on a scope, and elements of [`ElementType`] without an
//! [`ElementKind`] here.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use kapelle_feel::Expr;

use crate::timer::Schedule;

mod names;
mod printer;

/// Position of an element in [`Process::elements`]. Stable for one definition, so it may be kept in instance state.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ElementIndex(pub u32);

/// Position of a sequence flow in [`Process::flows`]; stable for one definition.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct FlowIndex(pub u32);

/// Position of a message in [`Process::messages`]; stable for one definition.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct MessageIndex(pub u32);

impl ElementIndex {
    /// The process itself.
    pub const ROOT: Self = Self(0);
}

/// One executable process.
#[derive(Clone, Debug)]
pub struct Process {
    pub id: Arc<str>,
    pub name: Option<Arc<str>>,
    /// `zeebe:versionTag` of the process.
    pub version_tag: Option<Arc<str>>,
    /// Index 0 is the process itself.
    pub elements: Vec<Element>,
    pub flows: Vec<Flow>,
    /// The messages this process starts with, catches or throws; not those of its neighbours in the file.
    pub messages: Vec<Message>,
    /// The start event that "create instance" uses. At most one.
    pub none_start: Option<ElementIndex>,
    /// Start events of the process that open a subscription at deployment.
    pub message_starts: Vec<ElementIndex>,
    /// Start events of the process that open a timer at deployment.
    pub timer_starts: Vec<ElementIndex>,
    /// Elements (not flows) by their BPMN id, for commands that name one.
    pub ids: BTreeMap<Arc<str>, ElementIndex>,
}

impl Process {
    /// Panics on an index of another process; indexes from this process are always valid.
    #[must_use]
    pub fn element(&self, index: ElementIndex) -> &Element {
        &self.elements[index.0 as usize]
    }

    /// Panics on an index of another process.
    #[must_use]
    pub fn flow(&self, index: FlowIndex) -> &Flow {
        &self.flows[index.0 as usize]
    }

    /// Panics on an index of another process.
    #[must_use]
    pub fn message(&self, index: MessageIndex) -> &Message {
        &self.messages[index.0 as usize]
    }

    #[must_use]
    pub fn find(&self, id: &str) -> Option<ElementIndex> {
        self.ids.get(id).copied()
    }

    /// All element indexes in order, the process first.
    pub fn indexes(&self) -> impl Iterator<Item = ElementIndex> + use<> {
        let count =
            u32::try_from(self.elements.len()).expect("element count is limited far below u32");
        (0..count).map(ElementIndex)
    }

    /// A compact, stable rendering for tests and tools. Not a format to parse.
    #[must_use]
    pub fn to_text(&self) -> String {
        printer::print(self)
    }
}

/// A node of the graph, or a scope of nodes.
#[derive(Clone, Debug)]
pub struct Element {
    pub id: Arc<str>,
    pub name: Option<Arc<str>>,
    /// What BPMN and the API call it; never decides behaviour.
    pub element_type: ElementType,
    /// What kind of BPMN event it is, for events and receive tasks; never decides behaviour.
    pub event_type: EventType,
    /// What it does.
    pub kind: ElementKind,
    /// The scope it stands in; the process is its own scope.
    pub scope: ElementIndex,
    pub incoming: Vec<FlowIndex>,
    pub outgoing: Vec<FlowIndex>,
    /// Boundary events attached to this activity, in document order.
    pub boundary: Vec<ElementIndex>,
    /// Evaluated on entering, in order, each seeing the earlier ones.
    pub inputs: Vec<Mapping>,
    /// Evaluated on leaving; when there is none, results propagate whole.
    pub outputs: Vec<Mapping>,
    /// Line in the source document, 1-based, for messages to people.
    pub line: u32,
}

/// What an element does. Closed set: the engine matches on it exhaustively.
#[derive(Clone, Debug)]
pub enum ElementKind {
    /// The root scope; its start events are listed in [`Process`].
    Process,
    /// A scope inside a scope, entered at its none start event.
    SubProcess {
        start: ElementIndex,
    },
    StartEvent(StartTrigger),
    EndEvent(EndBehavior),
    /// An intermediate throw event.
    ThrowEvent(ThrowBehavior),
    /// An intermediate catch event: waits for its trigger.
    CatchEvent(CatchTrigger),
    /// Waits beside the activity it is attached to.
    BoundaryEvent(Boundary),
    /// Manual and undefined task: nothing to do, the token passes.
    PassThroughTask,
    /// Service, send and (job-based) user task: performs the action, then goes on.
    ActionTask(Action),
    /// Waits for a message, like a catch event, but is an activity (may have boundary events).
    ReceiveTask(MessageIndex),
    /// Takes one flow: of several true conditions the **last** in `outgoing` (camunda8.md §3.8); none true: the default.
    /// A single flow without condition is taken as it is.
    ExclusiveGateway {
        default: Option<FlowIndex>,
    },
    /// Waits for each incoming flow once, then takes all outgoing flows.
    ParallelGateway,
    /// Waits for the first of its targets, all of which are [`ElementKind::CatchEvent`]s with this gateway as their only
    /// predecessor.
    EventBasedGateway,
}

impl ElementKind {
    /// The action of a task, throw or end event that has one.
    #[must_use]
    pub fn action(&self) -> Option<&Action> {
        match self {
            Self::ActionTask(action)
            | Self::EndEvent(EndBehavior::Message(action))
            | Self::ThrowEvent(ThrowBehavior::Message(action)) => Some(action),
            _ => None,
        }
    }

    /// The message that a start, catch or boundary event or a receive task waits for.
    #[must_use]
    pub fn awaited_message(&self) -> Option<MessageIndex> {
        match self {
            Self::StartEvent(StartTrigger::Message(message))
            | Self::CatchEvent(CatchTrigger::Message(message))
            | Self::ReceiveTask(message)
            | Self::BoundaryEvent(Boundary {
                trigger: BoundaryTrigger::Message(message),
                ..
            }) => Some(*message),
            _ => None,
        }
    }
}

/// What starts an instance at a start event.
#[derive(Clone, Debug)]
pub enum StartTrigger {
    /// Created by a command, or the entry of a subprocess.
    None,
    /// The message has a static name.
    Message(MessageIndex),
    Timer(Timer),
}

/// What reaching an end event does, besides ending the token.
#[derive(Clone, Debug)]
pub enum EndBehavior {
    None,
    /// Ends everything else in its scope.
    Terminate,
    /// Throws an error from here upward.
    Error {
        code: Text,
    },
    Message(Action),
}

#[derive(Clone, Debug)]
pub enum ThrowBehavior {
    None,
    Message(Action),
}

/// What a waiting intermediate event waits for.
#[derive(Clone, Debug)]
pub enum CatchTrigger {
    Message(MessageIndex),
    Timer(Timer),
}

#[derive(Clone, Debug)]
pub struct Boundary {
    pub attached_to: ElementIndex,
    /// `cancelActivity`; always true for errors.
    pub interrupting: bool,
    pub trigger: BoundaryTrigger,
}

#[derive(Clone, Debug)]
pub enum BoundaryTrigger {
    Message(MessageIndex),
    Timer(Timer),
    /// `None` catches every error; a specific code beats it in the same scope.
    Error {
        code: Option<Arc<str>>,
    },
}

/// Something an element asks the outside or a neighbour to do.
#[derive(Clone, Debug)]
pub enum Action {
    /// Creates a job and waits for its completion.
    Job(JobDefinition),
    /// `zeebe:publishMessage`: publishes a message inside the engine, does not wait.
    PublishMessage(PublishMessage),
    /// `kapelle:publish`: hands a CloudEvent to the outbox, does not wait.
    PublishEvent(PublishEvent),
}

/// What a job is made of.
#[derive(Clone, Debug)]
pub struct JobDefinition {
    pub job_type: Text,
    /// Static text is a whole number ≥ 0 (validated).
    pub retries: Text,
    /// In document order, keys unique.
    pub headers: Vec<Header>,
}

/// A custom header of a job.
#[derive(Clone, Debug)]
pub struct Header {
    pub key: Arc<str>,
    pub value: HeaderValue,
}

/// Task headers are static; the headers a user task is described with may be expressions.
#[derive(Clone, Debug)]
pub enum HeaderValue {
    Static(Arc<str>),
    /// Must give a string; null: the header is left out.
    Text(Expr),
    /// Must give a list of strings, written as a JSON array; null: the header is left out.
    TextList(Expr),
    /// Must give a date-time or a text that is one; null: the header is left out.
    DateTime(Expr),
}

/// A message that is published inside the engine.
#[derive(Clone, Debug)]
pub struct PublishMessage {
    /// Whose name is published; its own correlation key and binding are not used here.
    pub message: MessageIndex,
    pub correlation_key: Option<Text>,
    pub message_id: Option<Text>,
    /// An ISO-8601 duration; absent means zero: only for those who wait now.
    pub time_to_live: Option<Text>,
}

/// A CloudEvent that leaves (design §7, "Publishing from BPMN").
#[derive(Clone, Debug)]
pub struct PublishEvent {
    /// The CloudEvent's `type`.
    pub event_type: Text,
    /// Absent: `/kapelle/<cluster>/<process id>`.
    pub source: Option<Text>,
    pub subject: Option<Text>,
    /// Absent: all variables the element sees.
    pub data: Option<Expr>,
    /// Name of the target; absent: whoever subscribes.
    pub to: Option<Text>,
}

/// A message as the process knows it.
#[derive(Clone, Debug)]
pub struct Message {
    /// The `bpmn:message` id.
    pub id: Arc<str>,
    pub name: Text,
    /// `zeebe:subscription`, over the process's variables. There is one wherever the message is caught; start events do
    /// not need it.
    pub correlation_key: Option<Expr>,
    /// `kapelle:event`, if there is one; else a CloudEvent whose type is `name` is bound by that alone.
    pub binding: Option<EventBinding>,
}

/// Which CloudEvents become this message, and how (design §7, "Binding to BPMN"). Expressions see the CloudEvent.
#[derive(Clone, Debug)]
pub struct EventBinding {
    /// The CloudEvent's `type`, compared exactly. Defaults to the message name.
    pub event_type: Arc<str>,
    /// Must be true for the CloudEvent to count.
    pub filter: Option<Expr>,
    /// The message's correlation key; absent: the CloudEvent's `subject`.
    pub key: Option<Expr>,
    /// The message's variables, a context; absent: the data.
    pub variables: Option<Expr>,
    /// The message's id, a text; absent: none, so the buffer may hold any number of the same.
    pub message_id: Option<Expr>,
    /// Time the message stays buffered; absent: 1 h. Never past the CloudEvent's `expirytime`.
    pub ttl_ms: Option<u64>,
    /// Whether a started instance locks its key (Zeebe's rule); `lock="false"` switches it off.
    pub lock: bool,
    /// What the expressions see.
    pub payload: Payload,
}

/// As what a binding's expressions see a CloudEvent: its attributes and data, and before those what one of Camunda's
/// inbound connectors would show of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload {
    CloudEvent,
    Webhook,
    Kafka,
    Rabbitmq,
    /// Connectors of which only the body is known.
    Body,
}

/// A sequence flow.
#[derive(Clone, Debug)]
pub struct Flow {
    pub id: Arc<str>,
    pub name: Option<Arc<str>>,
    pub source: ElementIndex,
    pub target: ElementIndex,
    /// Only on flows that leave an exclusive gateway.
    pub condition: Option<Expr>,
    /// Whether it is the default flow of its source.
    pub is_default: bool,
    pub line: u32,
}

/// An attribute that may be static or, with a leading `=`, an expression (camunda8.md §4.1).
#[derive(Clone)]
pub enum Text {
    Static(Arc<str>),
    Expr(Expr),
}

impl Text {
    /// The text if no evaluation is needed.
    #[must_use]
    pub fn as_static(&self) -> Option<&Arc<str>> {
        match self {
            Self::Static(text) => Some(text),
            Self::Expr(_) => None,
        }
    }
}

/// As it is written in a model: an expression with its `=`.
impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Static(text) => f.write_str(text),
            Self::Expr(expr) => write!(f, "={}", expr.text()),
        }
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.to_string())
    }
}

/// One input or output mapping.
#[derive(Clone, Debug)]
pub struct Mapping {
    pub source: Text,
    /// `a.b.c` as its parts; never empty. Inputs replace along the path, outputs merge the leaf (camunda8.md §3.5).
    pub target: Vec<Arc<str>>,
}

/// A timer event definition.
#[derive(Clone, Debug)]
pub struct Timer {
    pub kind: TimerKind,
    pub value: TimerValue,
}

/// Which of BPMN's three timer kinds. An expression's result is read as this kind: `TimerKind::parse`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TimerKind {
    Date,
    Duration,
    Cycle,
}

#[derive(Clone, Debug)]
pub enum TimerValue {
    /// Known when the process was compiled.
    Static(Schedule),
    Expr(Expr),
}

/// BPMN's element types as the API spells them. Those without an [`ElementKind`] are refused at deployment today and
/// have their number and name reserved here, because journals and clients see them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub enum ElementType {
    Process = 1,
    SubProcess = 2,
    EventSubProcess = 3,
    AdHocSubProcess = 4,
    AdHocSubProcessInnerInstance = 5,
    StartEvent = 6,
    IntermediateCatchEvent = 7,
    IntermediateThrowEvent = 8,
    BoundaryEvent = 9,
    EndEvent = 10,
    ServiceTask = 11,
    ReceiveTask = 12,
    UserTask = 13,
    ManualTask = 14,
    Task = 15,
    ExclusiveGateway = 16,
    InclusiveGateway = 17,
    ParallelGateway = 18,
    EventBasedGateway = 19,
    SequenceFlow = 20,
    MultiInstanceBody = 21,
    CallActivity = 22,
    BusinessRuleTask = 23,
    ScriptTask = 24,
    SendTask = 25,
}

/// The kind of a BPMN event as the API spells it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub enum EventType {
    /// Not an event at all.
    Unspecified = 0,
    None = 1,
    Message = 2,
    Timer = 3,
    Error = 4,
    Signal = 5,
    Escalation = 6,
    Link = 7,
    Compensation = 8,
    Conditional = 9,
    Terminate = 10,
}
