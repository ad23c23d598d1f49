//! Messages over REST: published with a buffer, or correlated at once.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use kapelle_engine::command::{Command, CorrelateMessage, PublishMessage};
use kapelle_engine::response::Response as Answer;

use super::Meta;
use super::body::{JsonText, Violations};
use super::json::{self, Object};
use super::problem::Problem;
use crate::gateway::failure::Failure;
use crate::gateway::{Gateway, variables};

pub(super) async fn publish(
    State(gateway): State<Arc<Gateway>>,
    Meta(meta): Meta,
    text: JsonText,
) -> Result<Response, Problem> {
    let mut request = text.object()?;
    let name = request.text("name")?;
    let correlation_key = request.text("correlationKey")?.unwrap_or_default();
    let ttl_ms = request.i64("timeToLive")?.unwrap_or(0);
    let message_id = request.text("messageId")?.unwrap_or_default();
    let variables = request.object_text("variables")?;
    let tenant = request.text("tenantId")?.unwrap_or_default();
    request.finish()?;
    let mut violations = Violations::default();
    let name = violations.required_text("name", name);
    violations.must(ttl_ms >= 0, "timeToLive", &ttl_ms, "not negative");
    violations.finish()?;
    let tenant = gateway.tenant(&tenant)?;
    let command = Command::PublishMessage(PublishMessage {
        tenant: Arc::clone(&tenant),
        name: Arc::from(name),
        correlation_key: Arc::from(correlation_key),
        message_id: Arc::from(message_id),
        ttl_ms,
        variables: variables::parse(variables)?,
    });
    match gateway.ask(command, meta).await? {
        Answer::MessagePublished { key } => {
            let mut answer = Object::new();
            answer
                .text("tenantId", &tenant)
                .key("messageKey", key.get());
            Ok(json::ok(answer.end()))
        }
        other => Err(Failure::unexpected(&other).into()),
    }
}

pub(super) async fn correlate(
    State(gateway): State<Arc<Gateway>>,
    Meta(meta): Meta,
    text: JsonText,
) -> Result<Response, Problem> {
    let mut request = text.object()?;
    let name = request.text("name")?;
    let correlation_key = request.text("correlationKey")?.unwrap_or_default();
    let variables = request.object_text("variables")?;
    let tenant = request.text("tenantId")?.unwrap_or_default();
    request.finish()?;
    let mut violations = Violations::default();
    let name = violations.required_text("name", name);
    violations.finish()?;
    let tenant = gateway.tenant(&tenant)?;
    let command = Command::CorrelateMessage(CorrelateMessage {
        tenant: Arc::clone(&tenant),
        name: Arc::from(name),
        correlation_key: Arc::from(correlation_key),
        variables: variables::parse(variables)?,
    });
    match gateway.ask(command, meta).await? {
        Answer::MessageCorrelated { key, instance } => {
            let mut answer = Object::new();
            answer
                .text("tenantId", &tenant)
                .key("messageKey", key.get())
                .key("processInstanceKey", instance.get());
            Ok(json::ok(answer.end()))
        }
        other => Err(Failure::unexpected(&other).into()),
    }
}
