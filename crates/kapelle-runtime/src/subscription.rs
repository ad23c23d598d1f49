//! Getting stored CloudEvents to one subscriber: what goes now, what later, what is dead, and how far it has come. No I/O.
//!
//! ```text
//!           offer                next                 delivered ─► gone
//! store ──────────► waiting ───────────► in flight ──┤
//!                      ▲                              failed ─► again later, or dead
//!                      └────── back-off, time-out ◄───┘
//! ```
//!
//! Pushing and pulling are the same: a consumer that pulls holds an attempt as long as its lock lasts.
//!
//! **Invariants**
//! - At least once: whatever was offered is delivered, dead or withdrawn, whatever crashes in between. What is to be kept
//!   for that is a [`Checkpoint`]: a cursor, and every entry before it that is not over.
//! - In order: entries of one lane (all of one key, where order is asked for) are under way one at a time and as they were
//!   stored. One that waits for its next attempt holds up its own lane and no other.
//! - Bounded: no more than `window` entries are held that nothing blocks, and `blocked_max` that wait behind a failure.
//! - A function of what it is told: the simulator runs it as it is.
//!
//! Deliberately absent: CloudEvents (it knows positions and lanes), filters, targets.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use kapelle_engine::ids::{Sequence, Timestamp};

use crate::delivery::{Backoff, Failure};

/// Due by every clock. When an entry was stored is no such time: the journal's clock never goes back, the wall clock does.
const AT_ONCE: Timestamp = Timestamp(0);

/// How a subscriber is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Entries held at once that nothing blocks.
    pub window: usize,
    /// Entries held at once behind a failed one. Then reading stops, and other lanes wait too.
    pub blocked_max: usize,
    /// Attempts under way at once.
    pub concurrency: usize,
    /// An attempt that has said nothing for so long has failed.
    pub attempt_timeout_ms: i64,
    /// After so many attempts an entry is dead.
    pub attempts_max: u32,
    /// An entry that was stored so long ago is dead after its next failure.
    pub age_max_ms: i64,
    pub backoff: Backoff,
    /// Of the jitter.
    pub seed: u64,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            window: 4_096,
            blocked_max: 1_000_000,
            concurrency: 64,
            attempt_timeout_ms: 30_000,
            attempts_max: 20,
            age_max_ms: 24 * 60 * 60 * 1_000,
            backoff: Backoff::default(),
            seed: 0,
        }
    }
}

/// An entry that the subscriber wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    pub position: Sequence,
    /// Entries of the same lane wait for each other; `None`: for nobody.
    pub lane: Option<Arc<str>>,
    /// When it was stored.
    pub stored_at: Timestamp,
}

/// An entry that is not over although the cursor may have passed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exception {
    pub wanted: Wanted,
    pub attempts: u32,
    /// Not before this time.
    pub retry_at: Timestamp,
    /// Of the last attempt.
    pub error: Arc<str>,
}

impl Exception {
    /// One that is to be tried at once, and never was.
    #[must_use]
    pub fn fresh(wanted: Wanted) -> Self {
        Self {
            wanted,
            attempts: 0,
            retry_at: AT_ONCE,
            error: Arc::from(""),
        }
    }
}

/// One attempt to be made now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    pub position: Sequence,
    /// The first is 1. Together with the position it is the token that answers the attempt.
    pub number: u32,
}

/// What is to be kept, all of it in one transaction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checkpoint {
    /// Everything up to here is over, but for the exceptions.
    pub cursor: Sequence,
    /// Exceptions that are new or have changed.
    pub put: Vec<Exception>,
    /// Exceptions that are over.
    pub removed: Vec<Sequence>,
    /// Entries that are dead now: they leave the subscription and go to the dead letters.
    pub dead: Vec<Exception>,
}

/// How far the subscriber has come with one entry of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Whether it is wanted was not asked yet.
    Ahead,
    /// It is held: failed attempts so far, and the last one's error.
    Held { attempts: u32, error: Arc<str> },
    /// It is not wanted, or over: delivered, withdrawn or dead.
    Behind,
}

#[derive(Debug)]
struct Entry {
    wanted: Wanted,
    attempts: u32,
    retry_at: Timestamp,
    error: Arc<str>,
    in_flight_until: Option<Timestamp>,
    /// It is among the exceptions that were kept.
    is_kept: bool,
}

/// Entries that wait for each other, in the order of positions.
#[derive(Debug, Default)]
struct Lane {
    queue: VecDeque<Sequence>,
    is_in_flight: bool,
    /// How many of it count as blocked.
    blocked: usize,
}

/// The state of one subscriber's deliveries.
#[derive(Debug)]
pub struct Subscription {
    policy: Policy,
    /// Everything up to here was offered or is not wanted.
    read_to: Sequence,
    entries: BTreeMap<Sequence, Entry>,
    lanes: BTreeMap<Arc<str>, Lane>,
    /// First entries of their lanes that wait, by when they may go.
    ready: BTreeSet<(Timestamp, Sequence)>,
    in_flight: usize,
    /// Entries behind a failed one of their lane.
    blocked: usize,
    /// Entries without an exception: the cursor stays before the first.
    unkept: BTreeSet<Sequence>,
    /// Dead, and not behind the cursor yet: not to be taken in again after a restart.
    buried: BTreeSet<Sequence>,
    changes: Changes,
    /// The cursor of the last checkpoint.
    told: Option<Sequence>,
}

/// What the next checkpoint has to say.
#[derive(Debug, Default)]
struct Changes {
    put: BTreeSet<Sequence>,
    removed: BTreeSet<Sequence>,
    dead: Vec<Exception>,
}

impl Subscription {
    /// Begins behind `start`, or goes on from a checkpoint: its cursor, its exceptions, and dead letters at or behind the
    /// cursor.
    #[must_use]
    pub fn new(
        policy: Policy,
        cursor: Sequence,
        exceptions: Vec<Exception>,
        buried: BTreeSet<Sequence>,
    ) -> Self {
        let mut subscription = Self {
            policy,
            read_to: cursor,
            entries: BTreeMap::new(),
            lanes: BTreeMap::new(),
            ready: BTreeSet::new(),
            in_flight: 0,
            blocked: 0,
            unkept: BTreeSet::new(),
            buried,
            changes: Changes::default(),
            told: None,
        };
        for exception in exceptions {
            subscription.take_in(exception, true);
        }
        subscription
    }

    /// How many entries may be offered now; none while it holds all it may.
    #[must_use]
    pub fn room(&self) -> usize {
        let free = self.entries.len() - self.blocked;
        match self.blocked < self.policy.blocked_max {
            true => self.policy.window.saturating_sub(free),
            false => 0,
        }
    }

    /// From where on to read the store (exclusive).
    #[must_use]
    pub fn read_to(&self) -> Sequence {
        self.read_to
    }

    /// An entry of the store that is wanted, in the order of positions. One that it has is passed over.
    pub fn offer(&mut self, wanted: Wanted) {
        let position = wanted.position;
        self.read_to = self.read_to.max(position);
        if self.entries.contains_key(&position) || self.buried.contains(&position) {
            return;
        }
        self.take_in(Exception::fresh(wanted), false);
    }

    /// The store was read up to there; nothing in between is wanted but what was offered.
    pub fn passed(&mut self, position: Sequence) {
        self.read_to = self.read_to.max(position);
    }

    /// A dead letter is to be tried again, with a fresh count. It is among the exceptions that are kept.
    pub fn redrive(&mut self, wanted: Wanted) {
        self.buried.remove(&wanted.position);
        if !self.entries.contains_key(&wanted.position) {
            self.take_in(Exception::fresh(wanted), true);
        }
    }

    fn take_in(&mut self, exception: Exception, is_kept: bool) {
        let Exception {
            wanted,
            attempts,
            retry_at,
            error,
        } = exception;
        let position = wanted.position;
        let lane = wanted.lane.clone();
        self.entries.insert(
            position,
            Entry {
                wanted,
                attempts,
                retry_at,
                error,
                in_flight_until: None,
                is_kept,
            },
        );
        if !is_kept {
            self.unkept.insert(position);
        }
        let Some(name) = lane else {
            self.ready.insert((retry_at, position));
            return;
        };
        let lane = self.lanes.entry(Arc::clone(&name)).or_default();
        let place = lane.queue.partition_point(|other| *other < position);
        let before = lane.queue.front().copied();
        lane.queue.insert(place, position);
        // Redriven, or restored after what is stored behind it: the old head has to wait for it.
        if place == 0
            && let Some(entry) = before.and_then(|before| self.entries.get(&before))
        {
            self.ready.remove(&(entry.retry_at, entry.wanted.position));
        }
        self.advance(&name);
    }

    /// Lets the first of a lane go if none of it is under way. Those behind one that failed may wait long: they are kept, so
    /// that the cursor can pass them.
    fn advance(&mut self, name: &Arc<str>) {
        let Some(lane) = self.lanes.get_mut(name) else {
            return;
        };
        let Some(head) = lane.queue.front().and_then(|head| self.entries.get(head)) else {
            self.blocked -= lane.blocked;
            self.lanes.remove(name);
            return;
        };
        if !lane.is_in_flight {
            self.ready.insert((head.retry_at, head.wanted.position));
        }
        let is_blocked = head.attempts > 0 && !lane.is_in_flight;
        let behind = if is_blocked { lane.queue.len() - 1 } else { 0 };
        let new: Vec<_> = lane
            .queue
            .iter()
            .skip(1 + lane.blocked)
            .take(behind)
            .copied()
            .collect();
        self.blocked = self.blocked - lane.blocked + behind;
        lane.blocked = behind;
        new.into_iter().for_each(|position| self.keep(position));
    }

    fn keep(&mut self, position: Sequence) {
        if let Some(entry) = self.entries.get_mut(&position)
            && !entry.is_kept
        {
            entry.is_kept = true;
            self.unkept.remove(&position);
            self.changes.put.insert(position);
        }
    }

    fn set_in_flight(&mut self, position: Sequence, until: Option<Timestamp>) {
        let Some(entry) = self.entries.get_mut(&position) else {
            return;
        };
        entry.in_flight_until = until;
        match until {
            Some(_) => self.in_flight += 1,
            None => self.in_flight -= 1,
        }
        if let Some(name) = entry.wanted.lane.clone() {
            if let Some(lane) = self.lanes.get_mut(&name) {
                lane.is_in_flight = until.is_some();
            }
            self.advance(&name);
        }
    }

    /// The attempts to be made now, at most so many. Each is to be answered; one that is not is a failure when its time is over.
    pub fn next(&mut self, now: Timestamp, most: usize) -> Vec<Attempt> {
        self.time_out(now);
        let mut attempts = Vec::new();
        while attempts.len() < most
            && self.in_flight < self.policy.concurrency
            && let Some(&(at, position)) = self.ready.first()
            && at <= now
        {
            self.ready.pop_first();
            let deadline = now.plus_ms(self.policy.attempt_timeout_ms);
            let Some(entry) = self.entries.get_mut(&position) else {
                continue;
            };
            entry.attempts += 1;
            attempts.push(Attempt {
                position,
                number: entry.attempts,
            });
            self.set_in_flight(position, Some(deadline));
        }
        attempts
    }

    /// The receiver has it. `false`: the attempt is no longer the latest, so somebody else may get it or have it.
    pub fn delivered(&mut self, attempt: &Attempt) -> bool {
        let is_current = self.is_current(attempt);
        if is_current {
            self.remove(attempt.position);
        }
        is_current
    }

    /// It is of no more use to anybody (expired, or the target says so).
    pub fn withdraw(&mut self, attempt: &Attempt) -> bool {
        self.delivered(attempt)
    }

    /// An attempt failed; the next one is not before `wait_ms` from now, however short the back-off.
    pub fn failed(
        &mut self,
        attempt: &Attempt,
        now: Timestamp,
        failure: &Failure,
        wait_ms: i64,
    ) -> bool {
        if !self.is_current(attempt) {
            return false;
        }
        let Some(entry) = self.entries.get_mut(&attempt.position) else {
            return false;
        };
        entry.error = Arc::from(failure.error.as_str());
        let age_ms = now.0.saturating_sub(entry.wanted.stored_at.0);
        if failure.permanent
            || entry.attempts >= self.policy.attempts_max
            || age_ms >= self.policy.age_max_ms
        {
            self.bury(attempt.position);
            return true;
        }
        let longest = self.policy.backoff.max_ms;
        let delay_ms = self
            .policy
            .backoff
            .delay_ms(entry.attempts, self.policy.seed ^ attempt.position.0)
            .max(wait_ms.min(longest));
        self.put_back(attempt.position, now.plus_ms(delay_ms));
        true
    }

    /// A consumer gives it back: it is tried again after `wait_ms`, and the attempt counts.
    pub fn released(&mut self, attempt: &Attempt, now: Timestamp, wait_ms: i64) -> bool {
        let is_current = self.is_current(attempt);
        if is_current {
            self.put_back(attempt.position, now.plus_ms(wait_ms));
        }
        is_current
    }

    /// A consumer needs it longer.
    pub fn renewed(&mut self, attempt: &Attempt, now: Timestamp) -> bool {
        if !self.is_current(attempt) {
            return false;
        }
        let deadline = now.plus_ms(self.policy.attempt_timeout_ms);
        if let Some(entry) = self.entries.get_mut(&attempt.position) {
            entry.in_flight_until = Some(deadline);
        }
        true
    }

    /// When to call [`next`](Self::next) again, if nothing else happens.
    #[must_use]
    pub fn wake_at(&self) -> Option<Timestamp> {
        let ready = self
            .ready
            .first()
            .map(|(at, _)| *at)
            .filter(|_| self.in_flight < self.policy.concurrency);
        let deadline = match self.in_flight {
            0 => None,
            _ => self
                .entries
                .values()
                .filter_map(|entry| entry.in_flight_until)
                .min(),
        };
        ready.into_iter().chain(deadline).min()
    }

    /// Entries held, and attempts under way.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        (self.entries.len(), self.in_flight)
    }

    /// How far it has come with an entry.
    #[must_use]
    pub fn standing(&self, position: Sequence) -> Standing {
        match self.entries.get(&position) {
            Some(entry) => Standing::Held {
                // The one under way has not failed.
                attempts: entry.attempts - u32::from(entry.in_flight_until.is_some()),
                error: Arc::clone(&entry.error),
            },
            None if position > self.read_to => Standing::Ahead,
            None => Standing::Behind,
        }
    }

    /// Everything up to here is over, but for exceptions.
    #[must_use]
    pub fn cursor(&self) -> Sequence {
        self.unkept
            .first()
            .map_or(self.read_to, |first| Sequence(first.0 - 1))
    }

    /// What is to be kept since the last call; `None` if nothing has changed. The caller says when that is done
    /// ([`Subscription::kept`]); a checkpoint that it fails to keep means to begin anew from the last one.
    pub fn checkpoint(&mut self) -> Option<Checkpoint> {
        let cursor = self.cursor();
        let changes = std::mem::take(&mut self.changes);
        let is_same = self.told.replace(cursor) == Some(cursor);
        if is_same
            && changes.put.is_empty()
            && changes.removed.is_empty()
            && changes.dead.is_empty()
        {
            return None;
        }
        self.buried.retain(|position| *position > cursor);
        let dead: BTreeSet<_> = changes
            .dead
            .iter()
            .map(|dead| dead.wanted.position)
            .collect();
        let put = changes
            .put
            .iter()
            .filter(|position| !dead.contains(position))
            .filter_map(|position| self.entries.get(position))
            .map(exception)
            .collect();
        Some(Checkpoint {
            cursor,
            put,
            removed: changes.removed.into_iter().chain(dead).collect(),
            dead: changes.dead,
        })
    }

    /// A checkpoint is on the disk for good.
    pub fn kept(&mut self, checkpoint: &Checkpoint) {
        for dead in &checkpoint.dead {
            self.buried.insert(dead.wanted.position);
            self.remove(dead.wanted.position);
            // The dead letter says it all: the exception goes in the same transaction.
            self.changes.removed.remove(&dead.wanted.position);
        }
    }

    fn is_current(&self, attempt: &Attempt) -> bool {
        self.entries.get(&attempt.position).is_some_and(|entry| {
            entry.in_flight_until.is_some() && entry.attempts == attempt.number
        })
    }

    fn put_back(&mut self, position: Sequence, at: Timestamp) {
        let Some(entry) = self.entries.get_mut(&position) else {
            return;
        };
        entry.retry_at = at;
        if entry.wanted.lane.is_none() {
            self.ready.insert((at, position));
        }
        self.keep(position);
        self.changes.put.insert(position);
        self.set_in_flight(position, None);
    }

    /// Its lane goes on when that is kept ([`Subscription::kept`]): otherwise a crash could bring it back behind its followers.
    fn bury(&mut self, position: Sequence) {
        let Some(entry) = self.entries.get_mut(&position) else {
            return;
        };
        entry.in_flight_until = None;
        self.changes.dead.push(exception(entry));
        self.in_flight -= 1;
    }

    /// An attempt ended for good: the next one of its lane may go.
    fn remove(&mut self, position: Sequence) {
        self.unkept.remove(&position);
        self.changes.put.remove(&position);
        let Some(entry) = self.entries.remove(&position) else {
            return;
        };
        if entry.is_kept {
            self.changes.removed.insert(position);
        }
        if entry.in_flight_until.is_some() {
            self.in_flight -= 1;
        }
        let Some(name) = entry.wanted.lane else {
            return;
        };
        if let Some(lane) = self.lanes.get_mut(&name) {
            lane.queue.retain(|other| *other != position);
            lane.is_in_flight = false;
        }
        self.advance(&name);
    }

    fn time_out(&mut self, now: Timestamp) {
        if self.in_flight == 0 {
            return;
        }
        let late: Vec<_> = self
            .entries
            .iter()
            .filter(|(_, entry)| {
                entry
                    .in_flight_until
                    .is_some_and(|deadline| deadline <= now)
            })
            .map(|(position, entry)| Attempt {
                position: *position,
                number: entry.attempts,
            })
            .collect();
        let failure = Failure {
            permanent: false,
            error: format!("no answer within {} ms", self.policy.attempt_timeout_ms),
        };
        for attempt in late {
            self.failed(&attempt, now, &failure, 0);
        }
    }
}

fn exception(entry: &Entry) -> Exception {
    Exception {
        wanted: entry.wanted.clone(),
        attempts: entry.attempts,
        retry_at: entry.retry_at,
        error: Arc::clone(&entry.error),
    }
}
