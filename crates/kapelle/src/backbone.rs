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
//! **Invariant**: nothing here stands in the writer's way.
//!
//! Deliberately absent: what is decided and when it is kept (`kapelle_runtime::backbone`).

mod followers;
mod inbox;
mod ledger;
mod retention;
mod targets;
mod worker;

use std::sync::Arc;

use kapelle_runtime::PartitionHandle;
use kapelle_runtime::backbone::{self, SharedStore};
use kapelle_storage::event_store::{self, EventStore};
use kapelle_storage::files::OsFiles;

use crate::config::Config;
use crate::delivery::Sinks;
use ledger::SqliteLedger;
use targets::Targets;
use worker::Worker;

pub(crate) use followers::Follower;
pub(crate) use inbox::{Ask, Inbox, Token};
pub(crate) use kapelle_runtime::backbone::{Answer, READER, Received, Report, Stored, Tag, env};
pub(crate) use ledger::DeadLetter;

/// Why the backbone cannot run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Store(#[from] event_store::Error),
    #[error("failed to {0}")]
    Ledger(#[from] backbone::LedgerError),
    #[error(transparent)]
    Router(#[from] backbone::Error),
    #[error("failed to read the journal: {0}")]
    Journal(#[from] kapelle_runtime::reader::ReadError),
    #[error("failed to start a thread: {source}")]
    Thread { source: std::io::Error },
    #[error("the partition has stopped")]
    Stopped,
}

/// The backbone, as request handlers see it.
pub(crate) struct Backbone {
    store: Arc<SharedStore>,
    inbox: Inbox,
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
        let store = Arc::new(SharedStore::new(store));
        let inbox = Inbox::default();
        let worker = Worker::new(
            partition.clone(),
            Arc::clone(&store),
            SqliteLedger::open(&dir.join("ledger.db"))?,
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
