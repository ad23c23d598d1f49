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
mod prune;
pub(crate) mod query;
mod schema;
mod tally;
#[cfg(test)]
mod tests;
pub(crate) mod trace;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use kapelle_engine::ids::Sequence;
use kapelle_runtime::PartitionHandle;
use rusqlite::Connection;

pub(crate) use error::Error;
use feeder::Feeder;
pub(crate) use feeder::READER;
pub(crate) use tally::Tallies;

/// Queries at once: enough that a long one holds up nobody, few enough that all of them leave the writer a processor most
/// of the time.
const QUERIES_MAX: usize = 8;

/// How long a query may run. The WAL cannot begin anew while somebody reads it, so a query without end would fill the disk.
const QUERY_MAX: Duration = Duration::from_secs(30);

/// Steps of SQLite's machine between two looks at the clock: a millisecond or so.
const STEPS_UNOBSERVED: i32 = 100_000;

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
    pool: Mutex<Pool>,
    freed: Condvar,
    wait: Duration,
    tallies: Arc<Tallies>,
}

/// All statements of a query see the same rows, whatever is written meanwhile.
fn one_view<T>(
    connection: &Connection,
    query: impl FnOnce(&Connection) -> Result<T, Error>,
) -> Result<T, Error> {
    let transaction = connection
        .unchecked_transaction()
        .map_err(Error::sqlite("begin a query"))?;
    query(&transaction)
}

/// Runs it, and ends it when it takes too long.
fn bounded<T>(
    connection: &Connection,
    time: Duration,
    query: impl FnOnce(&Connection) -> Result<T, Error>,
) -> Result<T, Error> {
    let until = Instant::now() + time;
    connection.progress_handler(STEPS_UNOBSERVED, Some(move || Instant::now() > until));
    let result = one_view(connection, query);
    match result {
        Err(error) if error.is_interruption() => Err(Error::TooLong {
            seconds: time.as_secs(),
        }),
        result => result,
    }
}

/// Connections for queries.
#[derive(Default)]
struct Pool {
    idle: Vec<Pooled>,
    leased: usize,
}

/// A connection and the file that it has open: of which making.
struct Pooled {
    making: u64,
    connection: Connection,
}

/// A connection in use; it goes back however the query ends.
struct Lease<'h> {
    history: &'h History,
    pooled: Option<Pooled>,
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        let mut pool = locked(&self.history.pool);
        pool.leased -= 1;
        pool.idle.extend(self.pooled.take());
        drop(pool);
        self.history.freed.notify_one();
    }
}

impl History {
    /// Opens (or makes, or remakes) the database in `dir` and starts to follow the partition.
    pub(crate) fn start(
        dir: &Path,
        partition: PartitionHandle,
        options: Options,
    ) -> Result<Arc<Self>, Error> {
        let path = dir.join("history.db");
        let opened = schema::open_or_remake(&path, partition.committed())?;
        let progress = Arc::new(Progress::new(opened.position));
        let tallies = Arc::default();
        Feeder::new(
            path.clone(),
            opened,
            partition.clone(),
            Arc::clone(&progress),
            options.retention,
            tally::Tally::new(Arc::clone(&tallies)),
        )?
        .spawn()?;
        Ok(Arc::new(Self {
            path,
            partition,
            progress,
            pool: Mutex::default(),
            freed: Condvar::new(),
            wait: options.wait,
            tallies,
        }))
    }

    /// Searches over these records and no others.
    #[cfg(feature = "fuzzing")]
    pub(crate) fn of_records(
        dir: &Path,
        partition: PartitionHandle,
        records: Vec<kapelle_runtime::reader::CommittedRecord>,
    ) -> Result<Arc<Self>, Error> {
        let path = dir.join("history.db");
        let mut opened = schema::open_or_remake(&path, partition.committed())?;
        let mut batch = batch::Batch::default();
        records.into_iter().for_each(|record| batch.add(record));
        flush::write(&mut opened.connection, &batch, &mut opened.known)
            .map_err(Error::sqlite("fill the search database"))?;
        Ok(Arc::new(Self {
            path,
            partition,
            progress: Arc::new(Progress::new(Sequence(u64::MAX))),
            pool: Mutex::default(),
            freed: Condvar::new(),
            wait: Duration::from_secs(10),
            tallies: Arc::default(),
        }))
    }

    /// What was counted on the way.
    pub(crate) fn tallies(&self) -> &Tallies {
        &self.tallies
    }

    /// Records that are committed and not projected yet.
    pub(crate) fn lag(&self) -> u64 {
        self.partition
            .committed()
            .0
            .saturating_sub(self.progress.position().0)
    }

    /// Runs a query that sees everything committed before this call. Blocks: for `spawn_blocking`.
    pub(crate) fn read<T>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let making = self
            .progress
            .wait_for(self.partition.committed(), self.wait)?;
        let lease = self.lease(making)?;
        let pooled = lease
            .pooled
            .as_ref()
            .expect("a lease has its connection until it ends");
        let result = bounded(&pooled.connection, QUERY_MAX, query);
        if result.as_ref().is_err_and(Error::is_damage) {
            self.progress.report_damage(making);
            return Err(Error::Damaged);
        }
        result
    }

    /// A connection to that making of the file; waits while there are enough queries.
    fn lease(&self, making: u64) -> Result<Lease<'_>, Error> {
        let pool = locked(&self.pool);
        let is_full = |pool: &mut Pool| pool.leased >= QUERIES_MAX;
        let waited = self.freed.wait_timeout_while(pool, self.wait, is_full);
        let (mut pool, _) = waited.unwrap_or_else(std::sync::PoisonError::into_inner);
        if is_full(&mut pool) {
            return Err(Error::Busy {
                queries: QUERIES_MAX,
            });
        }
        // Those that have the file open that was put aside are closed.
        pool.idle.retain(|pooled| pooled.making == making);
        let connection = match pool.idle.pop() {
            Some(pooled) => pooled.connection,
            None => schema::open_for_reading(&self.path)?,
        };
        pool.leased += 1;
        drop(pool);
        Ok(Lease {
            history: self,
            pooled: Some(Pooled { making, connection }),
        })
    }
}

/// How far the projection is; what queries wait on.
struct Progress {
    state: Mutex<State>,
    moved: Condvar,
    /// Somebody began to wait.
    wanted: Condvar,
}

struct State {
    position: Sequence,
    /// Queries that wait for it to move.
    waiting: usize,
    /// How often the database was made anew.
    making: u64,
    is_damaged: bool,
    /// Why it will not move any more.
    stopped: Option<String>,
}

impl Progress {
    fn new(position: Sequence) -> Self {
        let state = State {
            position,
            waiting: 0,
            making: 0,
            is_damaged: false,
            stopped: None,
        };
        Self {
            state: Mutex::new(state),
            moved: Condvar::new(),
            wanted: Condvar::new(),
        }
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

    /// The database was made anew and stands there.
    fn restart(&self, position: Sequence) {
        let mut state = locked(&self.state);
        state.position = position;
        state.making += 1;
        state.is_damaged = false;
    }

    /// A query found the file of that making to be damaged.
    fn report_damage(&self, making: u64) {
        let mut state = locked(&self.state);
        state.is_damaged |= state.making == making;
    }

    fn is_damaged(&self) -> bool {
        locked(&self.state).is_damaged
    }

    /// Sleeps, but not while a query waits.
    fn wait_for_waiters(&self, patience: Duration) {
        let state = locked(&self.state);
        drop(
            self.wanted
                .wait_timeout_while(state, patience, |state| state.waiting == 0),
        );
    }

    /// Waits until the projection has passed that record; says which making of the file it is in.
    fn wait_for(&self, wanted: Sequence, patience: Duration) -> Result<u64, Error> {
        let mut state = locked(&self.state);
        state.waiting += 1;
        self.wanted.notify_all();
        let is_behind = |state: &mut State| state.position < wanted && state.stopped.is_none();
        let waited = self.moved.wait_timeout_while(state, patience, is_behind);
        let (mut state, timeout) = waited.unwrap_or_else(std::sync::PoisonError::into_inner);
        state.waiting -= 1;
        if state.position >= wanted {
            return Ok(state.making);
        }
        match &state.stopped {
            Some(reason) if !timeout.timed_out() => Err(Error::Stopped {
                reason: reason.clone(),
            }),
            _ => Err(Error::Behind {
                position: state.position.0,
                wanted: wanted.0,
            }),
        }
    }
}

/// A panic elsewhere does not make a position or a list of connections wrong.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}
