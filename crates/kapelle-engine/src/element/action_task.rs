//! Service, send and job-based user task (BPMN 2.0 §13.3.3): makes a job and waits for it, or publishes and goes on.

use kapelle_model::graph::Action;

use crate::ctx::Ctx;
use crate::document::Document;
use crate::element::{At, activated, completed, publish, token, waiting};
use crate::event::Event;
use crate::jobs;
use crate::mapping;
use crate::problem::{self, Problem};

pub(super) fn activate(ctx: &mut Ctx<'_>, at: &At, action: &Action) -> Result<(), Problem> {
    let Action::Job(job) = action else {
        return publish::activate(ctx, at, action);
    };
    let job = jobs::evaluate(ctx, at, job)?;
    let waits = waiting::for_boundary_events(ctx, at)?;
    waiting::open(ctx, at, waits);
    let (job, stream) = jobs::create(ctx, at, job);
    // It rests, but is found by its key through the job.
    activated(ctx, at);
    jobs::hand_over(ctx, at.instance, job, stream, false);
    Ok(())
}

/// A worker has done it: its result becomes variables, and the token goes on.
pub(crate) fn job_completed(ctx: &mut Ctx<'_>, at: &At, result: &Document) {
    ctx.emit(Event::ElementCompleting {
        instance: at.instance,
        key: at.key,
        element: at.index,
    });
    if let Err(problem) = mapping::outputs(ctx, at, Some(result)) {
        return problem::raise(ctx, at, None, problem);
    }
    completed(ctx, at);
    token::take_outgoing(ctx, at);
}
