//! Lists out of lists. The caller pays for what comes out; items are shared, not copied.

use super::super::{Call, Failure, Outcome};
use crate::eval::call_function;
use crate::value::{List, Value, position};

/// From a position, from the end with a negative one.
pub(super) fn sublist(call: &mut Call<'_, '_>) -> Outcome {
    let list = call.list(0)?;
    let start = position(call.integer(1)?, list.len()).ok_or(Failure::Illegal)?;
    let rest = list.as_slice().get(start..).unwrap_or_default();
    let take = match call.arguments.len() {
        3 => usize::try_from(call.integer(2)?).map_err(|_| Failure::Illegal)?,
        _ => rest.len(),
    };
    Ok(rest.iter().take(take).cloned().collect())
}

pub(super) fn append(call: &mut Call<'_, '_>) -> Outcome {
    let list = call.list(0)?;
    let items = call.arguments.get(1..).unwrap_or_default();
    Ok(list.iter().chain(items).cloned().collect())
}

/// What is no list counts as a list of one.
pub(super) fn concatenate(call: &mut Call<'_, '_>) -> Outcome {
    let mut all = Vec::new();
    for argument in &call.arguments {
        match argument {
            Value::List(list) => {
                call.meter
                    .bytes(list.len() as u64 * crate::value::Shape::BASE)?;
                all.extend_from_slice(list.as_slice());
            }
            Value::Null => return Err(Failure::Illegal),
            single => all.push(single.clone()),
        }
    }
    Ok(Value::from(all))
}

pub(super) fn insert_before(call: &mut Call<'_, '_>) -> Outcome {
    let mut items = call.list(0)?.as_slice().to_vec();
    let at = position(call.integer(1)?, items.len()).ok_or(Failure::Illegal)?;
    items.insert(at, call.value(2).clone());
    Ok(Value::from(items))
}

pub(super) fn remove(call: &mut Call<'_, '_>) -> Outcome {
    let mut items = call.list(0)?.as_slice().to_vec();
    let at = position(call.integer(1)?, items.len()).ok_or(Failure::Illegal)?;
    items.remove(at);
    Ok(Value::from(items))
}

/// At a position, or wherever a function of the item and the new one says so.
pub(super) fn replace(call: &mut Call<'_, '_>) -> Outcome {
    let mut items = call.list(0)?.as_slice().to_vec();
    let new_item = call.value(2).clone();
    match call.value(1).clone() {
        Value::Function(chosen) if chosen.parameters().len() == 2 => {
            for item in &mut items {
                let answer =
                    call_function(&chosen, vec![item.clone(), new_item.clone()], call.meter)?;
                match answer.as_bool() {
                    Some(true) => item.clone_from(&new_item),
                    Some(false) => {}
                    None => return Err(Failure::Illegal),
                }
            }
        }
        _ => {
            let at = position(call.integer(1)?, items.len()).ok_or(Failure::Illegal)?;
            if let Some(item) = items.get_mut(at) {
                *item = new_item;
            }
        }
    }
    Ok(Value::from(items))
}

pub(super) fn reverse(call: &mut Call<'_, '_>) -> Outcome {
    Ok(call.list(0)?.iter().rev().cloned().collect())
}

/// All levels, with a stack in place of recursion.
pub(super) fn flatten(call: &mut Call<'_, '_>) -> Outcome {
    let mut flat = Vec::new();
    let mut open: Vec<(List, usize)> = vec![(call.list(0)?, 0)];
    while let Some((list, at)) = open.last_mut() {
        let item = list.as_slice().get(*at).cloned();
        *at += 1;
        match item {
            Some(Value::List(inner)) => open.push((inner, 0)),
            Some(item) => {
                // Shared parts are small to hold but can be huge written out flat.
                call.meter.bytes(crate::value::Shape::BASE)?;
                flat.push(item);
            }
            None => {
                open.pop();
            }
        }
        call.meter.step()?;
    }
    Ok(Value::from(flat))
}

pub(super) fn partition(call: &mut Call<'_, '_>) -> Outcome {
    let list = call.list(0)?;
    let size = usize::try_from(call.integer(1)?)
        .ok()
        .filter(|size| *size > 0)
        .ok_or(Failure::Illegal)?;
    call.meter
        .bytes(list.len() as u64 * crate::value::Shape::BASE)?;
    Ok(list
        .as_slice()
        .chunks(size)
        .map(|chunk| Value::from(chunk.to_vec()))
        .collect())
}
