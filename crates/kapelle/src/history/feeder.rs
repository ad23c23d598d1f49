//! The thread that follows the partition and writes.
//!
//! **Invariants**
//! - A transaction holds whole runs of records and the position behind them.
//! - Memory is bounded: a batch ends at so many records or bytes, whichever comes first.
//! - The WAL is bounded: beyond a size it is begun anew, for which the thread waits until queries have left it. While one
//!   stays, which is for its own time limit at most, nothing more is projected from a second size on.

use std::convert::Infallible;
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

/// A batch is left to fill for this long, unless somebody waits for it: rows that change often are then written once, and
/// at a low rate a hundred small transactions do not get between the journal's syncs. Most instances of a loaded system
/// live for less.
const GATHER: Duration = Duration::from_millis(100);

/// When the WAL is copied into the database and synced, and the journal let go behind it.
#[derive(Clone, Copy, Debug)]
pub(super) struct WalLimits {
    pub(super) every: Duration,
    /// A large WAL is looked at sooner; not with every batch, because the file keeps its size when it begins anew.
    pub(super) at_least: Duration,
    /// Copying that much takes a few dozen milliseconds.
    pub(super) bytes_soon: u64,
    /// From this size on the thread waits for queries to leave the WAL, so that it can begin anew.
    pub(super) bytes_high: u64,
    /// From this size on it waits without projecting any more.
    pub(super) bytes_max: u64,
    /// How long it waits for them at once; searches wait meanwhile.
    pub(super) wait: Duration,
}

impl WalLimits {
    const DEFAULT: Self = Self {
        every: Duration::from_secs(10),
        at_least: Duration::from_secs(1),
        bytes_soon: 32 << 20,
        bytes_high: 128 << 20,
        bytes_max: 512 << 20,
        wait: Duration::from_millis(500),
    };
}

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
    wal: WalLimits,
    checkpointed: Instant,
    /// The WAL is as large as it may be, and a query is still in it.
    is_full: bool,
    /// When to prune next.
    prune_at: Instant,
}

/// Why the projection cannot go on as it is.
#[derive(Debug)]
pub(super) enum Stop {
    /// The partition was shut down.
    Left(String),
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

impl From<ReadError> for Stop {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Stopped { reason } => Self::Left(reason),
            error => Self::Ended(error.to_string()),
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
            wal: WalLimits::DEFAULT,
            checkpointed: now,
            is_full: false,
            prune_at: now,
        })
    }

    #[cfg(test)]
    pub(super) fn with_wal(self, wal: WalLimits) -> Self {
        Self { wal, ..self }
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
            let Err(stop) = self.follow();
            let reason = match stop {
                Stop::Left(reason) => return self.leave(reason),
                Stop::Ended(reason) => reason,
                Stop::Damaged(reason) => match self.remake(&reason) {
                    Ok(()) => continue,
                    Err(error) => format!("{reason}; {error}"),
                },
            };
            tracing::error!(%reason, "search has stopped; commands go on");
            return self.progress.stop(reason);
        }
    }

    fn follow(&mut self) -> Result<Infallible, Stop> {
        loop {
            if self.progress.is_damaged() {
                return Err(Stop::Damaged(
                    "a query found the search database to be damaged".to_owned(),
                ));
            }
            match self.turn()? {
                // A full WAL has waited in its checkpoint.
                0 if !self.is_full => drop(self.reader.wait(IDLE)),
                1..BATCH_RECORDS_MAX => self.progress.wait_for_waiters(GATHER),
                _ => {}
            }
        }
    }

    /// Writes what has to be written and the WAL has room for; says how many records were projected.
    pub(super) fn turn(&mut self) -> Result<usize, Stop> {
        let mut records = 0;
        if !self.is_full {
            records = self.project()?;
            self.prune_if_due()?;
        }
        self.checkpoint_if_due()?;
        Ok(records)
    }

    /// Writes the next records, and says how many they were.
    pub(super) fn project(&mut self) -> Result<usize, Stop> {
        let (batch, records) = self.gather()?;
        if records > 0 {
            flush::write(&mut self.connection, &batch, &mut self.known)?;
            self.progress.advance(batch.position);
        }
        Ok(records)
    }

    /// The next records as rows, and how many they were.
    fn gather(&mut self) -> Result<(Batch, usize), ReadError> {
        let (mut batch, mut count) = (Batch::default(), 0);
        while count < BATCH_RECORDS_MAX && batch.bytes < BATCH_BYTES_MAX {
            // A batch of the journal at a time: that many records could have any size.
            let records = match self.reader.poll(1) {
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

    pub(super) fn checkpoint_if_due(&mut self) -> Result<(), Stop> {
        let wal_bytes =
            std::fs::metadata(self.path.with_extension("db-wal")).map_or(0, |wal| wal.len());
        let elapsed = self.checkpointed.elapsed();
        let is_large = wal_bytes >= self.wal.bytes_soon && elapsed >= self.wal.at_least;
        if elapsed < self.wal.every && !is_large && !self.is_full {
            return Ok(());
        }
        let is_safe = if wal_bytes >= self.wal.bytes_high {
            self.connection.busy_timeout(self.wal.wait)?;
            let is_safe = self.checkpoint("RESTART")?;
            self.connection.busy_timeout(schema::BUSY)?;
            is_safe
        } else {
            self.checkpoint("PASSIVE")?
        };
        self.is_full = wal_bytes >= self.wal.bytes_max && !is_safe;
        self.checkpointed = Instant::now();
        Ok(())
    }

    /// Copies the WAL into the database and syncs it; only then is the position safe. Says whether it is.
    pub(super) fn checkpoint(&mut self, how: &str) -> rusqlite::Result<bool> {
        let position = self.progress.position();
        // PASSIVE waits for nobody: a long query must not hold up the projection. What it could not copy shows in its
        // answer, and then the position is not released this time.
        let (busy, in_wal, copied): (i64, i64, i64) =
            self.connection
                .query_row(&format!("PRAGMA wal_checkpoint({how})"), [], |row| {
                    Ok((row.get(0)?, row.get(1)?, row.get(2)?))
                })?;
        let is_safe = busy == 0 && in_wal == copied;
        if is_safe {
            self.reader.release(position);
        }
        Ok(is_safe)
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
    fn leave(&mut self, reason: String) {
        // A failed checkpoint costs only a few records at the next start.
        self.checkpoint("PASSIVE").ok();
        self.progress.stop(reason);
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
