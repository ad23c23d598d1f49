//! Subscribers: created, changed, deleted, and what becomes of their dead letters. Delivering is the runtime's.

use std::sync::Arc;

use kapelle_events::subscriber::Subscriber;

use crate::command::{PutSubscriber, SettleDeadLetters, check};
use crate::ctx::Ctx;
use crate::event::Event;
use crate::rejection::Rejection;
use crate::response::Response;
use crate::state::subscribers;

const PUT: &str = "PUT";
const DELETE: &str = "DELETE";
const SETTLE: &str = "SETTLE";

/// A repeat of the same document changes nothing.
pub(super) fn put(ctx: &mut Ctx<'_>, command: PutSubscriber) -> Result<Response, Rejection> {
    let PutSubscriber {
        tenant,
        name,
        document,
    } = command;
    check::index_text(ctx, PUT, "name of the subscriber", &name)?;
    check_name(&name)?;
    let max = ctx.limits().subscriber_bytes_max;
    if document.len() > max {
        let reason = format!(
            "Expected the subscriber '{name}' to have at most {max} bytes, but it has {}",
            document.len()
        );
        return Err(Rejection::invalid_argument(PUT, reason));
    }
    Subscriber::from_text(&document).map_err(|why| {
        Rejection::invalid_argument(
            PUT,
            format!("Expected a valid document for subscriber '{name}', but {why}"),
        )
    })?;
    let known = subscribers::find(ctx.keep(), &tenant, &name);
    if known
        .as_ref()
        .is_some_and(|known| known.document == document)
    {
        return Ok(Response::Done);
    }
    let max = ctx.limits().subscribers_max;
    if known.is_none() && subscribers::count(ctx.keep(), max) >= max {
        let reason = format!(
            "Expected at most {max} subscribers, but subscriber '{name}' would be one more"
        );
        return Err(Rejection::exhausted(PUT, reason));
    }
    ctx.emit(Event::SubscriberPut {
        tenant,
        name,
        document,
        is_new: known.is_none(),
    });
    Ok(Response::Done)
}

/// Names are part of paths and of file names.
fn check_name(name: &str) -> Result<(), Rejection> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if !name.is_empty() && name.bytes().all(is_plain) && !name.starts_with('.') {
        return Ok(());
    }
    let reason = format!(
        "Expected the name of a subscriber to consist of letters, digits, '-', '_' and '.', not beginning with '.', but it is '{name}'"
    );
    Err(Rejection::invalid_argument(PUT, reason))
}

pub(super) fn delete(
    ctx: &mut Ctx<'_>,
    tenant: Arc<str>,
    name: Arc<str>,
) -> Result<Response, Rejection> {
    check_exists(ctx, DELETE, &tenant, &name)?;
    ctx.emit(Event::SubscriberDeleted { tenant, name });
    Ok(Response::Done)
}

/// Which of them are still dead is not the engine's to know: those that are not are passed over.
pub(super) fn settle_dead(
    ctx: &mut Ctx<'_>,
    command: SettleDeadLetters,
) -> Result<Response, Rejection> {
    check_exists(ctx, SETTLE, &command.tenant, &command.subscriber)?;
    let max = ctx.limits().arrivals_per_command_max;
    if command.positions.len() > max {
        let reason = format!(
            "Expected at most {max} dead letters at once, but there are {}",
            command.positions.len()
        );
        return Err(Rejection::invalid_argument(SETTLE, reason));
    }
    ctx.emit(Event::DeadLettersSettled {
        tenant: command.tenant,
        subscriber: command.subscriber,
        positions: command.positions,
        redrive: command.redrive,
        reason: command.reason,
    });
    Ok(Response::Done)
}

fn check_exists(
    ctx: &Ctx<'_>,
    intent: &'static str,
    tenant: &str,
    name: &str,
) -> Result<(), Rejection> {
    match subscribers::find(ctx.keep(), tenant, name) {
        Some(_) => Ok(()),
        None => {
            let reason =
                format!("Expected to find subscriber with name '{name}', but there is none");
            Err(Rejection::not_found(intent, reason))
        }
    }
}
