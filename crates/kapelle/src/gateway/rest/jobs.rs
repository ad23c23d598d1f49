//! Jobs over REST.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use kapelle_engine::command::{ActivateJobs, Command, FailJob, ThrowJobError};
use kapelle_engine::ids::JobKey;
use kapelle_engine::response::ActivatedJob;

use super::body::{JsonText, Violations};
use super::json::{self, Object, array, quote};
use super::problem::Problem;
use super::{Key, Meta, no_content};
use crate::gateway::checks::JobRequest;
use crate::gateway::delivery_guard::Undelivered;
use crate::gateway::failure::Failure;
use crate::gateway::{Gateway, checks, variables};

/// Members of a job's result that ask for nothing when they are false or empty; what they would do is not there yet.
const RESULT_IS_LATER: &str = "user task listeners and ad-hoc sub-processes";

/// Priority of every job until priorities exist.
const PRIORITY: i64 = 0;

fn read_activation(gateway: &Gateway, text: &JsonText) -> Result<(ActivateJobs, i64), Problem> {
    let mut request = text.object()?;
    let job_type = request.text("type")?;
    let worker = request.text("worker")?.unwrap_or_default();
    let timeout_ms = request.i64("timeout")?;
    let max_jobs = request.i64("maxJobsToActivate")?;
    let fetch = request.texts("fetchVariable")?;
    let request_timeout_ms = request.i64("requestTimeout")?.unwrap_or(0);
    let tenants = request.texts("tenantIds")?;
    let tenant_filter = request.text("tenantFilter")?;
    request.finish()?;

    let mut violations = Violations::default();
    let job_type = violations.required_text("type", job_type);
    let timeout_ms = violations.required("timeout", timeout_ms.map(Given)).0;
    let max_jobs = violations
        .required("maxJobsToActivate", max_jobs.map(Given))
        .0;
    violations.must(timeout_ms > 0, "timeout", &timeout_ms, "greater than 0");
    violations.must(
        max_jobs > 0,
        "maxJobsToActivate",
        &max_jobs,
        "greater than 0",
    );
    if let Some(filter) = tenant_filter {
        let is_known = ["PROVIDED", "ASSIGNED"]
            .iter()
            .any(|known| known.eq_ignore_ascii_case(&filter));
        violations.must(
            is_known,
            "tenantFilter",
            &filter,
            "one of [PROVIDED, ASSIGNED]",
        );
    }
    violations.finish()?;
    let checked = JobRequest {
        job_type: &job_type,
        worker: &worker,
        timeout_ms,
        max_jobs,
        fetch_variables: fetch.iter().map(|name| Arc::from(name.as_ref())).collect(),
        tenants: gateway.tenants(tenants.iter().map(AsRef::as_ref))?,
    };
    Ok((checked.check()?, request_timeout_ms))
}

/// A number that, when it is missing, must not be complained about a second time.
struct Given(i64);

impl Default for Given {
    fn default() -> Self {
        Self(1)
    }
}

pub(super) async fn activate(
    State(gateway): State<Arc<Gateway>>,
    Meta(meta): Meta,
    text: JsonText,
) -> Result<Response, Problem> {
    let (activate, request_timeout_ms) = read_activation(&gateway, &text)?;
    let jobs = gateway
        .poll_jobs(activate, request_timeout_ms, meta)
        .await?;
    Ok(json::ok(render_jobs(jobs, gateway.message_bytes_max())))
}

/// As many jobs as fit into one answer; the rest goes back.
fn render_jobs(mut jobs: Undelivered, bytes_max: usize) -> String {
    let mut texts = Vec::with_capacity(jobs.len());
    let mut bytes = 0;
    while let Some(job) = jobs.peek() {
        let text = render_job(job);
        bytes += text.len() + 1;
        if bytes > bytes_max && !texts.is_empty() {
            break;
        }
        jobs.next();
        texts.push(text);
    }
    let mut answer = Object::new();
    answer.raw("jobs", &array(texts));
    answer.end()
}

fn render_job(job: &ActivatedJob) -> String {
    let mut answer = Object::new();
    answer
        .text("type", &job.job_type)
        .text("processDefinitionId", &job.process_id)
        .number("processDefinitionVersion", job.version.into())
        .text("elementId", &job.element_id)
        .raw("customHeaders", &variables::render_headers(&job.headers))
        .text("worker", &job.worker)
        .number("retries", job.retries.into())
        .number("deadline", job.deadline.0)
        .raw("variables", &variables::render(&job.variables))
        .text("tenantId", &job.tenant)
        .null("physicalTenantId")
        .key("jobKey", job.job.get())
        .key("processInstanceKey", job.instance.get())
        .key("processDefinitionKey", job.definition.get())
        .key("elementInstanceKey", job.element_instance.get())
        .text("kind", "BPMN_ELEMENT")
        .text("listenerEventType", "UNSPECIFIED")
        .null("userTask")
        .raw("tags", &array(job.tags.iter().map(|tag| quote(tag))))
        // Instances have no callers until there are call activities.
        .key("rootProcessInstanceKey", job.instance.get())
        .text_or_null("businessId", job.business_id.as_deref())
        .number("priority", PRIORITY)
        .null("leaseToken");
    answer.end()
}

pub(super) async fn complete(
    State(gateway): State<Arc<Gateway>>,
    Key(key): Key,
    Meta(meta): Meta,
    text: JsonText,
) -> Result<Response, Problem> {
    let mut request = text.object_or_empty()?;
    let variables = request.object_text("variables")?;
    if let Some(mut result) = request.object("result")? {
        // Clients that complete with a default result send these; anything that decides something is refused.
        let denied = result.bool("denied")?.unwrap_or(false);
        let reason = result
            .text("deniedReason")?
            .is_some_and(|reason| !reason.is_empty());
        let corrections = result
            .optional_object_text("corrections")?
            .is_some_and(|text| text != "{}");
        let activate = !result.list("activateElements")?.is_empty();
        let condition = result
            .bool("isCompletionConditionFulfilled")?
            .unwrap_or(false);
        let cancel = result.bool("isCancelRemainingInstances")?.unwrap_or(false);
        result.ignore("type");
        result.finish()?;
        if denied || reason || corrections || activate || condition || cancel {
            return Err(Failure::Unimplemented(RESULT_IS_LATER).into());
        }
    }
    request.finish()?;
    let job = JobKey(checks::key(key, checks::COMPLETE_JOB)?);
    gateway
        .tell(
            Command::CompleteJob {
                job,
                variables: variables::parse(variables)?,
            },
            meta,
        )
        .await?;
    Ok(no_content())
}

pub(super) async fn fail(
    State(gateway): State<Arc<Gateway>>,
    Key(key): Key,
    Meta(meta): Meta,
    text: JsonText,
) -> Result<Response, Problem> {
    let mut request = text.object_or_empty()?;
    let retries = request.i32("retries")?.unwrap_or(0);
    let message = request.text("errorMessage")?.unwrap_or_default();
    let backoff_ms = request.i64("retryBackOff")?.unwrap_or(0);
    let variables = request.object_text("variables")?;
    request.finish()?;
    let command = Command::FailJob(FailJob {
        job: JobKey(checks::key(key, checks::FAIL_JOB)?),
        retries,
        message: Arc::from(message),
        backoff_ms: backoff_ms.max(0),
        variables: variables::parse(variables)?,
    });
    gateway.tell(command, meta).await?;
    Ok(no_content())
}

pub(super) async fn throw_error(
    State(gateway): State<Arc<Gateway>>,
    Key(key): Key,
    Meta(meta): Meta,
    text: JsonText,
) -> Result<Response, Problem> {
    let mut request = text.object()?;
    let code = request.text("errorCode")?;
    let message = request.text("errorMessage")?.unwrap_or_default();
    let variables = request.object_text("variables")?;
    request.finish()?;
    let mut violations = Violations::default();
    let code = violations.required_text("errorCode", code);
    violations.finish()?;
    let command = Command::ThrowJobError(ThrowJobError {
        job: JobKey(checks::key(key, checks::THROW_ERROR)?),
        code: Arc::from(code),
        message: Arc::from(message),
        variables: variables::parse(variables)?,
    });
    gateway.tell(command, meta).await?;
    Ok(no_content())
}

pub(super) async fn update(
    State(gateway): State<Arc<Gateway>>,
    Key(key): Key,
    Meta(meta): Meta,
    text: JsonText,
) -> Result<Response, Problem> {
    let mut request = text.object()?;
    request.ignore("operationReference");
    let changeset = request.object("changeset")?;
    request.finish()?;
    let (mut retries, mut timeout_ms) = (None, None);
    if let Some(mut changeset) = changeset {
        retries = changeset.i32("retries")?;
        timeout_ms = changeset.i64("timeout")?;
        if changeset.i64("priority")?.is_some() {
            return Err(Failure::Unimplemented("job priorities").into());
        }
        changeset.finish()?;
    }
    if retries.is_none() && timeout_ms.is_none() {
        return Err(Problem::invalid(
            "At least one of [retries, timeout] is required.".to_owned(),
        ));
    }
    let job = JobKey(checks::key(key, checks::UPDATE_JOB)?);
    gateway
        .tell(
            Command::UpdateJob {
                job,
                retries,
                timeout_ms,
            },
            meta,
        )
        .await?;
    Ok(no_content())
}
