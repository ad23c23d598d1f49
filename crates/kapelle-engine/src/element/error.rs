//! Errors: thrown from a job or an error end event, caught by the nearest error boundary event that wants them
//! (BPMN 2.0 §10.5.6, camunda8.md §3.6).
//!
//! The search goes from the throwing element outward. On one activity a specific code beats a catch-all. Nobody catches:
//! an incident.

use kapelle_model::graph::{Boundary, BoundaryTrigger, ElementIndex, ElementKind};

use crate::ctx::Ctx;
use crate::document::Document;
use crate::element::{At, activated, trigger};
use crate::event::{Cause, IncidentKind};
use crate::ids::{ElementInstanceKey, ProcessInstanceKey};
use crate::problem::Problem;

/// Who catches an error.
pub(crate) struct Catcher {
    /// The activity that will be interrupted.
    host: ElementInstanceKey,
    boundary: ElementIndex,
}

/// Looks for the catcher of an error that is thrown at `from`.
pub(crate) fn find_catcher(
    ctx: &mut Ctx<'_>,
    instance: ProcessInstanceKey,
    from: ElementInstanceKey,
    code: &str,
) -> Option<Catcher> {
    let definition = ctx.definition_of(instance);
    let aggregate = ctx.instance(instance);
    aggregate.scopes(from).find_map(|host| {
        let activity = aggregate.element(host)?.element;
        let boundary_events = definition.element(activity).boundary.iter().copied();
        let catches =
            |boundary: ElementIndex, wanted: Option<&str>| match &definition.element(boundary).kind
            {
                ElementKind::BoundaryEvent(event) => match &event.trigger {
                    BoundaryTrigger::Error { code } => code.as_deref() == wanted,
                    _ => false,
                },
                _ => false,
            };
        let specific = boundary_events
            .clone()
            .find(|boundary| catches(*boundary, Some(code)));
        let boundary = specific.or_else(|| {
            boundary_events
                .clone()
                .find(|boundary| catches(*boundary, None))
        })?;
        Some(Catcher { host, boundary })
    })
}

/// The catcher's host is interrupted, and its boundary event goes on with `variables`.
pub(crate) fn catch(
    ctx: &mut Ctx<'_>,
    instance: ProcessInstanceKey,
    catcher: &Catcher,
    variables: Document,
) {
    let host = At::find(ctx, instance, catcher.host).expect("the catcher was just found");
    trigger(ctx, &host, catcher.boundary, variables, Cause::default());
}

/// An error end event was reached.
pub(super) fn throw_from_end_event(ctx: &mut Ctx<'_>, at: &At, code: &str) -> Result<(), Problem> {
    let Some(catcher) = find_catcher(ctx, at.instance, at.scope, code) else {
        return Err(unhandled(ctx, at, code, ""));
    };
    // It stays as it is: whoever catches the error ends it with its scope.
    activated(ctx, at);
    catch(ctx, at.instance, &catcher, Document::empty());
    Ok(())
}

/// What an error becomes that nobody catches.
pub(crate) fn unhandled(ctx: &Ctx<'_>, at: &At, code: &str, message: &str) -> Problem {
    let mut text = format!("Expected to throw an error event with the code '{code}'");
    if !message.is_empty() {
        text.push_str(&format!(" with message '{message}'"));
    }
    text.push_str(", but it was not caught.");
    let available = catchable_codes(ctx, at);
    if available.is_empty() {
        text.push_str(" No error events are available in the scope.");
    } else {
        text.push_str(&format!(
            " Available error events are [{}]",
            available.join(", ")
        ));
    }
    Problem::new(IncidentKind::UnhandledErrorEvent, text)
}

/// Codes that somebody around would catch, the nearest first.
fn catchable_codes(ctx: &Ctx<'_>, at: &At) -> Vec<String> {
    let aggregate = ctx.instance(at.instance);
    let activities = aggregate
        .scopes(at.key)
        .filter_map(|key| Some(at.definition.element(aggregate.element(key)?.element)));
    let boundary_events = activities
        .flat_map(|activity| &activity.boundary)
        .map(|index| &at.definition.element(*index).kind);
    let code = |kind: &ElementKind| match kind {
        ElementKind::BoundaryEvent(Boundary {
            trigger: BoundaryTrigger::Error { code: Some(code) },
            ..
        }) => Some(code.to_string()),
        _ => None,
    };
    boundary_events.filter_map(code).collect()
}
