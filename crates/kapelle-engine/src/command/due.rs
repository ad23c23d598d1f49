//! What was due is due: timers fire, jobs time out, messages expire.
//!
//! **Invariant**: a due command always makes progress. Where nothing is due any more, its entry is dropped, so that the
//! queue never gives the same work twice.

use std::ops::ControlFlow;
use std::sync::Arc;

use kapelle_model::graph::{ElementIndex, ElementKind, StartTrigger};

use crate::command::instance::find_root;
use crate::command::{Due, DueKind, bucket_ms, set_aside};
use crate::correlation;
use crate::ctx::Ctx;
use crate::definitions::Definition;
use crate::document::Document;
use crate::element::process::{self, Start};
use crate::element::{self, At, waiting};
use crate::event::{AvailableCause, Cause, DueOwner, Event, TimerEvent, TimerOwner};
use crate::expression::Sight;
use crate::ids::{DefinitionKey, JobKey, MessageKey, ProcessInstanceKey, TimerKey, Timestamp};
use crate::jobs;
use crate::problem::{self, Problem};
use crate::rejection::Rejection;
use crate::response::Response;
use crate::state::instance::{Job, JobState, Timer};
use crate::state::{self, dedup, messages, requests, scan_prefix, tables};
use crate::step::Step;

pub(super) fn due(ctx: &mut Ctx<'_>, due: Due) -> Result<Response, Rejection> {
    if due.what == DueKind::DedupBucket {
        return dedup_bucket(ctx, due.key);
    }
    let owner = state::due::owner(ctx.keep(), due).filter(|_| due.at <= ctx.now());
    let owner = owner.ok_or_else(|| {
        Rejection::not_found(
            "DUE",
            format!(
                "Expected something to be due with key '{}', but nothing is",
                due.key
            ),
        )
    })?;
    match (due.what, &owner) {
        (_, DueOwner::Instance { instance } | DueOwner::PushedJob { instance, .. }) => {
            of_instance(ctx, due, *instance, &owner);
        }
        (DueKind::Timer, DueOwner::Definition { definition }) => {
            start_timer(ctx, TimerKey(due.key), *definition);
        }
        (DueKind::MessageExpiry, _) => message_expiry(ctx, MessageKey(due.key)),
        (DueKind::IdempotencyExpiry, DueOwner::Request { tenant, request }) => {
            request_expiry(ctx, ProcessInstanceKey(due.key), tenant, request);
        }
        (DueKind::PostponedStep, DueOwner::Step { step }) => ctx.push((**step).clone()),
        _ => {}
    }
    // Nothing was due any more, or it stood elsewhere than its owner says, as it had been moved.
    if state::due::owner(ctx.keep(), due).is_some() {
        let to = None;
        ctx.emit(Event::DueMoved { due, owner, to });
    }
    Ok(Response::Done)
}

fn of_instance(ctx: &mut Ctx<'_>, due: Due, instance: ProcessInstanceKey, owner: &DueOwner) {
    if !ctx.pin(instance) {
        return;
    }
    if ctx.instance(instance).quarantined.is_some() {
        // It is set aside, not forgotten: looked at again later.
        let to = Some(ctx.now().plus_ms(ctx.limits().quarantine_pause_ms));
        ctx.emit(Event::DueMoved {
            due,
            owner: owner.clone(),
            to,
        });
        return;
    }
    match due.what {
        DueKind::Timer => timer(ctx, instance, TimerKey(due.key)),
        DueKind::JobDeadline | DueKind::JobBackoff => job(ctx, instance, JobKey(due.key), due),
        DueKind::MessageExpiry
        | DueKind::DedupBucket
        | DueKind::IdempotencyExpiry
        | DueKind::PostponedStep => {}
    }
}

fn timer(ctx: &mut Ctx<'_>, instance: ProcessInstanceKey, key: TimerKey) {
    let found = ctx
        .instance(instance)
        .timers
        .iter()
        .find(|timer| timer.key == key)
        .copied();
    let Some(timer) = found else { return };
    let Some(at) = At::find(ctx, instance, timer.waiting).filter(|at| at.is_live(ctx)) else {
        return;
    };
    ctx.emit(Event::TimerTriggered(timer_event(&at, timer)));
    waiting::reschedule(ctx, &at, timer.element, timer.repetitions, timer.due);
    element::trigger(ctx, &at, timer.element, Document::empty(), Cause::default());
}

fn timer_event(at: &At, timer: Timer) -> TimerEvent {
    let owner = TimerOwner::Instance {
        instance: at.instance,
        element_instance: timer.waiting,
        element: timer.element,
    };
    TimerEvent {
        timer: timer.key,
        owner,
        due: timer.due,
        repetitions: timer.repetitions,
    }
}

fn job(ctx: &mut Ctx<'_>, instance: ProcessInstanceKey, key: JobKey, due: Due) {
    let Some(job) = ctx.instance(instance).job(key).cloned() else {
        return;
    };
    let (until, cause) = match due.what {
        DueKind::JobDeadline => (job.deadline, AvailableCause::TimedOut),
        _ => (job.backoff_until, AvailableCause::BackoffOver),
    };
    if until.is_some_and(|until| until <= ctx.now()) && is_waiting(&job) {
        jobs::make_available(ctx, instance, key, cause);
    }
}

fn is_waiting(job: &Job) -> bool {
    matches!(job.state, JobState::Activated | JobState::Failed)
}

/// A timer start event starts an instance, and waits for its next time.
fn start_timer(ctx: &mut Ctx<'_>, timer: TimerKey, definition: DefinitionKey) {
    let Some(entry) = state::definitions::timer(ctx.keep(), definition, timer) else {
        return;
    };
    let definition = ctx.definition(definition);
    let owner = TimerOwner::Definition {
        definition: definition.key,
        element: entry.element,
    };
    ctx.emit(Event::TimerTriggered(TimerEvent {
        timer,
        owner,
        due: entry.due,
        repetitions: entry.repetitions,
    }));
    let scheduled = schedule_start(
        ctx,
        &definition,
        entry.element,
        entry.repetitions,
        entry.due,
    );
    let start = Start::at(entry.element, ctx.cause_of_command());
    let instance = process::activate(ctx, &definition, start);
    if let Err(problem) = scheduled {
        tell_of_start(ctx, instance, entry.element, problem);
    }
}

/// The instance that the timer started last tells that it will not start one in time any more.
fn tell_of_start(
    ctx: &mut Ctx<'_>,
    instance: ProcessInstanceKey,
    element: ElementIndex,
    problem: Problem,
) {
    let root = find_root(ctx, instance).expect("invariant: it was activated just now");
    let message = format!(
        "The timer start event '{}' cannot be scheduled again; it is tried every {} minutes. {}",
        root.definition.element(element).id,
        ctx.limits().failed_work_pause_ms / 60_000,
        problem.message,
    );
    problem::raise(ctx, &root, None, Problem::new(problem.kind, message));
}

/// What could not be told when a timer start event had fired is looked at again, unless a newer version is there.
pub(crate) fn reschedule_start(
    ctx: &mut Ctx<'_>,
    definition: DefinitionKey,
    element: ElementIndex,
    repetitions: Option<u32>,
    from: Timestamp,
) {
    let definition = ctx.definition(definition);
    let latest = state::definitions::latest(ctx.keep(), &definition.tenant, &definition.process.id);
    if latest.is_some_and(|latest| latest.definition == definition.key) {
        // It was told when it failed first.
        schedule_start(ctx, &definition, element, repetitions, from).ok();
    }
}

/// A timer start event has fired and is to do so so many times more: schedules its next time after `from`. When its
/// expression gives no timer it is tried again by itself.
fn schedule_start(
    ctx: &mut Ctx<'_>,
    definition: &Arc<Definition>,
    element: ElementIndex,
    repetitions: Option<u32>,
    from: Timestamp,
) -> Result<(), Problem> {
    let ElementKind::StartEvent(StartTrigger::Timer(timer)) = &definition.element(element).kind
    else {
        return Ok(());
    };
    let owner = TimerOwner::Definition {
        definition: definition.key,
        element,
    };
    let sight = Sight::Other(&());
    waiting::recur(ctx, timer, sight, owner, repetitions, from).inspect_err(|_| {
        set_aside::postpone(ctx, Step::Reschedule { owner, repetitions });
    })
}

fn message_expiry(ctx: &mut Ctx<'_>, message: MessageKey) {
    if let Some(entry) = messages::by_key(ctx.keep(), message) {
        correlation::expire(ctx, message, &entry);
    }
}

/// The answer to a request is no longer kept, unless it is a newer one.
fn request_expiry(
    ctx: &mut Ctx<'_>,
    instance: ProcessInstanceKey,
    tenant: &Arc<str>,
    request: &Arc<str>,
) {
    let kept = requests::find(ctx.keep(), tenant, request);
    if let Some(kept) = kept.filter(|kept| kept.instance == instance) {
        ctx.emit(Event::RequestForgotten {
            tenant: tenant.clone(),
            request: request.clone(),
            instance,
            until: kept.until,
        });
    }
}

/// A bucket of the dedup window is too old, or what dropped buckets left in the index is removed, some at a time.
fn dedup_bucket(ctx: &mut Ctx<'_>, bucket: u64) -> Result<Response, Rejection> {
    let window = &ctx.keep().partition().dedup;
    if bucket >= window.lower {
        let edge = ctx.now().plus_ms(-ctx.limits().dedup_window_ms);
        let age = bucket_ms(ctx.limits());
        let is_over = window
            .buckets
            .iter()
            .any(|old| old.number == bucket && old.started.plus_ms(age) <= edge);
        if !is_over {
            return Err(Rejection::not_found(
                "DUE",
                format!("Expected bucket '{bucket}' of the dedup window to be over, but it is not"),
            ));
        }
        ctx.emit(Event::DedupBucketDropped { bucket });
        return Ok(Response::Done);
    }
    sweep(ctx, bucket);
    Ok(Response::Done)
}

fn sweep(ctx: &mut Ctx<'_>, bucket: u64) {
    let max = ctx.limits().sweep_max;
    let mut found = Vec::with_capacity(max);
    scan_prefix(
        ctx.keep(),
        &tables::dedup_bucket_all(bucket),
        None,
        &mut |key, _| {
            if found.len() == max {
                return ControlFlow::Break(());
            }
            found.push(tables::last_hash(key));
            ControlFlow::Continue(())
        },
    );
    let last = found.len() < max;
    let is_gone = |identity: &u128| {
        dedup::raw(ctx.keep(), *identity).is_some_and(|entry| entry.bucket == bucket)
    };
    let (identities, renewed): (Vec<u128>, Vec<u128>) = found.into_iter().partition(is_gone);
    ctx.emit(Event::DedupForgotten {
        bucket,
        identities,
        renewed,
        last,
    });
}
