//! The bounded queue in front of the writer, and the one place where it sleeps.
//!
//! **Invariant**: what waits is counted from `push` until it is decided, also while the writer holds it in its backlog.
//!
//! Who calls says what time it is, so that the simulator runs this as it is.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::handle::Health;
use crate::limiter::{self, Limiter};
use crate::metrics::Metrics;
use crate::partition::Request;
use crate::reply::{Overloaded, Refusal};

/// Internal commands (a delivery was acknowledged, a push failed) are not refused when the queue is at its limit, since
/// they are how work ends; this many times the limit is where even they are: they are bounded by what is in flight.
const INTERNAL_SHARE: usize = 4;

/// The writer's queue.
pub struct Inbox {
    state: Mutex<State>,
    wake: Condvar,
    /// Pushed and not yet decided.
    waiting: AtomicUsize,
    max: usize,
}

struct State {
    requests: VecDeque<Request>,
    /// When the oldest of them came.
    oldest: Option<Instant>,
    limiter: Limiter,
    refused: u64,
    refused_at: Option<Instant>,
    /// The journal or the store has something to tell, or the end has come.
    poked: bool,
    leads: bool,
    closed: bool,
    stopped: Option<String>,
}

impl Inbox {
    /// For at most `max` waiting commands.
    #[must_use]
    pub fn new(max: usize) -> Self {
        Self::with_least(limiter::MIN, max)
    }

    /// … of which the limit that adapts never takes away the last `least`.
    #[must_use]
    pub fn with_least(least: usize, max: usize) -> Self {
        let state = State {
            requests: VecDeque::new(),
            oldest: None,
            limiter: Limiter::new(least, max),
            refused: 0,
            refused_at: None,
            poked: false,
            leads: false,
            closed: false,
            stopped: None,
        };
        Self {
            state: Mutex::new(state),
            wake: Condvar::new(),
            waiting: AtomicUsize::new(0),
            max,
        }
    }

    /// The journal's sync thread calls this after each batch, the store's after each write.
    pub fn synced(&self) {
        self.state().poked = true;
        self.wake.notify_one();
    }

    /// Takes a request, or hands it back by dropping it unanswered.
    ///
    /// # Errors
    /// As many wait as may.
    pub fn push(&self, request: Request, now: Instant) -> Result<(), Overloaded> {
        let internal =
            matches!(&request, Request::Command { command, .. } if command.is_internal());
        let mut state = self.state();
        if state.closed || state.stopped.is_some() {
            let reason = state
                .stopped
                .clone()
                .unwrap_or_else(|| "it is being shut down".to_owned());
            drop(state);
            request.refuse(Refusal::Unavailable { reason });
            return Ok(());
        }
        let limit = if internal {
            self.max.saturating_mul(INTERNAL_SHARE)
        } else {
            state.limiter.limit()
        };
        if self.waiting.load(Ordering::Relaxed) >= limit {
            state.refused += 1;
            state.refused_at = Some(now);
            return Err(Overloaded);
        }
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let was_empty = state.requests.is_empty();
        if was_empty {
            state.oldest = Some(now);
        }
        state.requests.push_back(request);
        drop(state);
        if was_empty {
            self.wake.notify_one();
        }
        Ok(())
    }

    /// Moves all that came into the writer's backlog; `true` if nothing will follow.
    pub fn take(&self, backlog: &mut VecDeque<Request>, metrics: &Metrics, now: Instant) -> bool {
        let mut state = self.state();
        state.poked = false;
        let length = self.waiting.load(Ordering::Relaxed);
        // While the writer is behind, what came waits here: the time in here is what the limit adapts to.
        if backlog.is_empty() {
            if let Some(oldest) = state.oldest.take() {
                state
                    .limiter
                    .observe(now.saturating_duration_since(oldest), length);
            }
            std::mem::swap(&mut state.requests, backlog);
        }
        let so_far = (metrics.commands.get(), metrics.decide_ns.get());
        let unrefused = state
            .refused_at
            .map_or(Duration::MAX, |at| now.saturating_duration_since(at));
        state.limiter.decided(so_far, length, unrefused);
        metrics.queue_length.set(length as u64);
        metrics.queue_limit.set(state.limiter.limit() as u64);
        metrics.overloaded.set(state.refused);
        state.closed && state.requests.is_empty()
    }

    /// One of the backlog is being decided.
    pub fn decided(&self) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }

    /// Sleeps until there is something to do. `blocked`: the writer takes no requests now, so they do not wake it.
    pub(super) fn sleep(&self, timeout: Duration, blocked: bool) {
        let idle = |state: &mut State| !state.poked && (blocked || state.requests.is_empty());
        let state = self.state();
        if timeout.is_zero() {
            return;
        }
        let (mut state, _) = self
            .wake
            .wait_timeout_while(state, timeout, idle)
            .unwrap_or_else(PoisonError::into_inner);
        state.poked = false;
    }

    pub(super) fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        state.poked = true;
        drop(state);
        self.wake.notify_one();
    }

    /// Refuses what is left; the first reason counts.
    pub(super) fn stop(&self, reason: &str) {
        let mut state = self.state();
        let reason = state
            .stopped
            .get_or_insert_with(|| reason.to_owned())
            .clone();
        let left = std::mem::take(&mut state.requests);
        drop(state);
        for request in left {
            request.refuse(Refusal::Unavailable {
                reason: reason.clone(),
            });
        }
    }

    /// The partition's announcement as the leader is durable.
    pub(super) fn leads(&self) {
        self.state().leads = true;
    }

    pub(super) fn health(&self) -> Health {
        let state = self.state();
        match &state.stopped {
            Some(reason) => Health::Stopped {
                reason: reason.clone(),
            },
            None if state.leads => Health::Ready,
            None => Health::Recovering,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No code of others runs under the lock, so a poisoned one only says that some thread died elsewhere.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
