//! Process instances over REST.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use kapelle_engine::command::{Command, CreateInstance, SetVariables};
use kapelle_engine::ids::{ElementInstanceKey, ProcessInstanceKey};
use kapelle_engine::response::{CreatedInstance, Response as Answer};

use super::body::{JsonText, Violations};
use super::json::{self, Object, array, quote};
use super::problem::Problem;
use super::{Key, Meta, no_content};
use crate::gateway::failure::Failure;
use crate::gateway::{Gateway, checks, variables};

/// What version means when it is absent.
const LATEST: i32 = -1;

/// A creation as it came: what to start, and whether to wait.
struct Creation {
    create: CreateInstance,
    request_timeout_ms: i64,
}

fn read_creation(gateway: &Gateway, text: &JsonText) -> Result<Creation, Problem> {
    let mut request = text.object()?;
    let key = request.key("processDefinitionKey")?;
    let id = request.text("processDefinitionId")?;
    let version = request.i32("processDefinitionVersion")?;
    let variables = request.object_text("variables")?;
    let tenant = request.text("tenantId")?.unwrap_or_default();
    let must_await = request.bool("awaitCompletion")?.unwrap_or(false);
    let fetch = request.texts("fetchVariables")?;
    let request_timeout_ms = request.i64("requestTimeout")?.unwrap_or(0);
    let tags = request.texts("tags")?;
    let business_id = request.text("businessId")?;
    request.ignore("operationReference");
    if !request.list("startInstructions")?.is_empty() {
        return Err(Failure::Unimplemented("start instructions").into());
    }
    if !request.list("runtimeInstructions")?.is_empty() {
        return Err(Failure::Unimplemented("runtime instructions").into());
    }
    request.finish()?;
    let process = match (key, id) {
        (Some(_), Some(_)) => {
            return Err(Problem::invalid(
                "Only one of [processDefinitionId, processDefinitionKey] is allowed.".to_owned(),
            ));
        }
        (None, None) => {
            return Err(Problem::invalid(
                "At least one of [processDefinitionId, processDefinitionKey] is required."
                    .to_owned(),
            ));
        }
        // 0 would read as "no key" below; nothing has it.
        (Some(key), None) => {
            checks::process_selector(if key == 0 { i64::MAX } else { key }, "", LATEST)?
        }
        (None, Some(id)) => checks::process_selector(0, &id, version.unwrap_or(LATEST))?,
    };
    let create = CreateInstance {
        tenant: gateway.tenant(&tenant)?,
        process,
        variables: variables::parse(variables)?,
        await_result: must_await
            .then(|| fetch.iter().map(|name| Arc::from(name.as_ref())).collect()),
        tags: checks::tags(tags.iter().map(AsRef::as_ref))?,
        business_id: checks::business_id(business_id.as_deref())?,
        idempotency_key: None,
    };
    Ok(Creation {
        create,
        request_timeout_ms,
    })
}

pub(super) async fn create(
    State(gateway): State<Arc<Gateway>>,
    Meta(meta): Meta,
    text: JsonText,
) -> Result<Response, Problem> {
    let Creation {
        create,
        request_timeout_ms,
    } = read_creation(&gateway, &text)?;
    if create.await_result.is_some() {
        let result = gateway
            .create_and_await(create, request_timeout_ms, meta)
            .await?;
        return Ok(json::ok(created(
            &result.created,
            &variables::render(&result.variables),
        )));
    }
    match gateway.ask(Command::CreateInstance(create), meta).await? {
        Answer::InstanceCreated(instance) => Ok(json::ok(created(&instance, "{}"))),
        other => Err(Failure::unexpected(&other).into()),
    }
}

fn created(instance: &CreatedInstance, variables: &str) -> String {
    let mut answer = Object::new();
    answer
        .text("processDefinitionId", &instance.process_id)
        .number("processDefinitionVersion", instance.version.into())
        .text("tenantId", &instance.tenant)
        .raw("variables", variables)
        .key("processDefinitionKey", instance.definition.get())
        .key("processInstanceKey", instance.instance.get())
        .raw("tags", &array(instance.tags.iter().map(|tag| quote(tag))))
        .text_or_null("businessId", instance.business_id.as_deref());
    answer.end()
}

pub(super) async fn cancel(
    State(gateway): State<Arc<Gateway>>,
    Key(key): Key,
    Meta(meta): Meta,
    text: JsonText,
) -> Result<Response, Problem> {
    let mut request = text.object_or_empty()?;
    request.ignore("operationReference");
    request.finish()?;
    let instance = ProcessInstanceKey(checks::key(key, checks::CANCEL_INSTANCE)?);
    gateway
        .tell(Command::CancelInstance { instance }, meta)
        .await?;
    Ok(no_content())
}

pub(super) async fn set_variables(
    State(gateway): State<Arc<Gateway>>,
    Key(key): Key,
    Meta(meta): Meta,
    text: JsonText,
) -> Result<Response, Problem> {
    let mut request = text.object()?;
    let local = request.bool("local")?.unwrap_or(false);
    let variables = request.optional_object_text("variables")?;
    request.ignore("operationReference");
    request.finish()?;
    let mut violations = Violations::default();
    let variables = violations.required("variables", variables);
    violations.finish()?;
    let scope = ElementInstanceKey(checks::key(key, checks::SET_VARIABLES)?);
    let command = Command::SetVariables(SetVariables {
        scope,
        variables: variables::parse(variables)?,
        local,
    });
    gateway.tell(command, meta).await?;
    Ok(no_content())
}
