//! The outbox: what was delivered, what is tried again, and what was given up.

use std::sync::Arc;

use crate::ctx::Ctx;
use crate::event::Event;
use crate::ids::OutboxKey;
use crate::problem;
use crate::rejection::Rejection;
use crate::response::Response;
use crate::state::outbox;

const ACK: &str = "ACK";
const DEFER: &str = "DEFER";
const BURY: &str = "BURY";

pub(super) fn ack(ctx: &mut Ctx<'_>, entry: OutboxKey) -> Result<Response, Rejection> {
    check_pending(ctx, ACK, entry)?;
    ctx.emit(Event::OutboxAcked { entry });
    Ok(Response::Done)
}

pub(super) fn defer(
    ctx: &mut Ctx<'_>,
    entry: OutboxKey,
    attempts: u32,
    delay_ms: i64,
    error: &str,
) -> Result<Response, Rejection> {
    let recorded = check_pending(ctx, DEFER, entry)?;
    if attempts <= recorded {
        let reason = format!(
            "Expected to note attempt {attempts} to deliver outgoing CloudEvent with key '{entry}', but attempt {recorded} is noted already"
        );
        return Err(Rejection::invalid_state(DEFER, reason));
    }
    ctx.emit(Event::OutboxDeferred {
        entry,
        attempts,
        retry_at: ctx.now().plus_ms(delay_ms),
        error: shortened(ctx, error),
    });
    Ok(Response::Done)
}

pub(super) fn bury(
    ctx: &mut Ctx<'_>,
    entry: OutboxKey,
    attempts: u32,
    error: &str,
) -> Result<Response, Rejection> {
    check_pending(ctx, BURY, entry)?;
    ctx.emit(Event::OutboxBuried {
        entry,
        attempts,
        error: shortened(ctx, error),
    });
    Ok(Response::Done)
}

fn shortened(ctx: &Ctx<'_>, error: &str) -> Arc<str> {
    let mut text = error.to_owned();
    problem::truncate(&mut text, ctx.limits().incident_text_bytes_max);
    text.into()
}

/// How many attempts are known to have failed. A delivery that is reported twice, after a crash for one, was reported
/// already.
fn check_pending(ctx: &Ctx<'_>, intent: &'static str, entry: OutboxKey) -> Result<u32, Rejection> {
    if let Some(pending) = outbox::pending(ctx.keep(), entry) {
        return Ok(pending.attempts);
    }
    let reason =
        format!("Expected to find outgoing CloudEvent with key '{entry}', but it is not pending");
    Err(Rejection::not_found(intent, reason))
}
