//! A row as a JSON object.

use kapelle_events::Timestamp;
use rusqlite::Row;
use rusqlite::types::ValueRef;

use super::field::{Field, Kind};
use super::words::word;
use crate::gateway::rest::json::Object;

/// Variable values are cut after so many characters in searches, as in Camunda.
pub(super) const VALUE_CHARS_MAX: usize = 8_191;

/// RFC 3339 in UTC, always with milliseconds: texts of one length, which are in order as texts too.
pub(crate) fn time(ms: i64) -> Option<String> {
    let time = Timestamp::from_unix_ms(ms)?;
    let text = time.as_str();
    Some(match text.strip_suffix('Z') {
        Some(whole) if !whole.contains('.') => format!("{whole}.000Z"),
        _ => text.to_owned(),
    })
}

/// How a variable's value is given out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Values {
    /// In searches: cut or not, and said so.
    Searched { cut: bool },
    /// Of one variable: whole, without a word on it.
    Whole,
}

/// All shown members, null where there is nothing.
pub(super) fn object(fields: &[&Field], row: &Row<'_>, values: Values) -> rusqlite::Result<String> {
    let mut object = Object::new();
    for (column, field) in fields.iter().enumerate() {
        member(&mut object, field, row.get_ref(column)?, values);
    }
    Ok(object.end())
}

fn member(object: &mut Object, field: &Field, value: ValueRef<'_>, values: Values) {
    let name = field.name;
    match (field.kind, value) {
        (Kind::Key, ValueRef::Integer(key)) => object.key(name, key.unsigned_abs()),
        (Kind::Number, ValueRef::Integer(number)) => object.number(name, number),
        (Kind::Bool, ValueRef::Integer(flag)) => object.bool(name, flag != 0),
        (Kind::Time, ValueRef::Integer(ms)) => object.text_or_null(name, time(ms).as_deref()),
        (Kind::Word(words), ValueRef::Integer(number)) => {
            object.text_or_null(name, word(words, number))
        }
        (Kind::Json, ValueRef::Text(text)) => object.raw(name, &String::from_utf8_lossy(text)),
        (Kind::Text, ValueRef::Text(text)) => object.text(name, &String::from_utf8_lossy(text)),
        (Kind::Value, ValueRef::Blob(bytes)) => {
            let text = kapelle_feel::json::from_msgpack(bytes);
            let cut = matches!(values, Values::Searched { cut: true })
                .then(|| text.char_indices().nth(VALUE_CHARS_MAX))
                .flatten();
            object.text(name, cut.map_or(&*text, |(end, _)| &text[..end]));
            if matches!(values, Values::Searched { .. }) {
                object.bool("isTruncated", cut.is_some());
            }
            object
        }
        _ => object.null(name),
    };
}

#[cfg(test)]
mod tests {
    use super::time;

    #[test]
    fn times_have_milliseconds() {
        assert_eq!(time(0).as_deref(), Some("1970-01-01T00:00:00.000Z"));
        assert_eq!(time(1_500).as_deref(), Some("1970-01-01T00:00:01.500Z"));
        assert_eq!(time(1_007).as_deref(), Some("1970-01-01T00:00:01.007Z"));
    }
}
