//! Variables of scopes: reading what an element sees, and setting by the rules of propagation.

use std::sync::Arc;

use kapelle_feel::msgpack;

use crate::ctx::Ctx;
use crate::document::{Document, StoredValue};
use crate::event::Event;
use crate::ids::{ElementInstanceKey, ProcessInstanceKey, VariableKey};
use crate::problem::Problem;
use crate::state::instance::{Instance, Variable};

/// Where a variable goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Into that scope.
    Local,
    /// To the nearest scope that has the name, else to the root.
    Propagate,
}

/// Sets a variable. What it is already is not said again.
pub(crate) fn set(
    ctx: &mut Ctx<'_>,
    instance: ProcessInstanceKey,
    scope: ElementInstanceKey,
    reach: Reach,
    name: &str,
    value: &[u8],
) {
    let aggregate = ctx.instance(instance);
    let scope = match reach {
        Reach::Local => scope,
        Reach::Propagate => aggregate
            .visible(scope, name)
            .map_or(instance.root(), |variable| variable.scope),
    };
    let (variable, name) = match aggregate.variable(scope, name) {
        Some(old) if *old.value.0 == *value => return,
        Some(old) => (Some(old.key), old.name.clone()),
        None => (None, Arc::from(name)),
    };
    let variable = variable.unwrap_or_else(|| VariableKey(ctx.new_key()));
    ctx.emit(Event::VariableSet {
        instance,
        scope,
        variable,
        name,
        value: StoredValue(value.into()),
    });
}

/// Sets all variables of a document.
pub(crate) fn merge(
    ctx: &mut Ctx<'_>,
    instance: ProcessInstanceKey,
    scope: ElementInstanceKey,
    reach: Reach,
    document: &Document,
) {
    for (name, value) in msgpack::entries(&document.0) {
        set(ctx, instance, scope, reach, name, value);
    }
}

/// Whether an instance has room for that much more.
pub(crate) fn check_room(
    ctx: &Ctx<'_>,
    instance: ProcessInstanceKey,
    bytes: usize,
) -> Result<(), Problem> {
    let (has, max) = (
        ctx.instance(instance).payload_bytes,
        ctx.limits().instance_bytes_max,
    );
    if has.saturating_add(bytes) > max {
        return Err(Problem::limit(format!(
            "Expected the variables of the process instance to have at most {max} bytes, but with {bytes} more they would have {}.",
            has + bytes
        )));
    }
    Ok(())
}

/// What an element in `scope` sees; `wanted` empty = everything.
pub(crate) fn visible(
    instance: &Instance,
    scope: ElementInstanceKey,
    wanted: &[Arc<str>],
) -> Document {
    let mut seen: Vec<&Variable> = Vec::with_capacity(instance.variables.len());
    for scope in instance.scopes(scope) {
        for variable in instance
            .variables
            .iter()
            .filter(|variable| variable.scope == scope)
        {
            let asked = wanted.is_empty() || wanted.contains(&variable.name);
            // An inner scope's hides an outer one's.
            if asked && seen.iter().all(|inner| inner.name != variable.name) {
                seen.push(variable);
            }
        }
    }
    document(&seen)
}

/// The variables of one scope alone.
pub(crate) fn local(
    instance: &Instance,
    scope: ElementInstanceKey,
    wanted: &[Arc<str>],
) -> Document {
    let asked = |variable: &&Variable| {
        variable.scope == scope && (wanted.is_empty() || wanted.contains(&variable.name))
    };
    let own: Vec<&Variable> = instance.variables.iter().filter(asked).collect();
    document(&own)
}

fn document(variables: &[&Variable]) -> Document {
    if variables.is_empty() {
        return Document::empty();
    }
    let entries = variables
        .iter()
        .map(|variable| (&*variable.name, &*variable.value.0));
    Document(msgpack::map_from(entries).into())
}
