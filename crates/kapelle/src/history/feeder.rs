//! The thread that follows the partition and writes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use kapelle_engine::ids::Sequence;
use kapelle_runtime::PartitionHandle;
use kapelle_runtime::reader::{ReadError, RecordReader};
use rusqlite::Connection;

use super::batch::Batch;
use super::definitions::signed;
use super::error::Error;
use super::{Progress, flush};

/// The reader's name in the partition: its position holds back the journal's trimming.
const READER: &str = "history";

/// Records of one transaction at most: enough that short-lived instances begin and end inside it, and that a
/// transaction's own cost vanishes; little enough that a search never waits long for one.
const BATCH_RECORDS_MAX: usize = 8_192;

/// Under load a batch is left to fill for this long: rows that change often are then written once.
const GATHER: Duration = Duration::from_millis(20);

/// With fewer records than this there is no load, and a search should see them at once.
const GATHER_RECORDS_MIN: usize = 1_024;

/// How often the WAL is copied into the database and synced, and the journal let go behind it.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(10);

/// How often ended instances are looked through for those past their time.
const PRUNE_EVERY: Duration = Duration::from_secs(5);

/// Instances removed in one step: a few milliseconds.
const PRUNE_INSTANCES_MAX: i64 = 500;

/// How long the thread sleeps at most before it looks at its clocks.
const IDLE: Duration = Duration::from_millis(500);

pub(super) fn spawn(connection: Connection, partition: PartitionHandle, progress: Arc<Progress>, retention: Duration) -> Result<(), Error> {
    let feeder = Feeder { connection, partition, progress, retention, newest_ms: 0 };
    std::thread::Builder::new()
        .name("kapelle-history".to_owned())
        .spawn(move || feeder.run())
        .map(drop)
        .map_err(|source| Error::Thread { source })
}

struct Feeder {
    connection: Connection,
    partition: PartitionHandle,
    progress: Arc<Progress>,
    retention: Duration,
    /// The time of the newest record: retention counts in the journal's time.
    newest_ms: i64,
}

impl Feeder {
    fn run(mut self) {
        if let Err(reason) = self.follow() {
            tracing::error!(%reason, "search has stopped; commands go on");
            self.progress.stop(reason);
        }
    }

    fn follow(&mut self) -> Result<(), String> {
        let mut reader = self.subscribe()?;
        let (mut checkpointed, mut pruned) = (Instant::now(), Instant::now());
        loop {
            let records = match reader.poll(BATCH_RECORDS_MAX) {
                Ok(records) => records,
                Err(ReadError::Stopped { reason }) => return self.leave(&mut reader, reason),
                Err(error) => return Err(error.to_string()),
            };
            if records.is_empty() {
                reader.wait(IDLE);
            } else {
                let gather = records.len() >= GATHER_RECORDS_MIN && records.len() < BATCH_RECORDS_MAX;
                self.write(records)?;
                if gather {
                    std::thread::sleep(GATHER);
                }
            }
            if checkpointed.elapsed() >= CHECKPOINT_EVERY {
                self.checkpoint(&mut reader).map_err(|error| error.to_string())?;
                checkpointed = Instant::now();
            }
            if pruned.elapsed() >= PRUNE_EVERY && self.prune().map_err(|error| error.to_string())? < PRUNE_INSTANCES_MAX {
                pruned = Instant::now();
            }
        }
    }

    /// From the record behind the last one in the tables; from the journal's first where that is gone.
    fn subscribe(&mut self) -> Result<RecordReader, String> {
        let next = Sequence(self.progress.position().0 + 1);
        match self.partition.subscribe(READER, next) {
            Ok(reader) => Ok(reader),
            Err(ReadError::Trimmed { wanted, first }) => {
                tracing::warn!(wanted = wanted.0, first = first.0, "search is incomplete: the journal no longer holds the records before");
                self.connection
                    .execute("UPDATE meta SET value = ?1 WHERE name = 'first'", [signed(first.0)])
                    .map_err(|error| error.to_string())?;
                self.partition.subscribe(READER, first).map_err(|error| error.to_string())
            }
            Err(error) => Err(error.to_string()),
        }
    }

    fn write(&mut self, records: Vec<kapelle_runtime::reader::CommittedRecord>) -> Result<(), String> {
        let mut batch = Batch::default();
        for record in records {
            self.newest_ms = record.command.at.0;
            batch.add(record);
        }
        let position = batch.position;
        flush::write(&mut self.connection, batch).map_err(|error| format!("failed to write to the search database: {error}"))?;
        self.progress.advance(position);
        Ok(())
    }

    /// Copies the WAL into the database and syncs it; only then is the position safe.
    fn checkpoint(&mut self, reader: &mut RecordReader) -> rusqlite::Result<()> {
        let position = self.progress.position();
        // RESTART waits for readers, PASSIVE does not: a long query must not hold up the projection. What PASSIVE could not
        // copy shows in its answer, and then the position is not released this time.
        let (busy, in_wal, copied): (i64, i64, i64) =
            self.connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        if busy == 0 && in_wal == copied {
            reader.release(position);
        }
        Ok(())
    }

    /// Removes some instances and events past their time; says how many instances.
    fn prune(&mut self) -> rusqlite::Result<i64> {
        let cutoff = self.newest_ms.saturating_sub(i64::try_from(self.retention.as_millis()).unwrap_or(i64::MAX));
        let transaction = self.connection.transaction()?;
        let old: Vec<i64> = transaction
            .prepare_cached("SELECT key FROM instance WHERE ended IS NOT NULL AND ended < ?1 ORDER BY ended LIMIT ?2")?
            .query_map([cutoff, PRUNE_INSTANCES_MAX], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        for key in &old {
            for table in ["element", "job", "incident", "variable", "subscription", "event_instance"] {
                transaction.prepare_cached(&format!("DELETE FROM {table} WHERE instance = ?1"))?.execute([key])?;
            }
            transaction.prepare_cached("DELETE FROM instance WHERE key = ?1")?.execute([key])?;
        }
        // Positions grow with time, so the oldest events are the first rows.
        for table in ["event_in", "event_out"] {
            transaction
                .prepare_cached(&format!(
                    "DELETE FROM {table} WHERE position IN (SELECT position FROM {table} WHERE time < ?1 ORDER BY position LIMIT ?2)"
                ))?
                .execute([cutoff, PRUNE_INSTANCES_MAX])?;
        }
        for table in ["event_later", "event_message"] {
            transaction
                .prepare_cached(&format!("DELETE FROM {table} WHERE position < (SELECT COALESCE(MIN(position), 0) FROM event_in)"))?
                .execute([])?;
        }
        transaction.commit()?;
        Ok(i64::try_from(old.len()).unwrap_or(i64::MAX))
    }

    /// The partition was shut down: what is projected is made safe. Anything but an ordered shutdown is an error.
    fn leave(&mut self, reader: &mut RecordReader, reason: String) -> Result<(), String> {
        if self.progress.position() >= self.partition.committed() {
            // A failed checkpoint costs only a few records at the next start.
            let _ = self.checkpoint(reader);
        }
        self.progress.stop(reason);
        Ok(())
    }
}
