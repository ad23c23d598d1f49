//! Reading and changing contexts. A change is a new context.

use super::{Call, Failure, Outcome, Overload, function, variadic};
use crate::value::{Context, List, Text, Value};
use crate::warning::WarningKind;

pub(super) const FUNCTIONS: &[Overload] = &[
    function("get value", &["context|m", "key"], get_value),
    function("get value", &["context|m", "keys"], get_value),
    function("get entries", &["context|m"], get_entries),
    function("context put", &["context", "key", "value"], put),
    function("context put", &["context", "keys", "value"], put),
    function("put", &["context", "key", "value"], put),
    function("put", &["context", "keys", "value"], put),
    function("context merge", &["contexts"], merge),
    variadic("context merge", &["contexts"], merge),
    function("put all", &["contexts"], merge),
    variadic("put all", &["contexts"], merge),
];

/// By a key, or by a path of keys.
fn get_value(call: &mut Call<'_, '_>) -> Outcome {
    let context = call.context(0)?;
    let found = match call.value(1) {
        Value::String(key) => context.get(key).cloned(),
        Value::List(keys) => by_path(context.clone(), keys),
        _ => return Err(Failure::Illegal),
    };
    if found.is_none() {
        let key = call.value(1).to_string();
        call.meter.warn(WarningKind::NoContextEntryFound, || {
            format!("No context entry found with key {key}")
        });
    }
    Ok(found.unwrap_or(Value::Null))
}

fn by_path(context: Context, keys: &List) -> Option<Value> {
    let (first, rest) = keys.as_slice().split_first()?;
    let mut value = context.get(first.as_str()?)?.clone();
    for key in rest {
        value = value.as_context()?.get(key.as_str()?)?.clone();
    }
    Some(value)
}

fn get_entries(call: &mut Call<'_, '_>) -> Outcome {
    let context = call.context(0)?;
    call.meter
        .bytes(context.len() as u64 * 4 * crate::value::Shape::BASE)?;
    let entry = |(key, value): &(Text, Value)| {
        Value::from_iter([
            ("key", Value::String(key.clone())),
            ("value", value.clone()),
        ])
    };
    Ok(context.entries().iter().map(entry).collect())
}

fn put(call: &mut Call<'_, '_>) -> Outcome {
    let context = call.context(0)?;
    let value = call.value(2).clone();
    let path: Vec<Text> = match call.value(1) {
        Value::String(key) => vec![key.clone()],
        Value::List(keys) => {
            let text = |key: &Value| {
                if let Value::String(key) = key {
                    Ok(key.clone())
                } else {
                    Err(Failure::Illegal)
                }
            };
            keys.iter().map(text).collect::<Result<_, _>>()?
        }
        _ => return Err(Failure::Illegal),
    };
    if path.is_empty() || path.len() > crate::msgpack::DEPTH_MAX {
        return Err(Failure::Illegal);
    }
    call.meter.bytes(
        context
            .shape()
            .bytes
            .min(path.len() as u64 * context.len() as u64 * 64),
    )?;
    Ok(Value::Context(put_at(&context, &path, value)))
}

/// Recursion is bounded by the path, which is checked.
fn put_at(context: &Context, path: &[Text], value: Value) -> Context {
    let Some((key, rest)) = path.split_first() else {
        return context.clone();
    };
    let value = match (rest, context.get(key)) {
        ([], _) => value,
        (rest, Some(Value::Context(inner))) => Value::Context(put_at(inner, rest, value)),
        // What is on the way and no context makes room for one.
        (rest, _) => Value::Context(put_at(&Context::new(Vec::new()), rest, value)),
    };
    let mut entries = context.entries().to_vec();
    entries.push((key.clone(), value));
    Context::new(entries)
}

fn merge(call: &mut Call<'_, '_>) -> Outcome {
    let mut entries: Vec<(Text, Value)> = Vec::new();
    for item in call.items()? {
        let Value::Context(context) = item else {
            return Err(Failure::Illegal);
        };
        call.meter
            .bytes(context.len() as u64 * 2 * crate::value::Shape::BASE)?;
        entries.extend_from_slice(context.entries());
    }
    Ok(Value::Context(Context::new(entries)))
}
