//! What should happen outside once the records are durable. Hints only: each can be derived again from state.

use std::sync::Arc;

use crate::ids::{OutboxKey, ProcessInstanceKey};
use crate::response::{ActivatedJob, InstanceResult};

/// A hint for the edge, handed out after the commit.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Send the job down that stream; derivable from the index of pushed jobs of this incarnation.
    PushJob {
        stream: StreamId,
        job: Arc<ActivatedJob>,
    },
    /// Jobs of that type wait: wake its long polls; derivable from the index of available jobs.
    JobsAvailable {
        tenant: Arc<str>,
        job_type: Arc<str>,
    },
    /// The creator's answer; lost with the connection, as in Zeebe.
    InstanceResult(Box<InstanceResult>),
    /// An awaited instance was cancelled or set aside.
    InstanceEndedEarly { instance: ProcessInstanceKey },
    /// A CloudEvent waits in the outbox; derivable from the outbox.
    OutboxReady { entry: OutboxKey },
}

/// A worker's open stream, numbered by the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub u64);

/// Who takes jobs as they are made. Volatile: it comes with the command like the clock, and replay never asks.
pub trait JobStreams {
    /// A stream with room for a job of that type; counts it as taken.
    fn take(&mut self, tenant: &str, job_type: &str) -> Option<StreamTarget>;

    /// Nothing goes down that stream after all: what was taken there counts no more.
    fn give_back(&mut self, stream: StreamId);
}

/// Where a job is pushed to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamTarget {
    pub stream: StreamId,
    pub worker: Arc<str>,
    pub timeout_ms: i64,
    pub fetch_variables: Arc<[Arc<str>]>,
}

/// No worker listens.
#[derive(Debug)]
pub struct NoStreams;

impl JobStreams for NoStreams {
    fn take(&mut self, _tenant: &str, _job_type: &str) -> Option<StreamTarget> {
        None
    }

    fn give_back(&mut self, _stream: StreamId) {}
}
