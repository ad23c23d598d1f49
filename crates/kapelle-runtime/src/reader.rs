//! Reading what was committed: for history, the event store, and everything else behind the writer.
//!
//! **Invariant**: a reader sees durable records only, in order, each once. Its position holds the trim back until it says
//! that its own output is durable ([`RecordReader::release`]); one too far behind is cut loose and finds out by
//! [`ReadError::Trimmed`], unless nothing may be missing in what it makes: then intake waits for it
//! ([`TooFarBehind`]). Otherwise it never slows the writer: it reads the journal's files itself. A reader that is known to come
//! after the start ([`Options::readers`](crate::Options::readers)) holds everything until it has said where it begins: the
//! writer does not wait for it, and its first checkpoint may come before.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kapelle_engine::encode;
use kapelle_engine::event::Event;
use kapelle_engine::ids::{Sequence, Timestamp};
use kapelle_storage::journal::{self, BatchKind, Cursor, ReadBatch};
use kapelle_storage::position::Sequence as StoredSequence;

use crate::options::{AwaitedReader, TooFarBehind};
use crate::record::{self, Record, Whole};

/// The command that a record belongs to: one header for all its events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandHeader {
    /// The header record's own sequence; the events follow it.
    pub sequence: Sequence,
    /// What was asked.
    pub kind: u16,
    /// The time of all its events.
    pub at: Timestamp,
    pub traceparent: Option<Arc<str>>,
}

/// One event as it was committed.
#[derive(Clone, Debug, PartialEq)]
pub struct CommittedRecord {
    pub sequence: Sequence,
    pub command: Arc<CommandHeader>,
    pub event: Event,
}

/// Why there is nothing to read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The reader was so far behind that the journal went on without it. What it makes is incomplete before `first`.
    #[error("the journal begins at {} and {} was asked for: the reader fell too far behind", first.0, wanted.0)]
    Trimmed { wanted: Sequence, first: Sequence },
    /// The partition stopped.
    #[error("the partition has stopped: {reason}")]
    Stopped { reason: String },
    /// The journal cannot be read.
    #[error("failed to read the journal at {}: {why}", at.0)]
    Journal { at: Sequence, why: String },
}

/// Everyone who reads behind the writer, and how far each has come.
pub struct Readers {
    journal: Arc<dyn journal::Read>,
    /// `None`: it has not come yet, and nobody knows what it needs.
    positions: Mutex<BTreeMap<String, Option<Sequence>>>,
    /// Those that are never cut loose.
    slowing: BTreeSet<String>,
}

impl Readers {
    /// Nothing is trimmed before each of the `awaited` has subscribed or is forgotten.
    pub(crate) fn new(journal: Arc<dyn journal::Read>, awaited: &[AwaitedReader]) -> Self {
        let positions = awaited
            .iter()
            .map(|reader| (reader.name.clone(), None))
            .collect();
        let slowing = awaited
            .iter()
            .filter(|reader| reader.too_far_behind == TooFarBehind::SlowIntake);
        Self {
            journal,
            positions: Mutex::new(positions),
            slowing: slowing.map(|reader| reader.name.clone()).collect(),
        }
    }

    /// The last durable record.
    #[must_use]
    pub fn committed(&self) -> Sequence {
        Sequence(self.journal.durable().sequence.0)
    }

    /// Blocks until that record is durable; `false` when the time is over or the journal was closed.
    #[must_use]
    pub fn wait_committed(&self, at_least: Sequence, timeout: Duration) -> bool {
        let seen = StoredSequence(at_least.0.saturating_sub(1));
        self.journal
            .wait_past(seen, timeout)
            .is_ok_and(|durable| durable.sequence.0 >= at_least.0)
    }

    /// Committed records from that one on; the journal keeps them until they are released. Everything before has to be
    /// safe in the reader's own, synced output.
    ///
    /// # Errors
    /// [`ReadError::Trimmed`] names the first record that is left.
    pub fn subscribe(
        self: &Arc<Self>,
        name: &str,
        from: Sequence,
    ) -> Result<RecordReader, ReadError> {
        let from = from.max(Sequence(1));
        // Registered before the journal is asked, so that nothing is trimmed in between.
        self.positions().insert(name.to_owned(), Some(from));
        let cursor = self.cursor(from).inspect_err(|_| {
            self.positions().remove(name);
        })?;
        Ok(RecordReader {
            readers: Arc::clone(self),
            name: name.to_owned(),
            cursor,
            next: from,
            command: None,
            wanted: |_| true,
        })
    }

    /// The first record that a reader has not released, if it has come.
    #[must_use]
    pub fn held(&self, name: &str) -> Option<Sequence> {
        self.positions().get(name).copied().flatten()
    }

    /// A reader that is gone for good no longer holds anything.
    pub fn forget(&self, name: &str) {
        self.positions().remove(name);
    }

    /// What may be trimmed when the store needs everything from `needed` on: nothing that a reader has not released,
    /// unless it is more than `lag_max` records behind and may be cut loose then.
    pub(crate) fn hold(&self, needed: Sequence, end: Sequence, lag_max: u64) -> Sequence {
        let mut positions = self.positions();
        positions.retain(|name, at| {
            at.is_none_or(|at| end.0.saturating_sub(at.0) <= lag_max) || self.slowing.contains(name)
        });
        let held = positions.values().map(|at| at.unwrap_or(Sequence(1)));
        held.fold(needed, Ord::min)
    }

    /// Whether intake has to wait for a reader that is never cut loose.
    pub(crate) fn slow_intake(&self, end: Sequence, lag_max: u64) -> bool {
        let is_behind = |at: Sequence| end.0.saturating_sub(at.0) > lag_max;
        let positions = self.positions();
        let mut slowing = self.slowing.iter().filter_map(|name| positions.get(name));
        slowing.any(|at| at.is_some_and(is_behind))
    }

    fn cursor(&self, from: Sequence) -> Result<Box<dyn Cursor>, ReadError> {
        self.journal
            .read_from(StoredSequence(from.0))
            .map_err(|error| read_error(&error, from))
    }

    fn positions(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Option<Sequence>>> {
        self.positions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// A position in the committed records.
pub struct RecordReader {
    readers: Arc<Readers>,
    name: String,
    cursor: Box<dyn Cursor>,
    /// Records before this one are passed over.
    next: Sequence,
    command: Option<Arc<CommandHeader>>,
    /// Which events are read, by their number.
    wanted: fn(u64) -> bool,
}

impl RecordReader {
    /// Passes over events of other kinds without decoding them: for readers that need few of all.
    #[must_use]
    pub fn only(mut self, wanted: fn(code: u64) -> bool) -> Self {
        self.wanted = wanted;
        self
    }

    /// The next records, at most about `max` (whole batches of the journal); empty when there are none yet. Whoever reads
    /// few kinds may get none although there are more: [`RecordReader::position`] tells.
    ///
    /// # Errors
    /// [`ReadError`]; the reader is of no further use.
    pub fn poll(&mut self, max: usize) -> Result<Vec<CommittedRecord>, ReadError> {
        let mut records = Vec::new();
        while records.len() < max {
            let at = self.next;
            let Some(batch) = self
                .cursor
                .next_batch()
                .map_err(|error| read_error(&error, at))?
            else {
                break;
            };
            read_batch(
                &batch,
                self.next,
                self.wanted,
                &mut self.command,
                &mut records,
            )?;
            self.next = Sequence(batch.last().0 + 1);
        }
        if records.is_empty() {
            // At the end of what there is: if the journal was closed, nothing will ever follow.
            let seen = StoredSequence(self.next.0.saturating_sub(1));
            self.readers
                .journal
                .wait_past(seen, Duration::ZERO)
                .map_err(|error| read_error(&error, self.next))?;
        }
        Ok(records)
    }

    /// Blocks until something new is committed or the time is over; `true` if it is worth polling, also when the
    /// journal was closed (the poll then tells).
    pub fn wait(&self, timeout: Duration) -> bool {
        let seen = StoredSequence(self.next.0.saturating_sub(1));
        self.readers
            .journal
            .wait_past(seen, timeout)
            .map_or(true, |durable| durable.sequence > seen)
    }

    /// The next record that `poll` will look at: everything before has been seen.
    #[must_use]
    pub fn position(&self) -> Sequence {
        self.next
    }

    /// Everything up to this record is safe in the reader's own, synced output: the journal may let it go.
    pub fn release(&self, through: Sequence) {
        let mut positions = self.readers.positions();
        // Not inserted anew: a reader that was cut loose stays loose.
        if let Some(Some(position)) = positions.get_mut(&self.name) {
            *position = (*position).max(Sequence(through.0 + 1));
        }
    }
}

fn read_batch(
    batch: &ReadBatch<'_>,
    from: Sequence,
    wanted: fn(u64) -> bool,
    command: &mut Option<Arc<CommandHeader>>,
    records: &mut Vec<CommittedRecord>,
) -> Result<(), ReadError> {
    if batch.kind == BatchKind::LeaderAnnounced {
        return Ok(());
    }
    let mut whole = Whole::default();
    for (sequence, bytes) in batch.records() {
        let sequence = Sequence(sequence.0);
        let malformed = |why: String| ReadError::Journal { at: sequence, why };
        let bytes = whole
            .next(bytes)
            .map_err(|error| malformed(error.to_string()))?;
        match record::read(bytes).map_err(|error| malformed(error.to_string()))? {
            // Also of a command that begins before `from`: its later events need it.
            Record::Header(header) => {
                let (kind, at, traceparent) = (header.kind, header.at, header.traceparent);
                *command = Some(Arc::new(CommandHeader {
                    sequence,
                    kind,
                    at,
                    traceparent,
                }));
            }
            Record::Event(bytes)
                if sequence >= from && encode::event_code(bytes).is_none_or(wanted) =>
            {
                let command = command
                    .clone()
                    .ok_or_else(|| malformed("it follows no header".to_owned()))?;
                let event =
                    encode::decode_event(bytes).map_err(|error| malformed(error.to_string()))?;
                records.push(CommittedRecord {
                    sequence,
                    command,
                    event,
                });
            }
            Record::Event(_) | Record::Leftover(_) => {}
        }
    }
    Ok(())
}

fn read_error(error: &journal::Error, wanted: Sequence) -> ReadError {
    match error {
        journal::Error::Trimmed { oldest, .. } => ReadError::Trimmed {
            wanted,
            first: Sequence(oldest.0),
        },
        journal::Error::Poisoned { why } => ReadError::Stopped {
            reason: why.clone(),
        },
        other => ReadError::Journal {
            at: wanted,
            why: other.to_string(),
        },
    }
}
