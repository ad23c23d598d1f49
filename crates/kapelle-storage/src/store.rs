//! Checkpoints: what follows from the journal up to some position, so that recovery reads a tail only.
//!
//! Three kinds of data, each in a keyspace of its own because each is written at its own time (a batch over two can be
//! torn by a loss of power): **blobs** of instances, each with the position it reflects; **the indexes with the
//! partition object**, all at one cut, whose position lies in the same batch; **payloads**, large data referred to by
//! (sequence, index). A [`Manifest`] says what is safe.
//!
//! Invariants: writes take effect in the order given; a manifest is written only after everything before it is
//! persistent; the first error of the backend closes the store until the next start.
//! Deliberately absent: any meaning of keys and bytes, caching (the runtime keeps what is hot), transactions.
//!
//! ```text
//! runtime ──► Store ─┬─ DirectStore<B>   at once, for tests and the simulator
//!                    └─ QueuedStore<B>   one writer thread, bounded queue, reads look through it
//!                            B: Backend ─┬─ FjallBackend
//!                                        └─ MemBackend
//! ```

mod base;
mod cut;
mod direct;
mod error;
mod fjall_backend;
mod manifest;
mod memory;
mod queue;

use crate::position::{Point, Sequence};
use std::ops::Bound;

pub use cut::{Change, Changes, Cut, is_empty_range};
pub use direct::DirectStore;
pub use error::Error;
pub use fjall_backend::{FjallBackend, OpenReport, Options, Restored};
pub use manifest::Manifest;
pub use memory::{Loss, MemBackend};
pub use queue::{Limits, Notify, QueuedStore};

/// Names a write; later ones are larger. A write is done when [`Store::completed`] has reached its ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Ticket(pub u64);

/// The bytes of one part of an instance, and the position they reflect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    pub position: Sequence,
    pub bytes: Vec<u8>,
}

/// Names a part of an instance. Part 0 is the root; small instances have nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlobKey {
    pub instance: u64,
    pub part: u32,
}

impl BlobKey {
    #[must_use]
    pub const fn root(instance: u64) -> Self {
        Self { instance, part: 0 }
    }
}

/// A blob to be written, or with `bytes: None` to be deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobWrite {
    pub key: BlobKey,
    pub position: Sequence,
    pub bytes: Option<Vec<u8>>,
}

/// Names large data by the record that brought it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PayloadKey {
    pub sequence: Sequence,
    pub index: u32,
}

/// An entry of the indexes.
pub type Entry = (Vec<u8>, Vec<u8>);

/// Entries in the order of their keys.
pub type Scan<'a> = Box<dyn Iterator<Item = Result<Entry, Error>> + 'a>;

/// Where checkpoints go. Reads see every write given before, whether or not it is completed.
///
/// Every call may answer with the error of an earlier write: then drop all memory and recover.
pub trait Store: Send {
    fn blob(&self, key: BlobKey) -> Result<Option<Blob>, Error>;

    fn payload(&self, key: PayloadKey) -> Result<Option<Vec<u8>>, Error>;

    fn index_get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error>;

    /// Entries between the bounds, forward. Lazy: taking the first few is cheap.
    fn index_scan(&self, from: Bound<&[u8]>, to: Bound<&[u8]>) -> Result<Scan<'_>, Error>;

    /// The position that the indexes reflect; `START` before the first cut.
    fn applied(&self) -> Result<Sequence, Error>;

    /// Writes blobs, all or nothing. A key's position must not go back.
    fn write_blobs(&mut self, writes: Vec<BlobWrite>) -> Result<Ticket, Error>;

    fn write_payloads(
        &mut self,
        writes: Vec<(PayloadKey, Option<Vec<u8>>)>,
    ) -> Result<Ticket, Error>;

    /// Brings the indexes to the cut's position, all or nothing.
    fn apply_cut(&mut self, cut: Cut) -> Result<Ticket, Error>;

    /// Makes all writes so far persistent.
    fn persist(&mut self) -> Result<Ticket, Error>;

    /// Makes all writes so far persistent, then replaces the manifest, durably. One call because the order matters.
    fn write_manifest(&mut self, manifest: Manifest) -> Result<Ticket, Error>;

    /// Keeps a copy of the store at the manifest just written, from which it can be rebuilt with the journal if it does
    /// not open again. The one before the last copy is given up.
    fn keep_base(&mut self) -> Result<Ticket, Error>;

    /// The manifest to start from. Without one replay begins at record 1, which the journal refuses if it was trimmed.
    fn manifest(&self) -> Option<Manifest>;

    /// The journal from here on is needed: by this manifest, by the older one, or by a base that may be gone back to.
    /// What is before may be trimmed.
    fn needed_from(&self) -> Sequence;

    /// Bytes given to the store but not yet written. Intake should slow down before this reaches the queue's limit,
    /// where a write waits.
    fn backlog_bytes(&self) -> usize;

    /// The newest write that is done.
    fn completed(&self) -> Result<Ticket, Error>;

    /// Waits until a write is done.
    fn wait(&mut self, ticket: Ticket) -> Result<(), Error>;
}

/// What writes checkpoints for good. Called by one writer at a time; reads may come from another thread meanwhile.
///
/// After any error it is not called again, except for reads already under way.
pub trait Backend: Send + Sync + 'static {
    fn blob(&self, key: BlobKey) -> Result<Option<Blob>, Error>;
    fn payload(&self, key: PayloadKey) -> Result<Option<Vec<u8>>, Error>;
    fn index_get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error>;
    fn index_scan(&self, from: Bound<&[u8]>, to: Bound<&[u8]>) -> Result<Scan<'_>, Error>;
    fn applied(&self) -> Result<Sequence, Error>;
    fn write_blobs(&self, writes: &[BlobWrite]) -> Result<(), Error>;
    fn write_payloads(&self, writes: &[(PayloadKey, Option<Vec<u8>>)]) -> Result<(), Error>;
    fn apply_cut(&self, cut: &Cut) -> Result<(), Error>;
    fn persist(&self) -> Result<(), Error>;
    /// Makes everything before persistent, then replaces the manifest, durably.
    fn write_manifest(&self, manifest: &Manifest) -> Result<(), Error>;
    fn keep_base(&self) -> Result<(), Error>;
    fn manifest(&self) -> Option<Manifest>;
    fn needed_from(&self) -> Sequence;
    /// Whether background work of the backend has failed: a write that waits for it would wait for ever.
    fn health(&self) -> Result<(), Error>;
}

impl Manifest {
    /// The point that has to be in the journal, else one of the two lost data.
    #[must_use]
    pub fn newest(&self) -> Point {
        Point {
            sequence: self.max_position,
            chain: self.chain,
        }
    }
}
