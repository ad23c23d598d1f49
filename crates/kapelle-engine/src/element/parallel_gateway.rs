//! Parallel gateway: waits for a token on each incoming flow, then takes all outgoing ones (BPMN 2.0 §13.4.1).
//!
//! ```text
//!  ──►┐    ┌──►
//!     ◇ ── ◇        a second token on one flow waits for the next round
//!  ──►┘    └──►
//! ```

use kapelle_model::graph::{ElementIndex, ElementKind};

use crate::ctx::Ctx;
use crate::element::{At, activate as activate_element, activated, complete};
use crate::event::Event;
use crate::ids::{ElementInstanceKey, ProcessInstanceKey};
use crate::problem::Problem;

pub(super) fn activate(ctx: &mut Ctx<'_>, at: &At) -> Result<(), Problem> {
    activated(ctx, at);
    complete(ctx, at);
    Ok(())
}

/// A token has come to `gateway`. If that is a join, says so, and enters it if it was the last one missing.
pub(crate) fn arrive(
    ctx: &mut Ctx<'_>,
    instance: ProcessInstanceKey,
    scope: ElementInstanceKey,
    gateway: ElementIndex,
) -> bool {
    let definition = ctx.definition_of(instance);
    let element = definition.element(gateway);
    if !matches!(element.kind, ElementKind::ParallelGateway) || element.incoming.len() < 2 {
        return false;
    }
    let tokens = &ctx.instance(instance).tokens;
    let has_token = |flow| {
        tokens
            .iter()
            .any(|token| token.scope == scope && token.flow == flow)
    };
    if element.incoming.iter().all(|flow| has_token(*flow)) {
        // In one step: between the two nothing may think that the scope is empty.
        ctx.emit(Event::JoinConsumed {
            instance,
            scope,
            gateway,
        });
        activate_element(ctx, instance, scope, gateway, None, None);
    }
    true
}
