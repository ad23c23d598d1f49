//! Input and output mappings.
//!
//! All mappings of an element are evaluated before the first result is set, each seeing the earlier results, so that one
//! that fails leaves nothing behind and can be tried again.

use std::sync::Arc;

use kapelle_feel::{Context, Value, msgpack};
use kapelle_model::graph::{Mapping, Text};

use crate::ctx::Ctx;
use crate::document::Document;
use crate::element::At;
use crate::expression::{self, Visible};
use crate::ids::ElementInstanceKey;
use crate::problem::Problem;
use crate::state::instance::Instance;
use crate::variables::{self, Reach};

/// What a nested target `a.b` builds on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Base {
    /// Whatever `a` was, earlier targets of the same element aside: inputs replace.
    Nothing,
    /// The `a` that is visible from the scope the result goes to: outputs merge the leaf.
    Visible(ElementInstanceKey),
}

/// Maps inputs into the element's own scope.
pub(crate) fn inputs(ctx: &mut Ctx<'_>, at: &At) -> Result<(), Problem> {
    let mappings = &at.element().inputs;
    if mappings.is_empty() {
        return Ok(());
    }
    let results = evaluate(ctx, at, mappings, Base::Nothing)?;
    store(ctx, at, at.key, Reach::Local, results)
}

/// Maps outputs, or lets the payload propagate where there are none (camunda8.md §3.5).
pub(crate) fn outputs(
    ctx: &mut Ctx<'_>,
    at: &At,
    payload: Option<&Document>,
) -> Result<(), Problem> {
    let mappings = &at.element().outputs;
    if let Some(payload) = payload {
        variables::check_room(ctx, at.instance, payload.0.len())?;
        // With mappings the result stays here and only what is mapped leaves; without, all of it propagates.
        let reach = if mappings.is_empty() {
            Reach::Propagate
        } else {
            Reach::Local
        };
        variables::merge(ctx, at.instance, at.key, reach, payload);
    }
    if mappings.is_empty() {
        return Ok(());
    }
    let results = evaluate(ctx, at, mappings, Base::Visible(at.scope))?;
    store(ctx, at, at.scope, Reach::Propagate, results)
}

fn store(
    ctx: &mut Ctx<'_>,
    at: &At,
    scope: ElementInstanceKey,
    reach: Reach,
    results: Vec<(Arc<str>, Value)>,
) -> Result<(), Problem> {
    let encoded: Vec<(Arc<str>, Vec<u8>)> = results
        .into_iter()
        .map(|(name, value)| (name, msgpack::to_msgpack(&value)))
        .collect();
    variables::check_room(
        ctx,
        at.instance,
        encoded.iter().map(|(_, value)| value.len()).sum(),
    )?;
    for (name, value) in encoded {
        variables::set(ctx, at.instance, scope, reach, &name, &value);
    }
    Ok(())
}

/// One result per variable, in the order of their first mapping.
fn evaluate(
    ctx: &Ctx<'_>,
    at: &At,
    mappings: &[Mapping],
    base: Base,
) -> Result<Vec<(Arc<str>, Value)>, Problem> {
    let instance = ctx.instance(at.instance);
    let env = expression::env(ctx);
    let mut results: Vec<(Arc<str>, Value)> = Vec::with_capacity(mappings.len());
    for mapping in mappings {
        let value = match &mapping.source {
            Text::Static(text) => Value::from(&**text),
            Text::Expr(expr) => {
                let visible = Visible {
                    instance,
                    scope: at.key,
                    earlier: &results,
                };
                let result = expr.evaluate(&visible, &env);
                let message =
                    |error| format!("Failed to evaluate expression '{}': {error}", expr.text());
                result
                    .map_err(|error| Problem::io_mapping(message(error)))?
                    .value
            }
        };
        let (name, path) = mapping
            .target
            .split_first()
            .ok_or_else(|| Problem::io_mapping("A mapping has no target."))?;
        let at = results.iter().position(|(earlier, _)| earlier == name);
        let value = if path.is_empty() {
            value
        } else {
            let root = match at {
                Some(at) => results[at].1.clone(),
                None => base_value(instance, base, name),
            };
            nest(&root, path, value)
        };
        match at {
            Some(at) => results[at].1 = value,
            None => results.push((name.clone(), value)),
        }
    }
    Ok(results)
}

fn base_value(instance: &Instance, base: Base, name: &str) -> Value {
    let Base::Visible(scope) = base else {
        return Value::Null;
    };
    let stored = instance
        .visible(scope, name)
        .map(|variable| msgpack::from_msgpack(&variable.value.0));
    stored.and_then(Result::ok).unwrap_or(Value::Null)
}

/// `root` with `leaf` at that path; whatever is in the way and no context is replaced by one.
fn nest(root: &Value, path: &[Arc<str>], leaf: Value) -> Value {
    // From the outside in, the contexts along the path; then back out, each with its changed entry.
    let mut around = Vec::with_capacity(path.len());
    let mut here = root.as_context();
    for name in path {
        around.push(here);
        here = here
            .and_then(|context| context.get(name))
            .and_then(Value::as_context);
    }
    path.iter()
        .zip(around)
        .rev()
        .fold(leaf, |value, (name, context)| {
            let mut entries = context
                .map(|context| context.entries().to_vec())
                .unwrap_or_default();
            entries.push((name.as_ref().into(), value));
            Value::Context(Context::new(entries))
        })
}
