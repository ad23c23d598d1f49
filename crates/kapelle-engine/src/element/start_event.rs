//! Start event: none, message or timer (BPMN 2.0 §13.5.1).
//!
//! By the time it is entered the instance exists: what started it is a pending trigger whose payload leaves through the
//! output mappings.

use crate::ctx::Ctx;
use crate::element::{At, activated, complete};
use crate::problem::Problem;

pub(super) fn activate(ctx: &mut Ctx<'_>, at: &At) -> Result<(), Problem> {
    activated(ctx, at);
    complete(ctx, at);
    Ok(())
}
