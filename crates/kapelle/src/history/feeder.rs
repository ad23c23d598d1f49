//! The thread that follows the partition and writes.
//!
//! **Invariants**
//! - A transaction holds whole runs of records and the position behind them.
//! - Memory is bounded: a batch ends at so many records or bytes, whichever comes first.
//! - The WAL is bounded: beyond a size it is begun anew, for which the thread waits until queries have left it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kapelle_engine::ids::Sequence;
use kapelle_runtime::PartitionHandle;
use kapelle_runtime::reader::{ReadError, RecordReader};
use rusqlite::Connection;

use super::batch::Batch;
use super::definitions::signed;
use super::error::{self, Error};
use super::prune::Pruning;
use super::schema::Opened;
use super::tally::Tally;
use super::{Progress, flush, schema};

/// The reader's name in the partition: its position holds back the journal's trimming.
pub(crate) const READER: &str = "history";

/// Records of one transaction at most: enough that short-lived instances begin and end inside it, and that a
/// transaction's own cost vanishes; little enough that a search never waits long for one.
const BATCH_RECORDS_MAX: usize = 65_536;

/// Variables and CloudEvents of one transaction, about: a few large ones end a batch early.
const BATCH_BYTES_MAX: usize = 16 << 20;

/// Records that are read at once.
const POLL_RECORDS: usize = 2_048;

/// A batch is left to fill for this long, unless somebody waits for it: rows that change often are then written once, and
/// at a low rate a hundred small transactions do not get between the journal's syncs. Most instances of a loaded system
/// live for less.
const GATHER: Duration = Duration::from_millis(100);

/// How often the WAL is copied into the database and synced, and the journal let go behind it.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(10);

/// Sooner, if the WAL has grown to this: copying it then takes a few dozen milliseconds.
const WAL_BYTES_SOON: u64 = 32 << 20;

/// From this size on the thread waits for queries to leave the WAL, so that it can begin anew.
const WAL_BYTES_MAX: u64 = 128 << 20;

/// How long it waits for them; searches wait meanwhile, and it tries again a second later.
const RESTART_WAIT: Duration = Duration::from_millis(500);

/// How often ended instances are looked through for those past their time.
const PRUNE_EVERY: Duration = Duration::from_secs(60);

/// How long the thread sleeps at most before it looks at its clocks.
const IDLE: Duration = Duration::from_millis(500);

/// Below the writer and the network: under overload searches lag, and commands do not.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 5;

pub(super) struct Feeder {
    path: PathBuf,
    connection: Connection,
    partition: PartitionHandle,
    reader: RecordReader,
    progress: Arc<Progress>,
    known: flush::Known,
    pruning: Pruning,
    tally: Tally,
    /// The time of the newest record: retention counts in the journal's time.
    newest_ms: i64,
    checkpointed: Instant,
    /// When to prune next.
    prune_at: Instant,
}

/// Why the projection cannot go on as it is.
enum Stop {
    /// The file is damaged: it is made anew.
    Damaged(String),
    Ended(String),
}

impl From<rusqlite::Error> for Stop {
    fn from(error: rusqlite::Error) -> Self {
        let reason = format!("failed to write to the search database: {error}");
        if error::is_damage(&error) {
            Self::Damaged(reason)
        } else {
            Self::Ended(reason)
        }
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Ended(error.to_string())
    }
}

impl Feeder {
    /// Registers with the partition at once, so that nothing is trimmed before the thread runs.
    pub(super) fn new(
        path: PathBuf,
        opened: Opened,
        partition: PartitionHandle,
        progress: Arc<Progress>,
        retention: Duration,
        tally: Tally,
    ) -> Result<Self, Error> {
        let Opened {
            connection,
            position,
            known,
        } = opened;
        let reader = subscribe(&partition, &connection, position)?;
        let now = Instant::now();
        let pruning = Pruning::new(retention);
        Ok(Self {
            path,
            connection,
            partition,
            reader,
            progress,
            known,
            pruning,
            tally,
            newest_ms: 0,
            checkpointed: now,
            prune_at: now,
        })
    }

    pub(super) fn spawn(self) -> Result<(), Error> {
        std::thread::Builder::new()
            .name("kapelle-history".to_owned())
            .spawn(move || self.run())
            .map(drop)
            .map_err(|source| Error::Thread { source })
    }

    fn run(mut self) {
        // Elsewhere niceness is the whole process's.
        #[cfg(target_os = "linux")]
        rustix::process::nice(NICENESS).ok();
        loop {
            let reason = match self.follow() {
                Ok(()) => return,
                Err(Stop::Ended(reason)) => reason,
                Err(Stop::Damaged(reason)) => match self.remake(&reason) {
                    Ok(()) => continue,
                    Err(error) => format!("{reason}; {error}"),
                },
            };
            tracing::error!(%reason, "search has stopped; commands go on");
            return self.progress.stop(reason);
        }
    }

    fn follow(&mut self) -> Result<(), Stop> {
        loop {
            if self.progress.is_damaged() {
                return Err(Stop::Damaged(
                    "a query found the search database to be damaged".to_owned(),
                ));
            }
            let (batch, records) = match self.gather() {
                Ok(gathered) => gathered,
                Err(ReadError::Stopped { reason }) => return self.leave(reason),
                Err(error) => return Err(Stop::Ended(error.to_string())),
            };
            if records > 0 {
                flush::write(&mut self.connection, &batch, &mut self.known)?;
                self.progress.advance(batch.position);
                if records < BATCH_RECORDS_MAX {
                    self.progress.wait_for_waiters(GATHER);
                }
            } else {
                self.reader.wait(IDLE);
            }
            self.checkpoint_if_due()?;
            self.prune_if_due()?;
        }
    }

    /// The next records as rows, and how many they were.
    fn gather(&mut self) -> Result<(Batch, usize), ReadError> {
        let (mut batch, mut count) = (Batch::default(), 0);
        while count < BATCH_RECORDS_MAX && batch.bytes < BATCH_BYTES_MAX {
            let records = match self.reader.poll(POLL_RECORDS) {
                Ok(records) => records,
                // What was read is written first; the next poll says it again.
                Err(_) if count > 0 => break,
                Err(error) => return Err(error),
            };
            if records.is_empty() {
                break;
            }
            count += records.len();
            for record in records {
                self.newest_ms = record.command.at.0;
                self.tally.count(&record.event, &self.connection);
                batch.add(record);
            }
        }
        Ok((batch, count))
    }

    fn checkpoint_if_due(&mut self) -> Result<(), Stop> {
        let wal_bytes =
            std::fs::metadata(self.path.with_extension("db-wal")).map_or(0, |wal| wal.len());
        // The file keeps its size when it begins anew, so size alone would make every batch a checkpoint.
        let elapsed = self.checkpointed.elapsed();
        let large = wal_bytes >= WAL_BYTES_SOON && elapsed >= CHECKPOINT_EVERY / 10;
        if elapsed >= CHECKPOINT_EVERY || large {
            if wal_bytes >= WAL_BYTES_MAX {
                self.connection.busy_timeout(RESTART_WAIT)?;
                self.checkpoint("RESTART")?;
                self.connection.busy_timeout(schema::BUSY)?;
            } else {
                self.checkpoint("PASSIVE")?;
            }
            self.checkpointed = Instant::now();
        }
        Ok(())
    }

    /// Copies the WAL into the database and syncs it; only then is the position safe.
    fn checkpoint(&mut self, how: &str) -> rusqlite::Result<()> {
        let position = self.progress.position();
        // PASSIVE waits for nobody: a long query must not hold up the projection. What it could not copy shows in its
        // answer, and then the position is not released this time.
        let (busy, in_wal, copied): (i64, i64, i64) =
            self.connection
                .query_row(&format!("PRAGMA wal_checkpoint({how})"), [], |row| {
                    Ok((row.get(0)?, row.get(1)?, row.get(2)?))
                })?;
        if busy == 0 && in_wal == copied {
            self.reader.release(position);
        }
        Ok(())
    }

    fn prune_if_due(&mut self) -> Result<(), Stop> {
        // Under load there is time for it between two batches, in steps of a few milliseconds.
        if Instant::now() >= self.prune_at
            && self.pruning.step(&mut self.connection, self.newest_ms)?
        {
            self.prune_at = Instant::now() + PRUNE_EVERY;
        }
        Ok(())
    }

    /// The partition was shut down: what is projected is made safe.
    fn leave(&mut self, reason: String) -> Result<(), Stop> {
        // A failed checkpoint costs only a few records at the next start.
        self.checkpoint("PASSIVE").ok();
        self.progress.stop(reason);
        Ok(())
    }

    /// Begins anew with an empty file, from what the journal holds.
    fn remake(&mut self, reason: &str) -> Result<(), Error> {
        tracing::error!(%reason, "search begins anew; commands go on");
        // The old one is closed before its file is renamed.
        self.connection =
            Connection::open_in_memory().map_err(Error::sqlite("let go of the search database"))?;
        let Opened {
            connection,
            position,
            known,
        } = schema::remake(&self.path, &Error::Damaged)?;
        self.connection = connection;
        self.known = known;
        self.progress.restart(position);
        self.reader = subscribe(&self.partition, &self.connection, position)?;
        Ok(())
    }
}

/// From the record behind the last one in the tables; from the journal's first where that is gone.
fn subscribe(
    partition: &PartitionHandle,
    connection: &Connection,
    position: Sequence,
) -> Result<RecordReader, Error> {
    match partition.subscribe(READER, Sequence(position.0 + 1)) {
        Ok(reader) => Ok(reader),
        Err(ReadError::Trimmed { wanted, first }) => {
            tracing::warn!(
                wanted = wanted.0,
                first = first.0,
                "search is incomplete: the journal no longer holds the records before"
            );
            connection
                .execute(
                    "UPDATE meta SET value = ?1 WHERE name = 'first'",
                    [signed(first.0)],
                )
                .map_err(Error::sqlite("mark the search database as incomplete"))?;
            partition
                .subscribe(READER, first)
                .map_err(|source| Error::Journal { source })
        }
        Err(source) => Err(Error::Journal { source }),
    }
}
