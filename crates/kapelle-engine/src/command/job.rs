//! Jobs: taken, done, failed, changed.

use std::sync::Arc;

use crate::command::{ActivateJobs, FailJob, ThrowJobError, check};
use crate::ctx::Ctx;
use crate::document::Document;
use crate::element::{self, At, error};
use crate::event::{AvailableCause, Event, IncidentKind, JobFailed};
use crate::ids::{JobKey, ProcessInstanceKey};
use crate::jobs::{self, HandOver, reference, state_name};
use crate::problem::{self, Problem};
use crate::rejection::Rejection;
use crate::response::{ActivatedJob, Response};
use crate::state::instance::{Job, JobState};
use crate::state::jobs as index;
use crate::variables::{self, Reach};

const ACTIVATE: &str = "ACTIVATE";
const COMPLETE: &str = "COMPLETE";
const FAIL: &str = "FAIL";
const THROW_ERROR: &str = "THROW_ERROR";
const UPDATE: &str = "UPDATE";
const UPDATE_RETRIES: &str = "UPDATE_RETRIES";
const UPDATE_TIMEOUT: &str = "UPDATE_TIMEOUT";
const YIELD: &str = "YIELD";

pub(super) fn activate(ctx: &mut Ctx<'_>, command: &ActivateJobs) -> Result<Response, Rejection> {
    check_activation(ctx, command)?;
    let max = command.max_jobs.min(ctx.limits().jobs_per_activation_max) as usize;
    let mut found = Vec::new();
    for tenant in &command.tenants {
        found.extend(index::available(
            ctx.keep(),
            tenant,
            &command.job_type,
            max - found.len(),
        ));
    }
    // All of them are in memory before the first is handed out.
    found.retain(|(_, instance)| {
        ctx.pin(*instance) && ctx.instance(*instance).quarantined.is_none()
    });
    let deadline = ctx.now().plus_ms(command.timeout_ms);
    let mut activated: Vec<Arc<ActivatedJob>> = Vec::with_capacity(found.len());
    let mut bytes = 0;
    for (job, instance) in found {
        let worth = jobs::payload_bytes(ctx, instance, job, &command.fetch_variables);
        let max = ctx.limits().activation_bytes_max;
        if worth > max {
            jobs::withhold(ctx, instance, job);
            continue;
        }
        if bytes + worth > max {
            break;
        }
        bytes += worth;
        let handing = HandOver {
            worker: command.worker.clone(),
            deadline,
            pushed_by: None,
            was_available: true,
        };
        activated.push(jobs::activate(
            ctx,
            instance,
            job,
            handing,
            &command.fetch_variables,
        ));
    }
    Ok(Response::JobsActivated(activated))
}

fn check_activation(ctx: &Ctx<'_>, command: &ActivateJobs) -> Result<(), Rejection> {
    let expected = |field: &str, wanted: &str, was: &str| {
        let reason =
            format!("Expected to activate job batch with {field} to be {wanted}, but it was {was}");
        Err(Rejection::invalid_argument(ACTIVATE, reason))
    };
    if command.job_type.trim().is_empty() {
        return expected("type", "present", "blank");
    }
    if command.timeout_ms < 1 {
        return expected(
            "timeout",
            "greater than zero",
            &format!("'{}'", command.timeout_ms),
        );
    }
    if command.max_jobs < 1 {
        return expected(
            "max jobs to activate",
            "greater than zero",
            &format!("'{}'", command.max_jobs),
        );
    }
    check::index_text(ctx, ACTIVATE, "job type", &command.job_type)?;
    command
        .tenants
        .iter()
        .try_for_each(|tenant| check::index_text(ctx, ACTIVATE, "tenant id", tenant))
}

/// The job, if there is one, with its instance in memory.
fn find(
    ctx: &mut Ctx<'_>,
    intent: &'static str,
    verb: &str,
    job: JobKey,
) -> Result<(ProcessInstanceKey, Job), Rejection> {
    let instance = index::instance_of(ctx.keep(), job).filter(|instance| ctx.pin(*instance));
    let found =
        instance.and_then(|instance| Some((instance, ctx.instance(instance).job(job)?.clone())));
    let (instance, found) = found.ok_or_else(|| {
        Rejection::not_found(
            intent,
            format!("Expected to {verb} job with key '{job}', but no such job was found"),
        )
    })?;
    check::not_quarantined(ctx, intent, instance)?;
    Ok((instance, found))
}

/// The job, if a worker's answer still counts: also when its time is over, as long as nobody else has answered.
fn find_open(
    ctx: &mut Ctx<'_>,
    intent: &'static str,
    verb: &str,
    job: JobKey,
) -> Result<(ProcessInstanceKey, Job), Rejection> {
    let (instance, found) = find(ctx, intent, verb, job)?;
    match found.state {
        JobState::Activatable | JobState::Activated => Ok((instance, found)),
        state => {
            let reason = format!(
                "Expected to {verb} job with key '{job}', but it is in state '{}'",
                state_name(state)
            );
            Err(Rejection::invalid_state(intent, reason))
        }
    }
}

pub(super) fn complete(
    ctx: &mut Ctx<'_>,
    key: JobKey,
    result: &Document,
) -> Result<Response, Rejection> {
    let (instance, job) = find_open(ctx, COMPLETE, "complete", key)?;
    check::document_for(ctx, COMPLETE, result, instance)?;
    let reference = reference(ctx.instance(instance), &job);
    ctx.emit(Event::JobCompleted {
        job: reference,
        deadline: job.deadline,
        backoff_until: job.backoff_until,
    });
    // An element that is being ended has no use for the result any more.
    if let Some(at) = At::find(ctx, instance, job.element).filter(|at| at.is_live(ctx)) {
        element::job_completed(ctx, &at, result);
    }
    Ok(Response::Done)
}

pub(super) fn fail(ctx: &mut Ctx<'_>, command: FailJob) -> Result<Response, Rejection> {
    let (instance, job) = find_open(ctx, FAIL, "fail", command.job)?;
    check::document_for(ctx, FAIL, &command.variables, instance)?;
    let retries = command.retries.max(0);
    let backoff_until =
        (retries > 0 && command.backoff_ms > 0).then(|| ctx.now().plus_ms(command.backoff_ms));
    let mut message = command.message.to_string();
    problem::truncate(&mut message, ctx.limits().incident_text_bytes_max);
    ctx.emit(Event::JobFailed(Box::new(JobFailed {
        job: reference(ctx.instance(instance), &job),
        retries,
        message: message.as_str().into(),
        deadline: job.deadline,
        old_backoff_until: job.backoff_until,
        backoff_until,
    })));
    variables::merge(ctx, instance, job.element, Reach::Local, &command.variables);
    if retries == 0 {
        let text = if message.is_empty() {
            "No more retries left.".to_owned()
        } else {
            message
        };
        let at = At::find(ctx, instance, job.element).expect("a job's element is alive");
        problem::raise(
            ctx,
            &at,
            Some(job.key),
            Problem::new(IncidentKind::JobNoRetries, text),
        );
    } else if backoff_until.is_none() {
        jobs::offer(ctx, instance, job.key);
    }
    Ok(Response::Done)
}

pub(super) fn throw_error(
    ctx: &mut Ctx<'_>,
    command: ThrowJobError,
) -> Result<Response, Rejection> {
    let (instance, job) = find_open(ctx, THROW_ERROR, "throw an error for", command.job)?;
    check::document_for(ctx, THROW_ERROR, &command.variables, instance)?;
    let at = At::find(ctx, instance, job.element).expect("a job's element is alive");
    // An element that is being ended has nobody left to catch for it, and nobody to tell.
    let is_live = at.is_live(ctx);
    let catcher = if is_live {
        error::find_catcher(ctx, instance, job.element, &command.code)
    } else {
        None
    };
    let mut message = command.message.to_string();
    problem::truncate(&mut message, ctx.limits().incident_text_bytes_max);
    ctx.emit(Event::JobErrorThrown {
        job: reference(ctx.instance(instance), &job),
        code: command.code.clone(),
        message: message.as_str().into(),
        deadline: job.deadline,
        backoff_until: job.backoff_until,
        caught: catcher.is_some() || !is_live,
    });
    match catcher {
        Some(catcher) => error::catch(ctx, instance, &catcher, command.variables),
        None if is_live => {
            let problem = error::unhandled(ctx, &at, &command.code, &message);
            problem::raise(ctx, &at, Some(job.key), problem);
        }
        None => {}
    }
    Ok(Response::Done)
}

pub(super) fn update(
    ctx: &mut Ctx<'_>,
    key: JobKey,
    retries: Option<i32>,
    timeout_ms: Option<i64>,
) -> Result<Response, Rejection> {
    let (intent, verb) = match (retries, timeout_ms) {
        (Some(_), None) => (UPDATE_RETRIES, "update retries for"),
        (None, Some(_)) => (UPDATE_TIMEOUT, "update the timeout of"),
        _ => (UPDATE, "update"),
    };
    if let Some(retries) = retries.filter(|retries| *retries < 1) {
        let reason = format!(
            "Expected to {verb} job with key '{key}' with a positive amount of retries, but the amount given was '{retries}'"
        );
        return Err(Rejection::invalid_argument(intent, reason));
    }
    let (instance, job) = find(ctx, intent, verb, key)?;
    let deadline = timeout_ms.map(|timeout_ms| ctx.now().plus_ms(timeout_ms));
    if deadline.is_some() && job.deadline.is_none() {
        return Err(Rejection::invalid_state(
            intent,
            format!("Expected to {verb} job with key '{key}', but it is not active"),
        ));
    }
    let reference = reference(ctx.instance(instance), &job);
    if let Some(retries) = retries {
        ctx.emit(Event::JobRetriesUpdated {
            job: reference.clone(),
            retries,
        });
    }
    if let (Some(old_deadline), Some(deadline)) = (job.deadline, deadline) {
        let pushed_by = job.pushed_by;
        ctx.emit(Event::JobTimeoutUpdated {
            job: reference,
            old_deadline,
            deadline,
            pushed_by,
        });
    }
    Ok(Response::Done)
}

/// A push or the answer to a poll did not reach its worker.
pub(super) fn yield_back(ctx: &mut Ctx<'_>, key: JobKey) -> Result<Response, Rejection> {
    let (instance, job) = find(ctx, YIELD, "yield", key)?;
    if job.state != JobState::Activated {
        let reason = format!(
            "Expected to yield job with key '{key}', but it is in state '{}'",
            state_name(job.state)
        );
        return Err(Rejection::invalid_state(YIELD, reason));
    }
    jobs::make_available(ctx, instance, key, AvailableCause::Yielded);
    Ok(Response::Done)
}
