//! Getting outgoing CloudEvents to their receivers: what to send now, what later, when to give up. No I/O.
//!
//! ```text
//!             offer                 next                      succeeded ─► AckOutbox
//! outbox ───────────► waiting ───────────► in flight ────────┤
//!  (state)               ▲                                    failed ─► DeferOutbox and again later, or BuryOutbox
//!                        └──────── back-off, time-out ◄───────┘
//! ```
//!
//! **Invariants**
//! - At least once: an entry leaves the outbox only by a command that is durable before it is forgotten here
//!   ([`Delivery::settled`]); a restart offers everything again, and the count of attempts goes on where it was.
//! - Entries of one lane (same target, same `partitionkey`, else `subject`, else `source`) are under way one at a time and in
//!   the order in which they were published. One that is given up lets the next one go.
//! - Bounded: at most `window` entries are held and `concurrency` attempts are under way; the rest waits in state.
//! - A function of what it is told and its seed: the simulator runs it as it is.

mod backoff;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use kapelle_engine::command::Command;
use kapelle_engine::event::OutboxAdded;
use kapelle_engine::ids::{OutboxKey, Timestamp};
use kapelle_engine::pending::Waiting;

pub use backoff::Backoff;

/// What is kept of a receiver's error.
const ERROR_BYTES_MAX: usize = 2_000;

/// How a delivery behaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Entries held here at once. A few thousand keep a fast receiver busy between two reads of the outbox.
    pub window: usize,
    /// Attempts under way at once.
    pub concurrency: usize,
    /// An attempt that has said nothing for so long has failed.
    pub attempt_timeout_ms: i64,
    /// After so many attempts an entry is given up: with the default back-off, after about an hour.
    pub attempts_max: u32,
    pub backoff: Backoff,
    /// A command for the partition that was not settled for so long is handed out again.
    pub settle_timeout_ms: i64,
    /// Of the jitter.
    pub seed: u64,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            window: 4_096,
            concurrency: 64,
            attempt_timeout_ms: 30_000,
            attempts_max: 20,
            backoff: Backoff::default(),
            settle_timeout_ms: 10_000,
            seed: 0,
        }
    }
}

/// One attempt to be made now.
#[derive(Clone, Debug, PartialEq)]
pub struct Attempt {
    pub entry: Arc<OutboxAdded>,
    /// The first is 1.
    pub number: u32,
}

/// Why an attempt failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Trying again cannot help: the receiver refused the event for good.
    pub permanent: bool,
    pub error: String,
}

/// Target and key.
type Lane = (Arc<str>, Box<str>);

#[derive(Debug)]
struct Entry {
    added: Arc<OutboxAdded>,
    lane: Lane,
    attempts: u32,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Behind others of its lane, or until its time has come.
    Waiting,
    InFlight {
        deadline: Timestamp,
    },
    /// Over; the partition is to be told.
    Settling {
        command: Command,
        again_at: Timestamp,
    },
}

/// The state of all deliveries of a partition.
#[derive(Debug)]
pub struct Delivery {
    policy: Policy,
    entries: BTreeMap<OutboxKey, Entry>,
    lanes: BTreeMap<Lane, VecDeque<OutboxKey>>,
    /// First entries of lanes that wait, by when they may go.
    ready: BTreeSet<(Timestamp, OutboxKey)>,
    in_flight: usize,
    offered: OutboxKey,
    /// Failed attempts that the partition is to be told of. Each is handed out once: should one get lost, the next failure
    /// of that entry says the whole count again.
    to_note: Vec<Command>,
}

impl Delivery {
    /// Nothing to deliver yet.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        Self {
            policy,
            entries: BTreeMap::new(),
            lanes: BTreeMap::new(),
            ready: BTreeSet::new(),
            in_flight: 0,
            offered: OutboxKey(0),
            to_note: Vec::new(),
        }
    }

    /// Which entries of the outbox to offer next: how many, from which key on (exclusive). Nothing if there is no room.
    #[must_use]
    pub fn wants(&self) -> Option<(OutboxKey, usize)> {
        let room = self.policy.window.saturating_sub(self.entries.len());
        (room > 0).then_some((self.offered, room))
    }

    /// An entry of the outbox, in the order of keys. One that was offered before is passed over. An attempt that failed
    /// before a restart is waited for as if there had been none, but not longer: the clock may have gone back.
    pub fn offer(&mut self, waiting: Waiting, now: Timestamp) {
        let (added, attempts) = (Arc::new(waiting.added), waiting.attempts);
        let key = added.entry;
        if key <= self.offered {
            return;
        }
        self.offered = key;
        let lane: Lane = (Arc::clone(&added.to), added.event.partition_key().into());
        let queue = self.lanes.entry(lane.clone()).or_default();
        queue.push_back(key);
        if queue.len() == 1 {
            let latest = now.plus_ms(self.policy.backoff.max_ms);
            let at = match attempts {
                0 => now,
                _ => waiting.retry_at.clamp(now, latest),
            };
            self.ready.insert((at, key));
        }
        self.entries.insert(
            key,
            Entry {
                added,
                lane,
                attempts,
                state: State::Waiting,
            },
        );
    }

    /// The attempts to be made now. Each is to be answered with `succeeded` or `failed`; one that is not is a failure when
    /// its time is over.
    pub fn next(&mut self, now: Timestamp) -> Vec<Attempt> {
        self.time_out(now);
        let mut attempts = Vec::new();
        while self.in_flight < self.policy.concurrency
            && let Some(&(at, key)) = self.ready.first()
            && at <= now
        {
            self.ready.pop_first();
            let deadline = now.plus_ms(self.policy.attempt_timeout_ms);
            let Some(entry) = self.entries.get_mut(&key) else {
                continue;
            };
            entry.attempts += 1;
            entry.state = State::InFlight { deadline };
            self.in_flight += 1;
            attempts.push(Attempt {
                entry: Arc::clone(&entry.added),
                number: entry.attempts,
            });
        }
        attempts
    }

    /// The receiver has it. Also counts when it comes after the time-out.
    pub fn succeeded(&mut self, key: OutboxKey, now: Timestamp) {
        self.settle(key, now, Command::AckOutbox { entry: key });
    }

    /// An attempt failed.
    pub fn failed(&mut self, key: OutboxKey, now: Timestamp, failure: &Failure) {
        self.throttled(key, now, failure, 0);
    }

    /// An attempt failed, and the receiver wants to be left alone for so long: it is, but never for longer than the
    /// longest back-off, because a receiver must not be able to hold its events back for ever.
    pub fn throttled(&mut self, key: OutboxKey, now: Timestamp, failure: &Failure, wait_ms: i64) {
        let Some(entry) = self.entries.get_mut(&key) else {
            return;
        };
        if !matches!(entry.state, State::InFlight { .. }) {
            // Its time-out was first.
            return;
        }
        let attempts = entry.attempts;
        let error: String = failure.error.chars().take(ERROR_BYTES_MAX).collect();
        let error: Arc<str> = Arc::from(error);
        if failure.permanent || attempts >= self.policy.attempts_max {
            let command = Command::BuryOutbox {
                entry: key,
                attempts,
                error,
            };
            self.settle(key, now, command);
            return;
        }
        entry.state = State::Waiting;
        self.in_flight -= 1;
        let delay_ms = self
            .policy
            .backoff
            .delay_ms(attempts, self.policy.seed ^ key.0)
            .max(wait_ms.min(self.policy.backoff.max_ms));
        self.ready.insert((now.plus_ms(delay_ms), key));
        self.to_note.push(Command::DeferOutbox {
            entry: key,
            attempts,
            delay_ms,
            error,
        });
    }

    /// Commands for the partition, to be submitted in this order. Those that end a delivery are handed out again from time
    /// to time until it is [`Delivery::settled`]; so the caller may drop one that was refused under load.
    pub fn commands(&mut self, now: Timestamp) -> Vec<Command> {
        let timeout = self.policy.settle_timeout_ms;
        let mut commands = std::mem::take(&mut self.to_note);
        for entry in self.entries.values_mut() {
            if let State::Settling { command, again_at } = &mut entry.state
                && *again_at <= now
            {
                *again_at = now.plus_ms(timeout);
                commands.push(command.clone());
            }
        }
        commands
    }

    /// The partition has answered the entry's command: it is out of the outbox, and the next one of its lane may go.
    pub fn settled(&mut self, key: OutboxKey, now: Timestamp) {
        if !self
            .entries
            .get(&key)
            .is_some_and(|entry| matches!(entry.state, State::Settling { .. }))
        {
            return;
        }
        let Some(entry) = self.entries.remove(&key) else {
            return;
        };
        let Some(queue) = self.lanes.get_mut(&entry.lane) else {
            return;
        };
        queue.pop_front();
        match queue.front() {
            Some(next) => {
                self.ready.insert((now, *next));
            }
            None => {
                self.lanes.remove(&entry.lane);
            }
        }
    }

    /// When to call [`Delivery::next`] or [`Delivery::commands`] again, if nothing else happens.
    #[must_use]
    pub fn wake_at(&self) -> Option<Timestamp> {
        let ready = self
            .ready
            .first()
            .map(|(at, _)| *at)
            .filter(|_| self.in_flight < self.policy.concurrency);
        let others = self.entries.values().filter_map(|entry| match entry.state {
            State::Waiting => None,
            State::InFlight { deadline } => Some(deadline),
            State::Settling { again_at, .. } => Some(again_at),
        });
        others.chain(ready).min()
    }

    /// Entries held, and attempts under way.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        (self.entries.len(), self.in_flight)
    }

    fn settle(&mut self, key: OutboxKey, now: Timestamp, command: Command) {
        let Some(entry) = self.entries.get_mut(&key) else {
            return;
        };
        match entry.state {
            State::Settling { .. } => return,
            State::InFlight { .. } => self.in_flight -= 1,
            // A late success while it waits for its next attempt, which is no longer needed.
            State::Waiting => self.ready.retain(|(_, other)| *other != key),
        }
        entry.state = State::Settling {
            command,
            again_at: now,
        };
    }

    fn time_out(&mut self, now: Timestamp) {
        let late: Vec<_> = self
            .entries
            .iter()
            .filter(
                |(_, entry)| matches!(entry.state, State::InFlight { deadline } if deadline <= now),
            )
            .map(|(key, _)| *key)
            .collect();
        let error = format!("no answer within {} ms", self.policy.attempt_timeout_ms);
        let failure = Failure {
            permanent: false,
            error,
        };
        for key in late {
            self.failed(key, now, &failure);
        }
    }
}

#[cfg(test)]
mod tests;
