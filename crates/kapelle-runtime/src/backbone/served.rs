//! One subscriber at work: its document, its deliveries, its counters.

use std::sync::Arc;

use kapelle_engine::ids::{Sequence, Timestamp};
use kapelle_events::filter::Filter;
use kapelle_events::subscriber::{Order, Subscriber, Target};

use super::Stored;
use crate::delivery::{Backoff, Failure};
use crate::subscription::{Attempt, Policy, Subscription, Wanted};

/// How many a consumer that pulls may hold at once: it decides for itself how much it takes.
const PULLED_MAX: usize = 10_000;

/// A subscriber from outside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    pub document: Arc<str>,
    pub paused: bool,
    /// Everything up to here is over, but for what waits.
    pub cursor: u64,
    /// Entries that are not over: waiting, in retry, under way.
    pub waiting: u64,
    pub in_flight: u64,
    pub dead: u64,
    /// Since the start of the process.
    pub matched: u64,
    pub filtered: u64,
    pub delivered: u64,
    pub failed: u64,
    pub last_error: Option<Arc<str>>,
}

pub(super) struct Served {
    pub(super) document: Arc<str>,
    pub(super) subscriber: Subscriber,
    pub(super) machine: Subscription,
    pub(super) report: Report,
    /// The last position it may have; none: no end.
    pub(super) end: Option<Sequence>,
}

impl Served {
    /// How a subscriber is served, where others are as `general` says.
    pub(super) fn policy(subscriber: &Subscriber, name: &str, general: &Policy) -> Policy {
        let retry = &subscriber.retry;
        let seed = name.bytes().fold(0_u64, |seed, byte| {
            seed.wrapping_mul(31).wrapping_add(byte.into())
        });
        let (attempt_timeout_ms, concurrency) = match subscriber.target {
            Target::Pull { lock_ms } => (lock_ms, PULLED_MAX),
            _ => (general.attempt_timeout_ms, general.concurrency),
        };
        Policy {
            attempts_max: retry.attempts,
            age_max_ms: retry.age_ms,
            backoff: Backoff {
                first_ms: retry.first_ms,
                max_ms: retry.limit_ms,
            },
            attempt_timeout_ms,
            concurrency,
            seed,
            ..general.clone()
        }
    }

    /// How many CloudEvents it may be shown now.
    pub(super) fn room(&self) -> usize {
        if self.subscriber.paused {
            0
        } else {
            self.machine.room()
        }
    }

    /// Takes the next CloudEvent of the store if it wants it: `passes` says what its filter says.
    pub(super) fn show(&mut self, stored: &Stored, passes: impl FnOnce(&Filter) -> bool) {
        let is_in = self.end.is_none_or(|end| stored.position <= end);
        let wanted = stored
            .event
            .as_ref()
            .filter(|_| is_in && passes(&self.subscriber.filter));
        let Some(event) = wanted else {
            self.report.filtered += 1;
            return self.machine.passed(stored.position);
        };
        self.report.matched += 1;
        let lane = match self.subscriber.order {
            Order::Key => Some(Arc::from(event.partition_key())),
            Order::Parallel => None,
        };
        self.machine.offer(Wanted {
            position: stored.position,
            lane,
            stored_at: stored.at,
        });
    }

    /// An attempt failed; the next one is not before `wait_ms` from now.
    pub(super) fn failed(
        &mut self,
        attempt: &Attempt,
        now: Timestamp,
        failure: &Failure,
        wait_ms: i64,
    ) {
        self.report.failed += 1;
        self.report.last_error = Some(failure.error.as_str().into());
        self.machine.failed(attempt, now, failure, wait_ms);
    }

    /// When something is to be done for it, if nothing else happens. What is pulled waits for whoever asks.
    pub(super) fn wake_at(&self, is_asked_for: bool) -> Option<Timestamp> {
        let is_idle = self.subscriber.paused || (!self.is_pushed() && !is_asked_for);
        if is_idle {
            None
        } else {
            self.machine.wake_at()
        }
    }

    /// Whether deliveries are made for it, rather than fetched.
    pub(super) fn is_pushed(&self) -> bool {
        !matches!(self.subscriber.target, Target::Pull { .. })
    }

    pub(super) fn report(&self) -> Report {
        let (waiting, in_flight) = self.machine.counts();
        Report {
            document: Arc::clone(&self.document),
            paused: self.subscriber.paused,
            cursor: self.machine.cursor().0,
            waiting: waiting as u64,
            in_flight: in_flight as u64,
            ..self.report.clone()
        }
    }
}

/// Whether a CloudEvent is of no more use.
pub(super) fn is_expired(stored: &Stored, now: Timestamp) -> bool {
    let expiry = stored
        .event
        .as_ref()
        .and_then(|event| event.expiry_time().map(kapelle_events::Timestamp::unix_ms));
    expiry.is_some_and(|expiry| expiry <= now.0)
}
