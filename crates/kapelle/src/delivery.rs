//! The way out for CloudEvents: does the I/O that the runtime's delivery decides on.
//!
//! What waits is in the partition's outbox; what to send now, what later and when to give up is
//! `kapelle_runtime::delivery`'s; how to reach a receiver is a sink's. This module only carries between them.
//!
//! **Invariant**: nothing is acknowledged in the outbox before its receiver confirmed it, and nothing leaves the outbox
//! but by a durable command. Hints may be lost: the outbox is looked into again from time to time.

mod sinks;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use kapelle_connectors::{CancellationToken, SinkError};
use kapelle_engine::command::{Command, CommandMeta};
use kapelle_engine::ids::{OutboxKey, Timestamp};
use kapelle_engine::pending::{self, Waiting};
use kapelle_runtime::clock::{Clock as _, SystemClock};
use kapelle_runtime::delivery::{Attempt, Backoff, Failure, Policy};
use kapelle_runtime::{PartitionHandle, Reply};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

use crate::config::Outbox;
use crate::telemetry::metrics::Edge;
pub(crate) use sinks::Sinks;

/// The outbox is looked into at least this often, in case a hint was lost.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// The code of an attempt that failed.
const FAILED: &str = "KAP-3103";

/// The code of a CloudEvent that is tried no more.
const DEAD: &str = "KAP-3104";

/// A running delivery.
pub(crate) struct Delivery {
    task: JoinHandle<()>,
}

impl Delivery {
    /// Delivers what is in the outbox now and whatever comes, until cancelled.
    pub(crate) fn start(
        config: &Outbox,
        partition: PartitionHandle,
        sinks: Arc<Sinks>,
        hints: mpsc::Receiver<OutboxKey>,
        edge: &Arc<Edge>,
        cancel: CancellationToken,
    ) -> Self {
        let (news, arrived) = mpsc::unbounded_channel();
        let carrier = Carrier {
            machine: kapelle_runtime::delivery::Delivery::new(policy(config)),
            partition,
            sinks,
            edge: Arc::clone(edge),
            attempts: JoinSet::new(),
            news,
            settling: BTreeSet::new(),
            is_reading: false,
            may_have_more: true,
            started: Instant::now(),
            started_at: Timestamp(SystemClock::new().wall_ms()),
        };
        Self {
            task: tokio::spawn(carrier.run(hints, arrived, cancel)),
        }
    }

    /// Resolves when what was under way at the cancellation is done.
    pub(crate) async fn ended(self) {
        // A panic was told by the runtime; what it left undone is still in the outbox.
        self.task.await.ok();
    }
}

fn policy(config: &Outbox) -> Policy {
    Policy {
        concurrency: usize::try_from(config.concurrency)
            .unwrap_or(usize::MAX)
            .max(1),
        attempts_max: u32::try_from(config.attempts).unwrap_or(u32::MAX).max(1),
        backoff: Backoff {
            first_ms: config.backoff.as_millis(),
            max_ms: config.backoff_limit.as_millis(),
        },
        seed: u64::from(std::process::id()),
        ..Policy::default()
    }
}

/// What comes back from the partition. Unbounded, but there is at most one for each entry that the machine holds.
enum News {
    /// Entries of the outbox; `None` when the partition could not say.
    Read(Option<Vec<Waiting>>),
    /// The entry is out of the outbox.
    Settled(OutboxKey),
}

/// What the loop wakes for.
enum Event {
    Hint,
    News(News),
    Attempted(OutboxKey, Result<(), SinkError>),
    Tick,
    Cancelled,
}

struct Carrier {
    machine: kapelle_runtime::delivery::Delivery,
    partition: PartitionHandle,
    sinks: Arc<Sinks>,
    edge: Arc<Edge>,
    attempts: JoinSet<(OutboxKey, Result<(), SinkError>)>,
    news: mpsc::UnboundedSender<News>,
    /// Entries whose command was handed to the partition.
    settling: BTreeSet<OutboxKey>,
    is_reading: bool,
    /// The outbox may have entries that the machine was not offered.
    may_have_more: bool,
    started: Instant,
    started_at: Timestamp,
}

impl Carrier {
    async fn run(
        mut self,
        mut hints: mpsc::Receiver<OutboxKey>,
        mut arrived: mpsc::UnboundedReceiver<News>,
        cancel: CancellationToken,
    ) {
        let mut is_stopping = false;
        let mut look_again = tokio::time::interval(LOOK_AGAIN);
        loop {
            if !is_stopping {
                self.read();
                self.begin_attempts();
            }
            self.submit_commands();
            if is_stopping && self.attempts.is_empty() && self.settling.is_empty() {
                return;
            }
            let wake_at = self.wake_at();
            // Cancel-safe: channels, a join set and timers lose nothing when they are not chosen.
            let event = tokio::select! {
                Some(_) = hints.recv(), if !is_stopping => Event::Hint,
                Some(news) = arrived.recv() => Event::News(news),
                Some(Ok((entry, result))) = self.attempts.join_next() => Event::Attempted(entry, result),
                () = tokio::time::sleep_until(wake_at) => Event::Tick,
                _ = look_again.tick(), if !is_stopping => Event::Hint,
                () = cancel.cancelled(), if !is_stopping => Event::Cancelled,
            };
            match event {
                Event::Hint => self.may_have_more = true,
                Event::News(News::Read(entries)) => self.offer(entries),
                Event::News(News::Settled(entry)) => {
                    self.settling.remove(&entry);
                    self.machine.settled(entry, self.now());
                }
                Event::Attempted(entry, result) => self.attempted(entry, result),
                Event::Tick => {}
                Event::Cancelled => is_stopping = true,
            }
        }
    }

    /// The machine compares its times with those of records, which are the clock's; but no jump of the clock may make it
    /// wait or hurry.
    fn now(&self) -> Timestamp {
        let passed = self.started.elapsed().as_millis();
        self.started_at
            .plus_ms(i64::try_from(passed).unwrap_or(i64::MAX))
    }

    fn wake_at(&self) -> Instant {
        let at = self.machine.wake_at().map_or(LOOK_AGAIN, |at| {
            Duration::from_millis(u64::try_from(at.0.saturating_sub(self.now().0)).unwrap_or(0))
        });
        Instant::now() + at.clamp(Duration::from_millis(1), LOOK_AGAIN)
    }

    /// Asks for entries that the machine has room for and was not offered.
    fn read(&mut self) {
        if self.is_reading || !self.may_have_more {
            return;
        }
        let Some((after, max)) = self.machine.wants() else {
            return;
        };
        let news = self.news.clone();
        let asked = self.partition.read(
            move |keep| pending::outbox(keep, Some(after), max),
            move |entries: Option<Vec<Waiting>>| {
                news.send(News::Read(entries)).ok();
            },
        );
        self.is_reading = asked.is_ok();
        // A refused question is overload; the next look asks again.
        self.may_have_more = false;
    }

    fn offer(&mut self, entries: Option<Vec<Waiting>>) {
        self.is_reading = false;
        let now = self.now();
        for waiting in entries.unwrap_or_default() {
            // As many may be left as were read: the next read finds none and ends it.
            self.may_have_more = true;
            self.machine.offer(waiting, now);
        }
    }

    fn begin_attempts(&mut self) {
        for Attempt { entry, number } in self.machine.next(self.now()) {
            let sinks = Arc::clone(&self.sinks);
            self.attempts.spawn(async move {
                let result = sinks.publish(&entry.to, None, &entry.event, number).await;
                (entry.entry, result)
            });
        }
    }

    fn attempted(&mut self, entry: OutboxKey, result: Result<(), SinkError>) {
        let now = self.now();
        match result {
            Ok(()) => {
                self.edge.count_event_delivered();
                self.machine.succeeded(entry, now);
            }
            Err(error) => {
                self.edge.count_delivery_failed();
                tracing::warn!(code = FAILED, entry = entry.get(), kind = error.kind.as_str(), %error, "delivery failed");
                let failure = Failure {
                    permanent: !error.retryable(),
                    error: format!("{}: {error}", error.kind.as_str()),
                };
                let wait = error.retry_after.unwrap_or_default().as_millis();
                let wait_ms = i64::try_from(wait).unwrap_or(i64::MAX);
                self.machine.throttled(entry, now, &failure, wait_ms);
            }
        }
    }

    fn submit_commands(&mut self) {
        for command in self.machine.commands(self.now()) {
            let entry = match &command {
                Command::AckOutbox { entry } => *entry,
                Command::BuryOutbox { entry, .. } => *entry,
                _ => {
                    // A note of a failed attempt. Should it not be taken, the next one says more.
                    let ignored = Box::new(|_: Reply| {});
                    self.partition
                        .submit(command, CommandMeta::default(), ignored)
                        .ok();
                    continue;
                }
            };
            let is_dead = matches!(command, Command::BuryOutbox { .. });
            let (news, edge) = (self.news.clone(), Arc::clone(&self.edge));
            let reply = Box::new(move |reply: Reply| {
                if is_dead && reply.is_ok() {
                    tracing::error!(
                        code = DEAD,
                        entry = entry.get(),
                        "a CloudEvent went to the dead letters"
                    );
                    edge.count_event_dead();
                }
                // A refusal by the engine says that the entry is gone already. After all others the machine asks again.
                let is_settled = reply.map_or_else(|refusal| !refusal.is_retryable(), |_| true);
                if is_settled {
                    news.send(News::Settled(entry)).ok();
                }
            });
            // Not taken: the machine hands the command out again.
            if self
                .partition
                .submit(command, CommandMeta::default(), reply)
                .is_ok()
            {
                self.settling.insert(entry);
            }
        }
    }
}
