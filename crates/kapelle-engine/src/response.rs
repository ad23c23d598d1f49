//! What a decided command answers. Handed out only after everything it rests on is durable.

use std::sync::Arc;

use crate::document::Document;
use crate::ids::{
    DefinitionKey, DeploymentKey, ElementInstanceKey, JobKey, MessageKey, ProcessInstanceKey,
    Sequence, Timestamp,
};

/// The answer to a command that was not refused.
#[derive(Clone, Debug, PartialEq)]
pub enum Response {
    /// Nothing but success.
    Done,
    Deployed(Deployed),
    InstanceCreated(CreatedInstance),
    /// The answer comes later, as [`crate::effect::Effect::InstanceResult`].
    Deferred {
        instance: ProcessInstanceKey,
    },
    VariablesSet {
        key: u64,
    },
    JobsActivated(Vec<Arc<ActivatedJob>>),
    MessagePublished {
        key: MessageKey,
    },
    MessageCorrelated {
        key: MessageKey,
        instance: ProcessInstanceKey,
    },
    Ingested(Vec<EventResult>),
}

/// What a deployment holds, new or as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deployed {
    pub key: DeploymentKey,
    pub tenant: Arc<str>,
    pub processes: Vec<DeployedProcess>,
}

/// One process of a deployment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeployedProcess {
    pub definition: DefinitionKey,
    pub process_id: Arc<str>,
    pub version: i32,
    pub resource_name: Arc<str>,
}

/// A started instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreatedInstance {
    pub instance: ProcessInstanceKey,
    pub definition: DefinitionKey,
    pub process_id: Arc<str>,
    pub version: i32,
    pub tenant: Arc<str>,
    pub tags: Vec<Arc<str>>,
    pub business_id: Option<Arc<str>>,
}

/// A job as a worker gets it.
#[derive(Clone, Debug, PartialEq)]
pub struct ActivatedJob {
    pub job: JobKey,
    pub job_type: Arc<str>,
    pub tenant: Arc<str>,
    pub instance: ProcessInstanceKey,
    pub definition: DefinitionKey,
    pub process_id: Arc<str>,
    pub version: i32,
    pub element_id: Arc<str>,
    pub element_instance: ElementInstanceKey,
    pub headers: Arc<[(Arc<str>, Arc<str>)]>,
    pub worker: Arc<str>,
    pub retries: i32,
    pub deadline: Timestamp,
    pub variables: Document,
    pub tags: Vec<Arc<str>>,
    pub business_id: Option<Arc<str>>,
}

/// The result of an instance whose creator waits for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceResult {
    pub created: CreatedInstance,
    pub variables: Document,
}

/// What became of one arrival.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventResult {
    /// Empty for what could not become a CloudEvent.
    pub source: Arc<str>,
    pub id: Arc<str>,
    pub position: Sequence,
    pub outcome: Outcome,
    /// One for each binding that looked at it.
    pub matches: Vec<Match>,
    /// Of the first arrival, when this one is a repeat.
    pub duplicate_of: Option<Sequence>,
    pub reason: Arc<str>,
}

/// What a CloudEvent came to (design §7). Ordered: the first that applies to any binding is the whole's.
/// Discriminants are on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Outcome {
    Started = 1,
    Correlated = 2,
    Buffered = 3,
    Expired = 4,
    Filtered = 5,
    KeyError = 6,
    NoMatch = 7,
    Duplicate = 8,
    SchemaInvalid = 9,
    Rejected = 10,
}

impl Outcome {
    /// As the API spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Started => "STARTED",
            Self::Correlated => "CORRELATED",
            Self::Buffered => "BUFFERED",
            Self::Expired => "EXPIRED",
            Self::Filtered => "FILTERED",
            Self::KeyError => "KEY_ERROR",
            Self::NoMatch => "NO_MATCH",
            Self::Duplicate => "DUPLICATE",
            Self::SchemaInvalid => "SCHEMA_INVALID",
            Self::Rejected => "REJECTED",
        }
    }
}

/// What one binding made of a CloudEvent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match {
    /// The message's name.
    pub message: Arc<str>,
    pub process_id: Arc<str>,
    /// As computed; empty where there is none.
    pub correlation_key: Arc<str>,
    pub outcome: Outcome,
    pub instance: Option<ProcessInstanceKey>,
    /// Why, in words: what matched, or what did not.
    pub reason: Arc<str>,
}
