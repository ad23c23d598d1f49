//! Intermediate catch event: waits for a message or a timer (BPMN 2.0 §13.5.2).
//!
//! Behind an event-based gateway it does not wait: the gateway has waited for it, and it is entered with what came.

use crate::ctx::Ctx;
use crate::element::{At, activated, activated_and_rests, complete, waiting};
use crate::problem::Problem;

pub(super) fn activate(ctx: &mut Ctx<'_>, at: &At) -> Result<(), Problem> {
    if ctx.instance(at.instance).trigger(at.key).is_some() {
        activated(ctx, at);
        complete(ctx, at);
        return Ok(());
    }
    let wait = waiting::for_catch_event(ctx, at, at.index)?;
    waiting::open(ctx, at, vec![wait]);
    activated_and_rests(ctx, at);
    Ok(())
}
