//! What has to be remembered of deliveries, in SQLite: cursors, exceptions, dead letters.
//!
//! **Invariant**: what a checkpoint says is written in one transaction and synced before it counts as kept, and so is what a
//! start finds.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use kapelle_engine::ids::{Sequence, Timestamp};
use kapelle_events::CloudEvent;
use kapelle_runtime::backbone::{Ledger, LedgerError};
use kapelle_runtime::subscription::{Checkpoint, Exception, Wanted};
use kapelle_storage::files::{Files as _, OsFiles};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

const TABLES: &str = "
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value INTEGER) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS subscriber (name TEXT PRIMARY KEY, cursor INTEGER, began INTEGER) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS exception (subscriber TEXT, position INTEGER, lane TEXT, stored_at INTEGER, attempts INTEGER,
    retry_at INTEGER, error TEXT, PRIMARY KEY (subscriber, position)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS dead (subscriber TEXT, position INTEGER, lane TEXT, stored_at INTEGER, attempts INTEGER,
    error TEXT, died_at INTEGER, event BLOB, PRIMARY KEY (subscriber, position)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS discarded (subscriber TEXT, position INTEGER, PRIMARY KEY (subscriber, position)) WITHOUT ROWID;
";

/// A CloudEvent that a subscriber could not be given.
#[derive(Clone, Debug)]
pub(crate) struct DeadLetter {
    pub(crate) subscriber: Arc<str>,
    pub(crate) wanted: Wanted,
    pub(crate) attempts: u32,
    pub(crate) error: Arc<str>,
    pub(crate) died_at: Timestamp,
    /// Kept here, as the store's copy may go first.
    pub(crate) event: Option<Arc<CloudEvent>>,
}

/// The database.
#[derive(Debug)]
pub(super) struct SqliteLedger {
    connection: Connection,
}

fn refused(attempt: &'static str) -> impl FnOnce(rusqlite::Error) -> LedgerError {
    move |source| LedgerError {
        attempt,
        source: Box::new(source),
    }
}

impl SqliteLedger {
    pub(super) fn open(path: &Path) -> Result<Self, LedgerError> {
        let connection = Connection::open(path).map_err(refused("open the file"))?;
        let ledger = Self::prepare(connection).map_err(refused("make the tables"))?;
        ledger.write_again(path)?;
        Ok(ledger)
    }

    fn prepare(connection: Connection) -> rusqlite::Result<Self> {
        connection.pragma_update(None, "journal_mode", "WAL")?;
        // Dead letters and cursors are primary data: each transaction is synced.
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.execute_batch(TABLES)?;
        let has_began = connection
            .prepare("SELECT name FROM pragma_table_info('subscriber') WHERE name = 'began'")?
            .exists([])?;
        if !has_began {
            connection.execute_batch("ALTER TABLE subscriber ADD COLUMN began INTEGER")?;
        }
        Ok(Self { connection })
    }

    /// Behind which position a subscriber began; 0 where that was not kept.
    pub(super) fn began(&self, subscriber: &str) -> Result<Sequence, LedgerError> {
        self.connection
            .query_row(
                "SELECT began FROM subscriber WHERE name = ?1",
                [subscriber],
                |row| row.get(0),
            )
            .optional()
            .map(|began: Option<Option<i64>>| {
                Sequence(began.flatten().unwrap_or(0).cast_unsigned())
            })
            .map_err(refused("read the beginning of a subscriber"))
    }

    /// What is found may be in the page cache alone, of a process that was killed or whose sync failed: it goes from the WAL into
    /// the database, which is synced.
    fn write_again(&self, path: &Path) -> Result<(), LedgerError> {
        let attempt = "copy the WAL into the database";
        let is_busy: bool = self
            .connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))
            .map_err(refused(attempt))?;
        let dir = path
            .parent()
            .expect("invariant: the database is in a directory");
        let synced = if is_busy {
            Err(std::io::Error::other("somebody else has it open"))
        } else {
            OsFiles.sync_dir(dir)
        };
        synced.map_err(|source| LedgerError {
            attempt,
            source: Box::new(source),
        })
    }

    fn meta(&self, name: &str) -> rusqlite::Result<Sequence> {
        self.connection
            .query_row("SELECT value FROM meta WHERE name = ?1", [name], |row| {
                row.get(0)
            })
            .optional()
            .map(|value: Option<i64>| Sequence(value.unwrap_or(0).cast_unsigned()))
    }

    pub(super) fn dead_letters(
        &self,
        subscriber: Option<&str>,
        after: Sequence,
        most: usize,
    ) -> Result<Vec<DeadLetter>, LedgerError> {
        const SQL: &str = "SELECT position, lane, stored_at, attempts, error, subscriber, died_at, event FROM dead
            WHERE (?1 IS NULL OR subscriber = ?1) AND position > ?2 ORDER BY position, subscriber LIMIT ?3";
        let read = || {
            let mut statement = self.connection.prepare_cached(SQL)?;
            let most = i64::try_from(most).unwrap_or(i64::MAX);
            let rows =
                statement.query_map(params![subscriber, after.0.cast_signed(), most], |row| {
                    let event: Option<Vec<u8>> = row.get(7)?;
                    Ok(DeadLetter {
                        wanted: wanted(row)?,
                        attempts: row.get(3)?,
                        error: row.get(4)?,
                        subscriber: row.get(5)?,
                        died_at: Timestamp(row.get(6)?),
                        event: event
                            .and_then(|bytes| kapelle_events::encode::decode(&bytes).ok())
                            .map(Arc::new),
                    })
                })?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        };
        read().map_err(refused("list dead letters"))
    }
}

impl Ledger for SqliteLedger {
    fn applied(&self) -> Result<Sequence, LedgerError> {
        self.meta("applied")
            .map_err(refused("read the last decision"))
    }

    fn position(&self) -> Result<Sequence, LedgerError> {
        self.meta("position").map_err(refused("read the position"))
    }

    fn set_position(&mut self, position: Sequence) -> Result<(), LedgerError> {
        write_meta(&self.connection, "position", position).map_err(refused("keep the position"))
    }

    fn cursor(&self, subscriber: &str) -> Result<Option<Sequence>, LedgerError> {
        self.connection
            .query_row(
                "SELECT cursor FROM subscriber WHERE name = ?1",
                [subscriber],
                |row| row.get(0),
            )
            .optional()
            .map(|cursor: Option<i64>| cursor.map(|cursor| Sequence(cursor.cast_unsigned())))
            .map_err(refused("read a cursor"))
    }

    fn exceptions(&self, subscriber: &str) -> Result<Vec<Exception>, LedgerError> {
        const SQL: &str = "SELECT position, lane, stored_at, attempts, error, retry_at FROM exception WHERE subscriber = ?1";
        let read = || {
            let mut statement = self.connection.prepare_cached(SQL)?;
            let rows = statement.query_map([subscriber], |row| {
                Ok(Exception {
                    wanted: wanted(row)?,
                    attempts: row.get(3)?,
                    error: row.get(4)?,
                    retry_at: Timestamp(row.get(5)?),
                })
            })?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        };
        read().map_err(refused("read the exceptions of a subscriber"))
    }

    fn buried(
        &self,
        subscriber: &str,
        cursor: Sequence,
    ) -> Result<BTreeSet<Sequence>, LedgerError> {
        let read = || {
            let mut statement = self.connection.prepare_cached(
                "SELECT position FROM dead WHERE subscriber = ?1 AND position > ?2
                UNION SELECT position FROM discarded WHERE subscriber = ?1 AND position > ?2",
            )?;
            let rows = statement.query_map(params![subscriber, cursor.0.cast_signed()], |row| {
                row.get(0)
            })?;
            rows.map(|position| position.map(|position: i64| Sequence(position.cast_unsigned())))
                .collect::<rusqlite::Result<BTreeSet<_>>>()
        };
        read().map_err(refused("read the dead letters of a subscriber"))
    }

    fn keep(
        &mut self,
        checkpoints: &[(Arc<str>, Checkpoint)],
        now: Timestamp,
        event: &dyn Fn(Sequence) -> Option<Vec<u8>>,
    ) -> Result<(), LedgerError> {
        let write = |connection: &mut Connection| {
            let transaction = connection.transaction()?;
            for (name, checkpoint) in checkpoints {
                write_checkpoint(&transaction, name, checkpoint, now, event)?;
            }
            transaction.commit()
        };
        write(&mut self.connection).map_err(refused("keep what was delivered"))
    }

    fn settle(
        &mut self,
        applied: Sequence,
        subscriber: &str,
        positions: &[Sequence],
        redrive: bool,
    ) -> Result<Vec<Wanted>, LedgerError> {
        let write = |connection: &mut Connection| {
            let transaction = connection.transaction()?;
            let mut settled = Vec::new();
            for position in positions {
                let found = transaction
                    .query_row(
                        "DELETE FROM dead WHERE subscriber = ?1 AND position = ?2 RETURNING position, lane, stored_at",
                        params![subscriber, position.0.cast_signed()],
                        wanted,
                    )
                    .optional()?;
                let Some(wanted) = found else { continue };
                if redrive {
                    write_exception(&transaction, subscriber, &Exception::fresh(wanted.clone()))?;
                } else {
                    transaction.execute(
                        "INSERT OR REPLACE INTO discarded VALUES (?1, ?2)",
                        params![subscriber, position.0.cast_signed()],
                    )?;
                }
                settled.push(wanted);
            }
            write_meta(&transaction, "applied", applied)?;
            transaction.commit()?;
            Ok(settled)
        };
        write(&mut self.connection).map_err(refused("settle dead letters"))
    }

    fn forget(&mut self, applied: Sequence, subscriber: &str) -> Result<(), LedgerError> {
        let write = |connection: &mut Connection| {
            let transaction = connection.transaction()?;
            for sql in [
                "DELETE FROM subscriber WHERE name = ?1",
                "DELETE FROM exception WHERE subscriber = ?1",
                "DELETE FROM dead WHERE subscriber = ?1",
                "DELETE FROM discarded WHERE subscriber = ?1",
            ] {
                transaction.execute(sql, [subscriber])?;
            }
            write_meta(&transaction, "applied", applied)?;
            transaction.commit()
        };
        write(&mut self.connection).map_err(refused("forget a subscriber"))
    }

    fn names(&self) -> Result<Vec<Arc<str>>, LedgerError> {
        let read = || {
            let mut statement = self
                .connection
                .prepare_cached("SELECT name FROM subscriber")?;
            let rows = statement.query_map([], |row| row.get(0))?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        };
        read().map_err(refused("list subscribers"))
    }

    fn count_dead(&self, subscriber: &str) -> Result<u64, LedgerError> {
        self.connection
            .query_row(
                "SELECT count(*) FROM dead WHERE subscriber = ?1",
                [subscriber],
                |row| row.get(0),
            )
            .map(i64::cast_unsigned)
            .map_err(refused("count dead letters"))
    }
}

fn write_meta(connection: &Connection, name: &str, value: Sequence) -> rusqlite::Result<()> {
    connection
        .execute(
            "INSERT OR REPLACE INTO meta (name, value) VALUES (?1, ?2)",
            params![name, value.0.cast_signed()],
        )
        .map(drop)
}

fn wanted(row: &Row<'_>) -> rusqlite::Result<Wanted> {
    let position: i64 = row.get(0)?;
    Ok(Wanted {
        position: Sequence(position.cast_unsigned()),
        lane: row.get(1)?,
        stored_at: Timestamp(row.get(2)?),
    })
}

fn write_exception(
    connection: &Connection,
    subscriber: &str,
    exception: &Exception,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT OR REPLACE INTO exception VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?
        .execute(params![
            subscriber,
            exception.wanted.position.0.cast_signed(),
            exception.wanted.lane,
            exception.wanted.stored_at.0,
            exception.attempts,
            exception.retry_at.0,
            exception.error,
        ])
        .map(drop)
}

fn write_checkpoint(
    connection: &Connection,
    name: &str,
    checkpoint: &Checkpoint,
    now: Timestamp,
    event: &dyn Fn(Sequence) -> Option<Vec<u8>>,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO subscriber (name, cursor, began) VALUES (?1, ?2, ?2)
             ON CONFLICT (name) DO UPDATE SET cursor = excluded.cursor",
        )?
        .execute(params![name, checkpoint.cursor.0.cast_signed()])?;
    for position in &checkpoint.removed {
        connection
            .prepare_cached("DELETE FROM exception WHERE subscriber = ?1 AND position = ?2")?
            .execute(params![name, position.0.cast_signed()])?;
    }
    for exception in &checkpoint.put {
        write_exception(connection, name, exception)?;
    }
    // The cursor says the same of them.
    connection
        .prepare_cached("DELETE FROM discarded WHERE subscriber = ?1 AND position <= ?2")?
        .execute(params![name, checkpoint.cursor.0.cast_signed()])?;
    for dead in &checkpoint.dead {
        connection
            .prepare_cached("INSERT OR REPLACE INTO dead VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?
            .execute(params![
                name,
                dead.wanted.position.0.cast_signed(),
                dead.wanted.lane,
                dead.wanted.stored_at.0,
                dead.attempts,
                dead.error,
                now.0,
                event(dead.wanted.position),
            ])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn checkpoint(cursor: u64) -> [(Arc<str>, Checkpoint); 1] {
        let checkpoint = Checkpoint {
            cursor: Sequence(cursor),
            ..Checkpoint::default()
        };
        [("s".into(), checkpoint)]
    }

    #[test]
    fn what_a_killed_process_left_in_the_wal_is_in_the_database_once_it_is_open() {
        let dir = std::env::temp_dir().join(format!("kapelle-ledger-{}", std::process::id()));
        fs::remove_dir_all(&dir).ok();
        let path = |process: &str, file: &str| dir.join(process).join(file);
        for process in ["killed", "next", "later"] {
            fs::create_dir_all(dir.join(process)).unwrap();
        }
        let mut killed = SqliteLedger::open(&path("killed", "ledger.db")).unwrap();
        let keep = killed.keep(&checkpoint(7), Timestamp(0), &|_| None);
        keep.unwrap();
        for file in ["ledger.db", "ledger.db-wal"] {
            fs::copy(path("killed", file), path("next", file)).unwrap();
        }
        let next = SqliteLedger::open(&path("next", "ledger.db")).unwrap();
        assert_eq!(next.cursor("s").unwrap(), Some(Sequence(7)));
        // The WAL is lost with the power.
        fs::copy(path("next", "ledger.db"), path("later", "ledger.db")).unwrap();
        let later = SqliteLedger::open(&path("later", "ledger.db")).unwrap();
        assert_eq!(later.cursor("s").unwrap(), Some(Sequence(7)));
        fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn a_settled_dead_letter_is_an_exception_or_discarded_until_the_cursor_passes_it() {
        let mut ledger = SqliteLedger::prepare(Connection::open_in_memory().unwrap()).unwrap();
        let dead = |position| {
            Exception::fresh(Wanted {
                position: Sequence(position),
                lane: Some("k".into()),
                stored_at: Timestamp(5),
            })
        };
        let mut kept = checkpoint(2);
        kept[0].1.dead = vec![dead(3), dead(4)];
        ledger.keep(&kept, Timestamp(0), &|_| None).unwrap();
        let settled = ledger.settle(Sequence(9), "s", &[Sequence(3)], true);
        assert_eq!(settled.unwrap(), [dead(3).wanted]);
        let settled = ledger.settle(Sequence(10), "s", &[Sequence(3), Sequence(4)], false);
        assert_eq!(settled.unwrap(), [dead(4).wanted]);
        assert_eq!(ledger.exceptions("s").unwrap(), [dead(3)]);
        assert_eq!(ledger.count_dead("s").unwrap(), 0);
        let buried = |ledger: &SqliteLedger| ledger.buried("s", Sequence(2)).unwrap();
        assert_eq!(buried(&ledger), [Sequence(4)].into());
        ledger
            .keep(&checkpoint(4), Timestamp(0), &|_| None)
            .unwrap();
        assert_eq!(buried(&ledger), [].into());
        ledger.set_position(Sequence(11)).unwrap();
        assert_eq!(ledger.applied().unwrap(), Sequence(10));
        assert_eq!(ledger.position().unwrap(), Sequence(11));
    }
}
