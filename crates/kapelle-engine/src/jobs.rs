//! Jobs: made of what the model says, handed to workers, taken back.

use std::sync::Arc;

use kapelle_feel::{Value, msgpack};
use kapelle_model::graph::{HeaderValue, JobDefinition};

use crate::ctx::Ctx;
use crate::definitions::Headers;
use crate::effect::{Effect, StreamTarget};
use crate::element::At;
use crate::event::{AvailableCause, Event, Header, IncidentKind, JobActivated, JobCreated, JobRef};
use crate::expression::{self, Sight};
use crate::ids::{JobKey, ProcessInstanceKey, Timestamp};
use crate::problem::{self, Problem};
use crate::response::ActivatedJob;
use crate::state::instance::{Instance, Job, JobState};
use crate::variables;

/// A job that is about to be made.
pub(crate) struct NewJob {
    job_type: Arc<str>,
    retries: i32,
    headers: Vec<Header>,
}

/// Computes what the job is made of.
pub(crate) fn evaluate(ctx: &Ctx<'_>, at: &At, job: &JobDefinition) -> Result<NewJob, Problem> {
    let sight = Sight::Scope(at.instance, at.key);
    let job_type = expression::text(ctx, &job.job_type, sight)?;
    if job_type.is_empty() {
        return Err(Problem::extract_value(
            "Expected the type of a job to be present, but it was blank.",
        ));
    }
    expression::check_index_text(ctx, "type of a job", &job_type)?;
    let retries = expression::whole_number(ctx, &job.retries, sight)?;
    let mut headers = Vec::new();
    if at.definition.static_headers(at.index).is_none() {
        for header in &job.headers {
            if let Some(value) = header_value(ctx, &header.value, sight)? {
                headers.push(Header {
                    key: header.key.clone(),
                    value,
                });
            }
        }
    }
    Ok(NewJob {
        job_type,
        retries,
        headers,
    })
}

/// A header's text; null leaves the header out.
fn header_value(
    ctx: &Ctx<'_>,
    value: &HeaderValue,
    sight: Sight<'_>,
) -> Result<Option<Arc<str>>, Problem> {
    let (expr, wanted) = match value {
        HeaderValue::Static(text) => return Ok(Some(text.clone())),
        HeaderValue::Text(expr) => (expr, "'STRING'"),
        HeaderValue::TextList(expr) => (expr, "'ARRAY' of 'STRING'"),
        HeaderValue::DateTime(expr) => (expr, "'DATE_TIME' or 'STRING'"),
    };
    let evaluation = expression::evaluate(ctx, expr, sight).map_err(Problem::extract_value)?;
    let text: Option<Arc<str>> = match (value, &evaluation.value) {
        (_, Value::Null) => return Ok(None),
        (HeaderValue::Text(_) | HeaderValue::DateTime(_), Value::String(text)) => {
            Some(text.as_str().into())
        }
        (HeaderValue::DateTime(_), Value::DateTime(_) | Value::Date(_)) => {
            msgpack::as_str(&msgpack::to_msgpack(&evaluation.value)).map(Arc::from)
        }
        (HeaderValue::TextList(_), Value::List(list))
            if list.iter().all(|item| item.as_str().is_some()) =>
        {
            Some(kapelle_feel::json::from_value(&evaluation.value).into())
        }
        _ => None,
    };
    match text {
        Some(text) => Ok(Some(text)),
        None => Err(Problem::extract_value(expression::unexpected(
            expr,
            wanted,
            &evaluation,
        ))),
    }
}

/// Makes the job, for a worker's stream that has room if there is one.
pub(crate) fn create(ctx: &mut Ctx<'_>, at: &At, new: NewJob) -> (JobKey, Option<StreamTarget>) {
    let job = JobKey(ctx.new_key());
    let NewJob {
        job_type,
        retries,
        headers,
    } = new;
    let tenant = at.definition.tenant.clone();
    let stream = ctx.streams().take(&tenant, &job_type);
    let (element, taken) = (at.index, stream.is_some());
    let job_ref = JobRef {
        job,
        instance: at.instance,
        element: at.key,
        tenant,
        job_type,
    };
    ctx.emit(Event::JobCreated(Box::new(JobCreated {
        job: job_ref,
        element,
        retries,
        taken,
        headers,
    })));
    (job, stream)
}

/// A job that is available goes down a stream that has room, if there is one.
pub(crate) fn offer(ctx: &mut Ctx<'_>, instance: ProcessInstanceKey, job: JobKey) {
    let (aggregate, found) = find(ctx, instance, job);
    let (tenant, job_type) = (aggregate.tenant.clone(), found.job_type.clone());
    let stream = ctx.streams().take(&tenant, &job_type);
    hand_over(ctx, instance, job, stream, true);
}

/// The job goes down that stream, or whoever polls is told.
pub(crate) fn hand_over(
    ctx: &mut Ctx<'_>,
    instance: ProcessInstanceKey,
    job: JobKey,
    stream: Option<StreamTarget>,
    was_available: bool,
) {
    let Some(target) = stream else {
        let (aggregate, found) = find(ctx, instance, job);
        let (tenant, job_type) = (aggregate.tenant.clone(), found.job_type.clone());
        return ctx.effect(Effect::JobsAvailable { tenant, job_type });
    };
    let deadline = ctx.now().plus_ms(target.timeout_ms);
    if payload_bytes(ctx, instance, job, &target.fetch_variables)
        > ctx.limits().activation_bytes_max
    {
        ctx.streams().give_back(target.stream);
        return withhold(ctx, instance, job);
    }
    let handing = HandOver {
        worker: target.worker,
        deadline,
        pushed_by: Some(ctx.incarnation()),
        was_available,
    };
    let job = activate(ctx, instance, job, handing, &target.fetch_variables);
    ctx.effect(Effect::PushJob {
        stream: target.stream,
        job,
    });
}

/// How a job comes to a worker.
pub(crate) struct HandOver {
    pub(crate) worker: Arc<str>,
    pub(crate) deadline: Timestamp,
    pub(crate) pushed_by: Option<u64>,
    pub(crate) was_available: bool,
}

/// A worker gets the job.
pub(crate) fn activate(
    ctx: &mut Ctx<'_>,
    instance: ProcessInstanceKey,
    job: JobKey,
    handing: HandOver,
    fetch_variables: &[Arc<str>],
) -> Arc<ActivatedJob> {
    let HandOver {
        worker,
        deadline,
        pushed_by,
        was_available,
    } = handing;
    let (reference, first) = {
        let (instance, job) = find(ctx, instance, job);
        (reference(instance, job), !job.activated_before)
    };
    let job_ref = reference.clone();
    let activated = JobActivated {
        job: job_ref,
        worker: worker.clone(),
        deadline,
        pushed_by,
        first,
        was_available,
    };
    ctx.emit(Event::JobActivated(Box::new(activated)));
    let definition = ctx.definition_of(instance);
    let (instance, job) = find(ctx, instance, job);
    let element = instance
        .element(job.element)
        .expect("a job's element is alive")
        .element;
    let headers = if job.headers.is_empty() {
        definition.static_headers(element).cloned()
    } else {
        None
    };
    Arc::new(ActivatedJob {
        job: job.key,
        job_type: reference.job_type,
        tenant: reference.tenant,
        instance: instance.key,
        definition: instance.definition,
        process_id: instance.process_id.clone(),
        version: instance.version,
        element_id: definition.element(element).id.clone(),
        element_instance: job.element,
        headers: headers.unwrap_or_else(|| computed_headers(job)),
        worker,
        retries: job.retries,
        deadline,
        variables: variables::visible(instance, job.element, fetch_variables),
        tags: instance.tags.clone(),
        business_id: instance.business_id.clone(),
    })
}

/// What a job adds to an answer, near enough.
pub(crate) fn payload_bytes(
    ctx: &Ctx<'_>,
    instance: ProcessInstanceKey,
    job: JobKey,
    wanted: &[Arc<str>],
) -> usize {
    const JOB_WITHOUT_VARIABLES: usize = 512;
    let (aggregate, job) = find(ctx, instance, job);
    let scopes: Vec<_> = aggregate.scopes(job.element).collect();
    let seen = aggregate
        .variables
        .iter()
        .filter(|variable| scopes.contains(&variable.scope));
    let asked = seen.filter(|variable| wanted.is_empty() || wanted.contains(&variable.name));
    JOB_WITHOUT_VARIABLES
        + asked
            .map(|variable| variable.name.len() + variable.value.0.len())
            .sum::<usize>()
}

/// The job is larger than any answer may be: no worker gets it before its incident is resolved. As in Zeebe it is the
/// worker who asks for too much that brings this about.
pub(crate) fn withhold(ctx: &mut Ctx<'_>, instance: ProcessInstanceKey, job: JobKey) {
    let (aggregate, found) = find(ctx, instance, job);
    let (element, reference) = (found.element, reference(aggregate, found));
    ctx.emit(Event::JobWithheld { job: reference });
    let max = ctx.limits().activation_bytes_max;
    let message = format!(
        "The job with key '{job}' can not be handed out, because with the variables that the worker asks for it is larger than {max} bytes, as much as an answer may have. Try to reduce the size by reducing the number of fetched variables or modifying the variable values."
    );
    let at = At::find(ctx, instance, element).expect("a job's element is alive");
    let problem = Problem::new(IncidentKind::MessageSizeExceeded, message);
    problem::raise(ctx, &at, Some(job), problem);
}

fn find<'c>(
    ctx: &'c Ctx<'_>,
    instance: ProcessInstanceKey,
    job: JobKey,
) -> (&'c Instance, &'c Job) {
    let instance = ctx.instance(instance);
    (
        instance,
        instance
            .job(job)
            .expect("the index knows only jobs that exist"),
    )
}

fn computed_headers(job: &Job) -> Headers {
    job.headers
        .iter()
        .map(|header| (header.key.clone(), header.value.clone()))
        .collect()
}

/// How events name a job.
pub(crate) fn reference(instance: &Instance, job: &Job) -> JobRef {
    JobRef {
        job: job.key,
        instance: instance.key,
        element: job.element,
        tenant: instance.tenant.clone(),
        job_type: job.job_type.clone(),
    }
}

/// A job may be taken again.
pub(crate) fn make_available(
    ctx: &mut Ctx<'_>,
    instance: ProcessInstanceKey,
    job: JobKey,
    cause: AvailableCause,
) {
    let (aggregate, found) = find(ctx, instance, job);
    let (backoff_until, deadline) = (found.backoff_until, found.deadline);
    let event = Event::JobMadeAvailable {
        job: reference(aggregate, found),
        cause,
        backoff_until,
        deadline,
    };
    ctx.emit(event);
    if ctx.instance(instance).quarantined.is_none() {
        offer(ctx, instance, job);
    }
}

/// The element is being ended: nobody needs its jobs any more.
pub(crate) fn cancel_all(ctx: &mut Ctx<'_>, at: &At) {
    let instance = ctx.instance(at.instance);
    let own = instance.jobs.iter().filter(|job| job.element == at.key);
    let canceled: Vec<_> = own
        .map(|job| Event::JobCanceled {
            job: reference(instance, job),
            deadline: job.deadline,
            backoff_until: job.backoff_until,
        })
        .collect();
    for event in canceled {
        ctx.emit(event);
    }
}

/// As the API spells a job's state.
pub(crate) fn state_name(state: JobState) -> &'static str {
    match state {
        JobState::Activatable => "ACTIVATABLE",
        JobState::Activated => "ACTIVATED",
        JobState::Failed => "FAILED",
        JobState::ErrorThrown => "ERROR_THROWN",
    }
}
