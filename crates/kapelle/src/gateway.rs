//! The door for clients: what gRPC and REST have in common between the wire and the partition.
//!
//! Both turn a request into a command, ask the partition, and turn the answer back. Checks that need no state are made
//! here, before anything is submitted; everything else is the engine's to refuse.
//!
//! **Invariant**: a job that was activated for a request and did not reach its client is given back at once
//! ([`delivery_guard::Undelivered`]). Long polls wake by effects, never by asking again and again.
//!
//! Deliberately absent: the wire formats (`grpc`, `rest`), sockets (`crate::server`), and authentication, which does not
//! exist yet: `crate::server` refuses to listen beyond loopback.

pub(crate) mod checks;
pub(crate) mod delivery_guard;
pub(crate) mod failure;
pub(crate) mod grpc;
pub(crate) mod job_waiters;
pub(crate) mod pushes;
pub(crate) mod rest;
pub(crate) mod result_waiters;
pub(crate) mod variables;

use std::sync::Arc;
use std::time::Duration;

use kapelle_engine::command::{ActivateJobs, Command, CommandMeta, CreateInstance};
use kapelle_engine::effect::Effect;
use kapelle_engine::ids::DEFAULT_TENANT;
use kapelle_engine::response::{InstanceResult, Response};
use kapelle_runtime::{PartitionHandle, Reply};
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

use delivery_guard::{GiveBack, Undelivered};
use failure::Failure;
use job_waiters::JobWaiters;
use pushes::Pushes;
use result_waiters::ResultWaiters;

/// What clients read as the gateway's version. They parse it as Camunda's and switch features by it, so it names the
/// contract that is served, not this program's own version.
pub(crate) const GATEWAY_VERSION: &str = "8.9.0";

/// How long a poll for jobs waits when the client does not say (Zeebe's default).
const LONG_POLL: Duration = Duration::from_secs(10);

/// How long the creator of an instance waits for its result when it does not say (Zeebe's request timeout).
const AWAIT_RESULT: Duration = Duration::from_secs(15);

/// A poll looks again this often even if nothing woke it: effects are hints and one may be lost.
const POLL_AGAIN: Duration = Duration::from_secs(10);

/// Most jobs in one activation: one command, hence one journal batch. Clients that ask for more get fewer, as always.
pub(crate) const JOBS_MAX: u32 = 1_000;

/// What Topology tells.
#[derive(Clone, Debug)]
pub(crate) struct Cluster {
    pub(crate) id: String,
    /// Where clients reach gRPC.
    pub(crate) host: String,
    pub(crate) port: u16,
}

/// Everything a request handler needs; shared by all of them.
pub(crate) struct Gateway {
    partition: PartitionHandle,
    cluster: Cluster,
    job_waiters: JobWaiters,
    pushes: Pushes,
    results: Arc<ResultWaiters>,
    give_back: GiveBack,
    /// Largest message either way.
    message_bytes_max: usize,
    default_tenant: Arc<str>,
    stopping: watch::Receiver<bool>,
}

impl Gateway {
    /// `stopping` turns true when no new work is taken and what waits should end.
    pub(crate) fn new(
        partition: PartitionHandle,
        cluster: Cluster,
        message_bytes_max: usize,
        stopping: watch::Receiver<bool>,
    ) -> Arc<Self> {
        Arc::new(Self {
            give_back: GiveBack::start(partition.clone()),
            partition,
            cluster,
            job_waiters: JobWaiters::default(),
            pushes: Pushes::default(),
            results: Arc::default(),
            message_bytes_max,
            default_tenant: Arc::from(DEFAULT_TENANT),
            stopping,
        })
    }

    /// The partition behind this door.
    pub(crate) fn partition(&self) -> &PartitionHandle {
        &self.partition
    }

    pub(crate) fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    pub(crate) fn message_bytes_max(&self) -> usize {
        self.message_bytes_max
    }

    /// Passes on an effect that concerns clients; called on the writer's thread, never blocks.
    pub(crate) fn release(&self, effect: Effect) {
        match effect {
            Effect::PushJob { stream, job } => {
                self.pushes.push(stream, job, &self.give_back);
            }
            Effect::JobsAvailable { job_type, .. } => self.job_waiters.wake(&job_type),
            Effect::InstanceResult(result) => self.results.finish(*result),
            Effect::InstanceEndedEarly { instance } => self.results.abandon(instance),
            // The outbox has its own way out (`crate::delivery`).
            Effect::OutboxReady { .. } => {}
        }
    }

    /// Asks the partition and waits for the durable answer.
    pub(crate) async fn ask(
        &self,
        command: Command,
        meta: CommandMeta,
    ) -> Result<Response, Failure> {
        let (sender, receiver) = oneshot::channel();
        let reply = Box::new(move |reply: Reply| {
            // Nobody listens when the client went away; the command happened all the same.
            drop(sender.send(reply));
        });
        self.partition.submit(command, meta, reply)?;
        Ok(receiver.await.map_err(|_| Failure::stopped())??)
    }

    /// Like [`Self::ask`] for commands whose only answer is that they happened.
    pub(crate) async fn tell(&self, command: Command, meta: CommandMeta) -> Result<(), Failure> {
        self.ask(command, meta).await.map(drop)
    }

    /// Takes available jobs once.
    async fn activate(
        &self,
        request: &ActivateJobs,
        meta: CommandMeta,
    ) -> Result<Undelivered, Failure> {
        let (sender, receiver) = oneshot::channel();
        let give_back = self.give_back.clone();
        let reply = Box::new(move |reply: Reply| {
            let jobs = reply
                .map_err(Failure::from)
                .and_then(|response| match response {
                    Response::JobsActivated(jobs) => Ok(Undelivered::new(jobs, give_back)),
                    other => Err(Failure::unexpected(&other)),
                });
            // When nobody listens any more, dropping the jobs gives them back.
            drop(sender.send(jobs));
        });
        self.partition
            .submit(Command::ActivateJobs(request.clone()), meta, reply)?;
        receiver.await.map_err(|_| Failure::stopped())?
    }

    /// Takes available jobs, waiting for some as long as `request_timeout_ms` says (0 = default, negative = not at all).
    /// None in time is an ordinary, empty answer.
    pub(crate) async fn poll_jobs(
        &self,
        request: ActivateJobs,
        request_timeout_ms: i64,
        meta: CommandMeta,
    ) -> Result<Undelivered, Failure> {
        let Some(patience) = patience(request_timeout_ms, LONG_POLL) else {
            return self.activate(&request, meta).await;
        };
        let deadline = Instant::now() + patience;
        let waiter = self.job_waiters.waiter(&request.job_type);
        let mut stopping = self.stopping.clone();
        loop {
            // Enlisted before asking: what becomes available in between wakes this poll.
            let mut woken = std::pin::pin!(waiter.woken());
            woken.as_mut().enable();
            let jobs = self.activate(&request, meta.clone()).await?;
            if !jobs.is_empty() {
                if jobs.len() >= request.max_jobs as usize {
                    // There may be more than this poll could take: the next one in line looks.
                    waiter.pass_on();
                }
                return Ok(jobs);
            }
            // Cancel-safe: all three only wait, and a wake-up that is dropped goes to the next in line.
            tokio::select! {
                () = &mut woken => {}
                () = tokio::time::sleep_until(deadline.min(Instant::now() + POLL_AGAIN)) => {}
                _ = stopping.wait_for(|stopping| *stopping) => return Ok(jobs),
            }
            if Instant::now() >= deadline {
                return Ok(jobs);
            }
        }
    }

    /// Starts an instance and waits for its end.
    pub(crate) async fn create_and_await(
        &self,
        create: CreateInstance,
        request_timeout_ms: i64,
        meta: CommandMeta,
    ) -> Result<InstanceResult, Failure> {
        let (sender, receiver) = oneshot::channel();
        let results = Arc::clone(&self.results);
        // Enlisting happens on the writer's thread, before the effects of the same batch are released: the result of an
        // instance that ends at once cannot come too early.
        let reply = Box::new(move |reply: Reply| match reply {
            Ok(Response::Deferred { instance }) => results.enlist(instance, sender),
            Ok(other) => drop(sender.send(Err(Failure::unexpected(&other)))),
            Err(refusal) => drop(sender.send(Err(refusal.into()))),
        });
        self.partition
            .submit(Command::CreateInstance(create), meta, reply)?;
        let patience = patience(request_timeout_ms, AWAIT_RESULT).unwrap_or(AWAIT_RESULT);
        let mut stopping = self.stopping.clone();
        // Cancel-safe: an abandoned receiver is swept out of the waiters later.
        tokio::select! {
            answer = receiver => answer.map_err(|_| Failure::stopped())?,
            () = tokio::time::sleep(patience) => Err(Failure::DeadlineExceeded(format!(
                "the process instance was started and has not ended within {} ms",
                patience.as_millis()
            ))),
            _ = stopping.wait_for(|stopping| *stopping) => Err(Failure::stopped()),
        }
    }

    /// Resolves when the server is stopping.
    pub(crate) async fn stopping(&self) {
        let mut stopping = self.stopping.clone();
        // A sender that is gone means the same.
        drop(stopping.wait_for(|stopping| *stopping).await);
    }
}

/// How long to wait: `None` = not at all.
fn patience(request_timeout_ms: i64, default: Duration) -> Option<Duration> {
    match request_timeout_ms {
        0 => Some(default),
        timeout => u64::try_from(timeout).ok().map(Duration::from_millis),
    }
}
