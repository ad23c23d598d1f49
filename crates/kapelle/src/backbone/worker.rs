//! The thread around the router: it waits for the journal and for questions, keeps and syncs in time, and begins deliveries.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use kapelle_connectors::SinkError;
use kapelle_engine::ids::{Sequence, Timestamp};
use kapelle_engine::pending::{self, SubscriberDocument};
use kapelle_runtime::backbone::{self, READER, Received, Router, SharedStore};
use kapelle_runtime::clock::{Clock as _, SystemClock};
use kapelle_runtime::delivery::Failure;
use kapelle_runtime::reader::ReadError;
use kapelle_runtime::{Health, PartitionHandle};
use tokio::sync::oneshot;

use super::inbox::{Ask, Inbox};
use super::ledger::SqliteLedger;
use super::targets::Targets;
use super::{Error, followers, retention};
use crate::config::EventStore;

/// How often the store is synced and the journal let go behind it.
const SYNC_EVERY: Duration = Duration::from_millis(200);

/// How often deliveries are kept. What a crash takes back is delivered again, so this is how much.
const KEEP_EVERY: Duration = Duration::from_millis(100);

const PRUNE_EVERY: Duration = Duration::from_secs(60);

/// How long the thread sleeps when there is nothing to do.
const IDLE: Duration = Duration::from_millis(500);

/// A consumer that waits.
struct Puller {
    most: usize,
    until: Instant,
    reply: oneshot::Sender<Option<Vec<Received>>>,
}

pub(super) struct Worker {
    partition: PartitionHandle,
    router: Router<SqliteLedger>,
    store: Arc<SharedStore>,
    targets: Targets,
    inbox: Inbox,
    limits: EventStore,
    pullers: BTreeMap<Arc<str>, VecDeque<Puller>>,
    sync_at: Instant,
    keep_at: Instant,
    prune_at: Instant,
}

impl Worker {
    pub(super) fn new(
        partition: PartitionHandle,
        store: Arc<SharedStore>,
        ledger: SqliteLedger,
        targets: Targets,
        inbox: Inbox,
        limits: EventStore,
    ) -> Result<Self, Error> {
        let (reader, gap) =
            backbone::reader(&store, &ledger, |from| partition.subscribe(READER, from))?;
        if let Some(gap) = gap {
            tracing::warn!(
                wanted = gap.wanted.0,
                first = gap.first.0,
                "the event store is incomplete: the journal no longer holds the records before"
            );
        }
        let subscribers = load_subscribers(&partition)?;
        let router = Router::new(
            reader,
            Arc::clone(&store),
            ledger,
            backbone::Options::default(),
            subscribers,
            now(),
        )?;
        let now = Instant::now();
        Ok(Self {
            partition,
            router,
            store,
            targets,
            inbox,
            limits,
            pullers: BTreeMap::new(),
            sync_at: now,
            keep_at: now,
            prune_at: now,
        })
    }

    pub(super) fn spawn(self) -> Result<(), Error> {
        let (partition, inbox) = (self.partition.clone(), self.inbox.clone());
        let thread = |name: &str| std::thread::Builder::new().name(name.to_owned());
        thread("kapelle-events")
            .spawn(move || self.run())
            .map_err(|source| Error::Thread { source })?;
        // Waiting for the journal and for questions are two things, and a thread waits for one.
        thread("kapelle-nudge")
            .spawn(move || {
                loop {
                    let next = Sequence(partition.committed().0 + 1);
                    if partition.wait_committed(next, IDLE) {
                        inbox.put(Ask::Look);
                    } else if matches!(partition.health(), Health::Stopped { .. }) {
                        return inbox.put(Ask::Look);
                    }
                }
            })
            .map(drop)
            .map_err(|source| Error::Thread { source })
    }

    fn run(mut self) {
        match self.follow() {
            Ok(()) | Err(backbone::Error::Journal(ReadError::Stopped { .. })) => {}
            // Nobody knows what is on the disk; the next start does what was not kept again.
            Err(error) => {
                tracing::error!(%error, "the event backbone has stopped; commands go on, and the journal is kept for it");
                return;
            }
        }
        // What was delivered and what is stored is made safe; the next start repeats the rest.
        let kept = self.router.keep(now()).and_then(|()| self.router.sync());
        if let Err(error) = kept {
            tracing::error!(%error, "failed to keep what was delivered; it is delivered again");
        }
    }

    fn follow(&mut self) -> Result<(), backbone::Error> {
        loop {
            let has_more = self.router.take(now())?;
            self.tell_unreadable();
            let has_shown = self.router.show()?;
            for delivery in self.router.deliveries(now()) {
                self.targets.begin(delivery);
            }
            self.serve_pullers();
            self.keep_what_is_due()?;
            let patience = if has_more || has_shown {
                Duration::ZERO
            } else {
                self.patience()
            };
            for ask in self.inbox.take(patience) {
                self.answer(ask)?;
            }
        }
    }

    fn tell_unreadable(&mut self) {
        for subscriber in self.router.unreadable() {
            tracing::error!(%subscriber, "a subscriber was written by a newer version and is not served");
        }
    }

    /// How long nothing has to be done by itself.
    fn patience(&self) -> Duration {
        let is_asked_for = |name: &str| {
            let pullers = self.pullers.get(name);
            pullers.is_some_and(|pullers| !pullers.is_empty())
        };
        let wake = self.router.wake_at(is_asked_for);
        let until_wake = wake.map_or(IDLE, |at| {
            Duration::from_millis(u64::try_from(at.0.saturating_sub(now().0)).unwrap_or(0))
        });
        let until_sync = if self.router.is_dirty() {
            self.sync_at.saturating_duration_since(Instant::now())
        } else {
            IDLE
        };
        let pulls = self
            .pullers
            .values()
            .flatten()
            .map(|puller| puller.until.saturating_duration_since(Instant::now()))
            .min();
        until_wake
            .min(until_sync)
            .min(pulls.unwrap_or(IDLE))
            .clamp(Duration::from_millis(1), IDLE)
    }

    fn serve_pullers(&mut self) {
        let (now, instant) = (now(), Instant::now());
        for (name, pullers) in &mut self.pullers {
            let mut waiting = VecDeque::new();
            for puller in pullers.drain(..) {
                if puller.reply.is_closed() {
                    continue;
                }
                let received = self.router.pull(name, puller.most, now);
                let is_empty = received.as_ref().is_some_and(Vec::is_empty);
                if is_empty && puller.until > instant {
                    waiting.push_back(puller);
                } else {
                    // Who went away meanwhile lets the lock run out.
                    drop(puller.reply.send(received));
                }
            }
            *pullers = waiting;
        }
        self.pullers.retain(|_, pullers| !pullers.is_empty());
    }

    fn answer(&mut self, ask: Ask) -> Result<(), backbone::Error> {
        match ask {
            Ask::Look => {}
            Ask::Reports(reply) => drop(reply.send(self.router.reports())),
            Ask::Receive {
                subscriber,
                most,
                until,
                reply,
            } => {
                if self.router.is_pulled(&subscriber) {
                    let puller = Puller { most, until, reply };
                    self.pullers
                        .entry(subscriber)
                        .or_default()
                        .push_back(puller);
                } else {
                    drop(reply.send(None));
                }
            }
            Ask::Answer {
                subscriber,
                tokens,
                answer,
                reply,
            } => {
                let held = self.router.answer(&subscriber, &tokens, &answer, now())?;
                drop(reply.send(held));
            }
            Ask::DeadLetters {
                subscriber,
                after,
                most,
                reply,
            } => {
                let ledger = self.router.ledger();
                drop(reply.send(ledger.dead_letters(subscriber.as_deref(), after, most)?));
            }
            Ask::Followers { positions, reply } => {
                let mut followers = BTreeMap::new();
                for position in positions {
                    followers.insert(position, followers::of(&self.router, position)?);
                }
                drop(reply.send(followers));
            }
            Ask::Attempted {
                subscriber,
                attempt,
                result,
            } => {
                let result = result.map_err(failure);
                self.router.attempted(&subscriber, &attempt, result, now());
            }
        }
        Ok(())
    }

    fn keep_what_is_due(&mut self) -> Result<(), backbone::Error> {
        let instant = Instant::now();
        if instant >= self.keep_at {
            self.router.keep(now())?;
            self.keep_at = instant + KEEP_EVERY;
        }
        if self.router.is_dirty() && instant >= self.sync_at {
            self.router.sync()?;
            self.sync_at = instant + SYNC_EVERY;
        }
        if instant >= self.prune_at {
            self.prune()?;
            self.prune_at = instant + PRUNE_EVERY;
        }
        Ok(())
    }

    fn prune(&mut self) -> Result<(), backbone::Error> {
        let from = {
            let store = self.store.read();
            retention::keep_from(&store.segments(), store.bytes(), now(), &self.limits)
        };
        self.router.drop_before(Sequence(from.0))
    }
}

/// Those that the engine knows now. What the journal says of them up to the position is over.
fn load_subscribers(
    partition: &PartitionHandle,
) -> Result<(Sequence, Vec<SubscriberDocument>), Error> {
    let loaded = partition.committed();
    let (sender, receiver) = std::sync::mpsc::channel();
    partition
        .read(
            |keep| pending::subscribers(keep),
            move |subscribers| drop(sender.send(subscribers)),
        )
        .map_err(|_| Error::Stopped)?;
    let subscribers = receiver.recv().ok().flatten().ok_or(Error::Stopped)?;
    Ok((loaded, subscribers))
}

/// The wall clock: what waits survives a restart, so it cannot be counted from the start.
fn now() -> Timestamp {
    Timestamp(SystemClock::new().wall_ms())
}

/// What the router knows of a failure: the error, and how long the receiver wants to be left alone, in milliseconds.
fn failure(error: SinkError) -> (Failure, i64) {
    let failure = Failure {
        permanent: !error.retryable(),
        error: format!("{}: {error}", error.kind.as_str()),
    };
    let wait_ms = error.retry_after.map_or(0, |wait| {
        i64::try_from(wait.as_millis()).unwrap_or(i64::MAX)
    });
    (failure, wait_ms)
}
