//! Write-back: what is in memory goes to the store, a little at each batch boundary, so that a restart depends on the tail of
//! the journal only (design §4, *Write-back*).
//!
//! **Invariants**
//! - Values are encoded at a boundary *p* and given to the store only when the journal is durable up to *p*.
//! - The store gets them in the order of their boundaries; a key's position never goes back.
//! - `replay_from` of a manifest = min(what first dirtied each instance whose blob is not before it in the store's queue,
//!   the oldest follow-up not yet decided, cut + 1).
//! - The journal is trimmed only behind what the store says it needs, and behind every registered reader.
//!
//! Instances are written oldest dirt first, and only when they have been dirty for a quarter of the tail's budget or
//! when memory is short: whoever ends sooner costs the disk nothing.

use std::collections::VecDeque;

use kapelle_engine::ids::{ProcessInstanceKey, Sequence};
use kapelle_storage::journal::Journal;
use kapelle_storage::position::{Point, Sequence as StoredSequence};
use kapelle_storage::store::{BlobWrite, Manifest, Store, Ticket};

use super::Partition;
use crate::clock::Clock;

/// Instances encoded at one boundary: about 0.2 ms of the writer's time.
const PARKED_PER_BOUNDARY_MAX: usize = 128;
/// … when memory or the tail is short, so that write-back outruns intake.
const PARKED_IN_A_HURRY_MAX: usize = 1_024;

/// Writes given to the store and not yet done: bounds the memory of its queue.
const STORE_BACKLOG_MAX: u64 = 32;

/// The format of records, blobs and index entries that this version writes.
const RECORD_FORMAT: u32 = 1;

/// The model semantics that deployments in here may need at most.
const SEMANTICS: u32 = 1;

/// Something encoded at a boundary that waits for the journal.
enum Pending {
    Blobs { at: Point, writes: Vec<BlobWrite> },
    Cut { at: Point, replay_from: Sequence },
}

impl Pending {
    fn at(&self) -> Point {
        match self {
            Self::Blobs { at, .. } | Self::Cut { at, .. } => *at,
        }
    }
}

/// Where write-back stands.
#[derive(Default)]
pub(super) struct Checkpoints {
    pending: VecDeque<Pending>,
    /// A cut is on its way from the freeze until its manifest is written.
    cutting: bool,
    manifest: Option<Ticket>,
    last: Ticket,
    /// Of the last manifest.
    replay_from: Sequence,
    cut: Sequence,
    /// Journal bytes appended when that manifest was decided.
    bytes_at_cut: u64,
    /// … and when the last base copy was asked for.
    bytes_at_base: u64,
    lineage: u128,
    /// Somebody asked for a checkpoint of everything.
    asked: bool,
    /// … and the cut on its way is that one.
    answering: bool,
    /// Write-back is behind: the next step goes on even if nobody asks for anything.
    hurry: bool,
}

impl Checkpoints {
    /// `journal_bytes`: appended by this process so far.
    pub(super) fn new(manifest: &Manifest, journal_bytes: u64) -> Self {
        Self {
            bytes_at_cut: journal_bytes,
            bytes_at_base: journal_bytes,
            replay_from: Sequence(manifest.replay_from.0),
            cut: Sequence(manifest.cut.0),
            lineage: manifest.lineage,
            ..Self::default()
        }
    }

    /// The next step goes on even if nobody asks for anything.
    pub(super) fn hurry(&self) -> bool {
        self.hurry
    }

    /// The store still has something to do; look again in a while.
    pub(super) fn is_busy(&self) -> bool {
        self.cutting || self.asked
    }

    /// The last thing given to the store.
    pub(super) fn last_ticket(&self) -> Ticket {
        self.last
    }
}

impl<J: Journal, S: Store, C: Clock> Partition<J, S, C> {
    /// At a batch boundary: encodes what should go to the store.
    pub(super) fn write_back(&mut self) -> Result<(), String> {
        debug_assert!(
            self.open.is_none(),
            "memory is exactly at the journal's end"
        );
        let at = self.journal.end();
        let end = Sequence(at.sequence.0);
        let tail = end.0.saturating_sub(self.checkpoints.replay_from.0);
        self.metrics.tail_records.set(tail);
        let all = self.checkpoints.asked || self.memory_is_short();
        let behind = all || self.tail_use() > 0.75;
        self.checkpoints.hurry = false;
        if self.store_has_room()? {
            let before = if all {
                end.0
            } else {
                end.0.saturating_sub(self.quarter_of_budget(tail))
            };
            let max = if behind {
                PARKED_IN_A_HURRY_MAX
            } else {
                PARKED_PER_BOUNDARY_MAX
            };
            let writes = self.keep.park(Sequence(before), end, max);
            self.checkpoints.hurry = behind && writes.len() == max;
            if !writes.is_empty() {
                self.checkpoints
                    .pending
                    .push_back(Pending::Blobs { at, writes });
            }
            if self.wants_cut() {
                // Also where nothing came: dirt that was left at the last cut may have been written back since, and intake
                // may wait for just that.
                let shortens = self.replay_from() > self.checkpoints.replay_from;
                if end > self.checkpoints.cut || shortens {
                    self.freeze(at);
                } else {
                    // Nothing happened since the last one.
                    self.checkpoints.asked = false;
                }
            }
        }
        let sweep = self.keep.evict(self.options.cache_bytes_max);
        self.metrics.evictions.add(sweep.evicted as u64);
        self.checkpoints.hurry |= sweep.progressed && self.is_pressed();
        self.show_sizes();
        Ok(())
    }

    fn freeze(&mut self, at: Point) {
        let replay_from = self.replay_from();
        self.keep.freeze(self.time.last());
        self.checkpoints.cutting = true;
        self.checkpoints.answering = self.checkpoints.asked;
        self.checkpoints.bytes_at_cut = self.metrics.journal_bytes.get();
        self.checkpoints
            .pending
            .push_back(Pending::Cut { at, replay_from });
    }

    /// Gives the store what the journal has made durable, and sees what the store has done.
    pub(super) fn hand_over(&mut self, durable: Sequence) -> Result<bool, String> {
        let mut handed = false;
        while let Some(pending) = self.checkpoints.pending.front()
            && pending.at().sequence.0 <= durable.0
        {
            let pending = self
                .checkpoints
                .pending
                .pop_front()
                .expect("invariant: it was in front");
            handed = true;
            match pending {
                Pending::Blobs { at, writes } => self.hand_over_blobs(at, writes)?,
                Pending::Cut { at, replay_from } => self.hand_over_cut(at, replay_from)?,
            }
        }
        Ok(self.finish_checkpoint()? || handed)
    }

    fn hand_over_blobs(&mut self, at: Point, writes: Vec<BlobWrite>) -> Result<(), String> {
        let keys: Vec<_> = writes
            .iter()
            .map(|write| ProcessInstanceKey(write.key.instance))
            .collect();
        self.checkpoints.last = self
            .keep
            .store()
            .write_blobs(writes)
            .map_err(|error| error.to_string())?;
        self.keep.handed_over(&keys, Sequence(at.sequence.0));
        Ok(())
    }

    fn hand_over_cut(&mut self, at: Point, replay_from: Sequence) -> Result<(), String> {
        let position = Sequence(at.sequence.0);
        let cut = self.keep.thaw(position);
        let manifest = Manifest {
            replay_from: StoredSequence(replay_from.0),
            cut: at.sequence,
            max_position: at.sequence,
            chain: at.chain,
            lineage: self.checkpoints.lineage,
            record_format: RECORD_FORMAT,
            semantics: SEMANTICS,
        };
        let store = self.keep.store();
        store.apply_cut(cut).map_err(|error| error.to_string())?;
        let ticket = store
            .write_manifest(manifest)
            .map_err(|error| error.to_string())?;
        self.checkpoints.manifest = Some(ticket);
        self.checkpoints.last = ticket;
        self.checkpoints.replay_from = replay_from;
        self.checkpoints.cut = position;
        Ok(())
    }

    /// When a manifest is written and safe: the journal behind it may go.
    fn finish_checkpoint(&mut self) -> Result<bool, String> {
        let Some(ticket) = self.checkpoints.manifest else {
            return Ok(false);
        };
        let store = self.keep.store();
        if store.completed().map_err(|error| error.to_string())? < ticket {
            return Ok(false);
        }
        self.checkpoints.manifest = None;
        self.checkpoints.cutting = false;
        if std::mem::take(&mut self.checkpoints.answering) {
            self.checkpoints.asked = false;
        }
        self.metrics.checkpoints.add(1);
        self.keep_base()?;
        self.trim()?;
        Ok(true)
    }

    /// Keeps a copy of the store from time to time: without two of them the journal is never trimmed, since it is what
    /// a store that does not open again is rebuilt from.
    fn keep_base(&mut self) -> Result<(), String> {
        let bytes = self.metrics.journal_bytes.get();
        if bytes.saturating_sub(self.checkpoints.bytes_at_base) >= self.options.base_bytes_min {
            self.checkpoints.bytes_at_base = bytes;
            self.checkpoints.last = self
                .keep
                .store()
                .keep_base()
                .map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    fn trim(&mut self) -> Result<(), String> {
        let needed = Sequence(self.keep.store().needed_from().0);
        let end = Sequence(self.journal.end().sequence.0);
        let kept = self
            .readers
            .hold(needed, end, self.options.reader_lag_records_max);
        self.journal
            .trim(StoredSequence(kept.0))
            .map_err(|error| error.to_string())?;
        Ok(())
    }

    fn wants_cut(&mut self) -> bool {
        if self.checkpoints.cutting {
            return false;
        }
        if self.checkpoints.asked {
            return self.keep.oldest_dirt().is_none();
        }
        if self.keep.overlay_len() >= self.options.overlay_entries_max {
            return true;
        }
        // While the oldest dirt has not been written back a cut would shorten the tail by nothing.
        let end = self.journal.end().sequence.0;
        let tail = end.saturating_sub(self.checkpoints.replay_from.0);
        let left = end.saturating_sub(self.replay_from().0);
        self.tail_use() > 0.5 && left < tail / 4 * 3
    }

    /// Where replay would begin after a cut here.
    fn replay_from(&mut self) -> Sequence {
        let dirt = self.keep.oldest_dirt();
        let leftover = self.leftovers.front().map(|leftover| leftover.sequence);
        let end = Sequence(self.journal.end().sequence.0 + 1);
        [dirt, leftover].into_iter().flatten().fold(end, Ord::min)
    }

    /// Asks for a checkpoint that leaves nothing to replay; [`Self::is_checkpointed`] tells when it is there.
    pub fn checkpoint(&mut self) {
        self.checkpoints.asked = true;
        self.checkpoints.hurry = true;
    }

    /// Whether the checkpoint that was asked for is written.
    #[must_use]
    pub fn is_checkpointed(&self) -> bool {
        !self.checkpoints.asked
    }

    /// Share of the tail's budget that is used: at 0.5 a checkpoint begins, at 1 it hurries, at 2 intake stops.
    fn tail_use(&self) -> f64 {
        let records = self
            .journal
            .end()
            .sequence
            .0
            .saturating_sub(self.checkpoints.replay_from.0);
        let bytes = self
            .metrics
            .journal_bytes
            .get()
            .saturating_sub(self.checkpoints.bytes_at_cut);
        let share = |used: u64, budget: u64| used as f64 / budget.max(1) as f64;
        share(records, self.options.tail_records_max).max(share(bytes, self.options.tail_bytes_max))
    }

    /// A quarter of the tail's budget in records, where the tail has so many; in bytes, where those are short: few records
    /// may be large.
    fn quarter_of_budget(&self, tail: u64) -> u64 {
        (tail as f64 / 4.0 / self.tail_use()) as u64
    }

    /// Whether what cannot leave memory takes half of it. A cache full of what can leave is as it should be.
    fn memory_is_short(&self) -> bool {
        self.keep.dirty_bytes() > self.options.cache_bytes_max / 2
    }

    /// Whether intake has to wait for write-back.
    pub(super) fn is_pressed(&self) -> bool {
        self.keep.cache_bytes() > self.options.cache_bytes_max + self.options.cache_bytes_max / 8
            || self.tail_use() > 2.0
    }

    fn store_has_room(&mut self) -> Result<bool, String> {
        let done = self
            .keep
            .store()
            .completed()
            .map_err(|error| error.to_string())?;
        let backlog =
            self.checkpoints.last.0.saturating_sub(done.0) + self.checkpoints.pending.len() as u64;
        Ok(backlog < STORE_BACKLOG_MAX)
    }

    fn show_sizes(&self) {
        let (hot, dirty, loads) = self.keep.counts();
        self.metrics.hot_instances.set(hot as u64);
        self.metrics.dirty_instances.set(dirty as u64);
        self.metrics.loads.set(loads);
        self.metrics.hot_bytes.set(self.keep.cache_bytes() as u64);
        self.metrics
            .overlay_entries
            .set(self.keep.overlay_len() as u64);
    }
}
