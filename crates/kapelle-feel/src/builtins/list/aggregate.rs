//! One value out of many.

use std::cmp::Ordering;

use super::super::arguments::number;
use super::super::{Call, Failure, Outcome};
use crate::eval::{Order, order};
use crate::number::Number;
use crate::value::Value;

/// The least or the greatest.
pub(super) fn extreme(call: &mut Call<'_, '_>, wanted: Ordering) -> Outcome {
    let items = call.items()?;
    let Some((first, rest)) = items.split_first() else {
        return Ok(Value::Null);
    };
    // Even a single one must be of a type with an order.
    let mut best = first;
    for item in std::iter::once(first).chain(rest) {
        match order(item, best, call.meter)? {
            Order::Is(ordering) if ordering == wanted => best = item,
            Order::Is(_) => {}
            _ => return Err(Failure::Illegal),
        }
    }
    Ok(best.clone())
}

fn fold(call: &mut Call<'_, '_>, operation: fn(Number, Number) -> Option<Number>) -> Outcome {
    let numbers = call.numbers()?;
    let Some((first, rest)) = numbers.split_first() else {
        return Ok(Value::Null);
    };
    number(
        rest.iter()
            .try_fold(*first, |sum, number| operation(sum, *number)),
    )
}

pub(super) fn sum(call: &mut Call<'_, '_>) -> Outcome {
    fold(call, Number::add)
}

pub(super) fn product(call: &mut Call<'_, '_>) -> Outcome {
    fold(call, Number::mul)
}

fn mean_of(numbers: &[Number]) -> Option<Number> {
    let sum = numbers
        .iter()
        .try_fold(Number::ZERO, |sum, number| sum.add(*number))?;
    sum.div(Number::from(numbers.len()))
}

pub(super) fn mean(call: &mut Call<'_, '_>) -> Outcome {
    let numbers = call.numbers()?;
    if numbers.is_empty() {
        Ok(Value::Null)
    } else {
        number(mean_of(&numbers))
    }
}

pub(super) fn median(call: &mut Call<'_, '_>) -> Outcome {
    let mut numbers = call.numbers()?;
    numbers.sort_unstable();
    let middle = numbers.len() / 2;
    let at = |index: usize| numbers.get(index).copied();
    if numbers.is_empty() {
        return Ok(Value::Null);
    }
    if numbers.len() % 2 == 1 {
        return number(at(middle));
    }
    let (Some(low), Some(high)) = (at(middle - 1), at(middle)) else {
        return Ok(Value::Null);
    };
    number(mean_of(&[low, high]))
}

/// Of a sample: divided by one less than there are.
pub(super) fn stddev(call: &mut Call<'_, '_>) -> Outcome {
    let numbers = call.numbers()?;
    if numbers.len() < 2 {
        return Ok(Value::Null);
    }
    number(variance(&numbers).and_then(Number::sqrt))
}

fn variance(numbers: &[Number]) -> Option<Number> {
    let mean = mean_of(numbers)?;
    let squares = numbers.iter().try_fold(Number::ZERO, |sum, number| {
        let difference = number.sub(mean)?;
        sum.add(difference.mul(difference)?)
    });
    squares?.div(Number::from(numbers.len() - 1))
}

/// The most frequent, in order.
pub(super) fn mode(call: &mut Call<'_, '_>) -> Outcome {
    let mut numbers = call.numbers()?;
    numbers.sort();
    let runs: Vec<&[Number]> = numbers.chunk_by(|a, b| a == b).collect();
    let most = runs.iter().map(|run| run.len()).max().unwrap_or_default();
    let frequent = runs
        .into_iter()
        .filter(|run| run.len() == most)
        .filter_map(|run| run.first());
    Ok(frequent.map(|number| Value::Number(*number)).collect())
}
