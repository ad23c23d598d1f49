//! Variables set from outside.

use crate::command::{SetVariables, check};
use crate::ctx::Ctx;
use crate::ids::ProcessInstanceKey;
use crate::rejection::Rejection;
use crate::response::Response;
use crate::state::jobs;
use crate::variables::{self, Reach};

const UPDATE: &str = "UPDATE";

pub(super) fn set(ctx: &mut Ctx<'_>, command: &SetVariables) -> Result<Response, Rejection> {
    let scope = command.scope;
    let instance = find_instance(ctx, command).ok_or_else(|| {
        let reason = format!("Expected to update variables for element with key '{scope}', but no such element was found");
        Rejection::not_found(UPDATE, reason)
    })?;
    check::document_for(ctx, UPDATE, &command.variables, instance)?;
    let reach = if command.local {
        Reach::Local
    } else {
        Reach::Propagate
    };
    variables::merge(ctx, instance, scope, reach, &command.variables);
    Ok(Response::VariablesSet { key: scope.0 })
}

/// A key names a whole instance, or an element that rests in one.
fn find_instance(ctx: &mut Ctx<'_>, command: &SetVariables) -> Option<ProcessInstanceKey> {
    let scope = command.scope;
    let candidates = [
        Some(ProcessInstanceKey(scope.0)),
        jobs::instance_of_element(ctx.keep(), scope),
    ];
    let is_in = |instance: &ProcessInstanceKey| {
        ctx.pin(*instance) && ctx.instance(*instance).element(scope).is_some()
    };
    candidates.into_iter().flatten().find(is_in)
}
