//! The journal of one partition: an ordered, fenced, append-only log of batches of records.
//!
//! Invariants: a sequence is reported durable only after a successful sync of everything up to it; a failed write or
//! sync poisons the journal for good (the pages may be clean and lost, so the only way on is to recover); a batch
//! counts only if it continues the checksum chain and comes from the leader announced last.
//!
//! A fence ([`BatchKind::LeaderAnnounced`]) is a batch of one record and takes a sequence like any other, so every
//! sequence names exactly one batch.
//!
//! Files first. The traits are what a PostgreSQL or Kafka adapter will implement too; nothing in them speaks of files.
//! Deliberately absent: compression, encryption, retries of any kind.
//!
//! ```text
//! journal::open ──► Opened (read only: check the manifest, replay)
//!                      │ announce(incarnation, note): tail rewritten and synced, fence appended and synced
//!                      ▼
//!                   Announced ──► DirectJournal    one thread, for tests and the simulator
//!                             └─► ThreadedJournal  a sync thread with one write in flight, for production
//! ```

mod batch;
mod direct;
mod error;
mod figures;
mod pool;
mod reader;
mod recover;
mod scan;
mod segment;
mod threaded;
mod writer;

use crate::position::{Chain, Leader, Point, Sequence};
use std::{sync::Arc, time::Duration};

pub use crate::format::BatchKind;
pub use batch::{Batch, Records};
pub use direct::DirectJournal;
pub use error::Error;
pub use figures::{Figures, Histogram};
pub use recover::{Announced, Opened, Report, open};
pub use threaded::{Notify, ThreadedJournal};

/// What the writer of a partition appends to.
///
/// Pipelining: [`submit`](Self::submit) hands a batch over and returns at once, the writer decides the next one while
/// it is synced. One write is in flight; a second `submit` waits for the first to end.
pub trait Journal: Send {
    fn capabilities(&self) -> Capabilities;

    /// An empty batch for the sequences after [`end`](Self::end). Reuses the memory of earlier ones.
    fn batch(&mut self) -> Batch;

    /// Hands over a batch and returns where it ends. It is not durable yet.
    ///
    /// # Errors
    /// `Conflict` if the batch does not begin after [`end`](Self::end), `TooLarge`, `Poisoned`, or what went wrong
    /// with the batch that was in flight. After any but `Conflict` and `TooLarge`: drop all memory and recover.
    fn submit(&mut self, batch: Batch) -> Result<Point, Error>;

    /// The end of what was submitted.
    fn end(&self) -> Point;

    /// The end of what is durable; does not wait.
    fn durable(&mut self) -> Result<Point, Error>;

    /// Whether the next `submit` would have to wait.
    fn in_flight(&mut self) -> bool;

    /// Waits until `until` is durable, which must have been submitted.
    fn wait(&mut self, until: Sequence) -> Result<Point, Error>;

    fn leader(&self) -> Leader;

    /// A handle for those who read behind the writer, also from other threads.
    fn reader(&self) -> Arc<dyn Read>;

    /// Gives up records before `before` where that frees something, and returns the first one still readable.
    /// Readers that are further behind get [`Error::Trimmed`].
    fn trim(&mut self, before: Sequence) -> Result<Sequence, Error>;

    fn figures(&self) -> Figures;
}

impl<J: Journal + ?Sized> Journal for Box<J> {
    fn capabilities(&self) -> Capabilities {
        (**self).capabilities()
    }
    fn batch(&mut self) -> Batch {
        (**self).batch()
    }
    fn submit(&mut self, batch: Batch) -> Result<Point, Error> {
        (**self).submit(batch)
    }
    fn end(&self) -> Point {
        (**self).end()
    }
    fn durable(&mut self) -> Result<Point, Error> {
        (**self).durable()
    }
    fn in_flight(&mut self) -> bool {
        (**self).in_flight()
    }
    fn wait(&mut self, until: Sequence) -> Result<Point, Error> {
        (**self).wait(until)
    }
    fn leader(&self) -> Leader {
        (**self).leader()
    }
    fn reader(&self) -> Arc<dyn Read> {
        (**self).reader()
    }
    fn trim(&mut self, before: Sequence) -> Result<Sequence, Error> {
        (**self).trim(before)
    }
    fn figures(&self) -> Figures {
        (**self).figures()
    }
}

/// What differs between backends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// The most bytes of records, prefixes included, that one batch may hold.
    pub batch_bytes_max: usize,
    /// Whether somebody else can append to the same log, so that `Conflict` and a foreign fence have to be expected.
    pub shared: bool,
}

/// Reads committed records, and only those, beside the writer.
pub trait Read: std::fmt::Debug + Send + Sync {
    /// A cursor whose first batch is the one that holds `from`. `from` may be one past the end.
    fn read_from(&self, from: Sequence) -> Result<Box<dyn Cursor>, Error>;

    /// The oldest record that can be read.
    fn first(&self) -> Sequence;

    /// The newest record that can be read.
    fn durable(&self) -> Point;

    /// Waits until something after `seen` is durable or the time is up; returns what is durable then.
    /// An error means that nothing will ever follow.
    fn wait_past(&self, seen: Sequence, timeout: Duration) -> Result<Point, Error>;
}

/// A place in the journal that moves forward.
pub trait Cursor: Send {
    /// The next durable batch; `None` at the end of what is durable (ask again after [`Read::wait_past`]).
    ///
    /// # Errors
    /// `Corrupt` if a batch that was durable cannot be read, `Trimmed` if the writer gave it up meanwhile.
    fn next_batch(&mut self) -> Result<Option<ReadBatch<'_>>, Error>;

    /// The sequence that the next batch begins with.
    fn position(&self) -> Sequence;
}

/// A batch as read back.
#[derive(Debug, Clone, Copy)]
pub struct ReadBatch<'a> {
    pub kind: BatchKind,
    pub leader: Leader,
    pub first: Sequence,
    pub count: u32,
    pub chain: Chain,
    pub(crate) payload: &'a [u8],
}

impl<'a> ReadBatch<'a> {
    #[must_use]
    pub fn last(&self) -> Sequence {
        self.first.plus(u64::from(self.count)).before()
    }

    #[must_use]
    pub fn point(&self) -> Point {
        Point {
            sequence: self.last(),
            chain: self.chain,
        }
    }

    /// The records with their sequences.
    #[must_use]
    pub fn records(&self) -> Records<'a> {
        Records::new(self.first, self.payload)
    }
}

/// What a journal of files can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    pub partition: u32,
    /// Size of a segment. Recycled as they are, so a change takes effect with the next new file.
    pub segment_bytes: u64,
    /// Size of the first segments: a fresh server shall be ready before it could write a whole one with zeros. Each
    /// new segment is twice as large as the one before, up to `segment_bytes`.
    pub first_segment_bytes: u64,
    /// The most bytes of records in a batch.
    pub batch_bytes_max: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            partition: 1,
            segment_bytes: 64 << 20,
            first_segment_bytes: 4 << 20,
            // Far over a batch the runtime builds by itself (tens of KiB) and over the largest request (4 MiB).
            batch_bytes_max: 16 << 20,
        }
    }
}
