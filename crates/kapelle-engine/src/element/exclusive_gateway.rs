//! Exclusive gateway: one of its flows goes on (BPMN 2.0 §13.4.2).
//!
//! ```text
//!        ┌─ x > 5 ──►
//!  ──► ◇ ┼─ x > 3 ──►     of several true conditions the last one of the document (camunda8.md §3.8)
//!        └─ default ►     none true: the default, else an incident that evaluates again when it is resolved
//! ```

use kapelle_model::graph::FlowIndex;

use crate::ctx::Ctx;
use crate::element::{At, activated, completed, token};
use crate::event::{Event, IncidentKind};
use crate::expression::{self, Sight};
use crate::problem::Problem;

pub(super) fn activate(
    ctx: &mut Ctx<'_>,
    at: &At,
    default: Option<FlowIndex>,
) -> Result<(), Problem> {
    let flow = choose(ctx, at, default)?;
    activated(ctx, at);
    ctx.emit(Event::ElementCompleting {
        instance: at.instance,
        key: at.key,
        element: at.index,
    });
    completed(ctx, at);
    match flow {
        Some(flow) => token::take(ctx, at, flow),
        None => token::left_scope(ctx, at.instance, at.scope),
    }
    Ok(())
}

fn choose(
    ctx: &Ctx<'_>,
    at: &At,
    default: Option<FlowIndex>,
) -> Result<Option<FlowIndex>, Problem> {
    let outgoing = &at.element().outgoing;
    for &flow in outgoing.iter().rev().filter(|flow| Some(**flow) != default) {
        let Some(condition) = &at.definition.process.flow(flow).condition else {
            // The model allows a flow without a condition only where it is the only one.
            return Ok(Some(flow));
        };
        if expression::boolean(ctx, condition, Sight::Scope(at.instance, at.key))? {
            return Ok(Some(flow));
        }
    }
    match default {
        Some(flow) => Ok(Some(flow)),
        None if outgoing.is_empty() => Ok(None),
        None => Err(Problem::new(
            IncidentKind::ConditionError,
            "Expected at least one condition to evaluate to true, or to have a default flow",
        )),
    }
}
