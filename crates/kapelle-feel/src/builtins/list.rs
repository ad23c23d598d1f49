//! Lists: questions about them, sums over them, and new ones made of them.

mod aggregate;
mod change;
mod distinct;
mod sort;

use super::{Call, Failure, Outcome, Overload, function, variadic};
use crate::eval::same;
use crate::value::Value;

pub(super) const FUNCTIONS: &[Overload] = &[
    function("list contains", &["list", "element"], list_contains),
    function("count", &["list"], |call| {
        Ok(Value::from(call.list(0)?.len()))
    }),
    function("is empty", &["list"], |call| {
        Ok(Value::Bool(call.list(0)?.is_empty()))
    }),
    function("index of", &["list", "match"], index_of),
    variadic("min", &["list"], |call| {
        aggregate::extreme(call, std::cmp::Ordering::Less)
    }),
    variadic("max", &["list"], |call| {
        aggregate::extreme(call, std::cmp::Ordering::Greater)
    }),
    variadic("sum", &["list"], aggregate::sum),
    variadic("product", &["list"], aggregate::product),
    variadic("mean", &["list"], aggregate::mean),
    variadic("median", &["list"], aggregate::median),
    variadic("stddev", &["list"], aggregate::stddev),
    variadic("mode", &["list"], aggregate::mode),
    variadic("and", &["list"], |call| connective(call, false)),
    variadic("all", &["list"], |call| connective(call, false)),
    variadic("or", &["list"], |call| connective(call, true)),
    variadic("any", &["list"], |call| connective(call, true)),
    function("sublist", &["list", "start position"], change::sublist),
    function(
        "sublist",
        &["list", "start position", "length"],
        change::sublist,
    ),
    variadic("append", &["list", "items"], change::append),
    variadic("concatenate", &["lists"], change::concatenate),
    function(
        "insert before",
        &["list", "position", "newItem"],
        change::insert_before,
    ),
    function("remove", &["list", "position"], change::remove),
    function(
        "list replace",
        &["list", "position", "newItem"],
        change::replace,
    ),
    function(
        "list replace",
        &["list", "match", "newItem"],
        change::replace,
    ),
    function("reverse", &["list"], change::reverse),
    function("flatten", &["list"], change::flatten),
    function("partition", &["list", "size"], change::partition),
    function("sort", &["list", "precedes"], sort::sort),
    variadic("union", &["lists"], distinct::union),
    function("distinct values", &["list"], distinct::distinct_values),
    function("duplicate values", &["list"], distinct::duplicate_values),
];

fn list_contains(call: &mut Call<'_, '_>) -> Outcome {
    let list = call.list(0)?;
    let wanted = call.value(1).clone();
    for item in &list {
        if same(item, &wanted, call.meter)? {
            return Ok(Value::Bool(true));
        }
    }
    Ok(Value::Bool(false))
}

fn index_of(call: &mut Call<'_, '_>) -> Outcome {
    let list = call.list(0)?;
    let wanted = call.value(1).clone();
    let mut found = Vec::new();
    for (at, item) in list.iter().enumerate() {
        if same(item, &wanted, call.meter)? {
            found.push(Value::from(at + 1));
        }
    }
    Ok(Value::from(found))
}

/// `and`, `or` over a list: the absorbing value decides; else what is no truth value makes the answer null.
fn connective(call: &mut Call<'_, '_>, absorbing: bool) -> Outcome {
    let items = call.items()?;
    if items.iter().any(|item| item.as_bool() == Some(absorbing)) {
        return Ok(Value::Bool(absorbing));
    }
    if items.iter().all(|item| item.as_bool().is_some()) {
        return Ok(Value::Bool(!absorbing));
    }
    if items
        .iter()
        .all(|item| item.as_bool().is_some() || item.is_null())
    {
        return Ok(Value::Null);
    }
    Err(Failure::Illegal)
}
