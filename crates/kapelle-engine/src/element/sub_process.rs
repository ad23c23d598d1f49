//! Embedded subprocess: a scope inside a scope (BPMN 2.0 §13.3.4).
//!
//! ```text
//!        ┌────────────────────┐
//!  ───►  │ (start) … (end)    │ ───►   done when nothing in it is alive or on its way
//!        └──────────────(⏱)──┘
//! ```
//!
//! Its variables die with it, but for what its output mappings take out. Ending it ends what is in it first.

use kapelle_model::graph::ElementIndex;

use crate::ctx::Ctx;
use crate::element::{At, activated_and_rests, waiting};
use crate::problem::Problem;
use crate::step::Step;

pub(super) fn activate(ctx: &mut Ctx<'_>, at: &At, start: ElementIndex) -> Result<(), Problem> {
    let waits = waiting::for_boundary_events(ctx, at)?;
    waiting::open(ctx, at, waits);
    activated_and_rests(ctx, at);
    ctx.push(Step::Activate {
        instance: at.instance,
        scope: at.key,
        element: start,
        flow: None,
    });
    Ok(())
}
