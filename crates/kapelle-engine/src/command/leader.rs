//! A new incarnation leads the partition.
//!
//! Jobs that an earlier one pushed down a stream and that nobody has answered may never have arrived: they are made
//! available again, some at a time.

use crate::ctx::Ctx;
use crate::event::{AvailableCause, Event};
use crate::ids::JobKey;
use crate::jobs;
use crate::rejection::Rejection;
use crate::response::Response;
use crate::state::instance::JobState;
use crate::state::jobs as index;
use crate::step::Step;

pub(super) fn announce(ctx: &mut Ctx<'_>, epoch: u64, incarnation: u64) -> Result<Response, Rejection> {
    ctx.emit(Event::LeaderAnnounced { epoch, incarnation });
    ctx.push(Step::ReleasePushed { after: JobKey(0) });
    Ok(Response::Done)
}

pub(crate) fn release_pushed(ctx: &mut Ctx<'_>, after: JobKey) {
    let max = ctx.limits().sweep_max;
    let pushed = index::pushed(ctx.keep(), after, max);
    if pushed.len() == max
        && let Some((last, _)) = pushed.last()
    {
        ctx.push(Step::ReleasePushed { after: *last });
    }
    let incarnation = ctx.incarnation();
    for (job, entry) in pushed {
        if entry.incarnation == incarnation || !ctx.pin(entry.instance) {
            continue;
        }
        let is_activated = ctx.instance(entry.instance).job(job).is_some_and(|job| job.state == JobState::Activated);
        if is_activated {
            jobs::make_available(ctx, entry.instance, job, AvailableCause::LeaderChanged);
        }
    }
}
