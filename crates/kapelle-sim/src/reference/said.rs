//! What happens, in words that the reference interpreter and the engine's events share.
//!
//! **Invariant**: no key of the engine is in here. Whatever comes into being has the number of its kind, counted from the
//! beginning of the run in the order of the journal; so two sides that do the same count the same.

use std::fmt;
use std::sync::Arc;

use kapelle_engine::event::{AvailableCause, IncidentKind, KeyKind};
use kapelle_engine::response::Outcome;

use crate::value::{Value, Values};

pub(crate) type Name = Arc<str>;

/// One activation of one element.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Node {
    pub(crate) number: u64,
    pub(crate) element: Name,
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.element, self.number)
    }
}

/// What an element instance goes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Passage {
    Activated,
    Completing,
    Completed,
    Terminating,
    Terminated,
}

/// Whose timer it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum TimerOf {
    /// That element goes on when the node's time has come.
    Node(Node, Name),
    /// A process starts.
    Process(Name, i32),
}

/// What one binding made of a CloudEvent.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Match {
    pub(crate) process: Name,
    pub(crate) message: Name,
    pub(crate) key: Name,
    pub(crate) outcome: Outcome,
    pub(crate) case: Option<u64>,
}

/// One thing that happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    Deployed {
        process: Name,
        version: i32,
    },
    StartOpened {
        process: Name,
        message: Name,
    },
    StartClosed {
        process: Name,
        message: Name,
    },
    Bound {
        process: Name,
        event_type: Name,
        message: Name,
    },

    Created {
        case: u64,
        process: Name,
        version: i32,
        start: Name,
        awaited: bool,
        lock: Option<Name>,
    },
    Ended {
        case: u64,
        completed: bool,
    },
    SetAside {
        case: u64,
    },
    /// A follow-up waits until that is resolved.
    Interrupted {
        incident: u64,
    },

    Entered {
        case: u64,
        node: Node,
        scope: u64,
    },
    Passed {
        node: Node,
        passage: Passage,
    },
    Flow {
        scope: u64,
        from: Name,
        to: Name,
    },
    Joined {
        scope: u64,
        join: Name,
    },
    Discarded {
        scope: u64,
    },
    Triggered {
        node: Node,
        element: Name,
        payload: Values,
    },
    Set {
        scope: u64,
        name: Name,
        value: Value,
    },

    JobMade {
        node: Node,
        job_type: Name,
        retries: i32,
        headers: Vec<(Name, Name)>,
    },
    JobTaken {
        node: Node,
        worker: Name,
        deadline: i64,
    },
    JobFree {
        node: Node,
        cause: AvailableCause,
    },
    JobDone {
        node: Node,
    },
    JobFailed {
        node: Node,
        retries: i32,
        until: Option<i64>,
    },
    JobThrew {
        node: Node,
        code: Name,
        caught: bool,
    },
    JobCanceled {
        node: Node,
    },
    /// Never by the reference: no variables here are as large as that.
    JobWithheld {
        node: Node,
    },
    JobRetries {
        node: Node,
        retries: i32,
    },
    JobDeadline {
        node: Node,
        deadline: i64,
    },

    Published {
        message: u64,
        name: Name,
        key: Name,
        id: Name,
        expires: i64,
        variables: Values,
        only: Option<(Name, KeyKind)>,
    },
    Met {
        message: u64,
        node: Node,
    },
    Started {
        message: u64,
        case: u64,
    },
    Expired {
        message: u64,
    },
    Opened {
        node: Node,
        element: Name,
        name: Name,
        key: Name,
        kind: KeyKind,
        once: bool,
    },
    Closed {
        node: Node,
        element: Name,
    },
    LockFree {
        process: Name,
        key: Name,
        case: u64,
    },

    TimerSet {
        of: TimerOf,
        due: i64,
        left: Option<u32>,
    },
    TimerFired {
        of: TimerOf,
    },
    TimerGone {
        of: TimerOf,
    },
    /// It was due, but nobody waits any more.
    DueDropped,
    /// It was due, but its instance is set aside, or doing it failed.
    DuePutOff,

    Incident {
        incident: u64,
        node: Node,
        kind: IncidentKind,
        of_job: bool,
    },
    Resolved {
        incident: u64,
    },

    Received {
        id: Name,
    },
    Routed {
        outcome: Outcome,
        matches: Vec<Match>,
    },
    Repeated {
        id: Name,
        first: Outcome,
        same_content: bool,
    },
    Rejected,
    Out {
        entry: u64,
        to: Name,
        event_type: Name,
        subject: Option<Name>,
        data: Values,
    },
    Delivered {
        entry: u64,
    },
    GivenUp {
        entry: u64,
    },

    Remembered {
        request: Name,
        case: u64,
        until: i64,
    },
    Forgotten {
        request: Name,
        case: u64,
    },
}

impl Said {
    /// Whether its place among others matters: the path of tokens. What happens to variables, waits and jobs on the way has
    /// no order that anybody could see.
    pub(crate) const fn is_path(&self) -> bool {
        matches!(
            self,
            Self::Created { .. }
                | Self::Ended { .. }
                | Self::Entered { .. }
                | Self::Passed { .. }
                | Self::Flow { .. }
                | Self::Joined { .. }
                | Self::Triggered { .. }
                | Self::Published { .. }
                | Self::Met { .. }
                | Self::Started { .. }
                | Self::Received { .. }
                | Self::Routed { .. }
        )
    }
}
