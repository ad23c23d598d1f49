//! Writes a batch in one transaction, its position with it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kapelle_engine::event::{InstanceCreated, JobCreated};
use kapelle_engine::response::{Match, Outcome};
use kapelle_feel::json::write_string;
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use super::batch::{
    Arrival, Arrived, Batch, ElementRow, IncidentRow, InstanceRow, JobRow, Later, OutboxRow, Owned,
    Route, SubscriptionRow, VariableRow,
};
use super::definitions::{self, signed};
use super::query::words::NO_KEY;
use crate::gateway::variables::render_headers;

/// Variables that one statement inserts: most of an instance's rows are variables, and a statement of its own costs more
/// than the row.
const VARIABLES_AT_ONCE: usize = 16;

/// The definitions that have a row.
pub(super) type Known = BTreeSet<u64>;

pub(super) fn known(connection: &Connection) -> rusqlite::Result<Known> {
    let keys = connection
        .prepare("SELECT key FROM definition")?
        .query_map([], |row| row.get::<_, i64>(0))?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    Ok(keys.into_iter().map(i64::unsigned_abs).collect())
}

/// All rows of the batch, or none.
pub(super) fn write(
    connection: &mut Connection,
    batch: &Batch,
    known: &mut Known,
) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    write_definitions(&transaction, batch, known)?;
    for (key, row) in &batch.instances {
        write_instance(&transaction, *key, row, known)?;
    }
    for (key, row) in &batch.elements {
        write_element(&transaction, *key, row)?;
    }
    for (key, row) in &batch.jobs {
        write_job(&transaction, *key, row)?;
    }
    for (key, row) in &batch.incidents {
        write_incident(&transaction, *key, row)?;
    }
    write_variables(&transaction, &batch.variables)?;
    for (key, row) in &batch.subscriptions {
        write_subscription(&transaction, *key, row)?;
    }
    write_events(&transaction, batch)?;
    transaction
        .prepare_cached("UPDATE meta SET value = ?1 WHERE name = 'position'")?
        .execute([signed(batch.position.0)])?;
    transaction.commit()
}

fn write_variables(
    transaction: &Transaction<'_>,
    variables: &BTreeMap<Owned, VariableRow>,
) -> rusqlite::Result<()> {
    let rows: Vec<_> = variables.iter().collect();
    let (many, rest) = rows.as_chunks::<VARIABLES_AT_ONCE>();
    let insert = |rows: &[(&Owned, &VariableRow)]| -> rusqlite::Result<()> {
        let marks = vec!["(?,?,?,?,?)"; rows.len()].join(",");
        // OR FAIL and an upsert, not OR REPLACE: a statement of many rows that could be taken back half-way keeps copies
        // of the pages that it changes, and writes them to a file.
        let mut statement = transaction.prepare_cached(&format!(
            "INSERT OR FAIL INTO variable VALUES {marks} ON CONFLICT (instance, key) DO UPDATE SET value = excluded.value"
        ))?;
        for (row, ((instance, key), variable)) in rows.iter().enumerate() {
            let first = row * 5 + 1;
            statement.raw_bind_parameter(first, signed(*instance))?;
            statement.raw_bind_parameter(first + 1, signed(*key))?;
            statement.raw_bind_parameter(first + 2, signed(variable.scope))?;
            statement.raw_bind_parameter(first + 3, &*variable.name)?;
            statement.raw_bind_parameter(first + 4, &*variable.value)?;
        }
        statement.raw_execute().map(drop)
    };
    many.iter().try_for_each(|rows| insert(rows))?;
    rest.iter()
        .try_for_each(|row| insert(std::slice::from_ref(row)))
}

fn write_definitions(
    transaction: &Transaction<'_>,
    batch: &Batch,
    known: &mut Known,
) -> rusqlite::Result<()> {
    for (key, (name, bytes)) in &batch.resources {
        transaction
            .prepare_cached("INSERT OR REPLACE INTO resource VALUES (?1,?2,?3)")?
            .execute(params![signed(key.0), &**name, &**bytes])?;
    }
    for deployed in &batch.definitions {
        // A process deployed again from an old resource finds it in the table, if the table is complete.
        let xml: Option<Vec<u8>> = match batch.resources.get(&deployed.resource) {
            Some((_, bytes)) => Some(bytes.to_vec()),
            None => transaction
                .query_row(
                    "SELECT bytes FROM resource WHERE key = ?1",
                    [signed(deployed.resource.0)],
                    |row| row.get(0),
                )
                .optional()?,
        };
        definitions::write(transaction, deployed, xml.as_deref().unwrap_or_default())?;
        known.insert(deployed.definition.0);
    }
    Ok(())
}

/// An instance whose definition is no longer in the journal is still found: with what the instance itself says of it.
fn write_unknown_definition(
    transaction: &Transaction<'_>,
    created: &InstanceCreated,
    known: &mut Known,
) -> rusqlite::Result<()> {
    if !known.insert(created.definition.0) {
        return Ok(());
    }
    transaction
        .prepare_cached("INSERT OR IGNORE INTO definition (key, tenant, process_id, version, resource_name) VALUES (?1,?2,?3,?4,'')")?
        .execute(params![signed(created.definition.0), &*created.tenant, &*created.process_id, created.version])
        .map(drop)
}

fn write_instance(
    transaction: &Transaction<'_>,
    key: u64,
    row: &InstanceRow,
    known: &mut Known,
) -> rusqlite::Result<()> {
    let state = row.state.map(|state| state as u8);
    let ended = row.ended.map(|at| at.0);
    let Some((created, started)) = &row.created else {
        transaction
            .prepare_cached(
                "UPDATE instance SET state = COALESCE(?2, state), ended = COALESCE(?3, ended), incidents = incidents + ?4 WHERE key = ?1",
            )?
            .execute(params![signed(key), state, ended, row.incidents])?;
        return Ok(());
    };
    write_unknown_definition(transaction, created, known)?;
    let mut tags = String::from("[");
    for tag in &created.tags {
        if tags.len() > 1 {
            tags.push(',');
        }
        write_string(&mut tags, tag);
    }
    tags.push(']');
    transaction
        .prepare_cached("INSERT INTO instance VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9)")?
        .execute(params![
            signed(key),
            signed(created.definition.0),
            &*created.tenant,
            state,
            started.0,
            ended,
            row.incidents,
            created.business_id.as_deref(),
            tags,
        ])?;
    Ok(())
}

fn write_element(
    transaction: &Transaction<'_>,
    (instance, key): Owned,
    row: &ElementRow,
) -> rusqlite::Result<()> {
    let state = row.state.map(|state| state as u8);
    let ended = row.ended.map(|at| at.0);
    let incident = row.incident.map(signed);
    match row.created {
        Some((index, scope, started)) => transaction
            .prepare_cached("INSERT INTO element VALUES (?1,?2,?3,?4,?5,?6,?7,NULLIF(?8,0))")?
            .execute(params![
                signed(instance),
                signed(key),
                index,
                signed(scope),
                state,
                started.0,
                ended,
                incident
            ])?,
        None => transaction
            .prepare_cached(
                "UPDATE element SET state = COALESCE(?3, state), ended = COALESCE(?4, ended),
                 incident = NULLIF(COALESCE(?5, incident), 0) WHERE instance = ?1 AND key = ?2",
            )?
            .execute(params![
                signed(instance),
                signed(key),
                state,
                ended,
                incident
            ])?,
    };
    Ok(())
}

fn write_job(
    transaction: &Transaction<'_>,
    (instance, key): Owned,
    row: &JobRow,
) -> rusqlite::Result<()> {
    let state = row.state.map(|state| state as u8);
    let (deadline, ended) = (row.deadline.map(|at| at.0), row.ended.map(|at| at.0));
    let (worker, code, message) = (
        row.worker.as_deref(),
        row.error_code.as_deref(),
        row.error_message.as_deref(),
    );
    match &row.created {
        Some((created, at)) => transaction
            .prepare_cached("INSERT INTO job VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15)")?
            .execute(params![
                signed(instance),
                signed(key),
                signed(created.job.element.0),
                created.element.0,
                &*created.job.job_type,
                worker,
                row.retries,
                state,
                deadline,
                at.0,
                row.updated.0,
                ended,
                code,
                message,
                computed_headers(created),
            ])?,
        None => transaction
            .prepare_cached(
                "UPDATE job SET worker = COALESCE(?3, worker), retries = COALESCE(?4, retries), state = COALESCE(?5, state),
                 deadline = COALESCE(?6, deadline), updated = ?7, ended = COALESCE(?8, ended),
                 error_code = COALESCE(?9, error_code), error_message = COALESCE(?10, error_message)
                 WHERE instance = ?1 AND key = ?2",
            )?
            .execute(params![signed(instance), signed(key), worker, row.retries, state, deadline, row.updated.0, ended, code, message])?,
    };
    Ok(())
}

/// Static ones are the definition's and stand there once.
fn computed_headers(created: &JobCreated) -> Option<String> {
    let headers: Vec<(Arc<str>, Arc<str>)> = created
        .headers
        .iter()
        .map(|header| (header.key.clone(), header.value.clone()))
        .collect();
    (!headers.is_empty()).then(|| render_headers(&headers))
}

fn write_incident(
    transaction: &Transaction<'_>,
    key: u64,
    row: &IncidentRow,
) -> rusqlite::Result<()> {
    let state = row.state.map(|state| state as u8);
    let resolved = row.resolved.map(|at| at.0);
    match &row.raised {
        Some((raised, created)) => transaction
            .prepare_cached("INSERT OR REPLACE INTO incident VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10)")?
            .execute(params![
                signed(key),
                signed(raised.instance.0),
                signed(raised.element_instance.0),
                raised.element.0,
                raised.job.map(|job| signed(job.0)),
                raised.kind.as_str(),
                &*raised.message,
                state,
                created.0,
                resolved,
            ])?,
        None => transaction
            .prepare_cached("UPDATE incident SET state = COALESCE(?2, state), resolved = COALESCE(?3, resolved) WHERE key = ?1")?
            .execute(params![signed(key), state, resolved])?,
    };
    Ok(())
}

fn write_subscription(
    transaction: &Transaction<'_>,
    key: u64,
    row: &SubscriptionRow,
) -> rusqlite::Result<()> {
    let closed = row
        .closed
        .map(|(reason, position, at)| (reason, signed(position.0), at.0));
    let (reason, position, at) = (
        closed.map(|c| c.0),
        closed.map(|c| c.1),
        closed.map(|c| c.2),
    );
    match &row.opened {
        Some((opened, opened_position, opened_at)) => transaction
            .prepare_cached("INSERT OR REPLACE INTO subscription VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13)")?
            .execute(params![
                signed(key),
                signed(opened.instance.0),
                &*opened.tenant,
                &*opened.process_id,
                &*opened.name,
                &*opened.correlation_key,
                signed(opened.element_instance.0),
                opened.element.0,
                signed(opened_position.0),
                opened_at.0,
                position,
                at,
                reason,
            ])?,
        None => transaction
            .prepare_cached("UPDATE subscription SET closed = ?2, closed_at = ?3, reason = ?4 WHERE key = ?1")?
            .execute(params![signed(key), position, at, reason])?,
    };
    Ok(())
}

fn write_events(transaction: &Transaction<'_>, batch: &Batch) -> rusqlite::Result<()> {
    for arrival in &batch.arrivals {
        write_arrival(transaction, arrival)?;
    }
    for route in &batch.routes {
        write_route(transaction, route)?;
    }
    for (message, position) in &batch.messages {
        transaction
            .prepare_cached("INSERT OR REPLACE INTO event_message VALUES (?1,?2)")?
            .execute([signed(message.0), signed(position.0)])?;
    }
    for later in &batch.later {
        write_later(transaction, later)?;
    }
    for (entry, row) in &batch.outbox {
        write_outbox(transaction, *entry, row)?;
    }
    Ok(())
}

fn write_arrival(transaction: &Transaction<'_>, arrival: &Arrival) -> rusqlite::Result<()> {
    let mut insert = transaction.prepare_cached(
        "INSERT OR REPLACE INTO event_in VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,NULL,?13,?14,?15,?16)",
    )?;
    let (position, at) = (signed(arrival.position.0), arrival.at.0);
    let (channel, tenant) = (&*arrival.channel, &*arrival.tenant);
    match &arrival.what {
        Arrived::Event { event, raw } => {
            let mut bytes = Vec::new();
            kapelle_events::encode::encode(event, &mut bytes);
            let none: Option<&str> = None;
            insert.execute(params![
                position,
                at,
                channel,
                tenant,
                event.source(),
                event.id(),
                event.event_type(),
                event.subject(),
                bytes,
                Outcome::NoMatch as u8,
                none,
                none,
                raw.as_deref(),
                event.correlation_id(),
                event.causation_id(),
                event.trace_id(),
            ])?;
        }
        Arrived::Repeat {
            source,
            id,
            first,
            same_content,
        } => {
            let reason = match (id.is_empty(), same_content) {
                (true, _) => "repeats a record that was kept before",
                (false, true) => "repeats an event that was taken before",
                (false, false) => "repeats an id with other content",
            };
            let text = |text: &Arc<str>| (!text.is_empty()).then(|| Arc::clone(text));
            let first = signed(first.0);
            // The repeat's own attributes are not in the journal again: type and subject are the first one's.
            insert.execute(params![
                position,
                at,
                channel,
                tenant,
                text(source).as_deref(),
                text(id).as_deref(),
                None::<&str>,
                None::<&str>,
                None::<&[u8]>,
                Outcome::Duplicate as u8,
                reason,
                first,
                None::<&[u8]>,
                None::<&str>,
                None::<&str>,
                None::<&str>,
            ])?;
            transaction
                .prepare_cached(
                    "UPDATE event_in SET (type, subject) = (SELECT type, subject FROM event_in WHERE position = ?2) WHERE position = ?1",
                )?
                .execute([position, first])?;
        }
        Arrived::Malformed { raw, reason } => {
            insert.execute(params![
                position,
                at,
                channel,
                tenant,
                None::<&str>,
                None::<&str>,
                None::<&str>,
                None::<&str>,
                &**raw,
                Outcome::Rejected as u8,
                &**reason,
                None::<i64>,
                None::<&[u8]>,
                None::<&str>,
                None::<&str>,
                None::<&str>,
            ])?;
        }
    }
    Ok(())
}

fn write_route(transaction: &Transaction<'_>, route: &Route) -> rusqlite::Result<()> {
    transaction
        .prepare_cached(
            "UPDATE event_in SET outcome = ?2, reason = ?3, matches = ?4 WHERE position = ?1",
        )?
        .execute(params![
            signed(route.position.0),
            route.outcome as u8,
            &*route.reason,
            matches_json(&route.matches)
        ])?;
    for instance in route.matches.iter().filter_map(|m| m.instance) {
        transaction
            .prepare_cached("INSERT OR IGNORE INTO event_instance VALUES (?1,?2)")?
            .execute([signed(instance.0), signed(route.position.0)])?;
    }
    Ok(())
}

/// As `docs/reference/events-api.md` has them: written once, given out as they are.
fn matches_json(matches: &[Match]) -> String {
    let mut text = String::from("[");
    for found in matches {
        if text.len() > 1 {
            text.push(',');
        }
        for (open, value) in [
            ("{\"message\":", &*found.message),
            (",\"processDefinitionId\":", &*found.process_id),
            (",\"correlationKey\":", &*found.correlation_key),
            (",\"outcome\":", found.outcome.as_str()),
            (",\"reason\":", &*found.reason),
        ] {
            text.push_str(open);
            write_string(&mut text, value);
        }
        text.push_str(",\"processInstanceKey\":");
        match found.instance {
            Some(instance) => write_string(&mut text, &instance.to_string()),
            None => text.push_str("null"),
        }
        text.push('}');
    }
    text.push(']');
    text
}

fn write_later(transaction: &Transaction<'_>, later: &Later) -> rusqlite::Result<()> {
    transaction
        .prepare_cached("INSERT INTO event_later SELECT position, ?2, ?3, ?4, ?5 FROM event_message WHERE message = ?1")?
        .execute(params![
            signed(later.message.0),
            later.at.0,
            later.what,
            &*later.process_id,
            later.instance.map_or(NO_KEY, |instance| signed(instance.0)),
        ])?;
    if let Some(instance) = later.instance {
        transaction
            .prepare_cached("INSERT OR IGNORE INTO event_instance SELECT ?2, position FROM event_message WHERE message = ?1")?
            .execute([signed(later.message.0), signed(instance.0)])?;
    }
    Ok(())
}

fn write_outbox(
    transaction: &Transaction<'_>,
    entry: u64,
    row: &OutboxRow,
) -> rusqlite::Result<()> {
    let state = row.state.map(|state| state as u8);
    let error = row.error.as_deref();
    let retry_at = row.retry_at.map(|at| at.0);
    match &row.added {
        Some((added, position, at)) => {
            let mut bytes = Vec::new();
            kapelle_events::encode::encode(&added.event, &mut bytes);
            let event = &added.event;
            transaction
                .prepare_cached("INSERT OR REPLACE INTO event_out VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17,?18)")?
                .execute(params![
                    signed(position.0), signed(entry), at.0, &*added.to, &*added.tenant, event.source(), event.id(),
                    event.event_type(), event.subject(), bytes, state, error, row.attempts, signed(added.instance.0), retry_at,
                    event.correlation_id(), event.causation_id(), event.trace_id(),
                ])?;
        }
        None => {
            transaction
                .prepare_cached(
                    "UPDATE event_out SET state = COALESCE(?2, state), reason = COALESCE(?3, reason),
                     attempts = COALESCE(?4, attempts), retry_at = COALESCE(?5, retry_at) WHERE entry = ?1",
                )?
                .execute(params![signed(entry), state, error, row.attempts, retry_at])?;
        }
    }
    Ok(())
}
