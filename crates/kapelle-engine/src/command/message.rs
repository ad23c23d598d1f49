//! Messages from outside, and those that elements throw.

use std::sync::Arc;

use crate::command::{CorrelateMessage, PublishMessage, check};
use crate::correlation::{self, Publication};
use crate::ctx::Ctx;
use crate::event::Cause;
use crate::rejection::{Rejection, RejectionCode};
use crate::response::Response;
use crate::state::messages;

const PUBLISH: &str = "PUBLISH";
const CORRELATE: &str = "CORRELATE";

pub(super) fn publish(ctx: &mut Ctx<'_>, command: PublishMessage) -> Result<Response, Rejection> {
    check_texts(
        ctx,
        PUBLISH,
        &command.tenant,
        &command.name,
        &command.correlation_key,
    )?;
    check::index_text(ctx, PUBLISH, "message id", &command.message_id)?;
    check::document(ctx, PUBLISH, &command.variables)?;
    check_unique(ctx, &command)?;
    let publication = publication(command, ctx.cause_of_command());
    let candidates = correlation::candidates(ctx, &publication);
    let published = correlation::publish(ctx, publication, candidates);
    Ok(Response::MessagePublished {
        key: published.message,
    })
}

/// An element throws a message. Nobody is there to be told that its id was taken, as in Zeebe.
pub(crate) fn publish_internally(ctx: &mut Ctx<'_>, command: PublishMessage, cause: Cause) {
    if check_unique(ctx, &command).is_ok() {
        let publication = Publication {
            thrown: true,
            ..publication(command, cause)
        };
        let candidates = correlation::candidates(ctx, &publication);
        correlation::publish(ctx, publication, candidates);
    }
}

fn publication(command: PublishMessage, cause: Cause) -> Publication {
    let PublishMessage {
        tenant,
        name,
        correlation_key,
        message_id,
        ttl_ms,
        variables,
    } = command;
    Publication {
        tenant,
        name,
        correlation_key,
        message_id,
        ttl_ms,
        variables,
        cause,
        binding: None,
        thrown: false,
    }
}

pub(super) fn correlate(
    ctx: &mut Ctx<'_>,
    command: CorrelateMessage,
) -> Result<Response, Rejection> {
    let CorrelateMessage {
        tenant,
        name,
        correlation_key,
        variables,
    } = command;
    check_texts(ctx, CORRELATE, &tenant, &name, &correlation_key)?;
    check::document(ctx, CORRELATE, &variables)?;
    let (message_id, cause) = (Arc::from(""), ctx.cause_of_command());
    let publication = Publication {
        tenant,
        name,
        correlation_key,
        message_id,
        ttl_ms: 0,
        variables,
        cause,
        binding: None,
        thrown: false,
    };
    let candidates = correlation::candidates(ctx, &publication);
    if candidates.is_empty() {
        let reason = format!(
            "Expected to find subscription for message with name '{}' and correlation key '{}', but none was found.",
            publication.name, publication.correlation_key
        );
        return Err(Rejection::not_found(CORRELATE, reason));
    }
    let published = correlation::publish(ctx, publication, candidates);
    let met = published
        .met
        .first()
        .expect("a candidate was found, and nothing happened in between");
    Ok(Response::MessageCorrelated {
        key: published.message,
        instance: met.instance,
    })
}

fn check_texts(
    ctx: &Ctx<'_>,
    intent: &'static str,
    tenant: &str,
    name: &str,
    correlation_key: &str,
) -> Result<(), Rejection> {
    if name.is_empty() {
        return Err(Rejection::invalid_argument(
            intent,
            "Expected the message name to be present, but it was blank",
        ));
    }
    check::index_text(ctx, intent, "tenant id", tenant)?;
    check::index_text(ctx, intent, "message name", name)?;
    check::index_text(ctx, intent, "correlation key", correlation_key)
}

fn check_unique(ctx: &Ctx<'_>, command: &PublishMessage) -> Result<(), Rejection> {
    let PublishMessage {
        tenant,
        name,
        correlation_key,
        message_id,
        ..
    } = command;
    if message_id.is_empty()
        || !messages::id_is_taken(ctx.keep(), tenant, name, correlation_key, message_id)
    {
        return Ok(());
    }
    let reason = format!(
        "Expected to publish a new message with id '{message_id}', but a message with that id was already published"
    );
    Err(Rejection::new(
        PUBLISH,
        RejectionCode::AlreadyExists,
        reason,
    ))
}
