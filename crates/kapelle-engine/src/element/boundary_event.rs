//! Boundary event: waits beside an activity (BPMN 2.0 §13.5.3).
//!
//! ```text
//!   ┌──────┐
//!   │ host │ ───►          interrupting: the host is terminated, then the token leaves here
//!   └──(⏱)┘              non-interrupting: a token of its own leaves here, the host goes on
//!        └──────►
//! ```
//!
//! Its host waits for it. It is entered with what came, and leaves at once.

use kapelle_model::graph::{Boundary, BoundaryTrigger};

use crate::ctx::Ctx;
use crate::element::{
    At, activated, complete as complete_element, completed, leave, own_payload, token,
};
use crate::problem::Problem;
use crate::variables::{self, Reach};

pub(super) fn activate(ctx: &mut Ctx<'_>, at: &At) -> Result<(), Problem> {
    activated(ctx, at);
    complete_element(ctx, at);
    Ok(())
}

pub(super) fn complete(ctx: &mut Ctx<'_>, at: &At, boundary: &Boundary) -> Result<(), Problem> {
    let is_error = matches!(boundary.trigger, BoundaryTrigger::Error { .. });
    if !is_error || !at.element().outputs.is_empty() {
        return leave(ctx, at);
    }
    // Observed on Camunda: an error's variables stay here unless they are mapped (camunda8.md §3.12).
    if let Some(payload) = own_payload(ctx, at) {
        variables::merge(ctx, at.instance, at.key, Reach::Local, &payload);
    }
    completed(ctx, at);
    token::take_outgoing(ctx, at);
    Ok(())
}
