//! What sources at brokers do alike: one session after the other with waits between, batches, and the offer of a batch
//! until it is taken.

use std::collections::VecDeque;
use std::fmt::Display;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_core::Stream;
use kapelle_events::Limits;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::backoff::{Backoff, Bounds};
use crate::source::{Delivery, Ingest, IngestError, Outcome};
use crate::status::{Handle, State, Status, count, paused_is};

/// Bytes of bodies in a batch of more than one: enough for any throughput, and attributes still fit the 4 MiB of a batch
/// of the journal.
const BATCH_BYTES_MAX: usize = 1024 * 1024;
/// A connection that held this long was a good one: the next failure begins with the first wait again.
const GOOD_SESSION: Duration = Duration::from_secs(10);

/// Why a session ended without an error.
pub(crate) enum End {
    Shutdown,
    Paused,
}

/// One session after the other until the shutdown.
pub(crate) struct Sessions<'s> {
    status: &'s Status,
    shutdown: &'s CancellationToken,
    paused: watch::Receiver<bool>,
    backoff: Backoff,
    began: Instant,
}

impl<'s> Sessions<'s> {
    pub(crate) fn new(handle: &'s Handle, bounds: Bounds, shutdown: &'s CancellationToken) -> Self {
        Self {
            status: handle.status(),
            shutdown,
            paused: handle.paused(),
            backoff: Backoff::new(bounds),
            began: Instant::now(),
        }
    }

    /// Waits until a session may begin; `false` when there will be no more.
    pub(crate) async fn begin(&mut self) -> bool {
        while !self.shutdown.is_cancelled() {
            if !*self.paused.borrow() {
                self.began = Instant::now();
                self.status.set_state(State::Connecting);
                return true;
            }
            self.status.set_state(State::Paused);
            tokio::select! {
                () = self.shutdown.cancelled() => break,
                () = paused_is(false, &mut self.paused) => {}
            }
        }
        self.status.set_state(State::Stopped);
        false
    }

    /// Notes how a session ended; after a failure it waits before there may be another.
    pub(crate) async fn ended(&mut self, ended: Result<End, impl Display + Send>) {
        self.status.forget_lag();
        let Err(error) = ended else { return };
        self.status.failed(error.to_string());
        if self.began.elapsed() >= GOOD_SESSION {
            self.backoff.reset();
        }
        self.status.set_state(State::BackingOff);
        tokio::select! {
            () = self.shutdown.cancelled() => {}
            () = paused_is(true, &mut self.paused) => {}
            () = tokio::time::sleep(self.backoff.next_wait()) => {}
        }
    }
}

/// The way of a session's batches to the engine's door.
pub(crate) struct Way<'s, I> {
    pub(crate) status: &'s Status,
    pub(crate) ingest: &'s I,
    pub(crate) shutdown: &'s CancellationToken,
    pub(crate) paused: watch::Receiver<bool>,
    pub(crate) backoff: Bounds,
}

/// What became of a batch that was offered.
pub(crate) enum Offered {
    /// It is durable and can be acknowledged.
    Taken,
    /// It was not taken before the session had to end.
    End(End),
    /// It is no longer ours to offer.
    Lost,
}

impl<'s, I: Ingest> Way<'s, I> {
    pub(crate) fn new(
        handle: &'s Handle,
        ingest: &'s I,
        shutdown: &'s CancellationToken,
        backoff: Bounds,
    ) -> Self {
        Self {
            status: handle.status(),
            ingest,
            shutdown,
            paused: handle.paused(),
            backoff,
        }
    }

    /// Resolves when the session has to end.
    pub(crate) async fn must_end(&mut self) -> End {
        tokio::select! {
            biased;
            () = self.shutdown.cancelled() => End::Shutdown,
            () = paused_is(true, &mut self.paused) => End::Paused,
        }
    }

    /// Offers a batch until it is taken. `still_ours` is asked after each wait: what a broker has taken back comes again.
    pub(crate) async fn offer(
        &mut self,
        batch: Vec<Delivery>,
        still_ours: impl Fn() -> bool,
    ) -> Offered {
        let mut backoff = Backoff::new(self.backoff);
        let outcomes = loop {
            let error = match self.ingest.submit(batch.clone()).await {
                Ok(outcomes) => break outcomes,
                Err(error) => error,
            };
            self.status.failed(error.to_string());
            count(&self.status.ingest_retries, 1);
            let wait = wait_after(&error, &mut backoff);
            tokio::select! {
                end = self.must_end() => return Offered::End(end),
                () = tokio::time::sleep(wait) => {}
            }
            if !still_ours() {
                return Offered::Lost;
            }
        };
        count_outcomes(self.status, &outcomes);
        Offered::Taken
    }
}

fn wait_after(error: &IngestError, backoff: &mut Backoff) -> Duration {
    let wait = backoff.next_wait();
    match error {
        IngestError::Overloaded {
            retry_after: Some(at_least),
        } => wait.max(*at_least),
        IngestError::Overloaded { retry_after: None } | IngestError::Unavailable { .. } => wait,
    }
}

fn count_outcomes(status: &Status, outcomes: &[Outcome]) {
    let with = |wanted| {
        outcomes
            .iter()
            .filter(|outcome| **outcome == wanted)
            .count()
    };
    count(&status.accepted, with(Outcome::Accepted));
    count(&status.duplicates, with(Outcome::Duplicate));
    count(&status.rejected, with(Outcome::Rejected));
}

/// Deliveries by the batch. Bounded, because a batch becomes one batch of the journal.
pub(crate) struct Batches<S, M> {
    deliveries: S,
    /// What arrived and is in no batch yet.
    waiting: VecDeque<M>,
    body_bytes: fn(&M) -> usize,
    count_max: usize,
    bytes_max: usize,
}

impl<S, M, E> Batches<S, M>
where
    S: Stream<Item = Result<M, E>> + Unpin,
{
    pub(crate) fn new(deliveries: S, body_bytes: fn(&M) -> usize, limits: &Limits) -> Self {
        Self {
            deliveries,
            waiting: VecDeque::new(),
            body_bytes,
            count_max: limits.batch_events_max.max(1),
            bytes_max: limits.batch_bytes_max.min(BATCH_BYTES_MAX),
        }
    }

    /// Waits for a delivery and takes with it what else has arrived. Empty when the deliveries have ended. An error
    /// after deliveries is found again by the next call, or by the acknowledgement. Can be dropped without loss.
    pub(crate) async fn next(&mut self) -> Result<Vec<M>, E> {
        poll_fn(|cx| {
            let mut batch = Vec::new();
            let mut bytes = 0;
            while batch.len() < self.count_max {
                let message = match self.poll_one(cx) {
                    Poll::Ready(Some(Ok(message))) => message,
                    Poll::Ready(Some(Err(error))) if batch.is_empty() => {
                        return Poll::Ready(Err(error));
                    }
                    Poll::Pending if batch.is_empty() => return Poll::Pending,
                    Poll::Ready(_) | Poll::Pending => break,
                };
                bytes += (self.body_bytes)(&message);
                if bytes > self.bytes_max && !batch.is_empty() {
                    self.waiting.push_front(message);
                    break;
                }
                batch.push(message);
            }
            Poll::Ready(Ok(batch))
        })
        .await
    }

    fn poll_one(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<M, E>>> {
        match self.waiting.pop_front() {
            Some(message) => Poll::Ready(Some(Ok(message))),
            None => Pin::new(&mut self.deliveries).poll_next(cx),
        }
    }
}

#[cfg(feature = "nats")]
impl<S, M, E> Batches<S, M>
where
    S: Stream<Item = Result<M, E>> + Unpin,
{
    /// All that arrived and is in no batch.
    pub(crate) async fn waiting(&mut self) -> &VecDeque<M> {
        poll_fn(|cx| {
            while let Poll::Ready(Some(Ok(message))) = Pin::new(&mut self.deliveries).poll_next(cx)
            {
                self.waiting.push_back(message);
            }
            Poll::Ready(())
        })
        .await;
        &self.waiting
    }

    /// A batch that was not taken.
    pub(crate) fn put_back(&mut self, batch: Vec<M>) {
        for message in batch.into_iter().rev() {
            self.waiting.push_front(message);
        }
    }

    /// Ends the deliveries; all that arrived and is in no batch is left.
    pub(crate) async fn end(mut self) -> VecDeque<M> {
        self.waiting().await;
        self.waiting
    }
}
