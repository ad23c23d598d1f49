//! Reading what was committed: for history, the event store, and everything else behind the writer.
//!
//! **Invariant**: a reader sees durable records only, in order, each once. Its position holds the trim back until it says
//! that its own output is durable ([`RecordReader::release`]); one too far behind is cut loose and finds out by
//! [`ReadError::Trimmed`]. It never slows the writer: it reads the journal's files itself.

use std::sync::Arc;
use std::time::Duration;

use kapelle_engine::event::Event;
use kapelle_engine::ids::{Sequence, Timestamp};

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

/// A position in the committed records.
pub struct RecordReader {
    pub(crate) source: Box<dyn RecordSource>,
}

/// What a reader reads from; hides the journal's type from its users.
pub(crate) trait RecordSource: Send {
    fn poll(&mut self, max: usize) -> Result<Vec<CommittedRecord>, ReadError>;
    fn wait(&mut self, timeout: Duration) -> bool;
    fn release(&mut self, through: Sequence);
}

impl RecordReader {
    /// The next records, at most about `max`, ending with a whole command; empty when there are none yet.
    pub fn poll(&mut self, max: usize) -> Result<Vec<CommittedRecord>, ReadError> {
        self.source.poll(max)
    }

    /// Blocks until something new is committed, the partition stops or the time is over; `true` if it is worth polling.
    pub fn wait(&mut self, timeout: Duration) -> bool {
        self.source.wait(timeout)
    }

    /// Everything up to this record is safe in the reader's own, synced output: the journal may let it go.
    pub fn release(&mut self, through: Sequence) {
        self.source.release(through);
    }
}
