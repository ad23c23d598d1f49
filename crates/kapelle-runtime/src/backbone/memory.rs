//! A ledger in memory that can refuse: for tests and the simulator.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use kapelle_engine::ids::{Sequence, Timestamp};

use super::{Ledger, LedgerError};
use crate::subscription::{Checkpoint, Exception, Wanted};

/// The ledger. Clones are the same one, and it outlives the processes that write to it.
#[derive(Clone, Debug, Default)]
pub struct MemLedger(Arc<Mutex<Rows>>);

#[derive(Clone, Debug, Default)]
struct Rows {
    applied: Sequence,
    position: Sequence,
    cursors: BTreeMap<Arc<str>, Sequence>,
    exceptions: BTreeMap<(Arc<str>, Sequence), Exception>,
    dead: BTreeMap<(Arc<str>, Sequence), Exception>,
    /// Not to be taken in again, as far as they are behind the cursor.
    discarded: BTreeSet<(Arc<str>, Sequence)>,
    /// Writes until one fails, and whether it was done nevertheless.
    fails_in: Option<(u64, bool)>,
}

impl MemLedger {
    /// Lets the `n`th write from now fail (1 = the next one). `is_done`: it is on the disk, and only its answer is lost.
    pub fn fail_write(&self, n: u64, is_done: bool) {
        self.rows().fails_in = Some((n, is_done));
    }

    /// Nothing is to fail any more.
    pub fn heal(&self) {
        self.rows().fails_in = None;
    }

    /// All dead letters: whose, and where.
    #[must_use]
    pub fn dead(&self) -> Vec<(Arc<str>, Sequence)> {
        self.rows().dead.keys().cloned().collect()
    }

    /// Another ledger with the same content.
    #[must_use]
    pub fn fork(&self) -> Self {
        Self(Arc::new(Mutex::new(self.rows().clone())))
    }

    fn rows(&self) -> MutexGuard<'_, Rows> {
        self.0
            .lock()
            .expect("invariant: nobody panics while holding the ledger")
    }

    fn write<T>(&self, change: impl FnOnce(&mut Rows) -> T) -> Result<T, LedgerError> {
        let mut rows = self.rows();
        let fails = match &mut rows.fails_in {
            Some((1, is_done)) => Some(*is_done),
            Some((n, _)) => {
                *n -= 1;
                None
            }
            None => None,
        };
        let Some(is_done) = fails else {
            return Ok(change(&mut rows));
        };
        rows.fails_in = None;
        if is_done {
            change(&mut rows);
        }
        Err(LedgerError {
            attempt: "write",
            source: "simulated failure of a write".into(),
        })
    }
}

impl Ledger for MemLedger {
    fn applied(&self) -> Result<Sequence, LedgerError> {
        Ok(self.rows().applied)
    }

    fn position(&self) -> Result<Sequence, LedgerError> {
        Ok(self.rows().position)
    }

    fn set_position(&mut self, position: Sequence) -> Result<(), LedgerError> {
        self.write(|rows| rows.position = position)
    }

    fn names(&self) -> Result<Vec<Arc<str>>, LedgerError> {
        Ok(self.rows().cursors.keys().cloned().collect())
    }

    fn cursor(&self, subscriber: &str) -> Result<Option<Sequence>, LedgerError> {
        Ok(self.rows().cursors.get(subscriber).copied())
    }

    fn exceptions(&self, subscriber: &str) -> Result<Vec<Exception>, LedgerError> {
        let rows = self.rows();
        let own = rows
            .exceptions
            .iter()
            .filter(|((name, _), _)| &**name == subscriber);
        Ok(own.map(|(_, exception)| exception.clone()).collect())
    }

    fn buried(
        &self,
        subscriber: &str,
        cursor: Sequence,
    ) -> Result<BTreeSet<Sequence>, LedgerError> {
        let discarded = self.rows().discarded.clone();
        let gone = self.dead().into_iter().chain(discarded);
        let own = gone.filter(|(name, position)| &**name == subscriber && *position > cursor);
        Ok(own.map(|(_, position)| position).collect())
    }

    fn count_dead(&self, subscriber: &str) -> Result<u64, LedgerError> {
        let dead = self.dead().into_iter();
        Ok(dead.filter(|(name, _)| &**name == subscriber).count() as u64)
    }

    fn keep(
        &mut self,
        checkpoints: &[(Arc<str>, Checkpoint)],
        _now: Timestamp,
        _event: &dyn Fn(Sequence) -> Option<Vec<u8>>,
    ) -> Result<(), LedgerError> {
        self.write(|rows| {
            for (name, checkpoint) in checkpoints {
                rows.cursors.insert(Arc::clone(name), checkpoint.cursor);
                for position in &checkpoint.removed {
                    rows.exceptions.remove(&(Arc::clone(name), *position));
                }
                let at = |exception: &Exception| (Arc::clone(name), exception.wanted.position);
                let put = checkpoint.put.iter().cloned();
                rows.exceptions.extend(put.map(|put| (at(&put), put)));
                let dead = checkpoint.dead.iter().cloned();
                rows.dead.extend(dead.map(|dead| (at(&dead), dead)));
                let is_passed = |position: Sequence| position <= checkpoint.cursor;
                rows.discarded
                    .retain(|(other, position)| other != name || !is_passed(*position));
            }
        })
    }

    fn settle(
        &mut self,
        applied: Sequence,
        subscriber: &str,
        positions: &[Sequence],
        redrive: bool,
    ) -> Result<Vec<Wanted>, LedgerError> {
        self.write(|rows| {
            rows.applied = applied;
            let mut settled = Vec::new();
            for position in positions {
                let at = (Arc::from(subscriber), *position);
                let Some(dead) = rows.dead.remove(&at) else {
                    continue;
                };
                if redrive {
                    let exception = Exception::fresh(dead.wanted.clone());
                    rows.exceptions.insert(at, exception);
                } else {
                    rows.discarded.insert(at);
                }
                settled.push(dead.wanted);
            }
            settled
        })
    }

    fn forget(&mut self, subscriber: &str) -> Result<(), LedgerError> {
        self.write(|rows| {
            rows.cursors.remove(subscriber);
            rows.exceptions.retain(|(name, _), _| &**name != subscriber);
            rows.dead.retain(|(name, _), _| &**name != subscriber);
            rows.discarded.retain(|(name, _)| &**name != subscriber);
        })
    }
}
