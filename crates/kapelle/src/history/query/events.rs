//! CloudEvents that came in and went out, as `docs/reference/events-api.md` gives them.

use std::borrow::Cow;

use kapelle_feel::json::pull::Raw;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension as _, Row, params_from_iter};

use super::render::time;
use super::words::{DeliveryState, OUTCOMES, word};
use crate::gateway::rest::json::{Object, array};
use crate::history::Error;

/// The columns of both tables that [`EventRow`] reads, in its order.
const IN: &str = "SELECT position, 0, time, channel, tenant, source, id, type, subject, event, outcome, reason, duplicate_of,
    matches, NULL, (SELECT MIN(instance) FROM event_instance x WHERE x.position = event_in.position), NULL FROM event_in";
const OUT: &str = "SELECT position, 1, time, channel, tenant, source, id, type, subject, event, state, reason, NULL, NULL,
    attempts, instance, retry_at FROM event_out";

/// What is asked for. Texts are compared whole; a type may end in `*`.
#[derive(Debug, Default)]
pub(crate) struct EventQuery {
    pub(crate) after: Option<i64>,
    pub(crate) limit: i64,
    pub(crate) out: Option<bool>,
    pub(crate) event_type: Option<String>,
    pub(crate) source: Option<String>,
    pub(crate) subject: Option<String>,
    pub(crate) id: Option<String>,
    /// Words of [`OUTCOMES`] or [`DeliveryState`].
    pub(crate) outcomes: Vec<String>,
    pub(crate) instance: Option<i64>,
}

/// An item as it is given out, and what *explain* needs of it.
pub(crate) struct EventRow {
    pub(crate) position: i64,
    pub(crate) is_out: bool,
    pub(crate) time_ms: i64,
    pub(crate) tenant: String,
    pub(crate) event_type: Option<String>,
    pub(crate) subject: Option<String>,
    pub(crate) outcome: &'static str,
    pub(crate) reason: Option<String>,
    pub(crate) matches: Option<String>,
    event: Option<Vec<u8>>,
    channel: String,
    pub(crate) source: Option<String>,
    pub(crate) id: Option<String>,
    pub(crate) duplicate_of: Option<i64>,
    /// Of its delivery: those that failed, and when the next one is due.
    pub(crate) attempts: Option<i64>,
    pub(crate) retry_at: Option<i64>,
    pub(crate) instance: Option<i64>,
}

impl EventRow {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let is_out: bool = row.get(1)?;
        let words = if is_out {
            DeliveryState::WORDS
        } else {
            OUTCOMES
        };
        Ok(Self {
            position: row.get(0)?,
            is_out,
            time_ms: row.get(2)?,
            channel: row.get(3)?,
            tenant: row.get(4)?,
            source: row.get(5)?,
            id: row.get(6)?,
            event_type: row.get(7)?,
            subject: row.get(8)?,
            event: row.get(9)?,
            outcome: word(words, row.get(10)?).unwrap_or("UNKNOWN"),
            reason: row.get(11)?,
            duplicate_of: row.get(12)?,
            matches: row.get(13)?,
            attempts: row.get(14)?,
            instance: row.get(15)?,
            retry_at: row.get(16)?,
        })
    }

    /// What it came to for one instance.
    pub(crate) fn outcome_for(&self, instance: i64) -> Option<String> {
        let matches = Raw::parse(self.matches.as_deref()?).ok()?;
        let key = instance.to_string();
        matches.elements().find_map(|found| {
            let member = |name: &str| {
                let named = |(other, _): &(Raw<'_>, _)| other.as_str().as_deref() == Some(name);
                let (_, value) = found.members().find(named)?;
                value.as_str().map(Cow::into_owned)
            };
            (member("processInstanceKey")? == key).then(|| member("outcome"))?
        })
    }

    /// The members of the list's items.
    fn object(&self) -> Object {
        let key = |key: Option<i64>| key.map(|key| key.to_string());
        let mut object = Object::new();
        object
            .text("position", &self.position.to_string())
            .text("direction", if self.is_out { "out" } else { "in" })
            .text_or_null("time", time(self.time_ms).as_deref())
            .text("channel", &self.channel)
            .text("tenantId", &self.tenant)
            .text_or_null("source", self.source.as_deref())
            .text_or_null("id", self.id.as_deref())
            .text_or_null("type", self.event_type.as_deref())
            .text_or_null("subject", self.subject.as_deref())
            .text("outcome", self.outcome)
            .text_or_null("reason", self.reason.as_deref())
            .text_or_null("duplicateOf", key(self.duplicate_of).as_deref())
            .text_or_null("processInstanceKey", key(self.instance).as_deref())
            .raw("matches", self.matches.as_deref().unwrap_or("[]"));
        match self.attempts {
            Some(attempts) => object.number("attempts", attempts),
            None => object.null("attempts"),
        };
        let retry_at = self.retry_at.filter(|_| self.outcome == "PENDING");
        object.text_or_null("nextAttemptAt", retry_at.and_then(time).as_deref());
        object
    }

    pub(crate) fn json(&self) -> String {
        self.object().end()
    }

    /// With attributes and data. What could not become a CloudEvent has its raw bytes as data.
    pub(crate) fn json_with_data(&self) -> String {
        let mut object = self.object();
        let event = self
            .event
            .as_deref()
            .and_then(|bytes| kapelle_events::encode::decode(bytes).ok());
        let (data, content_type) = match &event {
            Some(event) => (
                event.data().map(|data| data.as_bytes().to_vec()),
                event.data_content_type(),
            ),
            None => (self.event.clone(), None),
        };
        object.text_or_null(
            "eventTime",
            event
                .as_ref()
                .and_then(|e| e.time())
                .map(kapelle_events::Timestamp::as_str),
        );
        match &event {
            Some(event) => object.raw("attributes", &attributes(event)),
            None => object.raw("attributes", "{}"),
        };
        let text = data
            .as_deref()
            .and_then(|bytes| std::str::from_utf8(bytes).ok());
        let binary = data
            .as_deref()
            .filter(|_| text.is_none())
            .map(kapelle_events::base64::encode);
        object
            .text_or_null("data", text)
            .text_or_null("data_base64", binary.as_deref())
            .text_or_null("dataContentType", content_type);
        object.end()
    }
}

/// As in the structured JSON format, without the data.
fn attributes(event: &kapelle_events::CloudEvent) -> String {
    let mut object = Object::new();
    object
        .text("specversion", "1.0")
        .text("id", event.id())
        .text("source", event.source())
        .text("type", event.event_type());
    for (name, value) in [
        ("subject", event.subject()),
        ("time", event.time().map(kapelle_events::Timestamp::as_str)),
        ("datacontenttype", event.data_content_type()),
        ("dataschema", event.data_schema()),
    ] {
        if let Some(value) = value {
            object.text(name, value);
        }
    }
    for (name, value) in event.extensions() {
        match value {
            kapelle_events::attribute::Value::Boolean(flag) => object.bool(name, *flag),
            kapelle_events::attribute::Value::Integer(number) => {
                object.number(name, i64::from(*number))
            }
            other => object.text(name, &other.to_text()),
        };
    }
    object.end()
}

/// The page as it is given out.
pub(crate) fn list(connection: &Connection, query: &EventQuery) -> Result<String, Error> {
    run_list(connection, query).map_err(Error::sqlite("list events"))
}

/// Each table is asked in the order of its own key, so that a short page of a long history is read and nothing else; the
/// two pages are then merged. (One statement over both would sort all of them.)
fn run_list(connection: &Connection, query: &EventQuery) -> rusqlite::Result<String> {
    let mut rows = Vec::new();
    for is_out in [false, true] {
        if query.out.is_none_or(|wanted| wanted == is_out) {
            rows.extend(page_of(connection, query, is_out)?);
        }
    }
    let limit = usize::try_from(query.limit).unwrap_or_default();
    rows.sort_by_key(|row| row.position);
    match query.after {
        Some(_) => rows.truncate(limit),
        None => drop(rows.drain(..rows.len().saturating_sub(limit))),
    }
    let looked_at: i64 = connection.query_row(
        "SELECT value FROM meta WHERE name = 'position'",
        [],
        |row| row.get(0),
    )?;
    let end = rows.last().map_or(looked_at, |row| row.position);
    let mut page = Object::new();
    page.text("endPosition", &end.to_string());
    let mut answer = Object::new();
    answer
        .raw("items", &array(rows.iter().map(EventRow::json)))
        .raw("page", &page.end());
    Ok(answer.end())
}

fn page_of(
    connection: &Connection,
    query: &EventQuery,
    is_out: bool,
) -> rusqlite::Result<Vec<EventRow>> {
    let (conditions, mut values) = conditions(query, is_out);
    values.push(Value::Integer(query.limit));
    let where_ = if conditions.is_empty() {
        String::new()
    } else {
        format!("WHERE {}", conditions.join(" AND "))
    };
    let (columns, order) = (
        if is_out { OUT } else { IN },
        if query.after.is_some() { "ASC" } else { "DESC" },
    );
    let sql = format!("{columns} {where_} ORDER BY position {order} LIMIT ?");
    let mut statement = connection.prepare_cached(&sql)?;
    statement
        .query_map(params_from_iter(values), EventRow::read)?
        .collect()
}

fn conditions(query: &EventQuery, is_out: bool) -> (Vec<String>, Vec<Value>) {
    let (mut conditions, mut values) = (Vec::new(), Vec::new());
    let mut add = |sql: &str, bound: &[Value]| {
        conditions.push(sql.to_owned());
        values.extend_from_slice(bound);
    };
    let text = |text: &str| Value::Text(text.to_owned());
    if let Some(after) = query.after {
        add("position > ?", &[Value::Integer(after)]);
    }
    match query
        .event_type
        .as_deref()
        .map(|whole| (whole, whole.strip_suffix('*')))
    {
        Some((_, Some(prefix))) => add(
            "substr(type, 1, length(?)) = ?",
            &[text(prefix), text(prefix)],
        ),
        Some((whole, None)) => add("type = ?", &[text(whole)]),
        None => {}
    }
    for (sql, wanted) in [
        ("source = ?", &query.source),
        ("subject = ?", &query.subject),
        ("id = ?", &query.id),
    ] {
        if let Some(wanted) = wanted {
            add(sql, &[text(wanted)]);
        }
    }
    if let Some(instance) = query.instance {
        let sql = if is_out {
            "instance = ?"
        } else {
            "position IN (SELECT position FROM event_instance WHERE instance = ?)"
        };
        add(sql, &[Value::Integer(instance)]);
    }
    if !query.outcomes.is_empty() {
        let (column, words) = if is_out {
            ("state", DeliveryState::WORDS)
        } else {
            ("outcome", OUTCOMES)
        };
        let numbers: Vec<String> = words
            .iter()
            .filter(|(_, word)| query.outcomes.iter().any(|wanted| wanted == word))
            .map(|(number, _)| number.to_string())
            .collect();
        add(&format!("{column} IN ({})", numbers.join(",")), &[]);
    }
    (conditions, values)
}

/// What came, byte for byte.
pub(crate) struct Came {
    pub(crate) bytes: Vec<u8>,
    /// If it is known.
    pub(crate) content_type: Option<String>,
}

/// The record that a rule made the event of, or one that is no CloudEvent, else the data.
pub(crate) fn came(connection: &Connection, position: i64) -> Result<Option<Came>, Error> {
    let Some(found) = find(connection, position)? else {
        return Ok(None);
    };
    let stored = found.event.unwrap_or_default();
    let record: Option<Vec<u8>> = connection
        .prepare_cached("SELECT raw FROM event_in WHERE position = ?1")
        .and_then(|mut statement| statement.query_row([position], |row| row.get(0)).optional())
        .map_err(Error::sqlite("look up a record"))?
        .flatten()
        .or_else(|| found.id.is_none().then(|| stored.clone()));
    if let Some(bytes) = record {
        let content_type = None;
        return Ok(Some(Came {
            bytes,
            content_type,
        }));
    }
    let event = kapelle_events::encode::decode(&stored).ok();
    let data = event.as_ref().and_then(|event| event.data());
    let content_type = event.as_ref().and_then(|event| event.data_content_type());
    Ok(Some(Came {
        bytes: data.map_or_else(Vec::new, |data| data.as_bytes().to_vec()),
        content_type: content_type.map(str::to_owned),
    }))
}

/// One event.
pub(crate) fn find(connection: &Connection, position: i64) -> Result<Option<EventRow>, Error> {
    row(connection, position).map_err(Error::sqlite("look up an event"))
}

pub(crate) fn row(connection: &Connection, position: i64) -> rusqlite::Result<Option<EventRow>> {
    for columns in [IN, OUT] {
        let found = connection
            .prepare_cached(&format!("{columns} WHERE position = ?1"))?
            .query_row([position], EventRow::read)
            .optional()?;
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}
