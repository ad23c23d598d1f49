//! Subscribers of stored CloudEvents: who they are, what they got, and what they are owed.
//!
//! **Invariants that are asked for**
//! - What reaches a subscriber is committed, and wanted by its filter.
//! - Of one key, where order is asked for, nothing comes before what was stored earlier has come, or was dead.
//! - In the end everything that a subscriber wants has reached it, or is a dead letter, or was discarded as one; and what was
//!   redriven has reached it since, or is dead again.
//! - What the journal was let go behind stays in the store.
//!
//! A subscriber's name says what it wants, so that nobody has to read its document to know.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use kapelle_engine::command::{Command, PutSubscriber, SettleDeadLetters};
use kapelle_engine::event::Event;
use kapelle_engine::ids::{DEFAULT_TENANT, Sequence};
use kapelle_events::CloudEvent;
use kapelle_runtime::backbone::{Ledger as _, MemLedger, SharedStore};
use kapelle_storage::event_store::Direction;
use kapelle_storage::position;

use crate::exercised::Exercised;
use crate::facts::Facts;
use crate::random::Random;

/// How many there are at once.
const LIVING_MAX: usize = 4;

/// A filter as documents have it, and what it means.
type Filter = (&'static str, fn(&CloudEvent) -> bool);

const FILTERS: [Filter; 5] = [
    (r#"{"all": []}"#, |_| true),
    (r#"{"exact": {"type": "order.placed"}}"#, |event| {
        event.event_type() == "order.placed"
    }),
    (r#"{"prefix": {"type": "some."}}"#, |event| {
        event.event_type().starts_with("some.")
    }),
    (r#"{"not": {"exact": {"type": "unknown"}}}"#, |event| {
        event.event_type() != "unknown"
    }),
    (r#"{"sql": "source = '/broker'"}"#, |event| {
        event.source() == "/broker"
    }),
];

type Name = Arc<str>;

/// What a subscriber's name says.
#[derive(Clone, Copy)]
struct Wish {
    filter: usize,
    is_ordered: bool,
    is_earliest: bool,
    is_pulled: bool,
}

impl Wish {
    fn random(random: &mut Random) -> Self {
        Self {
            filter: random.index(FILTERS.len()),
            is_ordered: !random.one_in(3),
            is_earliest: random.one_in(3),
            is_pulled: random.one_in(4),
        }
    }

    fn name(self, number: u64) -> Name {
        let flag = |is: bool| u8::from(is);
        format!(
            "s{number}-{}-{}{}{}",
            self.filter,
            flag(self.is_ordered),
            flag(self.is_earliest),
            flag(self.is_pulled)
        )
        .into()
    }

    fn of(name: &str) -> Self {
        let mut parts = name.split('-').skip(1);
        let filter = parts.next().and_then(|part| part.parse().ok());
        let flags = parts.next().unwrap_or_default().as_bytes();
        let flag = |at: usize| flags.get(at) == Some(&b'1');
        Self {
            filter: filter.unwrap_or(0),
            is_ordered: flag(0),
            is_earliest: flag(1),
            is_pulled: flag(2),
        }
    }

    fn matches(self, event: &CloudEvent) -> bool {
        FILTERS
            .get(self.filter)
            .is_some_and(|(_, matches)| matches(event))
    }

    fn document(self, random: &mut Random, is_paused: bool) -> Arc<str> {
        let (filter, _) = FILTERS[self.filter];
        let target = if self.is_pulled {
            r#"{"pull": {"lock": "PT2S"}}"#
        } else {
            r#"{"sink": {"name": "somewhere"}}"#
        };
        let order = if self.is_ordered { "key" } else { "parallel" };
        let start = if self.is_earliest {
            "earliest"
        } else {
            "latest"
        };
        let attempts = 1 + random.below(3);
        format!(
            r#"{{"filter": {filter}, "target": {target}, "order": "{order}", "start": "{start}", "paused": {is_paused},
            "retry": {{"attempts": {attempts}, "first": "PT0.1S", "limit": "PT1S"}}}}"#
        )
        .into()
    }
}

/// All subscribers, over all processes.
#[derive(Default)]
pub(crate) struct Subscribers {
    made: u64,
    got: BTreeSet<(Name, Sequence)>,
    /// Somebody tried to give it to them.
    tried: BTreeSet<(Name, Sequence)>,
    /// Dead letters as they are by what was committed and kept.
    dead: BTreeSet<(Name, Sequence)>,
    /// Those that ever were.
    ever_dead: BTreeSet<(Name, Sequence)>,
    discarded: BTreeSet<(Name, Sequence)>,
    /// Redriven, and neither delivered nor dead since.
    owed: BTreeSet<(Name, Sequence)>,
    redriven: u64,
    /// The last decision about each.
    settled: BTreeMap<(Name, Sequence), Sequence>,
    /// How many of the committed decisions were looked at.
    seen: usize,
    /// The journal was let go up to here.
    released: Sequence,
}

impl Subscribers {
    /// Somebody makes, changes or deletes a subscriber.
    pub(crate) fn change(&mut self, facts: &Facts, random: &mut Random) -> Command {
        let living = facts.subscribers.len();
        let is_new = living == 0 || (living < LIVING_MAX && random.one_in(2));
        let known = random.nth(facts.subscribers.keys()).cloned();
        let name = match known.filter(|_| !is_new) {
            Some(name) if random.one_in(4) => {
                return Command::DeleteSubscriber {
                    tenant: DEFAULT_TENANT.into(),
                    name,
                };
            }
            Some(name) => name,
            None => {
                self.made += 1;
                Wish::random(random).name(self.made)
            }
        };
        let is_paused = random.one_in(6);
        Self::put(name, is_paused, random)
    }

    fn put(name: Name, is_paused: bool, random: &mut Random) -> Command {
        let document = Wish::of(&name).document(random, is_paused);
        Command::PutSubscriber(PutSubscriber {
            tenant: DEFAULT_TENANT.into(),
            name,
            document,
        })
    }

    /// Nobody is paused any more.
    pub(crate) fn resume(facts: &Facts, random: &mut Random) -> Vec<Command> {
        let names = facts.subscribers.keys().cloned();
        names.map(|name| Self::put(name, false, random)).collect()
    }

    /// Somebody decides about some dead letters.
    pub(crate) fn settle(
        &mut self,
        facts: &Facts,
        ledger: &MemLedger,
        redrive: bool,
        random: &mut Random,
    ) -> Option<Command> {
        self.observe(facts, ledger);
        let lives = |name: &Name| facts.subscribers.contains_key(name);
        let mut dead = ledger.dead();
        dead.retain(|(name, _)| lives(name));
        let (subscriber, _) = random.pick(&dead)?.clone();
        let of_it = dead.iter().filter(|(name, _)| *name == subscriber);
        let most = 1 + random.index(3);
        let positions = of_it.map(|(_, position)| *position).take(most).collect();
        Some(Command::SettleDeadLetters(SettleDeadLetters {
            tenant: DEFAULT_TENANT.into(),
            subscriber,
            positions,
            redrive,
            reason: "".into(),
        }))
    }

    /// Takes in what is committed of them, and which dead letters are kept.
    pub(crate) fn observe(&mut self, facts: &Facts, ledger: &MemLedger) {
        for settled in facts.settled.iter().skip(self.seen) {
            for position in &settled.positions {
                let key = (Arc::clone(&settled.subscriber), *position);
                self.settled.insert(key.clone(), settled.at);
                let was_dead = self.dead.remove(&key);
                if settled.redrive && was_dead {
                    self.redriven += 1;
                    self.owed.insert(key);
                } else if !settled.redrive && (self.owed.remove(&key) || was_dead) {
                    // One that is redriven may be dead again by the time that this is carried out.
                    self.discarded.insert(key);
                }
            }
        }
        self.seen = facts.settled.len();
        let applied = ledger.applied().unwrap_or_default();
        for key in ledger.dead() {
            // A decision that was not carried out yet is no news.
            if self.settled.get(&key).is_none_or(|at| *at <= applied) {
                self.owed.remove(&key);
                self.ever_dead.insert(key.clone());
                self.dead.insert(key);
            }
        }
    }

    /// Somebody tries to give a CloudEvent to a subscriber.
    pub(crate) fn try_on(
        &mut self,
        name: &Name,
        position: Sequence,
        event: &CloudEvent,
        facts: &Facts,
    ) -> Result<(), String> {
        let stored = facts.stored.get(&position);
        if stored.is_none_or(|stored| **stored != *event) {
            return Err(format!(
                "subscriber {name} got what was never committed at {}",
                position.0
            ));
        }
        if !Wish::of(name).matches(event) {
            return Err(format!(
                "subscriber {name} got {}, which it does not want",
                position.0
            ));
        }
        self.tried.insert((Arc::clone(name), position));
        Ok(())
    }

    /// It takes it.
    pub(crate) fn receive(
        &mut self,
        name: &Name,
        position: Sequence,
        event: &CloudEvent,
        facts: &Facts,
        exercised: &mut Exercised,
    ) -> Result<(), String> {
        if Wish::of(name).is_ordered
            && let Some(skipped) = self.skipped(name, position, event, facts)
        {
            return Err(format!(
                "subscriber {name} got {} before {} of the same key",
                position.0, skipped.0
            ));
        }
        let key = (Arc::clone(name), position);
        exercised.routed += 1;
        self.owed.remove(&key);
        exercised.routed_again += u64::from(!self.got.insert(key));
        Ok(())
    }

    /// What has to come before.
    fn skipped(
        &self,
        name: &Name,
        position: Sequence,
        event: &CloudEvent,
        facts: &Facts,
    ) -> Option<Sequence> {
        let earlier = |at: Sequence, other: &CloudEvent| {
            at < position && other.partition_key() == event.partition_key()
        };
        self.missing(name, facts)
            .find(|(at, other)| earlier(*at, other))
            .map(|(at, _)| at)
    }

    /// What a subscriber wants and neither got nor has as a dead letter, now or once. What expires may be of no use by then.
    fn missing<'f>(
        &'f self,
        name: &'f Name,
        facts: &'f Facts,
    ) -> impl Iterator<Item = (Sequence, &'f CloudEvent)> {
        let wish = Wish::of(name);
        let since = facts.subscribers.get(name).copied();
        let begin = match since {
            Some(_) if wish.is_earliest => Sequence(0),
            Some(since) => since,
            // It is gone, and is owed nothing.
            None => Sequence(u64::MAX),
        };
        let behind = facts.stored.range(Sequence(begin.0.saturating_add(1))..);
        behind
            .map(|(at, event)| (*at, &**event))
            .filter(move |(at, event)| {
                let key = (Arc::clone(name), *at);
                wish.matches(event)
                    && event.expiry_time().is_none()
                    && !self.got.contains(&key)
                    && !self.ever_dead.contains(&key)
            })
    }

    /// What is kept as a dead letter was tried.
    pub(crate) fn check_dead(&mut self, facts: &Facts, ledger: &MemLedger) -> Result<(), String> {
        self.observe(facts, ledger);
        match self.dead.iter().find(|key| !self.tried.contains(*key)) {
            None => Ok(()),
            Some((name, position)) => Err(format!(
                "{} is dead for subscriber {name}, and nobody ever tried to deliver it",
                position.0
            )),
        }
    }

    /// Whether nobody is owed anything.
    pub(crate) fn owes(&self, facts: &Facts) -> Option<String> {
        let lives = |name: &Name| facts.subscribers.contains_key(name);
        // What expires may be of no use any more when it is tried again.
        let lasts = |position: &Sequence| {
            let event = facts.stored.get(position);
            event.is_some_and(|event| event.expiry_time().is_none())
        };
        let mut owed = self.owed.iter();
        let owed = owed.find(|(name, position)| lives(name) && lasts(position));
        if let Some((name, position)) = owed {
            return Some(format!(
                "{} was redriven for subscriber {name}, which never got it",
                position.0
            ));
        }
        facts.subscribers.keys().find_map(|name| {
            let (position, _) = self.missing(name, facts).next()?;
            Some(format!(
                "subscriber {name} never got {}, which is no dead letter",
                position.0
            ))
        })
    }

    /// What there was in this run.
    pub(crate) fn account(&self, exercised: &mut Exercised) {
        exercised.dead_letters += self.ever_dead.len() as u64;
        exercised.discarded += self.discarded.len() as u64;
        exercised.redriven += self.redriven;
    }

    /// The journal may be gone before that record.
    pub(crate) fn released(&mut self, held: Option<Sequence>) {
        let released = held.map_or(0, |held| held.0.saturating_sub(1));
        self.released = self.released.max(Sequence(released));
    }

    /// What the journal was let go behind is in the store, as it was committed.
    pub(crate) fn check_store(
        &self,
        store: &SharedStore,
        facts: &Facts,
        exercised: &mut Exercised,
    ) -> Result<(), String> {
        let mut there = BTreeSet::new();
        let scanned = store
            .read()
            .scan(position::Sequence(0), Direction::Forward, &mut |entry| {
                there.insert(Sequence(entry.position.0));
                ControlFlow::Continue(())
            });
        scanned.map_err(|error| error.to_string())?;
        let last = there.last().copied().unwrap_or_default();
        exercised.taken_in_again += facts.stored.range(Sequence(last.0 + 1)..).count() as u64;
        let mut released = facts.stored.range(..=self.released);
        match released.find(|(at, _)| !there.contains(at)) {
            None => Ok(()),
            Some((at, _)) => Err(format!(
                "the journal was let go up to {}, and {} is not in the event store",
                self.released.0, at.0
            )),
        }
    }
}

/// A committed decision about dead letters.
#[derive(Clone, Debug)]
pub(crate) struct Settled {
    pub(crate) at: Sequence,
    pub(crate) subscriber: Name,
    pub(crate) positions: Vec<Sequence>,
    pub(crate) redrive: bool,
}

impl Settled {
    pub(crate) fn of(event: &Event, at: Sequence) -> Option<Self> {
        match event {
            Event::DeadLettersSettled {
                subscriber,
                positions,
                redrive,
                ..
            } => Some(Self {
                at,
                subscriber: Arc::clone(subscriber),
                positions: positions.clone(),
                redrive: *redrive,
            }),
            _ => None,
        }
    }
}
