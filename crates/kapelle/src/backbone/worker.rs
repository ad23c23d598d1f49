//! The thread that decides: it follows the journal, shows the store to subscribers, and begins deliveries.

use std::collections::{BTreeMap, VecDeque};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kapelle_connectors::SinkError;
use kapelle_engine::event::Event;
use kapelle_engine::ids::{Sequence, Timestamp};
use kapelle_engine::pending;
use kapelle_events::filter::{Index, Subject};
use kapelle_events::subscriber::{Edge, Start, Subscriber};
use kapelle_feel::json;
use kapelle_runtime::clock::{Clock as _, SystemClock};
use kapelle_runtime::delivery::Failure;
use kapelle_runtime::reader::{CommittedRecord, ReadError, RecordReader};
use kapelle_runtime::subscription::{Attempt, Subscription};
use kapelle_runtime::{Health, PartitionHandle};
use kapelle_storage::event_store::Direction;
use kapelle_storage::position;

use super::inbox::{Answer, Ask, Inbox, Received};
use super::ledger::Ledger;
use super::served::{Puller, Served, is_expired};
use super::stored::{Projection, Stored, env};
use super::targets::{Delivery, Targets};
use super::{Error, SharedStore, retention};
use crate::config::EventStore;

/// The reader's name in the partition.
pub(crate) const READER: &str = "backbone";

const POLL_RECORDS: usize = 2_048;

/// CloudEvents that are shown to subscribers at once.
const SHOWN_MAX: usize = 512;

/// How often the store is synced and the journal let go behind it.
const SYNC_EVERY: Duration = Duration::from_millis(200);

/// How often deliveries are kept. What a crash takes back is delivered again, so this is how much.
const KEEP_EVERY: Duration = Duration::from_millis(100);

const PRUNE_EVERY: Duration = Duration::from_secs(60);

/// From so many subscribers at one position on, an index is asked and not each filter.
const INDEX_FROM: usize = 8;

/// How long the thread sleeps when there is nothing to do.
const IDLE: Duration = Duration::from_millis(500);

pub(super) struct Worker {
    partition: PartitionHandle,
    reader: RecordReader,
    projection: Projection,
    store: Arc<SharedStore>,
    ledger: Ledger,
    targets: Targets,
    inbox: Inbox,
    limits: EventStore,
    served: BTreeMap<Arc<str>, Served>,
    index: Index<Arc<str>>,
    /// Subscribers are as the engine had them here.
    loaded: Sequence,
    /// Decisions about dead letters up to here were carried out.
    applied: Sequence,
    is_dirty: bool,
    sync_at: Instant,
    keep_at: Instant,
    prune_at: Instant,
}

impl Worker {
    pub(super) fn new(
        partition: PartitionHandle,
        store: Arc<SharedStore>,
        ledger: Ledger,
        targets: Targets,
        inbox: Inbox,
        limits: EventStore,
    ) -> Result<Self, Error> {
        let last = Sequence(store.read().last().0);
        let reader = match partition.subscribe(READER, Sequence(last.0 + 1)) {
            Err(ReadError::Trimmed { wanted, first }) => {
                tracing::warn!(
                    wanted = wanted.0,
                    first = first.0,
                    "the event store is incomplete: the journal no longer holds the records before"
                );
                partition.subscribe(READER, first)?
            }
            other => other?,
        }
        .only(is_wanted);
        let now = Instant::now();
        let mut worker = Self {
            applied: ledger.applied()?,
            partition,
            reader,
            projection: Projection::default(),
            store,
            ledger,
            targets,
            inbox,
            limits,
            served: BTreeMap::new(),
            index: Index::default(),
            loaded: Sequence(0),
            is_dirty: false,
            sync_at: now,
            keep_at: now,
            prune_at: now,
        };
        worker.load_subscribers(last)?;
        Ok(worker)
    }

    /// Those that the engine knows now. What the journal says of them up to here is over.
    fn load_subscribers(&mut self, last: Sequence) -> Result<(), Error> {
        self.loaded = self.partition.committed();
        let (sender, receiver) = std::sync::mpsc::channel();
        let asked = self.partition.read(
            |keep| pending::subscribers(keep),
            move |subscribers| drop(sender.send(subscribers)),
        );
        let documents = match asked {
            Ok(()) => receiver.recv().ok().flatten().ok_or(Error::Stopped)?,
            Err(_) => return Err(Error::Stopped),
        };
        for name in self.ledger.names()? {
            if !documents.iter().any(|document| document.name == name) {
                self.ledger.forget(&name)?;
            }
        }
        for document in documents {
            self.put(&document.name, &document.document, last)?;
        }
        Ok(())
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
            Ok(()) | Err(Error::Journal(ReadError::Stopped { .. })) => {}
            Err(error) => {
                tracing::error!(%error, "the event backbone has stopped; commands go on, and the journal is kept for it")
            }
        }
        // What was delivered and what is stored is made safe; the next start repeats the rest.
        let kept = self.keep().and_then(|()| self.sync());
        if let Err(error) = kept {
            tracing::error!(%error, "failed to keep what was delivered; it is delivered again");
        }
    }

    fn follow(&mut self) -> Result<(), Error> {
        loop {
            let position = self.reader.position();
            let records = self.reader.poll(POLL_RECORDS)?;
            let has_more = self.reader.position() > position;
            self.is_dirty |= has_more;
            for record in records {
                self.take_record(record)?;
            }
            let has_shown = self.show()?;
            self.dispatch();
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

    /// How long nothing has to be done by itself.
    fn patience(&self) -> Duration {
        let now = now();
        let wake = self.served.values().filter_map(Served::wake_at).min();
        let until_wake = wake.map_or(IDLE, |at| {
            Duration::from_millis(u64::try_from(at.0.saturating_sub(now.0)).unwrap_or(0))
        });
        let until_sync = if self.is_dirty {
            self.sync_at.saturating_duration_since(Instant::now())
        } else {
            IDLE
        };
        let pulls = self
            .served
            .values()
            .flat_map(|served| &served.pullers)
            .map(|puller| puller.until.saturating_duration_since(Instant::now()))
            .min();
        until_wake
            .min(until_sync)
            .min(pulls.unwrap_or(IDLE))
            .clamp(Duration::from_millis(1), IDLE)
    }

    fn take_record(&mut self, record: CommittedRecord) -> Result<(), Error> {
        let sequence = record.sequence;
        match &record.event {
            Event::SubscriberPut { name, document, .. } if sequence > self.loaded => {
                let (name, document) = (Arc::clone(name), Arc::clone(document));
                self.put(&name, &document, sequence)?;
            }
            Event::SubscriberDeleted { name, .. } if sequence > self.loaded => {
                self.served.remove(name);
                self.index.remove(name);
                self.ledger.forget(name)?;
            }
            Event::DeadLettersSettled {
                subscriber,
                positions,
                redrive,
                ..
            } if sequence > self.applied => {
                self.applied = sequence;
                let settled = self.ledger.settle(sequence, subscriber, positions)?;
                if let Some(served) = self.served.get_mut(subscriber) {
                    served.report.dead = self.ledger.count_dead(subscriber)?;
                    if *redrive {
                        settled
                            .into_iter()
                            .for_each(|wanted| served.machine.redrive(wanted));
                    }
                }
            }
            _ => {}
        }
        if let Some(entry) = self.projection.add(record) {
            self.store.write().append(entry)?;
            self.is_dirty = true;
        }
        Ok(())
    }

    /// A subscriber that is new begins where it says; one that is known goes on where it is, with its new document.
    fn put(&mut self, name: &Arc<str>, document: &Arc<str>, at: Sequence) -> Result<(), Error> {
        if self
            .served
            .get(name)
            .is_some_and(|served| served.document == *document)
        {
            return Ok(());
        }
        let parsed = json::to_value(document)
            .ok()
            .and_then(|value| Subscriber::from_value(&value).ok());
        let Some(subscriber) = parsed else {
            tracing::error!(subscriber = %name, "a subscriber was written by a newer version and is not served");
            return Ok(());
        };
        self.keep()?;
        let cursor = match self.ledger.cursor(name)? {
            Some(cursor) => cursor,
            None => self.first_cursor(&subscriber, at)?,
        };
        let machine = Subscription::new(
            Served::policy(&subscriber, name),
            cursor,
            self.ledger.exceptions(name)?,
            self.ledger.buried(name, cursor)?,
        );
        let end = match &subscriber.end {
            None => None,
            Some(Edge::Position(position)) => Some(Sequence(*position)),
            Some(Edge::Time(time)) => Some(Sequence(
                self.store
                    .read()
                    .position_at(time.unix_ms())?
                    .0
                    .saturating_sub(1),
            )),
        };
        let before = self.served.remove(name);
        let (mut report, pullers) = before
            .map(|served| (served.report, served.pullers))
            .unwrap_or_default();
        report.dead = self.ledger.count_dead(name)?;
        self.index
            .insert(Arc::clone(name), subscriber.filter.clone());
        let served = Served {
            document: Arc::clone(document),
            subscriber,
            machine,
            pullers,
            report,
            end,
        };
        self.served.insert(Arc::clone(name), served);
        // Its beginning is kept at once: "latest" must not become a later one by a restart.
        self.keep()
    }

    fn first_cursor(&self, subscriber: &Subscriber, at: Sequence) -> Result<Sequence, Error> {
        let before = |position: position::Sequence| Sequence(position.0.saturating_sub(1));
        Ok(match &subscriber.start {
            Start::Latest => at,
            Start::Earliest => Sequence(0),
            Start::At(Edge::Position(position)) => before(position::Sequence(*position)),
            Start::At(Edge::Time(time)) => before(self.store.read().position_at(time.unix_ms())?),
        })
    }

    /// Shows the store to subscribers that have room, those at the same place together. `true` if there may be more.
    fn show(&mut self) -> Result<bool, Error> {
        let mut places: BTreeMap<Sequence, Vec<Arc<str>>> = BTreeMap::new();
        let last = Sequence(self.store.read().last().0);
        for (name, served) in &self.served {
            let place = served.machine.read_to();
            if served.room() > 0 && place < last {
                places.entry(place).or_default().push(Arc::clone(name));
            }
        }
        let has_shown = !places.is_empty();
        for (place, names) in places {
            self.show_from(place, &names)?;
        }
        Ok(has_shown)
    }

    fn show_from(&mut self, place: Sequence, names: &[Arc<str>]) -> Result<(), Error> {
        let room = names
            .iter()
            .filter_map(|name| self.served.get(name))
            .map(Served::room)
            .min()
            .unwrap_or(0)
            .min(SHOWN_MAX);
        let mut entries = Vec::new();
        self.store.read().scan(
            position::Sequence(place.0 + 1),
            Direction::Forward,
            &mut |entry| {
                entries.push(entry);
                if entries.len() < room {
                    ControlFlow::Continue(())
                } else {
                    ControlFlow::Break(())
                }
            },
        )?;
        for entry in &entries {
            let stored = Stored::read(entry);
            let event = stored.event.clone();
            let subject = event.as_deref().map(Subject::new);
            let env = env(stored.at);
            // The index has looked at the filters of those it names.
            let passing = subject
                .as_ref()
                .filter(|_| names.len() >= INDEX_FROM)
                .map(|subject| self.index.matches(subject, &env));
            for name in names {
                if let Some(served) = self.served.get_mut(name) {
                    served.show(&stored, |filter| match (&passing, &subject) {
                        (Some(passing), _) => passing.binary_search(name).is_ok(),
                        (None, Some(subject)) => filter.matches(subject, &env),
                        (None, None) => false,
                    });
                }
            }
        }
        Ok(())
    }

    /// Begins the deliveries whose time has come.
    fn dispatch(&mut self) {
        let now = now();
        for (name, served) in &mut self.served {
            if served.subscriber.paused || !served.is_pushed() {
                continue;
            }
            for attempt in served.machine.next(now, SHOWN_MAX) {
                match fetch(&self.store, &served.subscriber, &attempt, now) {
                    Fetched::Event(event, stored_at) => self.targets.begin(Delivery {
                        subscriber: Arc::clone(name),
                        attempt,
                        target: served.subscriber.target.clone(),
                        event,
                        stored_at,
                    }),
                    Fetched::Useless => {
                        served.machine.withdraw(&attempt);
                    }
                    Fetched::Failed(failure) => {
                        served.failed(&attempt, now, &failure, 0);
                    }
                }
            }
        }
    }

    fn serve_pullers(&mut self) {
        let (now, instant) = (now(), Instant::now());
        for served in self.served.values_mut() {
            if served.is_pushed() {
                served
                    .pullers
                    .drain(..)
                    .for_each(|puller| drop(puller.reply.send(None)));
                continue;
            }
            let mut waiting = VecDeque::new();
            while let Some(puller) = served.pullers.pop_front() {
                if puller.reply.is_closed() {
                    continue;
                }
                let received = if served.subscriber.paused {
                    Vec::new()
                } else {
                    pull(&self.store, served, puller.most, now)
                };
                if received.is_empty() && puller.until > instant {
                    waiting.push_back(puller);
                } else {
                    // Who went away meanwhile lets the lock run out.
                    drop(puller.reply.send(Some(received)));
                }
            }
            served.pullers = waiting;
        }
    }

    fn answer(&mut self, ask: Ask) -> Result<(), Error> {
        match ask {
            Ask::Look => {}
            Ask::Reports(reply) => {
                let reports = self
                    .served
                    .iter()
                    .map(|(name, served)| (Arc::clone(name), served.report()));
                drop(reply.send(reports.collect()));
            }
            Ask::Receive {
                subscriber,
                most,
                until,
                reply,
            } => match self.served.get_mut(&subscriber) {
                Some(served) if !served.is_pushed() => {
                    served.pullers.push_back(Puller { most, until, reply })
                }
                _ => drop(reply.send(None)),
            },
            Ask::Answer {
                subscriber,
                tokens,
                answer,
                reply,
            } => {
                let answers = self
                    .served
                    .get_mut(&subscriber)
                    .filter(|served| !served.is_pushed())
                    .map(|served| {
                        let now = now();
                        tokens
                            .iter()
                            .map(|token| settle(served, token, &answer, now))
                            .collect()
                    });
                // Only what is kept counts as acknowledged.
                self.keep()?;
                drop(reply.send(answers));
            }
            Ask::DeadLetters {
                subscriber,
                after,
                most,
                reply,
            } => {
                drop(
                    reply.send(
                        self.ledger
                            .dead_letters(subscriber.as_deref(), after, most)?,
                    ),
                );
            }
            Ask::Attempted {
                subscriber,
                attempt,
                result,
            } => {
                if let Some(served) = self.served.get_mut(&subscriber) {
                    attempted(served, &attempt, result);
                }
            }
        }
        Ok(())
    }

    fn keep_what_is_due(&mut self) -> Result<(), Error> {
        let now = Instant::now();
        if now >= self.keep_at {
            self.keep()?;
            self.keep_at = now + KEEP_EVERY;
        }
        if self.is_dirty && now >= self.sync_at {
            self.sync()?;
            self.sync_at = now + SYNC_EVERY;
        }
        if now >= self.prune_at {
            self.prune()?;
            self.prune_at = now + PRUNE_EVERY;
        }
        Ok(())
    }

    /// Keeps how far deliveries have come.
    fn keep(&mut self) -> Result<(), Error> {
        let checkpoints: Vec<_> = self
            .served
            .iter_mut()
            .filter_map(|(name, served)| Some((Arc::clone(name), served.machine.checkpoint()?)))
            .collect();
        if checkpoints.is_empty() {
            return Ok(());
        }
        let store = Arc::clone(&self.store);
        let event = |position: Sequence| {
            let entry = store
                .read()
                .get(position::Sequence(position.0))
                .ok()
                .flatten()?;
            let mut bytes = Vec::new();
            kapelle_events::encode::encode(&*Stored::read(&entry).event?, &mut bytes);
            Some(bytes)
        };
        self.ledger.keep(&checkpoints, now(), &event)?;
        for (name, checkpoint) in &checkpoints {
            if let Some(served) = self.served.get_mut(name) {
                served.machine.kept(checkpoint);
                served.report.dead += checkpoint.dead.len() as u64;
            }
        }
        Ok(())
    }

    /// Syncs the store; the journal may go up to there.
    fn sync(&mut self) -> Result<(), Error> {
        let position = self.reader.position();
        self.store.write().sync()?;
        self.is_dirty = false;
        self.reader.release(Sequence(position.0.saturating_sub(1)));
        Ok(())
    }

    fn prune(&mut self) -> Result<(), Error> {
        let mut store = self.store.write();
        let from = retention::keep_from(&store.segments(), store.bytes(), now(), &self.limits);
        store.drop_before(from)?;
        Ok(())
    }
}

/// Kinds of events, by their numbers on disk, that [`Worker::take_record`] looks at; most of the journal is others.
fn is_wanted(code: u64) -> bool {
    matches!(code, 110 | 111 | 120 | 150..=152)
}

/// The wall clock: what waits survives a restart, so it cannot be counted from the start.
fn now() -> Timestamp {
    Timestamp(SystemClock::new().wall_ms())
}

/// What is to be delivered in an attempt.
enum Fetched {
    Event(Arc<kapelle_events::CloudEvent>, Timestamp),
    /// Erased, or expired: of no use to anybody.
    Useless,
    Failed(Failure),
}

fn fetch(
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

fn pull(store: &SharedStore, served: &mut Served, most: usize, now: Timestamp) -> Vec<Received> {
    let mut received = Vec::new();
    for attempt in served.machine.next(now, most) {
        match fetch(store, &served.subscriber, &attempt, now) {
            Fetched::Event(event, at) => received.push(Received {
                stored: Stored {
                    position: attempt.position,
                    at,
                    event: Some(event),
                    outcome: "",
                },
                token: attempt,
            }),
            Fetched::Useless => {
                served.machine.withdraw(&attempt);
            }
            Fetched::Failed(failure) => {
                served.failed(&attempt, now, &failure, 0);
            }
        }
    }
    received
}

fn settle(served: &mut Served, token: &Attempt, answer: &Answer, now: Timestamp) -> bool {
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

fn attempted(served: &mut Served, attempt: &Attempt, result: Result<(), SinkError>) {
    let error = match result {
        Ok(()) => {
            served.report.delivered += u64::from(served.machine.delivered(attempt));
            return;
        }
        Err(error) => error,
    };
    let failure = Failure {
        permanent: !error.retryable(),
        error: format!("{}: {error}", error.kind.as_str()),
    };
    let wait_ms = error.retry_after.map_or(0, |wait| {
        i64::try_from(wait.as_millis()).unwrap_or(i64::MAX)
    });
    served.failed(attempt, now(), &failure, wait_ms);
}
