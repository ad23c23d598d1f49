//! What decides: it follows the journal, shows the store to subscribers, and says which deliveries to make.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use kapelle_engine::event::Event;
use kapelle_engine::ids::{Sequence, Timestamp};
use kapelle_engine::pending::SubscriberDocument;
use kapelle_events::CloudEvent;
use kapelle_events::filter::{Index, Subject};
use kapelle_events::subscriber::{Edge, Start, Subscriber, Target};
use kapelle_storage::event_store::Direction;
use kapelle_storage::position;

use super::served::{Served, is_expired};
use super::stored::{Projection, Stored, env};
use super::{Error, Ledger, Report, SharedStore};
use crate::delivery::Failure;
use crate::reader::{CommittedRecord, ReadError, RecordReader};
use crate::subscription::{Attempt, Checkpoint, Policy, Standing, Subscription};

const POLL_RECORDS: usize = 2_048;

/// CloudEvents that are shown to subscribers at once.
const SHOWN_MAX: usize = 512;

/// From so many subscribers at one position on, an index is asked and not each filter.
const INDEX_FROM: usize = 8;

/// How a router works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// How subscribers are served, where their documents say nothing of it.
    pub policy: Policy,
    /// Records without a CloudEvent after which the position is kept by itself: otherwise the last entry of the store says it.
    pub position_every: u64,
}

impl Default for Options {
    /// A hundred thousand records are a few MB of journal and some hundred milliseconds of reading.
    fn default() -> Self {
        Self {
            policy: Policy::default(),
            position_every: 100_000,
        }
    }
}

/// The journal no longer has what the store still needs: it is incomplete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    pub wanted: Sequence,
    /// The first record that is left.
    pub first: Sequence,
}

/// One delivery to be made.
#[derive(Clone, Debug)]
pub struct Delivery {
    pub subscriber: Arc<str>,
    pub attempt: Attempt,
    pub target: Target,
    /// As the subscriber gets it.
    pub event: Arc<CloudEvent>,
    pub stored_at: Timestamp,
}

/// A CloudEvent that was handed to a consumer that pulls.
#[derive(Clone, Debug)]
pub struct Received {
    /// What the consumer answers with.
    pub token: Attempt,
    pub stored: Stored,
}

/// What a consumer says of what it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Acknowledge,
    Release { delay: Duration },
    Reject { reason: String },
    Renew,
}

/// Subscribes behind what store and ledger say was dealt with, or where the journal begins if that is later.
///
/// # Errors
/// The ledger cannot be read, or what `subscribe` says.
pub fn reader(
    store: &SharedStore,
    ledger: &impl Ledger,
    subscribe: impl Fn(Sequence) -> Result<RecordReader, ReadError>,
) -> Result<(RecordReader, Option<Gap>), Error> {
    let last = store.read().last().0.max(ledger.position()?.0);
    match subscribe(Sequence(last + 1)) {
        Err(ReadError::Trimmed { wanted, first }) => {
            Ok((subscribe(first)?, Some(Gap { wanted, first })))
        }
        subscribed => Ok((subscribed?, None)),
    }
}

/// Store, ledger and subscribers of one partition. After an error it is of no further use.
pub struct Router<L> {
    reader: RecordReader,
    projection: Projection,
    store: Arc<SharedStore>,
    ledger: L,
    options: Options,
    served: BTreeMap<Arc<str>, Served>,
    index: Index<Arc<str>>,
    /// Subscribers are as the engine had them here.
    loaded: Sequence,
    /// Decisions about dead letters up to here were carried out.
    applied: Sequence,
    /// Records up to here are dealt with; the reader may have read further.
    taken: Sequence,
    /// The ledger says so up to here.
    position: Sequence,
    is_dirty: bool,
    /// Subscribers whose documents a newer version wrote, until somebody asks.
    unreadable: Vec<Arc<str>>,
}

impl<L: Ledger> Router<L> {
    /// Goes on where store and ledger end. `subscribers` are those that the engine knows at `loaded` or later: what the journal
    /// says of them up to there is over.
    ///
    /// # Errors
    /// Store or ledger cannot be read or written.
    pub fn new(
        reader: RecordReader,
        store: Arc<SharedStore>,
        ledger: L,
        options: Options,
        (loaded, subscribers): (Sequence, Vec<SubscriberDocument>),
        now: Timestamp,
    ) -> Result<Self, Error> {
        let mut router = Self {
            applied: ledger.applied()?,
            position: ledger.position()?,
            taken: Sequence(reader.position().0.saturating_sub(1)),
            reader: reader.only(is_wanted),
            projection: Projection::default(),
            store,
            ledger,
            options,
            served: BTreeMap::new(),
            index: Index::default(),
            loaded,
            is_dirty: false,
            unreadable: Vec::new(),
        };
        for name in router.ledger.names()? {
            if !subscribers.iter().any(|document| document.name == name) {
                router.ledger.forget(&name)?;
            }
        }
        let last = Sequence(router.store.read().last().0);
        for document in subscribers {
            router.put(&document.name, &document.document, last, now)?;
        }
        Ok(router)
    }

    /// Follows the journal a bit. `true` if there may be more.
    ///
    /// # Errors
    /// Journal, store or ledger cannot be read or written.
    pub fn take(&mut self, now: Timestamp) -> Result<bool, Error> {
        let position = self.reader.position();
        let records = self.reader.poll(POLL_RECORDS)?;
        for record in records {
            let sequence = record.sequence;
            self.take_record(record, now)?;
            self.taken = sequence;
        }
        // Also behind what it passed over without a look.
        self.taken = Sequence(self.reader.position().0.saturating_sub(1));
        let has_more = self.reader.position() > position;
        self.is_dirty |= has_more;
        Ok(has_more)
    }

    fn take_record(&mut self, record: CommittedRecord, now: Timestamp) -> Result<(), Error> {
        let sequence = record.sequence;
        match &record.event {
            Event::SubscriberPut { name, document, .. } if sequence > self.loaded => {
                let (name, document) = (Arc::clone(name), Arc::clone(document));
                self.put(&name, &document, sequence, now)?;
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
                let settled = self
                    .ledger
                    .settle(sequence, subscriber, positions, *redrive)?;
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
    fn put(
        &mut self,
        name: &Arc<str>,
        document: &Arc<str>,
        at: Sequence,
        now: Timestamp,
    ) -> Result<(), Error> {
        if self
            .served
            .get(name)
            .is_some_and(|served| served.document == *document)
        {
            return Ok(());
        }
        let Ok(subscriber) = Subscriber::from_text(document) else {
            self.unreadable.push(Arc::clone(name));
            return Ok(());
        };
        self.keep(now)?;
        let cursor = match self.ledger.cursor(name)? {
            Some(cursor) => cursor,
            None => self.first_cursor(&subscriber, at)?,
        };
        let machine = Subscription::new(
            Served::policy(&subscriber, name, &self.options.policy),
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
        let mut report = before.map(|served| served.report).unwrap_or_default();
        report.dead = self.ledger.count_dead(name)?;
        self.index
            .insert(Arc::clone(name), subscriber.filter.clone());
        let served = Served {
            document: Arc::clone(document),
            subscriber,
            machine,
            report,
            end,
        };
        self.served.insert(Arc::clone(name), served);
        // Its beginning is kept at once: "latest" must not become a later one by a restart.
        self.keep(now)
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
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn show(&mut self) -> Result<bool, Error> {
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

    /// The deliveries whose time has come. Each is to be answered by [`Router::attempted`].
    pub fn deliveries(&mut self, now: Timestamp) -> Vec<Delivery> {
        let mut deliveries = Vec::new();
        for (name, served) in &mut self.served {
            if served.subscriber.paused || !served.is_pushed() {
                continue;
            }
            for attempt in served.machine.next(now, SHOWN_MAX) {
                match fetch(&self.store, &served.subscriber, &attempt, now) {
                    Fetched::Event(event, stored_at) => deliveries.push(Delivery {
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
        deliveries
    }

    /// A delivery has ended; a failed one is tried again not before `wait_ms` from now.
    pub fn attempted(
        &mut self,
        subscriber: &str,
        attempt: &Attempt,
        result: Result<(), (Failure, i64)>,
        now: Timestamp,
    ) {
        let Some(served) = self.served.get_mut(subscriber) else {
            return;
        };
        match result {
            Ok(()) => served.report.delivered += u64::from(served.machine.delivered(attempt)),
            Err((failure, wait_ms)) => served.failed(attempt, now, &failure, wait_ms),
        }
    }

    /// Hands out what a consumer asks for. `None`: there is no such subscriber, or it is not one that pulls.
    pub fn pull(&mut self, subscriber: &str, most: usize, now: Timestamp) -> Option<Vec<Received>> {
        let served = self.served.get_mut(subscriber);
        let served = served.filter(|served| !served.is_pushed())?;
        let mut received = Vec::new();
        if served.subscriber.paused {
            return Some(received);
        }
        for attempt in served.machine.next(now, most) {
            match fetch(&self.store, &served.subscriber, &attempt, now) {
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
        Some(received)
    }

    /// What a consumer says of what it holds counts once it is kept. Says for each token whether it was still held; `None`: there
    /// is no such subscriber, or it is not one that pulls.
    ///
    /// # Errors
    /// Store or ledger cannot be written.
    pub fn answer(
        &mut self,
        subscriber: &str,
        tokens: &[Attempt],
        answer: &Answer,
        now: Timestamp,
    ) -> Result<Option<Vec<bool>>, Error> {
        let served = self.served.get_mut(subscriber);
        let answers = served.filter(|served| !served.is_pushed()).map(|served| {
            tokens
                .iter()
                .map(|token| settle(served, token, answer, now))
                .collect()
        });
        self.keep(now)?;
        Ok(answers)
    }

    /// Keeps how far deliveries have come.
    ///
    /// # Errors
    /// Store or ledger cannot be written.
    pub fn keep(&mut self, now: Timestamp) -> Result<(), Error> {
        let checkpoints: Vec<_> = self
            .served
            .iter_mut()
            .filter_map(|(name, served)| Some((Arc::clone(name), served.machine.checkpoint()?)))
            .collect();
        if checkpoints.is_empty() {
            return Ok(());
        }
        // What an exception is about has to be there after a loss of power; a cursor may be ahead of the store.
        let names_entries = |(_, checkpoint): &(_, Checkpoint)| {
            !checkpoint.put.is_empty() || !checkpoint.dead.is_empty()
        };
        if self.is_dirty && checkpoints.iter().any(names_entries) {
            self.sync()?;
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
        self.ledger.keep(&checkpoints, now, &event)?;
        for (name, checkpoint) in &checkpoints {
            if let Some(served) = self.served.get_mut(name) {
                served.machine.kept(checkpoint);
                served.report.dead += checkpoint.dead.len() as u64;
            }
        }
        Ok(())
    }

    /// Syncs the store; the journal may go up to where the next start will go on.
    ///
    /// # Errors
    /// Store or ledger cannot be written.
    pub fn sync(&mut self) -> Result<(), Error> {
        let last = self.store.write().sync()?;
        self.is_dirty = false;
        let complete = self.projection.complete(self.taken);
        let known = Sequence(last.0).max(self.position);
        if complete.0.saturating_sub(known.0) >= self.options.position_every {
            self.ledger.set_position(complete)?;
            self.position = complete;
        }
        self.reader.release(complete.min(known.max(self.position)));
        Ok(())
    }

    /// Whether there is something to sync.
    #[must_use]
    pub fn is_dirty(&self) -> bool {
        self.is_dirty
    }

    /// Removes what of the store is before that position.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn drop_before(&mut self, position: Sequence) -> Result<(), Error> {
        let position = position::Sequence(position.0);
        Ok(self.store.write().drop_before(position)?)
    }

    /// When something is to be done, if nothing else happens. `is_asked_for`: whether somebody waits to pull from a subscriber.
    pub fn wake_at(&self, is_asked_for: impl Fn(&str) -> bool) -> Option<Timestamp> {
        let wakes = self
            .served
            .iter()
            .filter_map(|(name, served)| served.wake_at(is_asked_for(name)));
        wakes.min()
    }

    /// Whether consumers pull from that subscriber.
    #[must_use]
    pub fn is_pulled(&self, subscriber: &str) -> bool {
        let served = self.served.get(subscriber);
        served.is_some_and(|served| !served.is_pushed())
    }

    /// All subscribers from outside.
    #[must_use]
    pub fn reports(&self) -> BTreeMap<Arc<str>, Report> {
        let report = |(name, served): (&Arc<str>, &Served)| (Arc::clone(name), served.report());
        self.served.iter().map(report).collect()
    }

    /// Who wants the CloudEvent at a position, by the filters as they are now, and how far each has come with it. Nobody wants one
    /// that is not there.
    #[must_use]
    pub fn standings(&self, position: Sequence) -> Vec<(Arc<str>, Standing)> {
        let entry = self.store.read().get(position::Sequence(position.0));
        let stored = entry.ok().flatten().map(|entry| Stored::read(&entry));
        let Some((event, at)) = stored.and_then(|stored| Some((stored.event?, stored.at))) else {
            return Vec::new();
        };
        let wanting = self.index.matches(&Subject::new(&event), &env(at));
        let standing = |name: Arc<str>| {
            let served = self.served.get(&name)?;
            let is_in = served.end.is_none_or(|end| position <= end);
            is_in.then(|| (name, served.machine.standing(position)))
        };
        wanting.into_iter().filter_map(standing).collect()
    }

    /// For look-ups.
    pub fn ledger(&self) -> &L {
        &self.ledger
    }

    /// Subscribers since the last call whose documents cannot be read: a newer version wrote them, and they are not served.
    pub fn unreadable(&mut self) -> Vec<Arc<str>> {
        std::mem::take(&mut self.unreadable)
    }
}

/// Kinds of events, by their numbers on disk, that [`Router::take`] looks at; most of the journal is others.
fn is_wanted(code: u64) -> bool {
    matches!(code, 110 | 111 | 120 | 150..=152)
}

/// What is to be delivered in an attempt.
enum Fetched {
    Event(Arc<CloudEvent>, Timestamp),
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
