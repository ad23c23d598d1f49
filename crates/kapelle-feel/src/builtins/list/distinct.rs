//! Values that differ, values that repeat.
//!
//! Values are told apart by a key: bytes that are equal exactly for values that FEEL calls equal. A set of keys takes
//! `n log n` where comparing each with each would take `n²`.

use std::collections::BTreeMap;

use super::super::{Call, Failure, Outcome};
use crate::msgpack;
use crate::value::{List, Value};

pub(super) fn union(call: &mut Call<'_, '_>) -> Outcome {
    let mut all = Vec::new();
    for argument in call.arguments.clone() {
        let Value::List(list) = argument else {
            return Err(Failure::Illegal);
        };
        call.meter
            .bytes(list.len() as u64 * crate::value::Shape::BASE)?;
        all.extend_from_slice(list.as_slice());
    }
    distinct(call, &List::from(all))
}

pub(super) fn distinct_values(call: &mut Call<'_, '_>) -> Outcome {
    let list = call.list(0)?;
    distinct(call, &list)
}

fn distinct(call: &mut Call<'_, '_>, list: &List) -> Outcome {
    let counts = counts(call, list)?;
    Ok(firsts(list, &counts, 1))
}

pub(super) fn duplicate_values(call: &mut Call<'_, '_>) -> Outcome {
    let list = call.list(0)?;
    let counts = counts(call, &list)?;
    Ok(firsts(&list, &counts, 2))
}

/// Where each different value is first, and how often it is there.
fn counts(call: &mut Call<'_, '_>, list: &List) -> Result<Vec<(usize, usize)>, Failure> {
    let mut seen: BTreeMap<Vec<u8>, (usize, usize)> = BTreeMap::new();
    for (at, item) in list.iter().enumerate() {
        let size = item.shape().bytes;
        call.meter.steps(1 + size / 64)?;
        call.meter.bytes(size)?;
        let mut key = Vec::new();
        write_key(&mut key, item);
        seen.entry(key)
            .and_modify(|(_, count)| *count += 1)
            .or_insert((at, 1));
    }
    let mut counts: Vec<(usize, usize)> = seen.into_values().collect();
    counts.sort_unstable();
    Ok(counts)
}

fn firsts(list: &List, counts: &[(usize, usize)], least: usize) -> Value {
    let often = counts.iter().filter(|(_, count)| *count >= least);
    often
        .filter_map(|(at, _)| list.as_slice().get(*at).cloned())
        .collect()
}

/// Numbers without their scale, contexts by name, moments in UTC: whatever is equal has one key.
fn write_key(key: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Number(number) => text_key(key, b'n', &number.normalized().to_string()),
        Value::List(list) => {
            key.push(b'l');
            msgpack::write_array_header(key, list.len());
            for item in list {
                write_key(key, item);
            }
        }
        Value::Context(context) => {
            key.push(b'c');
            msgpack::write_map_header(key, context.len());
            let mut entries: Vec<_> = context.iter().collect();
            entries.sort_unstable_by_key(|(name, _)| *name);
            for (name, value) in entries {
                msgpack::write_str(key, name);
                write_key(key, value);
            }
        }
        Value::Time(time) => text_key(key, b't', &format!("{:?}", time.comparable())),
        Value::DateTime(at) => text_key(key, b'm', &format!("{:?}", at.comparable())),
        Value::String(text) => text_key(key, b's', text),
        other => text_key(key, b'o', &format!("{} {other}", other.type_name())),
    }
}

fn text_key(key: &mut Vec<u8>, kind: u8, text: &str) {
    key.push(kind);
    msgpack::write_str(key, text);
}
