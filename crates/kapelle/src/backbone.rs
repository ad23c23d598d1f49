//! The event backbone: every CloudEvent in a store of its own, and on its way to whoever subscribed to it.
//!
//! ```text
//! journal ─► projection ─► event store ─► subscriptions ─► targets (webhook, sink, message) or consumers that pull
//!                │                            │
//!                └── subscribers              └── ledger (SQLite): cursors, exceptions, dead letters
//! ```
//!
//! One thread follows the journal, reads the store and decides; deliveries run on the network's threads and report back. Who
//! subscribes is in the journal; how far each has come is in the ledger.
//!
//! **Invariants**
//! - The journal is let go only behind what the store has synced.
//! - A subscriber's position is kept after its deliveries, never before: what a crash takes back is delivered again.
//! - Nothing here stands in the writer's way.
//!
//! Deliberately absent: when something is tried again, in which order, when it is dead (`kapelle_runtime::subscription`).

mod inbox;
mod ledger;
mod retention;
mod served;
mod stored;
mod targets;
mod worker;

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use kapelle_runtime::PartitionHandle;
use kapelle_storage::event_store::{self, EventStore};
use kapelle_storage::files::OsFiles;

use crate::config::Config;
use crate::delivery::Sinks;
use targets::Targets;
use worker::Worker;

pub(crate) use inbox::{Answer, Ask, Inbox, Received, Token};
pub(crate) use ledger::{DeadLetter, Ledger};
pub(crate) use served::Report;
pub(crate) use stored::{Stored, Tag, env};
pub(crate) use worker::READER;

/// Why the backbone cannot run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Store(#[from] event_store::Error),
    #[error("failed to {attempt} in the ledger of subscribers: {source}")]
    Ledger {
        attempt: &'static str,
        source: rusqlite::Error,
    },
    #[error("failed to read the journal: {0}")]
    Journal(#[from] kapelle_runtime::reader::ReadError),
    #[error("failed to start a thread: {source}")]
    Thread { source: std::io::Error },
    #[error("the partition has stopped")]
    Stopped,
}

impl Error {
    fn ledger(attempt: &'static str) -> impl FnOnce(rusqlite::Error) -> Self {
        move |source| Self::Ledger { attempt, source }
    }
}

/// The backbone, as request handlers see it.
pub(crate) struct Backbone {
    store: Arc<SharedStore>,
    inbox: Inbox,
}

/// The store with its lock: one thread appends, all others read.
#[derive(Debug)]
pub(crate) struct SharedStore(RwLock<EventStore>);

impl SharedStore {
    pub(crate) fn read(&self) -> RwLockReadGuard<'_, EventStore> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, EventStore> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Backbone {
    /// Opens store and ledger and begins to follow the partition. Deliveries run where it is called from.
    ///
    /// # Errors
    /// Store or ledger cannot be opened.
    pub(crate) fn start(
        config: &Config,
        partition: PartitionHandle,
        sinks: Arc<Sinks>,
    ) -> Result<Arc<Self>, Error> {
        let dir = config.data.dir.join("events");
        let store = EventStore::open(OsFiles::shared(), &dir, event_store::Options::default())?;
        let store = Arc::new(SharedStore(RwLock::new(store)));
        let inbox = Inbox::default();
        let worker = Worker::new(
            partition.clone(),
            Arc::clone(&store),
            Ledger::open(&dir.join("ledger.db"))?,
            Targets::new(sinks, partition, inbox.clone()),
            inbox.clone(),
            config.event_store.clone(),
        )?;
        worker.spawn()?;
        Ok(Arc::new(Self { store, inbox }))
    }

    /// For look-ups. They may see what is not synced yet: the journal has it.
    pub(crate) fn store(&self) -> &Arc<SharedStore> {
        &self.store
    }

    /// Asks the thread that decides.
    pub(crate) fn inbox(&self) -> &Inbox {
        &self.inbox
    }
}
