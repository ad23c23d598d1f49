//! The queue in front of the writer: the one that ships, with a count of what waits beside it.
//!
//! **Invariants that are asked for**
//! - Whoever is refused finds at least as many waiting as the limit that adapts can never go below; whoever is taken, fewer
//!   than the largest limit. Internal commands have their own, larger share.
//! - What the queue says of itself is so: how many wait, how many were refused.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use kapelle_runtime::metrics::Metrics;
use kapelle_runtime::partition::Request;
use kapelle_runtime::shell::Inbox;

use crate::setup::QueueLimits;

/// How many times the limit internal commands may fill: see `kapelle_runtime::shell::inbox`.
const INTERNAL_SHARE: usize = 4;

pub(crate) struct Gate {
    inbox: Inbox,
    limits: QueueLimits,
    /// What simulated time is counted from; only differences matter.
    base: Instant,
    /// Taken by the writer and not decided.
    backlog: VecDeque<Request>,
    waiting: usize,
    refused: u64,
}

impl Gate {
    pub(crate) fn new(limits: QueueLimits) -> Self {
        Self {
            inbox: Inbox::with_least(limits.least, limits.most),
            limits,
            base: Instant::now(),
            backlog: VecDeque::new(),
            waiting: 0,
            refused: 0,
        }
    }

    fn at(&self, now_ms: i64) -> Instant {
        self.base + Duration::from_millis(now_ms.unsigned_abs())
    }

    /// `false`: refused.
    pub(crate) fn push(&mut self, request: Request, now_ms: i64) -> Result<bool, String> {
        let is_internal =
            matches!(&request, Request::Command { command, .. } if command.is_internal());
        let is_taken = self.inbox.push(request, self.at(now_ms)).is_ok();
        let QueueLimits { least, most } = self.limits;
        let (least, most) = if is_internal {
            (most * INTERNAL_SHARE, most * INTERNAL_SHARE)
        } else {
            (least, most)
        };
        let waiting = self.waiting;
        if is_taken && waiting >= most {
            return Err(format!("a request was taken although {waiting} wait"));
        }
        if !is_taken && waiting < least {
            return Err(format!(
                "a request was refused although only {waiting} wait"
            ));
        }
        self.waiting += usize::from(is_taken);
        self.refused += u64::from(!is_taken);
        Ok(is_taken)
    }

    /// The writer takes what came.
    pub(crate) fn take(&mut self, metrics: &Metrics, now_ms: i64) -> Result<(), String> {
        let now = self.at(now_ms);
        self.inbox.take(&mut self.backlog, metrics, now);
        let (length, limit) = (metrics.queue_length.get(), metrics.queue_limit.get());
        let refused = metrics.overloaded.get();
        let may = self.limits.least as u64..=self.limits.most as u64;
        if length != self.waiting as u64 || refused != self.refused || !may.contains(&limit) {
            return Err(format!(
                "the queue says that {length} wait, {refused} were refused and {limit} are the limit, but {} wait, {} were \
                 refused, and the limit is within {may:?}",
                self.waiting, self.refused
            ));
        }
        Ok(())
    }

    /// The next request to be decided.
    pub(crate) fn next(&mut self) -> Option<Request> {
        let request = self.backlog.pop_front()?;
        self.inbox.decided();
        self.waiting -= 1;
        Some(request)
    }

    pub(crate) fn waiting(&self) -> usize {
        self.waiting
    }
}
