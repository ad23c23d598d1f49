//! What the tables say of one link of a chain.

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use crate::history::query::events::{self, EventRow};
use crate::history::query::words::{InstanceState, JobState, word};

/// A CloudEvent with what it says of its causes.
pub(super) struct EventLink {
    pub(super) row: EventRow,
    pub(super) correlation_id: Option<String>,
    pub(super) causation_id: Option<String>,
    pub(super) trace_id: Option<String>,
}

pub(super) struct InstanceRow {
    pub(super) key: i64,
    pub(super) process_id: Option<String>,
    pub(super) version: Option<i64>,
    pub(super) state: &'static str,
    pub(super) started_ms: i64,
    pub(super) ended_ms: Option<i64>,
}

pub(super) struct JobRow {
    pub(super) key: i64,
    pub(super) instance: i64,
    pub(super) element_id: Option<String>,
    pub(super) job_type: String,
    pub(super) state: &'static str,
    pub(super) worker: Option<String>,
    pub(super) created_ms: i64,
    pub(super) ended_ms: Option<i64>,
}

/// How CloudEvents are looked for.
#[derive(Clone, Copy)]
pub(super) enum By<'t> {
    Id(&'t str),
    CorrelationId(&'t str),
    CausationId(&'t str),
    TraceId(&'t str),
    Instance(i64),
}

/// Positions of both tables, the oldest first, at most so many. Repeats caused nothing.
pub(super) fn positions(
    connection: &Connection,
    by: By<'_>,
    most: usize,
) -> rusqlite::Result<Vec<i64>> {
    let (column, wanted): (_, &dyn rusqlite::ToSql) = match &by {
        By::Id(text) => ("id", text),
        By::CorrelationId(text) => ("correlation_id", text),
        By::CausationId(text) => ("causation_id", text),
        By::TraceId(text) => ("trace_id", text),
        By::Instance(key) => ("instance", key),
    };
    let came_in = match by {
        By::Instance(_) => "SELECT position FROM event_instance WHERE instance = ?1".to_owned(),
        _ => format!("SELECT position FROM event_in WHERE {column} = ?1 AND duplicate_of IS NULL"),
    };
    let sql = format!(
        "SELECT position FROM ({came_in} UNION SELECT position FROM event_out WHERE {column} = ?1) ORDER BY position LIMIT ?2"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let rows = statement.query_map(params![wanted, most], |row| row.get(0))?;
    rows.collect()
}

pub(super) fn event(connection: &Connection, position: i64) -> rusqlite::Result<Option<EventLink>> {
    let Some(row) = events::row(connection, position)? else {
        return Ok(None);
    };
    let table = if row.is_out { "event_out" } else { "event_in" };
    let sql =
        format!("SELECT correlation_id, causation_id, trace_id FROM {table} WHERE position = ?1");
    let links = connection
        .prepare_cached(&sql)?
        .query_row([position], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .optional()?;
    let (correlation_id, causation_id, trace_id) = links.unwrap_or_default();
    Ok(Some(EventLink {
        row,
        correlation_id,
        causation_id,
        trace_id,
    }))
}

/// Instances that a CloudEvent started or met.
pub(super) fn instances_of(
    connection: &Connection,
    position: i64,
    most: usize,
) -> rusqlite::Result<Vec<i64>> {
    let mut statement = connection.prepare_cached(
        "SELECT instance FROM event_instance WHERE position = ?1 ORDER BY instance LIMIT ?2",
    )?;
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let rows = statement.query_map([position, most], |row| row.get(0))?;
    rows.collect()
}

pub(super) fn instance(connection: &Connection, key: i64) -> rusqlite::Result<Option<InstanceRow>> {
    connection
        .prepare_cached(
            "SELECT i.key, d.process_id, d.version, i.state, i.started, i.ended
             FROM instance i LEFT JOIN definition d ON d.key = i.definition WHERE i.key = ?1",
        )?
        .query_row([key], |row| {
            Ok(InstanceRow {
                key: row.get(0)?,
                process_id: row.get(1)?,
                version: row.get(2)?,
                state: word(InstanceState::WORDS, row.get(3)?).unwrap_or("UNKNOWN"),
                started_ms: row.get(4)?,
                ended_ms: row.get(5)?,
            })
        })
        .optional()
}

pub(super) fn jobs_of(
    connection: &Connection,
    instance: i64,
    most: usize,
) -> rusqlite::Result<Vec<JobRow>> {
    let mut statement = connection.prepare_cached(
        "SELECT j.key, j.instance, x.id, j.type, j.state, j.worker, j.created, j.ended
         FROM job j JOIN instance i ON i.key = j.instance
         LEFT JOIN definition_element x ON x.definition = i.definition AND x.idx = j.idx
         WHERE j.instance = ?1 ORDER BY j.key LIMIT ?2",
    )?;
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let rows = statement.query_map([instance, most], job)?;
    rows.collect()
}

fn job(row: &Row<'_>) -> rusqlite::Result<JobRow> {
    Ok(JobRow {
        key: row.get(0)?,
        instance: row.get(1)?,
        element_id: row.get(2)?,
        job_type: row.get(3)?,
        state: word(JobState::WORDS, row.get(4)?).unwrap_or("UNKNOWN"),
        worker: row.get(5)?,
        created_ms: row.get(6)?,
        ended_ms: row.get(7)?,
    })
}
