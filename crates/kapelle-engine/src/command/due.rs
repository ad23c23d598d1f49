//! What was due is due: timers fire, jobs time out, messages expire.
//!
//! **Invariant**: a due command always makes progress. Where nothing is due any more, its entry is dropped, so that the
//! queue never gives the same work twice.

use std::ops::ControlFlow;
use std::sync::Arc;

use kapelle_model::graph::{ElementKind, StartTrigger};

use crate::command::{Due, DueKind, bucket_ms};
use crate::correlation;
use crate::ctx::Ctx;
use crate::definitions::Definition;
use crate::document::Document;
use crate::element::process::{self, Start};
use crate::element::{self, At, waiting};
use crate::event::{AvailableCause, Cause, DueOwner, Event, TimerEvent, TimerOwner};
use crate::expression::{self, Sight};
use crate::ids::{DefinitionKey, JobKey, MessageKey, ProcessInstanceKey, TimerKey, Timestamp};
use crate::jobs;
use crate::problem;
use crate::rejection::Rejection;
use crate::response::Response;
use crate::state::instance::{Job, JobState, Timer};
use crate::state::{self, dedup, messages, scan_prefix, tables};

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
    let was_due = match (due.what, &owner) {
        (_, DueOwner::Instance { instance } | DueOwner::PushedJob { instance, .. }) => {
            of_instance(ctx, due, *instance, &owner)
        }
        (DueKind::Timer, DueOwner::Definition { definition }) => {
            start_timer(ctx, TimerKey(due.key), *definition)
        }
        (DueKind::MessageExpiry, _) => message_expiry(ctx, MessageKey(due.key)),
        (DueKind::IdempotencyExpiry, DueOwner::Request { tenant, request }) => {
            let (tenant, request, instance) =
                (tenant.clone(), request.clone(), ProcessInstanceKey(due.key));
            ctx.emit(Event::RequestForgotten {
                tenant,
                request,
                instance,
                until: due.at,
            });
            true
        }
        _ => false,
    };
    if !was_due {
        ctx.emit(Event::DueMoved {
            due,
            owner,
            to: None,
        });
    }
    Ok(Response::Done)
}

fn of_instance(
    ctx: &mut Ctx<'_>,
    due: Due,
    instance: ProcessInstanceKey,
    owner: &DueOwner,
) -> bool {
    if !ctx.pin(instance) {
        return false;
    }
    if ctx.instance(instance).quarantined.is_some() {
        // It is set aside, not forgotten: looked at again later.
        let to = Some(ctx.now().plus_ms(ctx.limits().quarantine_pause_ms));
        ctx.emit(Event::DueMoved {
            due,
            owner: owner.clone(),
            to,
        });
        return true;
    }
    match due.what {
        DueKind::Timer => timer(ctx, instance, TimerKey(due.key), due),
        DueKind::JobDeadline | DueKind::JobBackoff => job(ctx, instance, JobKey(due.key), due),
        DueKind::MessageExpiry | DueKind::DedupBucket | DueKind::IdempotencyExpiry => false,
    }
}

fn timer(ctx: &mut Ctx<'_>, instance: ProcessInstanceKey, key: TimerKey, due: Due) -> bool {
    let found = ctx
        .instance(instance)
        .timers
        .iter()
        .find(|timer| timer.key == key)
        .copied();
    let Some(timer) = found else { return false };
    let Some(at) = At::find(ctx, instance, timer.waiting).filter(|at| at.is_live(ctx)) else {
        return false;
    };
    forget_moved(ctx, due, timer.due, instance);
    ctx.emit(Event::TimerTriggered(timer_event(&at, timer)));
    if let Err(problem) = waiting::reschedule(ctx, &at, timer) {
        problem::raise(ctx, &at, None, problem);
    }
    element::trigger(ctx, &at, timer.element, Document::empty(), Cause::default());
    true
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

fn job(ctx: &mut Ctx<'_>, instance: ProcessInstanceKey, key: JobKey, due: Due) -> bool {
    let Some(job) = ctx.instance(instance).job(key).cloned() else {
        return false;
    };
    let (was_due, cause) = match due.what {
        DueKind::JobDeadline => (job.deadline, AvailableCause::TimedOut),
        _ => (job.backoff_until, AvailableCause::BackoffOver),
    };
    let Some(was_due) = was_due.filter(|at| *at <= ctx.now() && is_waiting(&job)) else {
        return false;
    };
    forget_moved(ctx, due, was_due, instance);
    jobs::make_available(ctx, instance, key, cause);
    true
}

fn is_waiting(job: &Job) -> bool {
    matches!(job.state, JobState::Activated | JobState::Failed)
}

/// An entry that was moved while its instance was set aside is not where its timer or job says.
fn forget_moved(ctx: &mut Ctx<'_>, due: Due, original: Timestamp, instance: ProcessInstanceKey) {
    if due.at != original {
        ctx.emit(Event::DueMoved {
            due,
            owner: DueOwner::Instance { instance },
            to: None,
        });
    }
}

/// A timer start event starts an instance, and waits for its next time.
fn start_timer(ctx: &mut Ctx<'_>, timer: TimerKey, definition: DefinitionKey) -> bool {
    let Some(entry) = state::definitions::timer(ctx.keep(), definition, timer) else {
        return false;
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
    if let Some((due, repetitions)) = next_start(ctx, &definition, entry) {
        let timer = TimerKey(ctx.new_key());
        ctx.emit(Event::TimerScheduled(TimerEvent {
            timer,
            owner,
            due,
            repetitions,
        }));
    }
    let start = Start::at(entry.element, ctx.cause_of_command());
    process::activate(ctx, &definition, start);
    true
}

fn next_start(
    ctx: &Ctx<'_>,
    definition: &Arc<Definition>,
    fired: state::definitions::DefinitionTimerEntry,
) -> Option<(Timestamp, Option<u32>)> {
    if fired.repetitions == Some(0) {
        return None;
    }
    let ElementKind::StartEvent(StartTrigger::Timer(timer)) =
        &definition.element(fired.element).kind
    else {
        return None;
    };
    // It was a timer when it was deployed; one that is none any more has ended, as there is nobody to tell.
    let schedule = expression::schedule(ctx, timer.kind, &timer.value, Sight::Other(&())).ok()?;
    let due = schedule.next_due(
        fired.due.0,
        fired.repetitions.map(|times| times.saturating_add(1)),
    )?;
    Some((Timestamp(due), fired.repetitions.map(|times| times - 1)))
}

fn message_expiry(ctx: &mut Ctx<'_>, message: MessageKey) -> bool {
    let Some(entry) = messages::by_key(ctx.keep(), message) else {
        return false;
    };
    correlation::expire(ctx, message, &entry);
    true
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
