//! Jobs pushed down open streams as they are made.
//!
//! A stream's channel has room for what the registry gives it credit for and for what it catches up on, so handing over
//! never waits and fails only when the client is gone. Credit goes back when the transport took a job: a client that
//! reads slowly slows its own stream, and its jobs become available to others. A stream that missed jobs catches up on
//! them when it has room again.
//!
//! **Invariant**: a job that is in a channel when its stream ends is given back ([`UndeliveredJob`]).

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use kapelle_engine::command::{ActivateJobs, CommandMeta};
use kapelle_engine::effect::StreamId;
use kapelle_engine::response::ActivatedJob;
use kapelle_runtime::streams::StreamSpec;
use tokio::sync::mpsc;
use tokio_stream::Stream;

use super::Gateway;
use super::delivery_guard::{GiveBack, UndeliveredJob};

/// Jobs that may be on their way to one client. Enough to keep a worker busy over a round trip of 10 ms at 10,000 jobs a
/// second, few enough that a client which stops reading holds no more than these until their time-out.
pub(crate) const CAPACITY: u32 = 128;

/// Credit goes back in steps, or when the channel is empty: it costs a lock that the writer uses too.
const CREDIT_STEP: u32 = 16;

/// The channels of the open streams.
#[derive(Debug, Default)]
pub(crate) struct Pushes {
    channels: Mutex<BTreeMap<StreamId, mpsc::Sender<UndeliveredJob>>>,
}

impl Pushes {
    /// Hands the job to its stream; one that cannot take it gives it back.
    pub(crate) fn push(&self, stream: StreamId, job: Arc<ActivatedJob>, give_back: &GiveBack) {
        let job = UndeliveredJob::new(job, give_back.clone());
        if let Some(channel) = self.lock().get(&stream) {
            drop(channel.try_send(job));
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<StreamId, mpsc::Sender<UndeliveredJob>>> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Room in a channel, in capacities: one for pushes in it, one for credit that catching up gave back on top, one for
/// what is caught up on.
const ROOM: usize = 3;

/// How far a stream is with jobs that it missed.
#[derive(Debug, Default)]
struct CatchUp(AtomicU8);

impl CatchUp {
    const DONE: u8 = 0;
    const BEHIND: u8 = 1;
    const RUNNING: u8 = 2;

    fn falls_behind(&self) {
        self.0
            .compare_exchange(
                Self::DONE,
                Self::BEHIND,
                Ordering::Relaxed,
                Ordering::Relaxed,
            )
            .ok();
    }

    /// Whether the caller is to catch up now.
    fn begins(&self) -> bool {
        self.0
            .compare_exchange(
                Self::BEHIND,
                Self::RUNNING,
                Ordering::Relaxed,
                Ordering::Relaxed,
            )
            .is_ok()
    }

    fn ends(&self, is_still_behind: bool) {
        self.0.store(
            if is_still_behind {
                Self::BEHIND
            } else {
                Self::DONE
            },
            Ordering::Relaxed,
        );
    }
}

/// The receiving end of a stream: yields jobs until the client goes away or the server stops.
pub(crate) struct JobStream {
    gateway: Arc<Gateway>,
    id: StreamId,
    spec: StreamSpec,
    jobs: mpsc::Receiver<UndeliveredJob>,
    /// Jobs sent on since credit was last given back.
    spent: u32,
    catch_up: Arc<CatchUp>,
    stopping: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Gateway {
    /// Opens a stream of jobs.
    pub(crate) fn open_stream(self: &Arc<Self>, spec: StreamSpec) -> JobStream {
        let (sender, jobs) = mpsc::channel(ROOM * spec.capacity as usize);
        // The lock is held over both, so that no push can look for the channel before it is there.
        let mut channels = self.pushes.lock();
        let id = self.partition.streams().register(spec.clone());
        channels.insert(id, sender);
        drop(channels);
        let gateway = Arc::clone(self);
        let stopping = Box::pin(async move { gateway.stopping().await });
        JobStream {
            gateway: Arc::clone(self),
            id,
            spec,
            jobs,
            spent: 0,
            catch_up: Arc::default(),
            stopping,
        }
    }

    /// Fetches what a stream missed while it had no credit, and puts it into the stream's channel.
    async fn catch_up(self: Arc<Self>, id: StreamId, spec: StreamSpec, state: Arc<CatchUp>) {
        let max_jobs = spec.capacity / 2;
        let request = ActivateJobs {
            tenants: spec.tenants,
            job_type: spec.job_type,
            worker: spec.worker,
            timeout_ms: spec.timeout_ms,
            max_jobs,
            fetch_variables: spec.fetch_variables,
        };
        // A refusal is overload: the next credit tries again.
        let Ok(mut jobs) = self.activate(&request, CommandMeta::default()).await else {
            return state.ends(true);
        };
        let is_still_behind = jobs.len() >= max_jobs as usize;
        while let Some(job) = jobs.next() {
            self.pushes.push(id, job, &self.give_back);
        }
        state.ends(is_still_behind);
    }
}

impl JobStream {
    fn give_credit_back(&mut self) {
        let credit = std::mem::take(&mut self.spent);
        if self.gateway.partition.streams().release(self.id, credit) {
            self.catch_up.falls_behind();
        }
        if self.jobs.len() < self.spec.capacity as usize / 2 && self.catch_up.begins() {
            let state = Arc::clone(&self.catch_up);
            tokio::spawn(Arc::clone(&self.gateway).catch_up(self.id, self.spec.clone(), state));
        }
    }
}

impl Stream for JobStream {
    type Item = Arc<ActivatedJob>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match self.jobs.poll_recv(cx) {
            Poll::Ready(Some(job)) => {
                self.spent += 1;
                if self.spent >= CREDIT_STEP {
                    self.give_credit_back();
                }
                Poll::Ready(Some(job.deliver()))
            }
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => {
                if self.spent > 0 {
                    self.give_credit_back();
                }
                self.stopping.as_mut().poll(cx).map(|()| None)
            }
        }
    }
}

impl Drop for JobStream {
    fn drop(&mut self) {
        // First no new pushes, then no channel; what is in it gives itself back when `jobs` is dropped.
        self.gateway.partition.streams().deregister(self.id);
        self.gateway.pushes.lock().remove(&self.id);
    }
}
