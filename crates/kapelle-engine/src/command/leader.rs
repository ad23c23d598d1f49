//! A new incarnation leads the partition.
//!
//! Jobs that an earlier one pushed down a stream and that nobody has answered may never have arrived: they are made
//! available again, some at a time.

use crate::ctx::Ctx;
use crate::event::{AvailableCause, DueOwner, Event};
use crate::ids::{JobKey, Timestamp};
use crate::jobs;
use crate::rejection::Rejection;
use crate::response::Response;
use crate::state::instance::JobState;
use crate::state::jobs::{self as index, HandedOut};
use crate::step::Step;

pub(super) fn announce(
    ctx: &mut Ctx<'_>,
    epoch: u64,
    incarnation: u64,
) -> Result<Response, Rejection> {
    ctx.emit(Event::LeaderAnnounced { epoch, incarnation });
    ctx.push(Step::ReleasePushed {
        at: Timestamp(i64::MIN),
        job: JobKey(0),
    });
    Ok(Response::Done)
}

pub(crate) fn release_pushed(ctx: &mut Ctx<'_>, at: Timestamp, job: JobKey) {
    let max = ctx.limits().sweep_max;
    let handed_out = index::handed_out(ctx.keep(), at, job, max);
    if handed_out.len() == max
        && let Some(last) = handed_out.last()
    {
        ctx.push(Step::ReleasePushed {
            at: last.deadline,
            job: last.job,
        });
    }
    let incarnation = ctx.incarnation();
    for HandedOut { job, owner, .. } in handed_out {
        let DueOwner::PushedJob {
            instance,
            incarnation: earlier,
        } = owner
        else {
            continue;
        };
        if earlier == incarnation || !ctx.pin(instance) {
            continue;
        }
        // An entry that was put off says what was: the job may have come back since, and somebody may have polled it.
        let is_pushed = ctx
            .instance(instance)
            .job(job)
            .is_some_and(|job| job.state == JobState::Activated && job.pushed_by == Some(earlier));
        if is_pushed {
            jobs::make_available(ctx, instance, job, AvailableCause::LeaderChanged);
        }
    }
}
