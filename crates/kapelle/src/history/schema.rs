//! The tables, and how the file is opened, checked and made anew.
//!
//! Row ids are the entities' own keys: they grow, so inserts append. There are few secondary indexes, each for a question
//! that every client asks; other filters scan what those leave. States are the numbers of `query::words`.

use std::path::{Path, PathBuf};

use kapelle_engine::ids::Sequence;
use rusqlite::{Connection, OpenFlags};

use super::error::Error;

/// Raised with every change of a table. An older file is remade from the journal.
const VERSION: i64 = 1;

/// What queries and the projection wait for each other at most; they hardly do, in WAL mode.
const BUSY_MS: u64 = 5_000;

const TABLES: &str = "
CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE resource (key INTEGER PRIMARY KEY, name TEXT, bytes BLOB);
CREATE TABLE definition (key INTEGER PRIMARY KEY, resource INTEGER, tenant TEXT, process_id TEXT, version INTEGER,
    version_tag TEXT, name TEXT, resource_name TEXT, semantics INTEGER);
CREATE TABLE definition_element (definition INTEGER, idx INTEGER, id TEXT, name TEXT, type TEXT,
    PRIMARY KEY (definition, idx)) WITHOUT ROWID;
CREATE TABLE instance (key INTEGER PRIMARY KEY, definition INTEGER, tenant TEXT, state INTEGER, started INTEGER,
    ended INTEGER, incidents INTEGER, business_id TEXT, tags TEXT);
CREATE INDEX instance_by_definition ON instance (definition);
CREATE INDEX instance_by_end ON instance (ended) WHERE ended IS NOT NULL;
CREATE TABLE element (key INTEGER PRIMARY KEY, instance INTEGER, idx INTEGER, scope INTEGER, state INTEGER,
    started INTEGER, ended INTEGER, incident INTEGER);
CREATE INDEX element_by_instance ON element (instance);
CREATE TABLE job (key INTEGER PRIMARY KEY, instance INTEGER, element INTEGER, idx INTEGER, type TEXT, worker TEXT,
    retries INTEGER, state INTEGER, deadline INTEGER, created INTEGER, updated INTEGER, ended INTEGER,
    error_code TEXT, error_message TEXT);
CREATE INDEX job_by_instance ON job (instance);
CREATE TABLE incident (key INTEGER PRIMARY KEY, instance INTEGER, element INTEGER, idx INTEGER, job INTEGER,
    kind TEXT, message TEXT, state INTEGER, created INTEGER, resolved INTEGER);
CREATE INDEX incident_by_instance ON incident (instance);
CREATE TABLE variable (key INTEGER PRIMARY KEY, instance INTEGER, scope INTEGER, name TEXT, value BLOB);
CREATE INDEX variable_by_instance ON variable (instance);
CREATE TABLE subscription (key INTEGER PRIMARY KEY, instance INTEGER, tenant TEXT, process_id TEXT, name TEXT,
    correlation_key TEXT, element INTEGER, idx INTEGER, opened INTEGER, opened_at INTEGER, closed INTEGER,
    closed_at INTEGER, reason INTEGER);
CREATE INDEX subscription_by_name ON subscription (name, correlation_key);
CREATE INDEX subscription_by_key ON subscription (correlation_key);
CREATE INDEX subscription_by_instance ON subscription (instance);
CREATE TABLE event_in (position INTEGER PRIMARY KEY, time INTEGER, channel TEXT, tenant TEXT, source TEXT, id TEXT,
    type TEXT, subject TEXT, event BLOB, outcome INTEGER, reason TEXT, duplicate_of INTEGER, matches BLOB);
CREATE INDEX event_in_by_id ON event_in (id);
CREATE TABLE event_instance (instance INTEGER, position INTEGER, PRIMARY KEY (instance, position)) WITHOUT ROWID;
CREATE TABLE event_message (message INTEGER PRIMARY KEY, position INTEGER);
CREATE TABLE event_later (position INTEGER, time INTEGER, what TEXT, process_id TEXT, instance INTEGER);
CREATE INDEX event_later_by_position ON event_later (position);
CREATE TABLE event_out (position INTEGER PRIMARY KEY, entry INTEGER UNIQUE, time INTEGER, channel TEXT, tenant TEXT,
    source TEXT, id TEXT, type TEXT, subject TEXT, event BLOB, state INTEGER, reason TEXT, attempts INTEGER, instance INTEGER);
";

/// The connection that writes, and the position that its rows stand at. A damaged or outdated file is put aside, never
/// deleted, and a new one is filled from what the journal holds.
pub(super) fn open_or_remake(path: &Path) -> Result<(Connection, Sequence), Error> {
    match open(path) {
        Ok(opened) => Ok(opened),
        Err(error @ Error::Newer { .. }) => Err(error),
        Err(error) => {
            let aside = put_aside(path)?;
            tracing::warn!(%error, aside = %aside.display(), "the search database is made anew from the journal");
            open(path)
        }
    }
}

fn open(path: &Path) -> Result<(Connection, Sequence), Error> {
    let connection = Connection::open(path).map_err(Error::sqlite("open the search database"))?;
    configure(&connection).map_err(Error::sqlite("configure the search database"))?;
    let version: i64 = connection
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .map_err(Error::sqlite("read the search database's version"))?;
    if version > VERSION {
        return Err(Error::Newer { path: path.to_path_buf(), found: version, known: VERSION });
    }
    if version == 0 {
        create(&connection).map_err(Error::sqlite("make the search database's tables"))?;
    }
    let position: i64 = connection
        .query_row("SELECT value FROM meta WHERE name = 'position'", [], |row| row.get(0))
        .map_err(Error::sqlite("read the search database's position"))?;
    Ok((connection, Sequence(position.unsigned_abs())))
}

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(std::time::Duration::from_millis(BUSY_MS))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // A transaction is not synced by itself: the journal is the truth, and it is let go only behind a checkpoint, which is.
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    // The feeder checkpoints when it suits it.
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
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
    std::fs::rename(path, &aside).map_err(|source| Error::Aside { path: path.to_path_buf(), source })?;
    for suffix in ["db-wal", "db-shm"] {
        // Without the database they mean nothing, and a new one must not find them.
        let _ = std::fs::remove_file(path.with_extension(suffix));
    }
    Ok(aside)
}

/// A connection for queries only.
pub(super) fn open_for_reading(path: &Path) -> Result<Connection, Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(Error::sqlite("open the search database for a query"))?;
    connection
        .busy_timeout(std::time::Duration::from_millis(BUSY_MS))
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
