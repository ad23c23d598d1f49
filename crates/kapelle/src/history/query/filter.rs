//! `filter` of a search as a condition: plain values, operators, `$or`.

use kapelle_events::Timestamp;
use kapelle_feel::json::pull::{Kind as Json, Raw};
use rusqlite::types::Value;

use super::field::{Entity, Field, Kind};
use crate::gateway::rest::body::parse_key;
use crate::gateway::rest::problem::Problem;

/// Alternatives of one `$or`, values of one `$in`: beyond it nobody wrote the request by hand.
const LIST_MAX: usize = 1_000;

/// Alternatives of one `$or`: SQLite bounds how deep a condition may be.
const ALTERNATIVES_MAX: usize = 200;

/// Keys of one `$in` that are looked up one by one; with more of them, looking at every row is no worse.
const LOOKUPS_MAX: usize = 100;

/// A condition with its bound values.
#[derive(Debug, Default)]
pub(super) struct Condition {
    pub(super) sql: String,
    pub(super) values: Vec<Value>,
}

impl Condition {
    pub(super) fn and(&mut self, sql: &str) {
        if !self.sql.is_empty() {
            self.sql.push_str(" AND ");
        }
        self.sql.push_str(sql);
    }

    /// One of these values at each `?` of `lookup`.
    fn and_any(&mut self, lookup: &str, values: &[Value]) {
        let marks = lookup.matches('?').count();
        self.and(&format!("({})", vec![lookup; values.len()].join(" OR ")));
        self.values.extend(
            values
                .iter()
                .flat_map(|value| std::iter::repeat_n(value, marks))
                .cloned(),
        );
    }
}

/// Reads the filter object. Every member is known or refused by name.
pub(super) fn read(entity: &Entity, filter: Raw<'_>) -> Result<Condition, Problem> {
    if filter.kind() != Json::Object {
        return Err(wrong("filter", "an object", filter));
    }
    let mut condition = Condition::default();
    for (name, value) in filter.members() {
        let name = name.as_str().unwrap_or_default();
        match &*name {
            "$or" => alternatives(entity, value, &mut condition)?,
            "variables" if entity.variables.is_some() => variables(entity, value, &mut condition)?,
            name => {
                let field = entity
                    .filterable(name)
                    .ok_or_else(|| malformed(format!("Request property [filter.{name}] cannot be parsed: there is no such property.")))?;
                property(field, value, &mut condition)?;
            }
        }
    }
    Ok(condition)
}

fn alternatives(entity: &Entity, list: Raw<'_>, condition: &mut Condition) -> Result<(), Problem> {
    let mut parts = Vec::new();
    let alternatives = elements("$or", list)?;
    if alternatives.len() > ALTERNATIVES_MAX {
        return Err(Problem::invalid(format!(
            "The list of filter.$or must have at most {ALTERNATIVES_MAX} elements."
        )));
    }
    for alternative in alternatives {
        // `$or` inside `$or` is no part of the API, and refusing it ends the recursion.
        if alternative.kind() == Json::Object
            && alternative
                .members()
                .any(|(name, _)| name.as_str().as_deref() == Some("$or"))
        {
            return Err(malformed(
                "Request property [filter.$or.$or] cannot be parsed: there is no such property."
                    .to_owned(),
            ));
        }
        let part = read(entity, alternative)?;
        parts.push(if part.sql.is_empty() {
            "1".to_owned()
        } else {
            format!("({})", part.sql)
        });
        condition.values.extend(part.values);
    }
    if !parts.is_empty() {
        condition.and(&format!("({})", parts.join(" OR ")));
    }
    Ok(())
}

fn variables(entity: &Entity, list: Raw<'_>, condition: &mut Condition) -> Result<(), Problem> {
    let within = entity.variables.unwrap_or("{}");
    for variable in elements("variables", list)? {
        if variable.kind() != Json::Object {
            return Err(wrong("filter.variables", "objects", variable));
        }
        let mut part = Condition::default();
        for (name, value) in variable.members() {
            match name.as_str().as_deref() {
                Some("name") => {
                    property(&Field::full("name", "v.name", Kind::Text), value, &mut part)?
                }
                Some("value") => property(
                    &Field::full("value", "json_of(v.value)", Kind::Text),
                    value,
                    &mut part,
                )?,
                other => {
                    let name = other.unwrap_or_default();
                    return Err(malformed(format!(
                        "Request property [filter.variables.{name}] cannot be parsed: there is no such property."
                    )));
                }
            }
        }
        condition.and(&within.replace("{}", if part.sql.is_empty() { "1" } else { &part.sql }));
        condition.values.extend(part.values);
    }
    Ok(())
}

/// One property: a plain value, or operators that must all hold.
fn property(field: &Field, value: Raw<'_>, condition: &mut Condition) -> Result<(), Problem> {
    let mut parts = Condition::default();
    match value.kind() {
        Json::Null => return Ok(()),
        Json::Object => {
            for (operator, operand) in value.members() {
                let operator = operator.as_str().unwrap_or_default();
                apply(field, &operator, operand, &mut parts)?;
            }
        }
        Json::Array if field.kind == Kind::Json => all_of(field, value, &mut parts)?,
        _ => apply(field, "$eq", value, &mut parts)?,
    }
    if parts.sql.is_empty() {
        return Ok(());
    }
    match field.within {
        Some(within) => condition.and(&within.replace("{}", &parts.sql)),
        None => condition.and(&parts.sql),
    }
    condition.values.extend(parts.values);
    Ok(())
}

/// A JSON list in the row must hold each of these texts.
fn all_of(field: &Field, list: Raw<'_>, condition: &mut Condition) -> Result<(), Problem> {
    for wanted in elements(field.name, list)? {
        let text = wanted
            .as_str()
            .ok_or_else(|| wrong(field.name, "an array of strings", wanted))?;
        condition.and(&format!(
            "EXISTS (SELECT 1 FROM json_each({}) WHERE json_each.value = ?)",
            field.sql
        ));
        condition.values.push(Value::Text(text.into_owned()));
    }
    Ok(())
}

fn apply(
    field: &Field,
    operator: &str,
    operand: Raw<'_>,
    condition: &mut Condition,
) -> Result<(), Problem> {
    let sql = field.sql;
    if !allowed(field.kind, operator) {
        return Err(malformed(format!(
            "Request property [filter.{}.{operator}] cannot be parsed: there is no such operator here.",
            field.name
        )));
    }
    match operator {
        "$exists" => {
            let wanted = operand.as_bool().ok_or_else(|| {
                wrong(
                    &format!("filter.{}.$exists", field.name),
                    "a boolean",
                    operand,
                )
            })?;
            condition.and(&format!(
                "({sql}) IS {}NULL",
                if wanted { "NOT " } else { "" }
            ));
        }
        "$in" | "$notIn" => {
            let operands = elements(field.name, operand)?;
            // The Java client sends every list operator, empty where it was not used.
            if operands.is_empty() {
                return Ok(());
            }
            let marks = vec!["?"; operands.len()].join(",");
            let not = if operator == "$in" { "" } else { "NOT " };
            let values = operands
                .into_iter()
                .map(|operand| bind(field, operand))
                .collect::<Result<Vec<_>, _>>()?;
            if let Some(lookup) = field
                .lookup
                .filter(|_| operator == "$in" && values.len() <= LOOKUPS_MAX)
            {
                condition.and_any(lookup, &values);
                return Ok(());
            }
            condition.and(&format!("({sql}) {not}IN ({marks})"));
            condition.values.extend(values);
        }
        "$like" => {
            let pattern = operand.as_str().ok_or_else(|| {
                wrong(&format!("filter.{}.$like", field.name), "a string", operand)
            })?;
            let text = match field.kind {
                Kind::Word(words) => word_case(sql, words),
                _ => format!("({sql})"),
            };
            condition.and(&format!("{text} GLOB ?"));
            condition.values.push(Value::Text(glob(&pattern)));
        }
        "$eq" if field.lookup.is_some() => {
            condition.and_any(field.lookup.unwrap_or_default(), &[bind(field, operand)?]);
        }
        "$eq" if matches!(field.kind, Kind::Word(_)) => {
            // A number of our own, written out: only then does SQLite see that an index of what is active fits.
            let Value::Integer(number) = bind(field, operand)? else {
                return Ok(());
            };
            condition.and(&format!("({sql}) = {number}"));
        }
        _ => {
            let sign = match operator {
                "$neq" => "IS NOT",
                "$gt" => ">",
                "$gte" => ">=",
                "$lt" => "<",
                "$lte" => "<=",
                _ => "=",
            };
            condition.and(&format!("({sql}) {sign} ?"));
            condition.values.push(bind(field, operand)?);
        }
    }
    Ok(())
}

fn allowed(kind: Kind, operator: &str) -> bool {
    match operator {
        "$eq" => kind != Kind::Json && kind != Kind::Absent,
        "$neq" | "$exists" => !matches!(kind, Kind::Bool | Kind::Json | Kind::Absent),
        "$in" => !matches!(kind, Kind::Bool | Kind::Json | Kind::Absent),
        "$notIn" => matches!(kind, Kind::Text | Kind::Key | Kind::Word(_) | Kind::Value),
        "$like" => matches!(kind, Kind::Text | Kind::Word(_) | Kind::Value),
        "$gt" | "$gte" | "$lt" | "$lte" => matches!(kind, Kind::Number | Kind::Time),
        _ => false,
    }
}

/// The operand as the column holds it.
fn bind(field: &Field, operand: Raw<'_>) -> Result<Value, Problem> {
    let path = format!("filter.{}", field.name);
    let text = || {
        operand
            .as_str()
            .ok_or_else(|| wrong(&path, "a string", operand))
    };
    Ok(match field.kind {
        Kind::Text | Kind::Value | Kind::Json | Kind::Absent => Value::Text(text()?.into_owned()),
        Kind::Key => {
            let text = text()?;
            let key = parse_key(&text).ok_or_else(|| {
                Problem::invalid(format!(
                    "The provided {} '{text}' is not a valid key: expected digits.",
                    field.name
                ))
            })?;
            Value::Integer(key)
        }
        Kind::Number => {
            let number = operand
                .text()
                .parse()
                .map_err(|_| wrong(&path, "a whole number", operand))?;
            Value::Integer(number)
        }
        Kind::Bool => Value::Integer(
            operand
                .as_bool()
                .ok_or_else(|| wrong(&path, "a boolean", operand))?
                .into(),
        ),
        Kind::Time => {
            let text = text()?;
            let time = Timestamp::parse(&text).ok_or_else(|| {
                Problem::invalid(format!(
                    "The provided {} '{text}' cannot be parsed as a date according to RFC 3339, section 5.6.",
                    field.name
                ))
            })?;
            Value::Integer(time.unix_ms())
        }
        Kind::Word(words) => {
            let text = text()?;
            let found = words
                .iter()
                .find(|(_, word)| word.eq_ignore_ascii_case(&text));
            let names = || {
                words
                    .iter()
                    .map(|(_, word)| *word)
                    .collect::<Vec<_>>()
                    .join(", ")
            };
            let (number, _) = found
                .ok_or_else(|| malformed(format!("Unexpected value '{text}' for enum field '{}'. Use any of the following values: [{}]", field.name, names())))?;
            Value::Integer(*number)
        }
    })
}

/// The word of a state column, in SQL.
fn word_case(sql: &str, words: &[(i64, &str)]) -> String {
    let arms: String = words
        .iter()
        .map(|(number, word)| format!(" WHEN {number} THEN '{word}'"))
        .collect();
    format!("CASE {sql}{arms} END")
}

/// `*` and `?` mean the same to GLOB as to the API, where `\` takes their meaning away; `[` has none in the API.
fn glob(pattern: &str) -> String {
    let mut out = String::new();
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => match characters.next() {
                Some(plain) => out.push_str(&format!("[{plain}]")),
                None => out.push('\\'),
            },
            '[' => out.push_str("[[]"),
            other => out.push(other),
        }
    }
    out
}

fn elements<'t>(name: &str, list: Raw<'t>) -> Result<Vec<Raw<'t>>, Problem> {
    if list.kind() != Json::Array {
        return Err(wrong(&format!("filter.{name}"), "an array", list));
    }
    let elements: Vec<Raw<'t>> = list.elements().take(LIST_MAX + 1).collect();
    if elements.len() > LIST_MAX {
        return Err(Problem::invalid(format!(
            "The list of filter.{name} must have at most {LIST_MAX} elements."
        )));
    }
    Ok(elements)
}

fn wrong(path: &str, expected: &str, found: Raw<'_>) -> Problem {
    malformed(format!(
        "Request property [{path}] cannot be parsed: expected {expected}, found {}.",
        found.kind().as_str()
    ))
}

pub(super) fn malformed(detail: String) -> Problem {
    Problem::http(axum::http::StatusCode::BAD_REQUEST, detail)
}

#[cfg(test)]
mod tests {
    use super::glob;

    #[test]
    fn wildcards_are_the_apis_and_nothing_else_is_one() {
        assert_eq!(glob("a*b?c"), "a*b?c");
        assert_eq!(glob("a[b]"), "a[[]b]");
        assert_eq!(glob(r"100\*"), "100[*]");
    }
}
