//! The tables, and how the file is opened, checked and made anew.
//!
//! What an instance owns lies beside it: elements, jobs and variables are clustered by (instance, key), so one tree a table
//! takes all writes, mostly at its right edge. A key alone is found through its place in time: keys come from one counter,
//! so an element is either within [`NEAR`] keys behind its instance, which is a short scan, or in the small index of those
//! that are not. There are few other indexes, each for a question that every client asks; indexes of what is active or
//! open never see an instance that ends within its batch. States are the numbers of `query::words`.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use kapelle_engine::ids::Sequence;
use kapelle_storage::files::{Files as _, OsFiles};
use rusqlite::{Connection, OpenFlags};

use super::error::Error;
use super::flush;

/// Raised with every change of a table. An older file is put aside and remade from the journal.
const VERSION: i64 = 5;

/// How many keys behind its instance's an entity is found by a scan and not by an index. The number is part of the schema
/// (`near_or_far!`). At full load an instance of a few tasks stays within it, and scanning it takes about a millisecond.
#[cfg(test)]
const NEAR: i64 = 16_384;

/// The condition that finds a row of a clustered table by its key alone; binds the key to each `?`.
macro_rules! near_or_far {
    ($table:literal) => {
        concat!(
            "((",
            $table,
            ".key = ? AND ",
            $table,
            ".instance BETWEEN ? - 16384 AND ?) OR (",
            $table,
            ".key = ? AND ",
            $table,
            ".key - ",
            $table,
            ".instance > 16384))"
        )
    };
}
pub(super) use near_or_far;

/// What queries and the projection wait for each other at most; they hardly do, in WAL mode.
pub(super) const BUSY: Duration = Duration::from_secs(5);

/// The database's pages: larger than SQLite's, because trees that grow at their right edge are then split half as often.
const PAGE_BYTES: i64 = 8_192;

/// What the WAL is cut to when it begins anew.
const WAL_BYTES_KEPT: i64 = 64 << 20;

const TABLES: &str = "
CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE resource (key INTEGER PRIMARY KEY, name TEXT, bytes BLOB);
CREATE TABLE definition (key INTEGER PRIMARY KEY, resource INTEGER, tenant TEXT, process_id TEXT, version INTEGER,
    version_tag TEXT, name TEXT, resource_name TEXT, semantics INTEGER);
CREATE TABLE definition_element (definition INTEGER, idx INTEGER, id TEXT, name TEXT, type TEXT, headers TEXT,
    PRIMARY KEY (definition, idx)) WITHOUT ROWID;
CREATE TABLE instance (key INTEGER PRIMARY KEY, definition INTEGER, tenant TEXT, state INTEGER, started INTEGER,
    ended INTEGER, incidents INTEGER, business_id TEXT, tags TEXT);
CREATE INDEX instance_by_definition ON instance (definition);
CREATE INDEX instance_active ON instance (key) WHERE state = 1;
CREATE TABLE element (instance INTEGER, key INTEGER, idx INTEGER, scope INTEGER, state INTEGER, started INTEGER,
    ended INTEGER, incident INTEGER, PRIMARY KEY (instance, key)) WITHOUT ROWID;
CREATE INDEX element_far ON element (key) WHERE key - instance > 16384;
CREATE TABLE job (instance INTEGER, key INTEGER, element INTEGER, idx INTEGER, type TEXT, worker TEXT, retries INTEGER,
    state INTEGER, deadline INTEGER, created INTEGER, updated INTEGER, ended INTEGER, error_code TEXT,
    error_message TEXT, headers TEXT, PRIMARY KEY (instance, key)) WITHOUT ROWID;
CREATE INDEX job_far ON job (key) WHERE key - instance > 16384;
CREATE INDEX job_created ON job (key) WHERE state = 1;
CREATE INDEX job_failed ON job (key) WHERE state = 3;
CREATE TABLE incident (key INTEGER PRIMARY KEY, instance INTEGER, element INTEGER, idx INTEGER, job INTEGER,
    kind TEXT, message TEXT, state INTEGER, created INTEGER, resolved INTEGER);
CREATE INDEX incident_by_instance ON incident (instance);
CREATE INDEX incident_active ON incident (key) WHERE state = 1;
CREATE TABLE variable (instance INTEGER, key INTEGER, scope INTEGER, name TEXT, value BLOB,
    PRIMARY KEY (instance, key)) WITHOUT ROWID;
CREATE INDEX variable_far ON variable (key) WHERE key - instance > 16384;
CREATE TABLE subscription (key INTEGER PRIMARY KEY, instance INTEGER, tenant TEXT, process_id TEXT, name TEXT,
    correlation_key TEXT, element INTEGER, idx INTEGER, opened INTEGER, opened_at INTEGER, closed INTEGER,
    closed_at INTEGER, reason INTEGER);
CREATE INDEX subscription_by_name ON subscription (name, correlation_key);
CREATE INDEX subscription_by_key ON subscription (correlation_key);
CREATE INDEX subscription_by_instance ON subscription (instance);
CREATE TABLE event_in (position INTEGER PRIMARY KEY, time INTEGER, channel TEXT, tenant TEXT, source TEXT, id TEXT,
    type TEXT, subject TEXT, event BLOB, outcome INTEGER, reason TEXT, duplicate_of INTEGER, matches BLOB, raw BLOB,
    correlation_id TEXT, causation_id TEXT, trace_id TEXT);
CREATE INDEX event_in_by_id ON event_in (id);
CREATE INDEX event_in_by_type ON event_in (type);
CREATE INDEX event_in_by_subject ON event_in (subject);
CREATE INDEX event_in_by_correlation ON event_in (correlation_id) WHERE correlation_id IS NOT NULL;
CREATE INDEX event_in_by_causation ON event_in (causation_id) WHERE causation_id IS NOT NULL;
CREATE INDEX event_in_by_trace ON event_in (trace_id) WHERE trace_id IS NOT NULL;
CREATE TABLE event_instance (instance INTEGER, position INTEGER, PRIMARY KEY (instance, position)) WITHOUT ROWID;
CREATE INDEX event_instance_by_position ON event_instance (position);
CREATE TABLE event_message (message INTEGER PRIMARY KEY, position INTEGER);
CREATE INDEX event_message_by_position ON event_message (position);
CREATE TABLE event_later (position INTEGER, time INTEGER, what TEXT, process_id TEXT, instance INTEGER);
CREATE INDEX event_later_by_position ON event_later (position);
CREATE TABLE event_out (position INTEGER PRIMARY KEY, entry INTEGER UNIQUE, time INTEGER, channel TEXT, tenant TEXT,
    source TEXT, id TEXT, type TEXT, subject TEXT, event BLOB, state INTEGER, reason TEXT, attempts INTEGER, instance INTEGER,
    retry_at INTEGER, correlation_id TEXT, causation_id TEXT, trace_id TEXT);
CREATE INDEX event_out_by_id ON event_out (id);
CREATE INDEX event_out_by_instance ON event_out (instance);
CREATE INDEX event_out_by_type ON event_out (type);
CREATE INDEX event_out_by_subject ON event_out (subject);
CREATE INDEX event_out_by_correlation ON event_out (correlation_id) WHERE correlation_id IS NOT NULL;
CREATE INDEX event_out_by_causation ON event_out (causation_id) WHERE causation_id IS NOT NULL;
CREATE INDEX event_out_by_trace ON event_out (trace_id) WHERE trace_id IS NOT NULL;
";

/// The connection that writes, and the position that its rows stand at. A damaged or outdated file is put aside, never
/// deleted, and a new one is filled from what the journal holds. One that is ahead of the journal (`end` is its last
/// record) belongs to another one: a data directory was put together from two.
pub(super) fn open_or_remake(path: &Path, end: Sequence) -> Result<Opened, Error> {
    let error = match open(path) {
        Ok(opened) if opened.position <= end => return Ok(opened),
        Ok(opened) => Error::Ahead {
            position: opened.position.0,
            end: end.0,
        },
        Err(error @ (Error::Newer { .. } | Error::Sync { .. })) => return Err(error),
        Err(error) => error,
    };
    remake(path, &error)
}

/// The database as the feeder takes it over.
pub(super) struct Opened {
    pub(super) connection: Connection,
    /// The last record that is in the tables, and on the disk.
    pub(super) position: Sequence,
    pub(super) known: flush::Known,
}

/// Puts the file aside, tells why, and makes an empty one.
pub(super) fn remake(path: &Path, why: &Error) -> Result<Opened, Error> {
    let aside = put_aside(path)?;
    tracing::warn!(%why, aside = %aside.display(), "the search database is made anew from the journal");
    open(path)
}

fn open(path: &Path) -> Result<Opened, Error> {
    // No mutex: one thread writes, and the type system knows it.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)
        .map_err(Error::sqlite("open the search database"))?;
    configure(&connection).map_err(Error::sqlite("configure the search database"))?;
    let version: i64 = connection
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .map_err(Error::sqlite("read the search database's version"))?;
    match version {
        VERSION => {}
        0 => create(&connection).map_err(Error::sqlite("make the search database's tables"))?,
        older if older < VERSION => {
            return Err(Error::Older {
                found: older,
                known: VERSION,
            });
        }
        newer => {
            return Err(Error::Newer {
                path: path.to_path_buf(),
                found: newer,
                known: VERSION,
            });
        }
    }
    let position: i64 = connection
        .query_row(
            "SELECT value FROM meta WHERE name = 'position'",
            [],
            |row| row.get(0),
        )
        .map_err(Error::sqlite("read the search database's position"))?;
    let known = flush::known(&connection).map_err(Error::sqlite("read the known definitions"))?;
    sync_wal(path).map_err(|source| Error::Sync {
        path: path.to_path_buf(),
        source,
    })?;
    Ok(Opened {
        connection,
        position: Sequence(position.unsigned_abs()),
        known,
    })
}

/// What was read may be the last that a killed process wrote, which no sync has reached. The journal is let go behind the
/// position, so it has to be on the disk.
fn sync_wal(path: &Path) -> std::io::Result<()> {
    File::open(path.with_extension("db-wal"))?.sync_all()?;
    let dir = path
        .parent()
        .expect("invariant: the database is in a directory");
    OsFiles.sync_dir(dir)
}

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "page_size", PAGE_BYTES)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // A transaction is not synced by itself: the journal is the truth, and it is let go only behind a checkpoint, which is.
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    // The feeder checkpoints when it suits it.
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    connection.pragma_update(None, "journal_size_limit", WAL_BYTES_KEPT)?;
    // 16 MiB of pages: the right edges of all tables and indexes.
    connection.pragma_update(None, "cache_size", -16_384)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(())
}

fn create(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(&format!(
        "BEGIN; {TABLES} INSERT INTO meta VALUES ('position', 0), ('first', 1); PRAGMA user_version = {VERSION}; COMMIT;"
    ))
}

fn put_aside(path: &Path) -> Result<PathBuf, Error> {
    let aside = path.with_extension("db.damaged");
    std::fs::rename(path, &aside).map_err(|source| Error::Aside {
        path: path.to_path_buf(),
        source,
    })?;
    for suffix in ["db-wal", "db-shm"] {
        // Without the database they mean nothing, and a new one must not find them.
        let _ = std::fs::remove_file(path.with_extension(suffix));
    }
    Ok(aside)
}

/// A connection for queries only.
pub(super) fn open_for_reading(path: &Path) -> Result<Connection, Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)
        .map_err(Error::sqlite("open the search database for a query"))?;
    connection
        .busy_timeout(BUSY)
        .and_then(|()| super::query::register_functions(&connection))
        .map_err(Error::sqlite("prepare a connection for queries"))?;
    Ok(connection)
}

#[cfg(test)]
pub(super) fn in_memory() -> Connection {
    let connection = Connection::open_in_memory().expect("SQLite opens memory");
    create(&connection).expect("the tables are valid SQL");
    super::query::register_functions(&connection).expect("functions register");
    connection
}

#[cfg(test)]
mod tests {
    use super::{NEAR, TABLES};

    #[test]
    fn one_number_says_what_is_near() {
        let far = format!("WHERE key - instance > {NEAR}");
        assert_eq!(TABLES.matches(&far).count(), 3);
        assert_eq!(TABLES.matches("key - instance").count(), 3);
        assert_eq!(near_or_far!("e").matches(&NEAR.to_string()).count(), 2);
    }
}
