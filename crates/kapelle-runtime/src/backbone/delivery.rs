//! One delivery: what is to be delivered, and what its receiver says.

use std::sync::Arc;
use std::time::Duration;

use kapelle_engine::ids::Timestamp;
use kapelle_events::CloudEvent;
use kapelle_events::filter::Subject;
use kapelle_events::subscriber::{Subscriber, Target};
use kapelle_storage::position;

use super::SharedStore;
use super::served::{Served, is_expired};
use super::stored::{Stored, env};
use crate::delivery::Failure;
use crate::subscription::Attempt;

/// One delivery to be made.
#[derive(Clone, Debug)]
pub struct Delivery {
    pub subscriber: Arc<str>,
    pub attempt: Attempt,
    pub target: Target,
    /// As the subscriber gets it.
    pub event: Arc<CloudEvent>,
    pub stored_at: Timestamp,
}

/// A CloudEvent that was handed to a consumer that pulls.
#[derive(Clone, Debug)]
pub struct Received {
    /// What the consumer answers with.
    pub token: Attempt,
    pub stored: Stored,
}

/// What a consumer says of what it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Acknowledge,
    Release { delay: Duration },
    Reject { reason: String },
    Renew,
}

/// What is to be delivered in an attempt.
pub(super) enum Fetched {
    Event(Arc<CloudEvent>, Timestamp),
    /// Erased, or expired: of no use to anybody.
    Useless,
    Failed(Failure),
}

pub(super) fn fetch(
    store: &SharedStore,
    subscriber: &Subscriber,
    attempt: &Attempt,
    now: Timestamp,
) -> Fetched {
    let entry = match store.read().get(position::Sequence(attempt.position.0)) {
        Ok(Some(entry)) => entry,
        // Retention was faster.
        Ok(None) => return Fetched::Useless,
        Err(error) => {
            return Fetched::Failed(Failure {
                permanent: false,
                error: error.to_string(),
            });
        }
    };
    let stored = Stored::read(&entry);
    if is_expired(&stored, now) {
        return Fetched::Useless;
    }
    let Some(event) = stored.event else {
        return Fetched::Useless;
    };
    let Some(transform) = &subscriber.transform else {
        return Fetched::Event(event, stored.at);
    };
    let env = env(stored.at);
    match transform.apply(&Subject::new(&event), &env) {
        Ok(event) => Fetched::Event(Arc::new(event), stored.at),
        Err(error) => Fetched::Failed(Failure {
            permanent: true,
            error: error.to_string(),
        }),
    }
}

pub(super) fn settle(
    served: &mut Served,
    token: &Attempt,
    answer: &Answer,
    now: Timestamp,
) -> bool {
    match answer {
        Answer::Acknowledge => {
            let is_held = served.machine.delivered(token);
            served.report.delivered += u64::from(is_held);
            is_held
        }
        Answer::Release { delay } => {
            let delay_ms = i64::try_from(delay.as_millis()).unwrap_or(i64::MAX);
            served.machine.released(token, now, delay_ms)
        }
        Answer::Reject { reason } => {
            let failure = Failure {
                permanent: true,
                error: reason.clone(),
            };
            served.machine.failed(token, now, &failure, 0)
        }
        Answer::Renew => served.machine.renewed(token, now),
    }
}
