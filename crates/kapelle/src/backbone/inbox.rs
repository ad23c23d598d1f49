//! Questions to the thread that decides, and its answers.

use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use kapelle_connectors::SinkError;
use kapelle_engine::ids::Sequence;
use kapelle_runtime::subscription::Attempt;
use tokio::sync::oneshot;

use super::{Answer, DeadLetter, Follower, Received, Report};

/// What a consumer that pulls holds, and answers with.
pub(crate) type Token = Attempt;

/// A question. The answer is `None` where there is no such subscriber, or it is not one that pulls.
pub(crate) enum Ask {
    Reports(oneshot::Sender<BTreeMap<Arc<str>, Report>>),
    Receive {
        subscriber: Arc<str>,
        most: usize,
        until: Instant,
        reply: oneshot::Sender<Option<Vec<Received>>>,
    },
    /// The answer says for each token whether it was still held.
    Answer {
        subscriber: Arc<str>,
        tokens: Vec<Token>,
        answer: Answer,
        reply: oneshot::Sender<Option<Vec<bool>>>,
    },
    DeadLetters {
        subscriber: Option<Arc<str>>,
        after: Sequence,
        most: usize,
        reply: oneshot::Sender<Vec<DeadLetter>>,
    },
    /// Who subscribed to the CloudEvents at these positions, and what came of it.
    Followers {
        positions: Vec<Sequence>,
        reply: oneshot::Sender<BTreeMap<Sequence, Vec<Follower>>>,
    },
    /// A delivery ended.
    Attempted {
        subscriber: Arc<str>,
        attempt: Attempt,
        result: Result<(), SinkError>,
    },
    /// Something new may be in the journal.
    Look,
}

/// The queue of questions.
#[derive(Clone, Default)]
pub(crate) struct Inbox(Arc<(Mutex<VecDeque<Ask>>, Condvar)>);

impl Inbox {
    pub(crate) fn put(&self, ask: Ask) {
        let (queue, came) = &*self.0;
        let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
        // One is enough: whoever looks sees everything.
        if matches!(ask, Ask::Look) && queue.iter().any(|other| matches!(other, Ask::Look)) {
            return;
        }
        queue.push_back(ask);
        came.notify_one();
    }

    /// Everything asked so far; waits for something until the time is over.
    pub(super) fn take(&self, timeout: Duration) -> VecDeque<Ask> {
        let (queue, came) = &*self.0;
        let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
        if queue.is_empty() {
            queue = came
                .wait_timeout(queue, timeout)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        std::mem::take(&mut *queue)
    }
}
