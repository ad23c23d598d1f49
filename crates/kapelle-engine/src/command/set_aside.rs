//! Work that failed is set aside: with its instance, which is left alone until somebody resolves its incident, or, where
//! no instance can keep it, in the due queue.
//!
//! **Invariant**: nothing that was interrupted is forgotten, and nothing that failed is tried again at once.

use std::sync::Arc;

use super::instance::find_root;
use crate::command::{Due, DueKind, FollowUp, Interrupted, SetAside};
use crate::ctx::Ctx;
use crate::element::At;
use crate::event::{DueOwner, Event, IncidentKind, StepInterrupted};
use crate::ids::{IncidentKey, ProcessInstanceKey};
use crate::problem::{self, Problem};
use crate::rejection::Rejection;
use crate::response::Response;
use crate::state;
use crate::step::Step;

pub(super) fn set_aside(ctx: &mut Ctx<'_>, command: SetAside) -> Result<Response, Rejection> {
    let SetAside {
        reason,
        reached,
        interrupted,
    } = command;
    let own = interrupted
        .as_ref()
        .and_then(|interrupted| instance_of(ctx, interrupted));
    let root = own
        .into_iter()
        .chain(reached)
        .find_map(|instance| find_root(ctx, instance));
    let held_by = root.map(|root| (root.instance, quarantine(ctx, &root, &reason)));
    match (interrupted, held_by) {
        (Some(Interrupted::Step(FollowUp { step, .. })), Some((instance, incident)))
            if step.may_wait_with_an_instance() =>
        {
            ctx.emit(Event::StepInterrupted(Box::new(StepInterrupted {
                instance,
                incident,
                step,
            })));
        }
        (Some(Interrupted::Step(FollowUp { step, .. })), _) => postpone(ctx, step),
        (Some(Interrupted::Due(due)), _) => put_off(ctx, due),
        (None, Some(_)) => {}
        (None, None) => {
            let reason = "Expected to set aside a process instance, but no such process was found";
            return Err(Rejection::not_found("SET_ASIDE", reason));
        }
    }
    Ok(Response::Done)
}

/// Whose work it was.
fn instance_of(ctx: &Ctx<'_>, interrupted: &Interrupted) -> Option<ProcessInstanceKey> {
    match interrupted {
        Interrupted::Step(follow_up) => follow_up.step.instance(),
        Interrupted::Due(due) => match state::due::owner(ctx.keep(), *due)? {
            DueOwner::Instance { instance } | DueOwner::PushedJob { instance, .. } => {
                Some(instance)
            }
            DueOwner::Step { step } => step.instance(),
            DueOwner::Partition {} | DueOwner::Definition { .. } | DueOwner::Request { .. } => None,
        },
    }
}

/// Leaves the instance alone from now on; the incident whose resolution ends that.
fn quarantine(ctx: &mut Ctx<'_>, root: &At, reason: &Arc<str>) -> IncidentKey {
    let instance = root.instance;
    if let Some(quarantine) = &ctx.instance(instance).quarantined {
        return quarantine.incident;
    }
    let incident = IncidentKey(ctx.new_key());
    ctx.emit(Event::InstanceQuarantined {
        instance,
        reason: reason.clone(),
        incident,
    });
    let problem = Problem::new(
        IncidentKind::Quarantined,
        format!("The engine failed on this process instance and has set it aside: {reason}"),
    );
    problem::raise_as(ctx, incident, root, None, problem);
    incident
}

/// No instance can keep the step: it is tried again by itself.
pub(super) fn postpone(ctx: &mut Ctx<'_>, step: Step) {
    let due = Due {
        at: ctx.now(),
        what: DueKind::PostponedStep,
        key: ctx.next_sequence().0,
    };
    let owner = DueOwner::Step {
        step: Box::new(step),
    };
    let to = Some(ctx.now().plus_ms(ctx.limits().failed_work_pause_ms));
    ctx.emit(Event::DueMoved { due, owner, to });
}

/// What failed is due again, but not at once. An instance that is set aside puts its own work off again and again.
fn put_off(ctx: &mut Ctx<'_>, due: Due) {
    let Some(owner) = state::due::owner(ctx.keep(), due) else {
        return;
    };
    let limits = ctx.limits();
    let pause_ms = match owner {
        DueOwner::Instance { .. } | DueOwner::PushedJob { .. } => limits.quarantine_pause_ms,
        _ => limits.failed_work_pause_ms,
    };
    let to = Some(ctx.now().plus_ms(pause_ms));
    ctx.emit(Event::DueMoved { due, owner, to });
}
