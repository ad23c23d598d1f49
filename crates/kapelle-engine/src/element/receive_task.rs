//! Receive task: waits for a message like a catch event, and may have boundary events (BPMN 2.0 §13.3.3).

use crate::ctx::Ctx;
use crate::element::{At, activated_and_rests, waiting};
use crate::problem::Problem;

pub(super) fn activate(ctx: &mut Ctx<'_>, at: &At) -> Result<(), Problem> {
    let mut waits = vec![waiting::for_catch_event(ctx, at, at.index)?];
    waits.extend(waiting::for_boundary_events(ctx, at)?);
    waiting::open(ctx, at, waits);
    activated_and_rests(ctx, at);
    Ok(())
}
