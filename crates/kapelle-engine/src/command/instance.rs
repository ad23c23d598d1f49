//! Instances: create, cancel.

use std::sync::Arc;

use crate::command::{CreateInstance, ProcessSelector, check};
use crate::ctx::Ctx;
use crate::definitions::Definition;
use crate::element::process::{self, Start};
use crate::element::{self, At};
use crate::event::Event;
use crate::ids::{DefinitionKey, ElementInstanceKey, ProcessInstanceKey};
use crate::rejection::Rejection;
use crate::response::{CreatedInstance, Response};
use crate::state::{definitions, requests};

const CREATE: &str = "CREATE";
const CANCEL: &str = "CANCEL";

pub(super) fn create(ctx: &mut Ctx<'_>, command: CreateInstance) -> Result<Response, Rejection> {
    check::index_text(ctx, CREATE, "tenant id", &command.tenant)?;
    check::document(ctx, CREATE, &command.variables)?;
    let mut outlived = None;
    if let Some(request) = &command.idempotency_key {
        check::index_text(ctx, CREATE, "idempotency key", request)?;
        match requests::find(ctx.keep(), &command.tenant, request) {
            Some(first) if first.until > ctx.now() => return Ok(repeat(ctx, &command, first)),
            other => outlived = other,
        }
    }
    let definition = find_definition(ctx, &command)?;
    let Some(element) = definition.process.none_start else {
        let reason = "Expected to create instance of process with none start event, but there is no such event";
        return Err(Rejection::invalid_state(CREATE, reason));
    };
    let is_awaited = command.await_result.is_some();
    let start = Start {
        variables: command.variables,
        awaited: command.await_result.map(Arc::from),
        tags: command.tags,
        business_id: command.business_id,
        ..Start::at(element, ctx.cause_of_command())
    };
    let instance = process::activate(ctx, &definition, start);
    if let Some(request) = command.idempotency_key {
        let until = ctx.now().plus_ms(ctx.limits().request_window_ms);
        let (tenant, definition) = (command.tenant, definition.key);
        // Its time is over, but its turn in the due queue has not come: then, it would take the new answer with it.
        if let Some(first) = outlived {
            ctx.emit(Event::RequestForgotten {
                tenant: tenant.clone(),
                request: request.clone(),
                instance: first.instance,
                until: first.until,
            });
        }
        ctx.emit(Event::RequestRemembered {
            tenant,
            request,
            instance,
            definition,
            until,
        });
    }
    if is_awaited {
        return Ok(Response::Deferred { instance });
    }
    Ok(Response::InstanceCreated(process::created(
        ctx.instance(instance),
    )))
}

/// The answer to a request that was here before.
fn repeat(ctx: &mut Ctx<'_>, command: &CreateInstance, first: requests::RequestEntry) -> Response {
    let definition = ctx.definition(first.definition);
    Response::InstanceCreated(CreatedInstance {
        instance: first.instance,
        definition: first.definition,
        process_id: definition.process.id.clone(),
        version: definition.version,
        tenant: command.tenant.clone(),
        tags: command.tags.clone(),
        business_id: command.business_id.clone(),
    })
}

fn find_definition(
    ctx: &mut Ctx<'_>,
    command: &CreateInstance,
) -> Result<Arc<Definition>, Rejection> {
    let tenant = &command.tenant;
    let (found, wanted): (Option<DefinitionKey>, String) = match &command.process {
        ProcessSelector::Key(key) => {
            let entry =
                definitions::by_key(ctx.keep(), *key).filter(|entry| entry.tenant == *tenant);
            (entry.map(|_| *key), format!("with key '{key}'"))
        }
        ProcessSelector::Latest { process_id } => {
            check::index_text(ctx, CREATE, "process id", process_id)?;
            let latest = definitions::latest(ctx.keep(), tenant, process_id);
            (
                latest.map(|latest| latest.definition),
                format!("with process ID '{process_id}'"),
            )
        }
        ProcessSelector::Version {
            process_id,
            version,
        } => {
            check::index_text(ctx, CREATE, "process id", process_id)?;
            let found = definitions::by_version(ctx.keep(), tenant, process_id, *version);
            (
                found,
                format!("with process ID '{process_id}' and version '{version}'"),
            )
        }
    };
    let reason = || format!("Expected to find process definition {wanted}, but none found");
    let key = found.ok_or_else(|| Rejection::not_found(CREATE, reason()))?;
    Ok(ctx.definition(key))
}

pub(super) fn cancel(
    ctx: &mut Ctx<'_>,
    instance: ProcessInstanceKey,
) -> Result<Response, Rejection> {
    let root = find_root(ctx, instance).ok_or_else(|| {
        let reason = format!("Expected to cancel a process instance with key '{instance}', but no such process was found");
        Rejection::not_found(CANCEL, reason)
    })?;
    element::terminate(ctx, &root);
    Ok(Response::Done)
}

pub(super) fn find_root(ctx: &mut Ctx<'_>, instance: ProcessInstanceKey) -> Option<At> {
    if !ctx.pin(instance) {
        return None;
    }
    At::find(ctx, instance, ElementInstanceKey(instance.0))
}
