//! End event: none, terminate, error or message (BPMN 2.0 §13.5.6).
//!
//! A terminate end event ends everything else in its own scope, which then is done: a subprocess goes on behind it. An
//! error end event ends its scope up to whoever catches the error.

use kapelle_model::graph::EndBehavior;

use crate::ctx::Ctx;
use crate::element::{
    At, activated, complete as complete_element, completed, error, leave, publish, terminate, token,
};
use crate::expression::{self, Sight};
use crate::mapping;
use crate::problem::Problem;

pub(super) fn activate(ctx: &mut Ctx<'_>, at: &At, behavior: &EndBehavior) -> Result<(), Problem> {
    match behavior {
        EndBehavior::None | EndBehavior::Terminate => {
            activated(ctx, at);
            complete_element(ctx, at);
            Ok(())
        }
        EndBehavior::Error { code } => {
            let code = expression::text(ctx, code, Sight::Scope(at.instance, at.key))?;
            error::throw_from_end_event(ctx, at, &code)
        }
        EndBehavior::Message(action) => publish::activate(ctx, at, action),
    }
}

pub(super) fn complete(ctx: &mut Ctx<'_>, at: &At, behavior: &EndBehavior) -> Result<(), Problem> {
    if !matches!(behavior, EndBehavior::Terminate) {
        return leave(ctx, at);
    }
    mapping::outputs(ctx, at, None)?;
    completed(ctx, at);
    token::discard(ctx, at.instance, at.scope);
    // At once rather than as steps: nothing else in this scope may take another flow.
    for child in token::children(ctx, at.instance, at.scope) {
        if let Some(child) = At::find(ctx, at.instance, child) {
            terminate(ctx, &child);
        }
    }
    token::left_scope(ctx, at.instance, at.scope);
    Ok(())
}
