//! Checks that several commands share: sizes of what comes from outside.

use crate::ctx::Ctx;
use crate::document::Document;
use crate::ids::ProcessInstanceKey;
use crate::rejection::Rejection;
use crate::variables;

/// A text that becomes part of an index key.
pub(super) fn index_text(
    ctx: &Ctx<'_>,
    intent: &'static str,
    what: &str,
    text: &str,
) -> Result<(), Rejection> {
    let max = ctx.limits().index_text_bytes_max;
    if text.len() > max {
        let reason = format!(
            "Expected the {what} to have at most {max} bytes, but it has {}",
            text.len()
        );
        return Err(Rejection::invalid_argument(intent, reason));
    }
    Ok(())
}

/// Variables from outside.
pub(super) fn document(
    ctx: &Ctx<'_>,
    intent: &'static str,
    document: &Document,
) -> Result<(), Rejection> {
    let max = ctx.limits().document_bytes_max;
    if document.0.len() > max {
        let reason = format!(
            "Expected the variables to have at most {max} bytes, but they have {}",
            document.0.len()
        );
        return Err(Rejection::exhausted(intent, reason));
    }
    Ok(())
}

/// Variables from outside for an instance that has some already.
pub(super) fn document_for(
    ctx: &Ctx<'_>,
    intent: &'static str,
    document: &Document,
    instance: ProcessInstanceKey,
) -> Result<(), Rejection> {
    self::document(ctx, intent, document)?;
    variables::check_room(ctx, instance, document.0.len())
        .map_err(|problem| Rejection::exhausted(intent, problem.message))
}

/// An instance that the engine failed on is left alone until somebody resolves its incident.
pub(super) fn not_quarantined(
    ctx: &Ctx<'_>,
    intent: &'static str,
    instance: ProcessInstanceKey,
) -> Result<(), Rejection> {
    match &ctx.instance(instance).quarantined {
        None => Ok(()),
        Some(quarantine) => {
            let why = &quarantine.reason;
            let reason = format!(
                "The process instance with key '{instance}' was set aside: {why}; resolve its incident first"
            );
            Err(Rejection::invalid_state(intent, reason))
        }
    }
}
