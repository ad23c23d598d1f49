//! Follow-ups: what a decision still has to do, one small step after another from a queue.
//!
//! **Invariant**: a step carries keys, never state. Whoever takes it from the queue looks again whether it still makes
//! sense, because other steps ran in between, or, if it was left over to a later batch, other commands.

use std::sync::Arc;

use kapelle_model::graph::{ElementIndex, FlowIndex};

use crate::command::PublishMessage;
use crate::event::Cause;
use crate::ids::{ElementInstanceKey, JobKey, ProcessInstanceKey, SubscriptionKey};

/// One follow-up. Discriminants are on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A token reached this element, or its scope begins with it.
    Activate { instance: ProcessInstanceKey, scope: ElementInstanceKey, element: ElementIndex, flow: Option<FlowIndex> },
    /// Its work is done.
    Complete { instance: ProcessInstanceKey, element: ElementInstanceKey },
    /// End it from outside.
    Terminate { instance: ProcessInstanceKey, element: ElementInstanceKey },
    /// An incident was resolved: take up what it interrupted.
    Retry { instance: ProcessInstanceKey, element: ElementInstanceKey },
    /// A subscription is open: look whether a message for it is buffered.
    MeetBuffered { instance: ProcessInstanceKey, subscription: SubscriptionKey },
    /// A start lock is free: the oldest buffered message of that key may start the next instance.
    StartBuffered { tenant: Arc<str>, process_id: Arc<str>, correlation_key: Arc<str> },
    /// An element throws a message.
    Publish { message: Box<PublishMessage>, cause: Cause },
    /// A new incarnation leads: make available what earlier ones pushed, from this job on.
    ReleasePushed { after: JobKey },
}
