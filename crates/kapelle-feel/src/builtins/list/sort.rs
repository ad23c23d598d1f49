//! `sort` by a function that says which of two comes first: a merge sort from the bottom up, because the function may
//! fail and may contradict itself, which the standard library's sort does not allow.

use super::super::{Call, Failure, Outcome};
use crate::eval::call_function;
use crate::function::Function;
use crate::value::Value;

pub(super) fn sort(call: &mut Call<'_, '_>) -> Outcome {
    let list = call.list(0)?;
    let precedes = match call.value(1) {
        Value::Function(function) if function.parameters().len() == 2 => function.clone(),
        _ => return Err(Failure::Illegal),
    };
    let mut items = list.as_slice().to_vec();
    let mut width = 1;
    while width < items.len() {
        let mut merged = Vec::with_capacity(items.len());
        for pair in items.chunks(width * 2) {
            let (left, right) = pair.split_at(width.min(pair.len()));
            merge(call, &precedes, left, right, &mut merged)?;
        }
        items = merged;
        width *= 2;
    }
    Ok(Value::from(items))
}

/// Stable: the right one goes first only if it precedes the left one.
fn merge(
    call: &mut Call<'_, '_>,
    precedes: &Function,
    mut left: &[Value],
    mut right: &[Value],
    merged: &mut Vec<Value>,
) -> Result<(), Failure> {
    while let ([l, left_rest @ ..], [r, right_rest @ ..]) = (left, right) {
        let answer = call_function(precedes, vec![r.clone(), l.clone()], call.meter)?;
        if answer.as_bool() == Some(true) {
            merged.push(r.clone());
            right = right_rest;
        } else {
            merged.push(l.clone());
            left = left_rest;
        }
    }
    merged.extend_from_slice(left);
    merged.extend_from_slice(right);
    Ok(())
}
