//! What can be searched: a projection of committed events into SQLite.
//!
//! **Invariants**
//! - It reads committed records and never the engine's state, and never stands in the writer's way: it may lag.
//! - Its position is stored in the same transaction as its rows, so a restart neither misses nor doubles a record.
//! - The journal is let go only behind a position that is on the disk for good (WAL checkpointed and synced).
//! - **Read your writes**: a query first waits until the projection has passed what was committed when it began.
//!
//! It can always be thrown away: what the journal still holds is projected again, what it does not is marked incomplete.
//!
//! Deliberately absent: anything that decides. *Explain* reads here what the engine recorded; it guesses nothing.

mod batch;
mod definitions;
mod error;
pub(crate) mod explain;
mod feeder;
mod flush;
pub(crate) mod query;
mod schema;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use kapelle_engine::ids::Sequence;
use kapelle_runtime::PartitionHandle;
use rusqlite::Connection;

pub(crate) use error::Error;

/// Connections that are kept for queries; more are opened under load and closed again.
const IDLE_CONNECTIONS_MAX: usize = 4;

/// What the configuration says about history.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    /// How long ended instances and routed events stay.
    pub(crate) retention: Duration,
    /// How long a query waits for the projection.
    pub(crate) wait: Duration,
}

/// The search side, shared by all request handlers.
pub(crate) struct History {
    path: PathBuf,
    partition: PartitionHandle,
    progress: Arc<Progress>,
    idle: Mutex<Vec<Connection>>,
    wait: Duration,
}

impl History {
    /// Opens (or makes, or remakes) the database in `dir` and starts to follow the partition.
    pub(crate) fn start(dir: &Path, partition: PartitionHandle, options: Options) -> Result<Arc<Self>, Error> {
        let path = dir.join("history.db");
        let (connection, position) = schema::open_or_remake(&path)?;
        let progress = Arc::new(Progress::new(position));
        feeder::spawn(connection, partition.clone(), Arc::clone(&progress), options.retention)?;
        Ok(Arc::new(Self { path, partition, progress, idle: Mutex::new(Vec::new()), wait: options.wait }))
    }

    /// Records that are committed and not projected yet.
    pub(crate) fn lag(&self) -> u64 {
        self.partition.committed().0.saturating_sub(self.progress.position().0)
    }

    /// Runs a query that sees everything committed before this call. Blocks: for `spawn_blocking`.
    pub(crate) fn read<T>(&self, query: impl FnOnce(&Connection) -> Result<T, Error>) -> Result<T, Error> {
        self.progress.wait_for(self.partition.committed(), self.wait)?;
        let idle = locked(&self.idle).pop();
        let connection = match idle {
            Some(connection) => connection,
            None => schema::open_for_reading(&self.path)?,
        };
        let result = query(&connection);
        let mut idle = locked(&self.idle);
        if idle.len() < IDLE_CONNECTIONS_MAX {
            idle.push(connection);
        }
        result
    }
}

/// How far the projection is; what queries wait on.
struct Progress {
    state: Mutex<State>,
    moved: Condvar,
}

struct State {
    position: Sequence,
    /// Why it will not move any more.
    stopped: Option<String>,
}

impl Progress {
    fn new(position: Sequence) -> Self {
        Self { state: Mutex::new(State { position, stopped: None }), moved: Condvar::new() }
    }

    fn position(&self) -> Sequence {
        locked(&self.state).position
    }

    fn advance(&self, position: Sequence) {
        locked(&self.state).position = position;
        self.moved.notify_all();
    }

    fn stop(&self, reason: String) {
        locked(&self.state).stopped = Some(reason);
        self.moved.notify_all();
    }

    fn wait_for(&self, wanted: Sequence, patience: Duration) -> Result<(), Error> {
        let deadline = Instant::now() + patience;
        let mut state = locked(&self.state);
        while state.position < wanted {
            if let Some(reason) = &state.stopped {
                return Err(Error::Stopped { reason: reason.clone() });
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Error::Behind { position: state.position.0, wanted: wanted.0 });
            }
            state = self.moved.wait_timeout(state, left).map_or_else(|poisoned| poisoned.into_inner().0, |(state, _)| state);
        }
        Ok(())
    }
}

/// A panic elsewhere does not make a position or a list of connections wrong.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
