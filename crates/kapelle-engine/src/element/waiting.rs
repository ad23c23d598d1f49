//! What element instances wait for: message subscriptions and timers.
//!
//! All that an element waits for is evaluated before the first of it is opened: an incident on the way leaves nothing
//! open.

use std::sync::Arc;

use kapelle_model::graph::{
    BoundaryTrigger, CatchTrigger, ElementIndex, ElementKind, MessageIndex, Timer,
};

use crate::ctx::Ctx;
use crate::element::At;
use crate::event::{
    CloseReason, Event, KeyKind, StepInterrupted, SubscriptionClosed, SubscriptionOpened,
    TimerEvent, TimerOwner,
};
use crate::expression::{self, Sight};
use crate::ids::{ElementInstanceKey, IncidentKey, SubscriptionKey, TimerKey, Timestamp};
use crate::problem::{self, Problem};
use crate::state::messages;
use crate::step::Step;

/// Something to wait for, evaluated.
pub(super) struct Wait {
    /// What goes on when it comes.
    element: ElementIndex,
    what: What,
}

enum What {
    Message {
        name: Arc<str>,
        correlation_key: Arc<str>,
        key_kind: KeyKind,
        once: bool,
    },
    Timer {
        due: Timestamp,
        repetitions: Option<u32>,
    },
}

/// What the boundary events of an activity wait for. Errors are searched for, not waited for.
pub(super) fn for_boundary_events(ctx: &Ctx<'_>, at: &At) -> Result<Vec<Wait>, Problem> {
    let mut waits = Vec::new();
    for &element in &at.element().boundary {
        let ElementKind::BoundaryEvent(boundary) = &at.definition.element(element).kind else {
            continue;
        };
        match &boundary.trigger {
            // A boundary event stands outside of its host and does not see the host's own variables.
            BoundaryTrigger::Message(message) => {
                waits.push(for_message(
                    ctx,
                    at,
                    element,
                    *message,
                    at.scope,
                    boundary.interrupting,
                )?);
            }
            BoundaryTrigger::Timer(timer) => waits.push(for_timer(ctx, at, element, timer)?),
            BoundaryTrigger::Error { .. } => {}
        }
    }
    Ok(waits)
}

/// What a catch event waits for: the element itself, or the successor of an event-based gateway that waits for it.
pub(super) fn for_catch_event(
    ctx: &Ctx<'_>,
    at: &At,
    element: ElementIndex,
) -> Result<Wait, Problem> {
    match &at.definition.element(element).kind {
        ElementKind::CatchEvent(CatchTrigger::Message(message))
        | ElementKind::ReceiveTask(message) => {
            for_message(ctx, at, element, *message, at.key, true)
        }
        ElementKind::CatchEvent(CatchTrigger::Timer(timer)) => for_timer(ctx, at, element, timer),
        kind => unreachable!("the model has no catch event of kind {kind:?}"),
    }
}

fn for_message(
    ctx: &Ctx<'_>,
    at: &At,
    element: ElementIndex,
    message: MessageIndex,
    sight: ElementInstanceKey,
    once: bool,
) -> Result<Wait, Problem> {
    let message = at.definition.process.message(message);
    let sight = Sight::Scope(at.instance, sight);
    let name = expression::text(ctx, &message.name, sight)?;
    expression::check_index_text(ctx, "message name", &name)?;
    let Some(key) = &message.correlation_key else {
        return Err(Problem::extract_value(format!(
            "The message '{name}' has no correlation key to wait for."
        )));
    };
    let (correlation_key, key_kind) = expression::correlation_key(ctx, key, sight)?;
    Ok(Wait {
        element,
        what: What::Message {
            name,
            correlation_key,
            key_kind,
            once,
        },
    })
}

fn for_timer(
    ctx: &Ctx<'_>,
    at: &At,
    element: ElementIndex,
    timer: &Timer,
) -> Result<Wait, Problem> {
    let schedule = expression::schedule(
        ctx,
        timer.kind,
        &timer.value,
        Sight::Scope(at.instance, at.key),
    )?;
    let due = match Timestamp(schedule.first_due(ctx.now().0)) {
        due if due > ctx.now() => due,
        _ => ctx.now().plus_ms(ctx.limits().timer_pause_ms),
    };
    // How often it fires after the first time.
    let repetitions = schedule.repetitions().map(|times| times.saturating_sub(1));
    Ok(Wait {
        element,
        what: What::Timer { due, repetitions },
    })
}

/// Opens what was evaluated; the element instance `at` waits.
pub(super) fn open(ctx: &mut Ctx<'_>, at: &At, waits: Vec<Wait>) {
    for Wait { element, what } in waits {
        match what {
            What::Message {
                name,
                correlation_key,
                key_kind,
                once,
            } => subscribe(ctx, at, element, name, correlation_key, key_kind, once),
            What::Timer { due, repetitions } => {
                let owner = TimerOwner::Instance {
                    instance: at.instance,
                    element_instance: at.key,
                    element,
                };
                let timer = TimerKey(ctx.new_key());
                ctx.emit(Event::TimerScheduled(TimerEvent {
                    timer,
                    owner,
                    due,
                    repetitions,
                }));
            }
        }
    }
}

fn subscribe(
    ctx: &mut Ctx<'_>,
    at: &At,
    element: ElementIndex,
    name: Arc<str>,
    correlation_key: Arc<str>,
    key_kind: KeyKind,
    once: bool,
) {
    let subscription = SubscriptionKey(ctx.new_key());
    let tenant = &at.definition.tenant;
    let is_buffered =
        messages::oldest_buffered(ctx.keep(), tenant, &name, &correlation_key, &|_, _| true)
            .is_some();
    ctx.emit(Event::SubscriptionOpened(Box::new(SubscriptionOpened {
        subscription,
        instance: at.instance,
        definition: at.definition.key,
        tenant: tenant.clone(),
        process_id: at.definition.process.id.clone(),
        name,
        correlation_key,
        key_kind,
        element_instance: at.key,
        element,
        once,
    })));
    if is_buffered {
        ctx.push(Step::MeetBuffered {
            instance: at.instance,
            subscription,
        });
    }
}

/// The element instance waits for nothing any more.
pub(super) fn close_all(ctx: &mut Ctx<'_>, at: &At, reason: CloseReason) {
    let instance = ctx.instance(at.instance);
    if instance.subscriptions.is_empty() && instance.timers.is_empty() {
        return;
    }
    let subscriptions: Vec<_> = instance
        .subscriptions
        .iter()
        .filter(|open| open.waiting == at.key)
        .map(|open| open.key)
        .collect();
    let timers: Vec<_> = instance
        .timers
        .iter()
        .filter(|timer| timer.waiting == at.key)
        .copied()
        .collect();
    for subscription in subscriptions {
        close(ctx, at, subscription, reason);
    }
    for timer in timers {
        let owner = TimerOwner::Instance {
            instance: at.instance,
            element_instance: at.key,
            element: timer.element,
        };
        let (due, repetitions) = (timer.due, timer.repetitions);
        ctx.emit(Event::TimerCanceled(TimerEvent {
            timer: timer.key,
            owner,
            due,
            repetitions,
        }));
    }
}

/// Closes one subscription.
pub(crate) fn close(
    ctx: &mut Ctx<'_>,
    at: &At,
    subscription: SubscriptionKey,
    reason: CloseReason,
) {
    let open = ctx
        .instance(at.instance)
        .subscriptions
        .iter()
        .find(|open| open.key == subscription);
    let Some(open) = open else { return };
    let closed = SubscriptionClosed {
        subscription,
        instance: at.instance,
        tenant: at.definition.tenant.clone(),
        process_id: at.definition.process.id.clone(),
        name: open.name.clone(),
        correlation_key: open.correlation_key.clone(),
        reason,
    };
    ctx.emit(Event::SubscriptionClosed(Box::new(closed)));
}

/// A timer that recurs has fired and is to do so so many times more: schedules its next time after `from`. An expression
/// that no longer gives a timer is told as an incident; resolved, the timer goes on.
pub(crate) fn reschedule(
    ctx: &mut Ctx<'_>,
    at: &At,
    element: ElementIndex,
    repetitions: Option<u32>,
    from: Timestamp,
) {
    let owner = TimerOwner::Instance {
        instance: at.instance,
        element_instance: at.key,
        element,
    };
    let ElementKind::BoundaryEvent(boundary) = &at.definition.element(element).kind else {
        return;
    };
    let BoundaryTrigger::Timer(timer) = &boundary.trigger else {
        return;
    };
    let sight = Sight::Scope(at.instance, at.key);
    if let Err(problem) = recur(ctx, timer, sight, owner, repetitions, from) {
        let incident = IncidentKey(ctx.new_key());
        problem::raise_as(ctx, incident, at, None, problem);
        ctx.emit(Event::StepInterrupted(Box::new(StepInterrupted {
            instance: at.instance,
            incident,
            step: Step::Reschedule { owner, repetitions },
        })));
    }
}

/// Schedules a timer's next time after `from`, if it is to fire once more.
pub(crate) fn recur(
    ctx: &mut Ctx<'_>,
    timer: &Timer,
    sight: Sight<'_>,
    owner: TimerOwner,
    repetitions: Option<u32>,
    from: Timestamp,
) -> Result<(), Problem> {
    if repetitions == Some(0) {
        return Ok(());
    }
    let schedule = expression::schedule(ctx, timer.kind, &timer.value, sight)?;
    let remaining = repetitions.map(|times| times.saturating_add(1));
    if let Some(due) = schedule.next_due(from.0, remaining) {
        let timer = TimerKey(ctx.new_key());
        ctx.emit(Event::TimerScheduled(TimerEvent {
            timer,
            owner,
            due: Timestamp(due),
            repetitions: repetitions.map(|times| times - 1),
        }));
    }
    Ok(())
}
