//! The event backbone without its I/O: every CloudEvent into a store of its own, and on its way to whoever subscribed to it.
//!
//! ```text
//! journal ─► projection ─► event store ─► subscriptions ─► attempts, which the caller makes and answers
//!                │                            │
//!                └── subscribers              └── ledger: cursors, exceptions, dead letters
//! ```
//!
//! **Invariants**
//! - The journal is let go only behind what the store has synced.
//! - A subscriber's position is kept after its deliveries, never before: what a crash takes back is delivered again.
//! - An exception or a dead letter is kept after the store's sync: what it is about is there.
//! - A function of what it is told: the simulator runs it as it is.
//!
//! Deliberately absent: when something is tried again, in which order, when it is dead ([`crate::subscription`]).

mod ledger;
mod memory;
mod router;
mod served;
mod stored;

use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use kapelle_storage::event_store::{self, EventStore};

use crate::reader::ReadError;

pub use ledger::{Ledger, LedgerError};
pub use memory::MemLedger;
pub use router::{Answer, Delivery, Gap, Options, Received, Router, reader};
pub use served::Report;
pub use stored::{Stored, Tag, env};

/// The reader's name in the partition.
pub const READER: &str = "backbone";

/// Why the backbone cannot go on. It is of no further use: what it had not kept is done again by the next one.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Store(#[from] event_store::Error),
    #[error("failed to {0}")]
    Ledger(#[from] LedgerError),
    #[error("failed to read the journal: {0}")]
    Journal(#[from] ReadError),
}

/// The store with its lock: one thread appends, all others read.
#[derive(Debug)]
pub struct SharedStore(RwLock<EventStore>);

impl SharedStore {
    #[must_use]
    pub fn new(store: EventStore) -> Self {
        Self(RwLock::new(store))
    }

    /// For look-ups. They may see what is not synced yet: the journal has it.
    pub fn read(&self) -> RwLockReadGuard<'_, EventStore> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, EventStore> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}
