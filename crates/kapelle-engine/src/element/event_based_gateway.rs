//! Event-based gateway: waits for the first of its successors (BPMN 2.0 §13.4.4).
//!
//! ```text
//!        ┌─►(✉)──►
//!  ──► ◇ ┤             what comes first wins; the gateway then waits for the others no more
//!        └─►(⏱)──►
//! ```

use kapelle_model::graph::ElementIndex;

use crate::ctx::Ctx;
use crate::element::{At, activate as activate_element, activated_and_rests, completed, waiting};
use crate::event::Event;
use crate::problem::Problem;

pub(super) fn activate(ctx: &mut Ctx<'_>, at: &At) -> Result<(), Problem> {
    let mut waits = Vec::new();
    for flow in &at.element().outgoing {
        let successor = at.definition.process.flow(*flow).target;
        waits.push(waiting::for_catch_event(ctx, at, successor)?);
    }
    waiting::open(ctx, at, waits);
    activated_and_rests(ctx, at);
    Ok(())
}

/// `successor` was met: it is entered with what came, before anything else can happen in its scope.
pub(super) fn go_on_with(ctx: &mut Ctx<'_>, at: &At, successor: ElementIndex) {
    let (instance, scope) = (at.instance, at.scope);
    ctx.emit(Event::ElementCompleting {
        instance,
        key: at.key,
        element: at.index,
    });
    completed(ctx, at);
    let flows = &at.element().outgoing;
    let flow = flows
        .iter()
        .copied()
        .find(|flow| at.definition.process.flow(*flow).target == successor);
    let flow = flow.expect("the gateway waits only for its successors");
    ctx.emit(Event::FlowTaken {
        instance,
        scope,
        flow,
        target: successor,
    });
    activate_element(ctx, instance, scope, successor, Some(flow), Some(at.key));
}
