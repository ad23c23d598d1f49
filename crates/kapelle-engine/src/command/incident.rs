//! Incidents are resolved: what they interrupted is taken up again.

use crate::command::check;
use crate::ctx::Ctx;
use crate::event::AvailableCause;
use crate::ids::{IncidentKey, JobKey, ProcessInstanceKey};
use crate::jobs as job_work;
use crate::problem;
use crate::rejection::Rejection;
use crate::response::Response;
use crate::state::instance::{Incident, JobState};
use crate::state::jobs;
use crate::step::Step;

const RESOLVE: &str = "RESOLVE";

pub(super) fn resolve(ctx: &mut Ctx<'_>, key: IncidentKey) -> Result<Response, Rejection> {
    let (instance, incident) = find(ctx, key).ok_or_else(|| {
        let reason = format!(
            "Expected to resolve incident with key '{key}', but no such incident was found"
        );
        Rejection::not_found(RESOLVE, reason)
    })?;
    let quarantine = &ctx.instance(instance).quarantined;
    let ends_quarantine = quarantine
        .as_ref()
        .is_some_and(|quarantine| quarantine.incident == key);
    if !ends_quarantine {
        check::not_quarantined(ctx, RESOLVE, instance)?;
    }
    if let Some(job) = incident.job {
        check_retries(ctx, instance, key, job)?;
    }
    problem::resolve(ctx, instance, incident);
    match incident.job {
        Some(job) => job_work::make_available(ctx, instance, job, AvailableCause::IncidentResolved),
        None if ends_quarantine => take_up(ctx, instance),
        None => ctx.push(Step::Retry {
            instance,
            element: incident.element,
        }),
    }
    Ok(Response::Done)
}

fn find(ctx: &mut Ctx<'_>, key: IncidentKey) -> Option<(ProcessInstanceKey, Incident)> {
    let instance = jobs::instance_of_incident(ctx.keep(), key)?;
    if !ctx.pin(instance) {
        return None;
    }
    let incident = ctx
        .instance(instance)
        .incidents
        .iter()
        .find(|incident| incident.key == key)?;
    Some((instance, *incident))
}

/// What the instance missed while it was set aside: messages in the buffer, workers. Timers are looked at again by
/// themselves, and the steps that were interrupted are on their way already.
fn take_up(ctx: &mut Ctx<'_>, instance: ProcessInstanceKey) {
    let aggregate = ctx.instance(instance);
    let subscriptions: Vec<_> = aggregate
        .subscriptions
        .iter()
        .map(|open| open.key)
        .collect();
    let available = aggregate
        .jobs
        .iter()
        .filter(|job| job.state == JobState::Activatable);
    let jobs: Vec<JobKey> = available.map(|job| job.key).collect();
    for subscription in subscriptions {
        ctx.push(Step::MeetBuffered {
            instance,
            subscription,
        });
    }
    for job in jobs {
        job_work::offer(ctx, instance, job);
    }
}

/// Resolving gives the job to a worker again, which needs a retry.
fn check_retries(
    ctx: &Ctx<'_>,
    instance: ProcessInstanceKey,
    incident: IncidentKey,
    job: JobKey,
) -> Result<(), Rejection> {
    let retries = ctx.instance(instance).job(job).map_or(0, |job| job.retries);
    if retries > 0 {
        return Ok(());
    }
    let reason = format!(
        "Expected to resolve incident with key '{incident}', but job with key '{job}' has no retries left; update its retries first"
    );
    Err(Rejection::invalid_state(RESOLVE, reason))
}
