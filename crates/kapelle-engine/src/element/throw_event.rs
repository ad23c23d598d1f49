//! Intermediate throw event: none or message (BPMN 2.0 §13.5.4).

use kapelle_model::graph::ThrowBehavior;

use crate::ctx::Ctx;
use crate::element::{At, activated, complete, publish};
use crate::problem::Problem;

pub(super) fn activate(
    ctx: &mut Ctx<'_>,
    at: &At,
    behavior: &ThrowBehavior,
) -> Result<(), Problem> {
    match behavior {
        ThrowBehavior::None => {
            activated(ctx, at);
            complete(ctx, at);
            Ok(())
        }
        ThrowBehavior::Message(action) => publish::activate(ctx, at, action),
    }
}
