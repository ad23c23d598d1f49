//! The outbox: what was delivered, and what was given up.

use std::sync::Arc;

use crate::ctx::Ctx;
use crate::event::Event;
use crate::ids::OutboxKey;
use crate::problem;
use crate::rejection::Rejection;
use crate::response::Response;
use crate::state::tables;

const ACK: &str = "ACK";
const BURY: &str = "BURY";

pub(super) fn ack(ctx: &mut Ctx<'_>, entry: OutboxKey) -> Result<Response, Rejection> {
    check_pending(ctx, ACK, entry)?;
    ctx.emit(Event::OutboxAcked { entry });
    Ok(Response::Done)
}

pub(super) fn bury(
    ctx: &mut Ctx<'_>,
    entry: OutboxKey,
    attempts: u32,
    error: Arc<str>,
) -> Result<Response, Rejection> {
    check_pending(ctx, BURY, entry)?;
    let mut text = error.to_string();
    problem::truncate(&mut text, ctx.limits().incident_text_bytes_max);
    ctx.emit(Event::OutboxBuried {
        entry,
        attempts,
        error: text.into(),
    });
    Ok(Response::Done)
}

/// A delivery that is reported twice, after a crash for one, was reported already.
fn check_pending(ctx: &Ctx<'_>, intent: &'static str, entry: OutboxKey) -> Result<(), Rejection> {
    if ctx.keep().get(&tables::outbox_pending(entry)).is_some() {
        return Ok(());
    }
    let reason =
        format!("Expected to find outgoing CloudEvent with key '{entry}', but it is not pending");
    Err(Rejection::not_found(intent, reason))
}
