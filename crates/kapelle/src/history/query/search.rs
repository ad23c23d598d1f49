//! Runs a search.

use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use super::field::{Entity, Field};
use super::filter::{self, Condition};
use super::page::{self, Begin, Order, Page};
use super::render::{self, Values};
use crate::gateway::rest::body::JsonText;
use crate::gateway::rest::json::{Object, array};
use crate::gateway::rest::problem::Problem;
use crate::history::Error;

/// Counting stops here; `hasMoreTotalItems` says that there are more.
const COUNT_MAX: i64 = 10_000;

/// A checked request.
#[derive(Debug)]
pub(crate) struct Search {
    condition: Condition,
    page: Page,
    truncate: bool,
}

impl Search {
    /// Reads the body; `truncate` cuts long variable values.
    pub(crate) fn read(entity: &Entity, text: &JsonText, truncate: bool) -> Result<Self, Problem> {
        let mut request = text.object_or_empty()?;
        let page = page::read(entity, &mut request)?;
        let condition = match request.raw("filter") {
            Some(filter) => filter::read(entity, filter)?,
            None => Condition::default(),
        };
        request.finish()?;
        Ok(Self {
            condition,
            page,
            truncate,
        })
    }
}

/// The page of results as the API gives it out.
pub(crate) fn search(
    entity: &Entity,
    search: Search,
    connection: &Connection,
) -> Result<String, Error> {
    run(entity, search, connection).map_err(Error::sqlite("search"))
}

fn run(entity: &Entity, search: Search, connection: &Connection) -> rusqlite::Result<String> {
    let total = count(entity, &search.condition, connection)?;
    let mut rows = rows(entity, &search, connection)?;
    if matches!(search.page.begin, Begin::Before(_)) {
        rows.reverse();
    }
    let cursor = |row: Option<&FoundRow>| row.map(|row| page::encode(&row.place));
    let mut page = Object::new();
    page.number("totalItems", total.min(COUNT_MAX))
        .bool("hasMoreTotalItems", total > COUNT_MAX)
        .text_or_null("startCursor", cursor(rows.first()).as_deref())
        .text_or_null("endCursor", cursor(rows.last()).as_deref());
    let mut answer = Object::new();
    answer
        .raw("items", &array(rows.iter().map(|row| &row.json)))
        .raw("page", &page.end());
    Ok(answer.end())
}

fn count(entity: &Entity, condition: &Condition, connection: &Connection) -> rusqlite::Result<i64> {
    let sql = format!(
        "SELECT COUNT(*) FROM (SELECT 1 {} {} LIMIT {})",
        entity.from,
        where_(&condition.sql),
        COUNT_MAX + 1
    );
    connection
        .prepare_cached(&sql)?
        .query_row(params_from_iter(&condition.values), |row| row.get(0))
}

struct FoundRow {
    json: String,
    /// Its place in the order.
    place: Vec<Value>,
}

fn rows(
    entity: &Entity,
    search: &Search,
    connection: &Connection,
) -> rusqlite::Result<Vec<FoundRow>> {
    let Page {
        order,
        begin,
        limit,
    } = &search.page;
    let fields: Vec<&Field> = entity.shown().collect();
    let mut condition = Condition {
        sql: search.condition.sql.clone(),
        values: search.condition.values.clone(),
    };
    let forward = !matches!(begin, Begin::Before(_));
    let offset = match begin {
        Begin::From(offset) => *offset,
        Begin::After(place) | Begin::Before(place) => {
            let (sql, values) = page::behind(order, place, forward);
            condition.and(&sql);
            condition.values.extend(values);
            0
        }
    };
    let columns: Vec<&str> = fields
        .iter()
        .map(|field| field.sql)
        .chain(order.iter().map(|column| &*column.sql))
        .collect();
    let sql = format!(
        "SELECT {} {} {} ORDER BY {} LIMIT {limit} OFFSET {offset}",
        columns.join(", "),
        entity.from,
        where_(&condition.sql),
        order_by(order, forward),
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let found = statement.query_map(params_from_iter(&condition.values), |row| {
        let json = render::object(
            &fields,
            row,
            Values::Searched {
                cut: search.truncate,
            },
        )?;
        let place = (0..order.len())
            .map(|column| row.get(fields.len() + column))
            .collect::<rusqlite::Result<_>>()?;
        Ok(FoundRow { json, place })
    })?;
    found.collect()
}

fn order_by(order: &[Order], forward: bool) -> String {
    let columns: Vec<String> = order
        .iter()
        .map(|column| {
            format!(
                "{} {}",
                column.sql,
                if column.descending == forward {
                    "DESC"
                } else {
                    "ASC"
                }
            )
        })
        .collect();
    columns.join(", ")
}

fn where_(condition: &str) -> String {
    if condition.is_empty() {
        String::new()
    } else {
        format!("WHERE {condition}")
    }
}

/// The one with that key.
pub(crate) fn get(
    entity: &Entity,
    key: i64,
    connection: &Connection,
) -> Result<Option<String>, Error> {
    use rusqlite::OptionalExtension as _;
    let fields: Vec<&Field> = entity.shown().collect();
    let columns: Vec<&str> = fields.iter().map(|field| field.sql).collect();
    let lookup = entity.lookup();
    let sql = format!(
        "SELECT {} {} WHERE {lookup}",
        columns.join(", "),
        entity.from
    );
    let keys = vec![key; lookup.matches('?').count()];
    connection
        .prepare_cached(&sql)
        .and_then(|mut statement| {
            statement
                .query_row(params_from_iter(keys), |row| {
                    render::object(&fields, row, Values::Whole)
                })
                .optional()
        })
        .map_err(Error::sqlite("look up a key"))
}
