//! What has to be remembered of deliveries, in SQLite: cursors, exceptions, dead letters.
//!
//! **Invariant**: what a checkpoint says is written in one transaction and synced before it counts as kept.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use kapelle_engine::ids::{Sequence, Timestamp};
use kapelle_events::CloudEvent;
use kapelle_runtime::subscription::{Checkpoint, Exception, Wanted};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::Error;

const TABLES: &str = "
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value INTEGER) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS subscriber (name TEXT PRIMARY KEY, cursor INTEGER) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS exception (subscriber TEXT, position INTEGER, lane TEXT, stored_at INTEGER, attempts INTEGER,
    retry_at INTEGER, error TEXT, PRIMARY KEY (subscriber, position)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS dead (subscriber TEXT, position INTEGER, lane TEXT, stored_at INTEGER, attempts INTEGER,
    error TEXT, died_at INTEGER, event BLOB, PRIMARY KEY (subscriber, position)) WITHOUT ROWID;
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
pub(crate) struct Ledger {
    connection: Connection,
}

impl Ledger {
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        let connection = Connection::open(path).map_err(Error::ledger("open the file"))?;
        Self::prepare(connection).map_err(Error::ledger("make the tables"))
    }

    fn prepare(connection: Connection) -> rusqlite::Result<Self> {
        connection.pragma_update(None, "journal_mode", "WAL")?;
        // Dead letters and cursors are primary data: each transaction is synced.
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.execute_batch(TABLES)?;
        Ok(Self { connection })
    }

    /// The last record of the journal whose decisions about dead letters were carried out.
    pub(super) fn applied(&self) -> Result<Sequence, Error> {
        self.connection
            .query_row("SELECT value FROM meta WHERE name = 'applied'", [], |row| {
                row.get(0)
            })
            .optional()
            .map(|applied: Option<i64>| Sequence(applied.unwrap_or(0).cast_unsigned()))
            .map_err(Error::ledger("read the position"))
    }

    /// The cursor of a subscriber that has begun.
    pub(super) fn cursor(&self, subscriber: &str) -> Result<Option<Sequence>, Error> {
        self.connection
            .query_row(
                "SELECT cursor FROM subscriber WHERE name = ?1",
                [subscriber],
                |row| row.get(0),
            )
            .optional()
            .map(|cursor: Option<i64>| cursor.map(|cursor| Sequence(cursor.cast_unsigned())))
            .map_err(Error::ledger("read a cursor"))
    }

    pub(super) fn exceptions(&self, subscriber: &str) -> Result<Vec<Exception>, Error> {
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
        read().map_err(Error::ledger("read the exceptions of a subscriber"))
    }

    /// Positions of dead letters behind the cursor.
    pub(super) fn buried(
        &self,
        subscriber: &str,
        cursor: Sequence,
    ) -> Result<BTreeSet<Sequence>, Error> {
        let read = || {
            let mut statement = self.connection.prepare_cached(
                "SELECT position FROM dead WHERE subscriber = ?1 AND position > ?2",
            )?;
            let rows = statement.query_map(params![subscriber, cursor.0.cast_signed()], |row| {
                row.get(0)
            })?;
            rows.map(|position| position.map(|position: i64| Sequence(position.cast_unsigned())))
                .collect::<rusqlite::Result<BTreeSet<_>>>()
        };
        read().map_err(Error::ledger("read the dead letters of a subscriber"))
    }

    /// Keeps checkpoints of several subscribers at once. `event` finds the CloudEvent of a dead letter.
    pub(super) fn keep(
        &mut self,
        checkpoints: &[(Arc<str>, Checkpoint)],
        now: Timestamp,
        event: &dyn Fn(Sequence) -> Option<Vec<u8>>,
    ) -> Result<(), Error> {
        let write = |connection: &mut Connection| {
            let transaction = connection.transaction()?;
            for (name, checkpoint) in checkpoints {
                write_checkpoint(&transaction, name, checkpoint, now, event)?;
            }
            transaction.commit()
        };
        write(&mut self.connection).map_err(Error::ledger("keep what was delivered"))
    }

    /// Takes dead letters out, for another try or for good, together with the position of the decision.
    pub(super) fn settle(
        &mut self,
        applied: Sequence,
        subscriber: &str,
        positions: &[Sequence],
    ) -> Result<Vec<Wanted>, Error> {
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
                settled.extend(found);
            }
            transaction.execute(
                "INSERT OR REPLACE INTO meta (name, value) VALUES ('applied', ?1)",
                [applied.0.cast_signed()],
            )?;
            transaction.commit()?;
            Ok(settled)
        };
        write(&mut self.connection).map_err(Error::ledger("settle dead letters"))
    }

    /// Everything of a subscriber that is no more; its dead letters go with it.
    pub(super) fn forget(&mut self, subscriber: &str) -> Result<(), Error> {
        let write = |connection: &mut Connection| {
            let transaction = connection.transaction()?;
            for sql in [
                "DELETE FROM subscriber WHERE name = ?1",
                "DELETE FROM exception WHERE subscriber = ?1",
                "DELETE FROM dead WHERE subscriber = ?1",
            ] {
                transaction.execute(sql, [subscriber])?;
            }
            transaction.commit()
        };
        write(&mut self.connection).map_err(Error::ledger("forget a subscriber"))
    }

    /// Names of all that have begun.
    pub(super) fn names(&self) -> Result<Vec<Arc<str>>, Error> {
        let read = || {
            let mut statement = self
                .connection
                .prepare_cached("SELECT name FROM subscriber")?;
            let rows = statement.query_map([], |row| row.get(0))?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        };
        read().map_err(Error::ledger("list subscribers"))
    }

    pub(super) fn dead_letters(
        &self,
        subscriber: Option<&str>,
        after: Sequence,
        most: usize,
    ) -> Result<Vec<DeadLetter>, Error> {
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
        read().map_err(Error::ledger("list dead letters"))
    }

    /// How many dead letters a subscriber has.
    pub(super) fn count_dead(&self, subscriber: &str) -> Result<u64, Error> {
        self.connection
            .query_row(
                "SELECT count(*) FROM dead WHERE subscriber = ?1",
                [subscriber],
                |row| row.get(0),
            )
            .map(i64::cast_unsigned)
            .map_err(Error::ledger("count dead letters"))
    }
}

fn wanted(row: &Row<'_>) -> rusqlite::Result<Wanted> {
    let position: i64 = row.get(0)?;
    Ok(Wanted {
        position: Sequence(position.cast_unsigned()),
        lane: row.get(1)?,
        stored_at: Timestamp(row.get(2)?),
    })
}

fn write_checkpoint(
    connection: &Connection,
    name: &str,
    checkpoint: &Checkpoint,
    now: Timestamp,
    event: &dyn Fn(Sequence) -> Option<Vec<u8>>,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT OR REPLACE INTO subscriber (name, cursor) VALUES (?1, ?2)")?
        .execute(params![name, checkpoint.cursor.0.cast_signed()])?;
    for position in &checkpoint.removed {
        connection
            .prepare_cached("DELETE FROM exception WHERE subscriber = ?1 AND position = ?2")?
            .execute(params![name, position.0.cast_signed()])?;
    }
    for exception in &checkpoint.put {
        connection
            .prepare_cached("INSERT OR REPLACE INTO exception VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?
            .execute(params![
                name,
                exception.wanted.position.0.cast_signed(),
                exception.wanted.lane,
                exception.wanted.stored_at.0,
                exception.attempts,
                exception.retry_at.0,
                exception.error,
            ])?;
    }
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
