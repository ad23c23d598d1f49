//! Manual and undefined task: nothing for us to do, the token passes (BPMN 2.0 §13.3.3).

use crate::ctx::Ctx;
use crate::element::{At, activated, complete};
use crate::problem::Problem;

pub(super) fn activate(ctx: &mut Ctx<'_>, at: &At) -> Result<(), Problem> {
    activated(ctx, at);
    complete(ctx, at);
    Ok(())
}
