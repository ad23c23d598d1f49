//! Jobs between the partition and a client: whoever drops them before they are sent gives them back.
//!
//! **Invariant**: every job that leaves an [`Undelivered`] by [`Undelivered::next`] was handed to the transport; every
//! other one is yielded, whether its client hung up, its request was cancelled, or the server stops.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use kapelle_engine::command::{Command, CommandMeta};
use kapelle_engine::ids::JobKey;
use kapelle_engine::response::ActivatedJob;
use kapelle_runtime::PartitionHandle;
use tokio::sync::mpsc;

/// Pause before a yield that was refused for overload is tried again.
const RETRY: Duration = Duration::from_millis(20);

/// Takes back jobs from any thread without blocking.
///
/// The queue is unbounded, but what can be in it is not: it holds keys of jobs that were activated and not delivered,
/// which stream capacities and activation sizes bound.
#[derive(Clone, Debug)]
pub(crate) struct GiveBack {
    keys: mpsc::UnboundedSender<JobKey>,
}

impl GiveBack {
    /// Starts the task that submits the yields; it ends when the last clone is dropped.
    pub(crate) fn start(partition: PartitionHandle) -> Self {
        let (keys, mut queue) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Some(job) = queue.recv().await {
                let yield_job = || {
                    let ignore = Box::new(|_| {});
                    partition.submit(Command::YieldJob { job }, CommandMeta::default(), ignore)
                };
                while yield_job().is_err() {
                    tokio::time::sleep(RETRY).await;
                }
            }
        });
        Self { keys }
    }

    fn job(&self, job: JobKey) {
        // The task is gone only when the server is: the next incarnation makes undelivered jobs available again.
        self.keys.send(job).ok();
    }
}

/// Activated jobs on their way.
#[derive(Debug)]
pub(crate) struct Undelivered {
    jobs: VecDeque<Arc<ActivatedJob>>,
    give_back: GiveBack,
}

impl Undelivered {
    pub(crate) fn new(jobs: Vec<Arc<ActivatedJob>>, give_back: GiveBack) -> Self {
        Self {
            jobs: jobs.into(),
            give_back,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.jobs.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// The next job, which stays ours until [`Self::next`].
    pub(crate) fn peek(&self) -> Option<&Arc<ActivatedJob>> {
        self.jobs.front()
    }

    /// The next job, delivered.
    pub(crate) fn next(&mut self) -> Option<Arc<ActivatedJob>> {
        self.jobs.pop_front()
    }
}

impl Drop for Undelivered {
    fn drop(&mut self) {
        for job in &self.jobs {
            self.give_back.job(job.job);
        }
    }
}

/// One pushed job on its way.
#[derive(Debug)]
pub(crate) struct UndeliveredJob {
    job: Option<Arc<ActivatedJob>>,
    give_back: GiveBack,
}

impl UndeliveredJob {
    pub(crate) fn new(job: Arc<ActivatedJob>, give_back: GiveBack) -> Self {
        Self {
            job: Some(job),
            give_back,
        }
    }

    /// The job, delivered.
    pub(crate) fn deliver(mut self) -> Arc<ActivatedJob> {
        self.job
            .take()
            .expect("a job is delivered once, because delivering consumes its guard")
    }
}

impl Drop for UndeliveredJob {
    fn drop(&mut self) {
        if let Some(job) = &self.job {
            self.give_back.job(job.job);
        }
    }
}
