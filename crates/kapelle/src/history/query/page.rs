//! `sort` and `page` of a search.
//!
//! A cursor is the sort values and the key of a row, so the next page begins behind that row whatever was inserted in
//! between. It is opaque to clients: hexadecimal of a JSON array.

use kapelle_feel::json::pull::{Kind as Json, Raw};
use rusqlite::types::Value;

use super::field::{Entity, Field, Kind};
use super::filter::malformed;
use crate::gateway::rest::body::Object;
use crate::gateway::rest::json::{array, quote};
use crate::gateway::rest::problem::Problem;

/// As in Camunda.
const LIMIT_DEFAULT: i64 = 100;
const LIMIT_MAX: i64 = 10_000;

/// Columns that a search can be sorted by at once; more than anybody needs.
const SORTS_MAX: usize = 10;

/// One column of the order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Order {
    pub(super) sql: String,
    pub(super) descending: bool,
}

/// Where the page begins.
#[derive(Debug)]
pub(super) enum Begin {
    From(i64),
    After(Vec<Value>),
    Before(Vec<Value>),
}

#[derive(Debug)]
pub(super) struct Page {
    pub(super) order: Vec<Order>,
    pub(super) begin: Begin,
    pub(super) limit: i64,
}

/// Null has to have a place in the order, or a cursor could not stand on it: first.
fn never_null(field: &Field) -> String {
    let least = if matches!(field.kind, Kind::Text | Kind::Json | Kind::Value) {
        "''"
    } else {
        "-1"
    };
    format!("COALESCE({}, {least})", field.sql)
}

pub(super) fn read(entity: &Entity, request: &mut Object<'_>) -> Result<Page, Problem> {
    let mut order = Vec::new();
    for sort in request.list("sort")? {
        order.push(read_sort(entity, sort)?);
    }
    if order.len() > SORTS_MAX {
        return Err(Problem::invalid(format!(
            "A search can be sorted by at most {SORTS_MAX} fields."
        )));
    }
    // The key decides where the rest is equal, in the direction of the first column.
    let descending = order.first().is_some_and(|first| first.descending);
    order.extend(entity.key.iter().map(|column| Order {
        sql: (*column).to_owned(),
        descending,
    }));
    let Some(mut page) = request.object("page")? else {
        return Ok(Page {
            order,
            begin: Begin::From(0),
            limit: LIMIT_DEFAULT,
        });
    };
    let limit = page.i64("limit")?.unwrap_or(LIMIT_DEFAULT);
    let (from, after, before) = (page.i64("from")?, page.text("after")?, page.text("before")?);
    page.finish()?;
    if !(1..=LIMIT_MAX).contains(&limit) {
        return Err(Problem::invalid(format!(
            "The value for page.limit is '{limit}' but must be between 1 and {LIMIT_MAX}."
        )));
    }
    let begin = match (from, after, before) {
        (None, None, None) => Begin::From(0),
        (Some(from), None, None) if from >= 0 => Begin::From(from),
        (Some(from), None, None) => {
            return Err(Problem::invalid(format!(
                "The value for page.from is '{from}' but must be a non-negative numeric value."
            )));
        }
        (None, Some(cursor), None) => Begin::After(decode(&cursor, order.len())?),
        (None, None, Some(cursor)) => Begin::Before(decode(&cursor, order.len())?),
        _ => {
            return Err(Problem::invalid(
                "Only one of [page.from, page.after, page.before] is allowed.".to_owned(),
            ));
        }
    };
    Ok(Page {
        order,
        begin,
        limit,
    })
}

fn read_sort(entity: &Entity, sort: Raw<'_>) -> Result<Order, Problem> {
    if sort.kind() != Json::Object {
        return Err(malformed(format!(
            "Request property [sort] cannot be parsed: expected objects, found {}.",
            sort.kind().as_str()
        )));
    }
    let (mut field, mut descending) = (None, false);
    for (name, value) in sort.members() {
        let text = value.as_str().unwrap_or_default();
        match name.as_str().as_deref() {
            Some("field") => {
                let unknown = || {
                    let names = entity
                        .fields
                        .iter()
                        .filter(|f| f.sort)
                        .map(|f| f.name)
                        .collect::<Vec<_>>()
                        .join(", ");
                    malformed(format!(
                        "Unexpected value '{text}' for enum field 'field'. Use any of the following values: [{names}]"
                    ))
                };
                field = Some(entity.sortable(&text).ok_or_else(unknown)?);
            }
            Some("order") if text.eq_ignore_ascii_case("ASC") => descending = false,
            Some("order") if text.eq_ignore_ascii_case("DESC") => descending = true,
            Some("order") => {
                return Err(malformed(format!(
                    "Unexpected value '{text}' for enum field 'order'. Use any of the following values: [ASC, DESC]"
                )));
            }
            other => {
                let name = other.unwrap_or_default();
                return Err(malformed(format!(
                    "Request property [sort.{name}] cannot be parsed: there is no such property."
                )));
            }
        }
    }
    let field = field.ok_or_else(|| Problem::invalid("Sort field must not be null.".to_owned()))?;
    Ok(Order {
        sql: never_null(field),
        descending,
    })
}

/// A row's place in the order.
pub(super) fn encode(values: &[Value]) -> String {
    let text = array(values.iter().map(|value| match value {
        Value::Integer(number) => number.to_string(),
        Value::Text(text) => quote(text),
        _ => "null".to_owned(),
    }));
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

fn decode(cursor: &str, columns: usize) -> Result<Vec<Value>, Problem> {
    let values = try_decode(cursor).filter(|values| values.len() == columns);
    values.ok_or_else(|| {
        Problem::invalid(format!(
            "The cursor '{cursor}' is not one that this search gave out."
        ))
    })
}

fn try_decode(cursor: &str) -> Option<Vec<Value>> {
    let digits = cursor.as_bytes();
    let bytes: Option<Vec<u8>> = digits
        .chunks(2)
        .map(|pair| {
            std::str::from_utf8(pair)
                .ok()
                .filter(|p| p.len() == 2)
                .and_then(|p| u8::from_str_radix(p, 16).ok())
        })
        .collect();
    let text = String::from_utf8(bytes?).ok()?;
    let raw = Raw::parse(&text)
        .ok()
        .filter(|raw| raw.kind() == Json::Array)?;
    raw.elements()
        .map(|value| match value.kind() {
            Json::Number => value.text().parse().ok().map(Value::Integer),
            Json::String => value.as_str().map(|text| Value::Text(text.into_owned())),
            _ => None,
        })
        .collect()
}

/// "Behind this row" in the order, as a condition: lexicographic, column by column.
pub(super) fn behind(order: &[Order], values: &[Value], forward: bool) -> (String, Vec<Value>) {
    let (mut parts, mut bound) = (Vec::new(), Vec::new());
    for (last, column) in order.iter().enumerate() {
        let mut part: Vec<String> = order
            .iter()
            .take(last)
            .map(|equal| format!("{} = ?", equal.sql))
            .collect();
        part.push(format!(
            "{} {} ?",
            column.sql,
            if column.descending == forward {
                "<"
            } else {
                ">"
            }
        ));
        parts.push(format!("({})", part.join(" AND ")));
        bound.extend(values.iter().take(last + 1).cloned());
    }
    (format!("({})", parts.join(" OR ")), bound)
}

#[cfg(test)]
mod tests {
    use super::{Order, behind, decode, encode};
    use rusqlite::types::Value;

    #[test]
    fn a_cursor_survives_the_round_trip_and_a_wrong_one_is_refused() {
        let values = vec![Value::Text("a\"b".to_owned()), Value::Integer(-7)];
        assert_eq!(decode(&encode(&values), 2).ok(), Some(values.clone()));
        assert!(decode(&encode(&values), 3).is_err());
        assert!(decode("zz", 1).is_err());
        assert!(decode("5", 1).is_err());
    }

    #[test]
    fn behind_a_row_means_later_in_the_order_column_by_column() {
        let order = [
            Order {
                sql: "a".to_owned(),
                descending: true,
            },
            Order {
                sql: "k".to_owned(),
                descending: false,
            },
        ];
        let (sql, bound) = behind(&order, &[Value::Integer(1), Value::Integer(2)], true);
        assert_eq!(sql, "((a < ?) OR (a = ? AND k > ?))");
        assert_eq!(bound.len(), 3);
    }
}
