//! What message throw events, message end events and send tasks do: make a job, publish a message inside the engine
//! (`zeebe:publishMessage`), or hand a CloudEvent to the outbox (`kapelle:publish`, design §7). Only a job is waited for.

use std::sync::Arc;

use kapelle_events::{CloudEvent, Timestamp};
use kapelle_feel::json;
use kapelle_model::graph::{Action, PublishEvent, PublishMessage, TimerKind};
use kapelle_model::timer::Schedule;

use crate::command;
use crate::ctx::Ctx;
use crate::effect::Effect;
use crate::element::{At, action_task, activated, complete};
use crate::event::{Cause, Event, IncidentKind, OutboxAdded};
use crate::expression::{self, Sight};
use crate::ids::OutboxKey;
use crate::problem::Problem;
use crate::step::Step;
use crate::variables;

pub(super) fn activate(ctx: &mut Ctx<'_>, at: &At, action: &Action) -> Result<(), Problem> {
    match action {
        Action::Job(_) => return action_task::activate(ctx, at, action),
        Action::PublishMessage(publish) => publish_message(ctx, at, publish)?,
        Action::PublishEvent(publish) => publish_event(ctx, at, publish)?,
    }
    activated(ctx, at);
    complete(ctx, at);
    Ok(())
}

fn publish_message(ctx: &mut Ctx<'_>, at: &At, publish: &PublishMessage) -> Result<(), Problem> {
    let sight = Sight::Scope(at.instance, at.key);
    let name = expression::text(
        ctx,
        &at.definition.process.message(publish.message).name,
        sight,
    )?;
    let correlation_key = match &publish.correlation_key {
        None => Arc::from(""),
        Some(kapelle_model::graph::Text::Static(key)) => key.clone(),
        Some(kapelle_model::graph::Text::Expr(expr)) => {
            expression::correlation_key(ctx, expr, sight)?.0
        }
    };
    let message_id = expression::optional_text(ctx, publish.message_id.as_ref(), sight)?
        .unwrap_or_else(|| Arc::from(""));
    for (what, text) in [
        ("message name", &name),
        ("correlation key", &correlation_key),
        ("message id", &message_id),
    ] {
        expression::check_index_text(ctx, what, text)?;
    }
    let ttl_ms = time_to_live(ctx, publish, sight)?;
    // As in Zeebe: what the input mappings made, and nothing of the scopes around.
    let variables = variables::local(ctx.instance(at.instance), at.key, &[]);
    let max = ctx.limits().document_bytes_max;
    if variables.0.len() > max {
        let message = format!(
            "Expected the variables of the message '{name}' to have at most {max} bytes, but they have {}.",
            variables.0.len()
        );
        return Err(Problem::new(IncidentKind::MessageSizeExceeded, message));
    }
    let tenant = at.definition.tenant.clone();
    let message = Box::new(command::PublishMessage {
        tenant,
        name,
        correlation_key,
        message_id,
        ttl_ms,
        variables,
    });
    let cause = cause(ctx, at);
    ctx.push(Step::Publish { message, cause });
    Ok(())
}

fn time_to_live(ctx: &Ctx<'_>, publish: &PublishMessage, sight: Sight<'_>) -> Result<i64, Problem> {
    let value = match &publish.time_to_live {
        None => return Ok(0),
        Some(kapelle_model::graph::Text::Static(text)) => TimerKind::Duration
            .parse(text)
            .map_err(|error| Problem::extract_value(error.to_string()))?,
        Some(kapelle_model::graph::Text::Expr(expr)) => {
            let value = kapelle_model::graph::TimerValue::Expr(expr.clone());
            expression::schedule(ctx, TimerKind::Duration, &value, sight)?.into_owned()
        }
    };
    match value {
        Schedule::Duration(period) => {
            Ok(period.after(ctx.now().0).saturating_sub(ctx.now().0).max(0))
        }
        Schedule::Date(_) | Schedule::Cycle(_) => unreachable!("read as a duration"),
    }
}

fn publish_event(ctx: &mut Ctx<'_>, at: &At, publish: &PublishEvent) -> Result<(), Problem> {
    let sight = Sight::Scope(at.instance, at.key);
    let event_type = expression::text(ctx, &publish.event_type, sight)?;
    let source = expression::optional_text(ctx, publish.source.as_ref(), sight)?;
    let source = source.unwrap_or_else(|| {
        format!("/kapelle/{}/{}", ctx.cluster(), at.definition.process.id).into()
    });
    let subject = expression::optional_text(ctx, publish.subject.as_ref(), sight)?;
    let to = expression::optional_text(ctx, publish.to.as_ref(), sight)?
        .unwrap_or_else(|| Arc::from(""));
    let data = match &publish.data {
        None => json::from_msgpack(&variables::visible(ctx.instance(at.instance), at.key, &[]).0),
        Some(expr) => json::from_value(
            &expression::evaluate(ctx, expr, sight)
                .map_err(Problem::extract_value)?
                .value,
        ),
    };
    let cause = cause(ctx, at);
    let entry = OutboxKey(ctx.new_key());
    let mut builder = CloudEvent::builder(entry.to_string(), &*source, &*event_type)
        .data("application/json", data.as_str());
    if let Some(subject) = subject.filter(|subject| !subject.is_empty()) {
        builder = builder.subject(&*subject);
    }
    if let Some(time) = Timestamp::from_unix_ms(ctx.now().0) {
        builder = builder.time(time);
    }
    if let Some(id) = cause.correlation_id {
        builder = builder.correlation_id(&*id);
    }
    if let Some(id) = cause.event_id {
        builder = builder.causation_id(&*id);
    }
    if let Some(traceparent) = cause.traceparent {
        builder = builder.trace_parent(&*traceparent);
    }
    let event = builder.build().map_err(|error| {
        Problem::extract_value(format!("Failed to make a CloudEvent to publish: {error}"))
    })?;
    let (instance, tenant) = (at.instance, at.definition.tenant.clone());
    ctx.emit(Event::OutboxAdded(Box::new(OutboxAdded {
        entry,
        instance,
        tenant,
        to,
        event,
    })));
    ctx.effect(Effect::OutboxReady { entry });
    Ok(())
}

/// What moved the instance last, on the trace of whoever asked now. The conversation is the one it was part of, else the
/// one that it begins.
fn cause(ctx: &Ctx<'_>, at: &At) -> Cause {
    let mut cause = ctx.instance(at.instance).cause.clone();
    cause
        .correlation_id
        .get_or_insert_with(|| at.instance.to_string().into());
    if let Some(traceparent) = &ctx.meta().traceparent {
        cause.traceparent = Some(traceparent.clone());
    }
    cause
}
