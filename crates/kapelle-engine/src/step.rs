//! Follow-ups: what a decision still has to do, one small step after another from a queue.
//!
//! **Invariant**: a step carries keys, never state. Whoever takes it from the queue looks again whether it still makes
//! sense, because other steps ran in between, or, if it was left over to a later batch, other commands.

use std::sync::Arc;

use kapelle_model::graph::{ElementIndex, FlowIndex};

use crate::command::{self, PublishMessage};
use crate::correlation;
use crate::ctx::Ctx;
use crate::element::lifecycle::ElementState;
use crate::element::{self, At, token, waiting};
use crate::event::{Cause, Event, StepInterrupted, TimerOwner};
use crate::ids::{
    ElementInstanceKey, IncidentKey, JobKey, ProcessInstanceKey, SubscriptionKey, Timestamp,
};
use crate::state::instance::Trigger;

/// One follow-up. Discriminants are on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A token reached this element, or its scope begins with it.
    Activate {
        instance: ProcessInstanceKey,
        scope: ElementInstanceKey,
        element: ElementIndex,
        flow: Option<FlowIndex>,
    },
    /// Its work is done.
    Complete {
        instance: ProcessInstanceKey,
        element: ElementInstanceKey,
    },
    /// End it from outside.
    Terminate {
        instance: ProcessInstanceKey,
        element: ElementInstanceKey,
    },
    /// An incident was resolved: take up what it interrupted.
    Retry {
        instance: ProcessInstanceKey,
        element: ElementInstanceKey,
    },
    /// A subscription is open: look whether a message for it is buffered.
    MeetBuffered {
        instance: ProcessInstanceKey,
        subscription: SubscriptionKey,
    },
    /// A start lock is free: the oldest buffered message of that key may start the next instance.
    StartBuffered {
        tenant: Arc<str>,
        process_id: Arc<str>,
        correlation_key: Arc<str>,
    },
    /// An element throws a message.
    Publish {
        message: Box<PublishMessage>,
        cause: Cause,
    },
    /// A new incarnation leads: make available what earlier ones pushed, behind that deadline and job.
    ReleasePushed { at: Timestamp, job: JobKey },
    /// A recurring timer has fired, and when it does so next could not be told: look again. `repetitions` is how often
    /// it was to fire after that.
    Reschedule {
        owner: TimerOwner,
        repetitions: Option<u32>,
    },
}

impl Step {
    /// Whose step it is. What no instance does by itself is nobody's.
    #[must_use]
    pub const fn instance(&self) -> Option<ProcessInstanceKey> {
        match self {
            Self::Activate { instance, .. }
            | Self::Complete { instance, .. }
            | Self::Terminate { instance, .. }
            | Self::Retry { instance, .. }
            | Self::MeetBuffered { instance, .. }
            | Self::Reschedule {
                owner: TimerOwner::Instance { instance, .. },
                ..
            } => Some(*instance),
            Self::StartBuffered { .. }
            | Self::Publish { .. }
            | Self::ReleasePushed { .. }
            | Self::Reschedule { .. } => None,
        }
    }

    /// Whether an instance on which it failed may hold it up until its incident is resolved. A new leader's jobs belong
    /// to many others.
    pub(crate) const fn may_wait_with_an_instance(&self) -> bool {
        !matches!(self, Self::ReleasePushed { .. })
    }

    /// Whether it has to wait while its instance is set aside: what moves tokens. Ending goes on; subscriptions are looked
    /// at again by whoever resolves the incident.
    const fn moves_tokens(&self) -> bool {
        matches!(
            self,
            Self::Activate { .. } | Self::Complete { .. } | Self::Retry { .. }
        )
    }

    /// Bytes of payload it carries.
    pub(crate) fn payload_bytes(&self) -> usize {
        match self {
            Self::Publish { message, .. } => message.variables.0.len(),
            _ => 0,
        }
    }
}

/// Takes steps until there are none, or this command has had its share.
pub(crate) fn drain(ctx: &mut Ctx<'_>) {
    while ctx.has_room()
        && let Some(step) = ctx.next_step()
    {
        run(ctx, step);
    }
}

/// Takes one step.
fn run(ctx: &mut Ctx<'_>, step: Step) {
    if let Some((instance, incident)) = held_up(ctx, &step) {
        ctx.emit(Event::StepInterrupted(Box::new(StepInterrupted {
            instance,
            incident,
            step,
        })));
        return;
    }
    match step {
        Step::Activate {
            instance,
            scope,
            element,
            flow,
        } => activate(ctx, instance, scope, element, flow),
        Step::Complete { instance, element } => complete(ctx, instance, element),
        Step::Terminate { instance, element } => {
            if let Some(at) = find(ctx, instance, element) {
                element::terminate(ctx, &at);
            }
        }
        Step::Retry { instance, element } => retry(ctx, instance, element),
        Step::MeetBuffered {
            instance,
            subscription,
        } => correlation::meet_buffered(ctx, instance, subscription),
        Step::StartBuffered {
            tenant,
            process_id,
            correlation_key,
        } => {
            correlation::start_buffered(ctx, &tenant, &process_id, &correlation_key);
        }
        Step::Publish { message, cause } => {
            command::message::publish_internally(ctx, *message, cause)
        }
        Step::ReleasePushed { at, job } => command::leader::release_pushed(ctx, at, job),
        Step::Reschedule { owner, repetitions } => reschedule(ctx, owner, repetitions),
    }
}

/// The incident that holds up the step, as its instance is set aside.
fn held_up(ctx: &mut Ctx<'_>, step: &Step) -> Option<(ProcessInstanceKey, IncidentKey)> {
    let instance = step.instance().filter(|_| step.moves_tokens())?;
    if !ctx.pin(instance) {
        return None;
    }
    let quarantine = ctx.instance(instance).quarantined.as_ref()?;
    Some((instance, quarantine.incident))
}

fn find(
    ctx: &mut Ctx<'_>,
    instance: ProcessInstanceKey,
    element: ElementInstanceKey,
) -> Option<At> {
    if !ctx.pin(instance) {
        return None;
    }
    At::find(ctx, instance, element)
}

fn activate(
    ctx: &mut Ctx<'_>,
    instance: ProcessInstanceKey,
    scope: ElementInstanceKey,
    element: ElementIndex,
    flow: Option<FlowIndex>,
) {
    if !ctx.pin(instance) || !token::is_open(ctx, instance, scope) {
        return;
    }
    let aggregate = ctx.instance(instance);
    let is_discarded = |flow| {
        aggregate
            .tokens
            .iter()
            .all(|token| token.scope != scope || token.flow != flow)
    };
    if flow.is_some_and(is_discarded) || element::arrive_at_join(ctx, instance, scope, element) {
        return;
    }
    let pending = |trigger: &Trigger| trigger.waiting == scope && trigger.element == element;
    let trigger_of = ctx
        .instance(instance)
        .triggers
        .iter()
        .any(pending)
        .then_some(scope);
    element::activate(ctx, instance, scope, element, flow, trigger_of);
}

/// A scope's last token is gone.
fn complete(ctx: &mut Ctx<'_>, instance: ProcessInstanceKey, element: ElementInstanceKey) {
    let Some(at) = find(ctx, instance, element) else {
        return;
    };
    let aggregate = ctx.instance(instance);
    let is_empty = aggregate
        .element(element)
        .is_some_and(|scope| aggregate.is_empty_scope(scope));
    if is_empty && at.is_live(ctx) {
        element::complete(ctx, &at);
    }
}

/// Counts from now: what was missed while nobody knew how often is not made up for.
fn reschedule(ctx: &mut Ctx<'_>, owner: TimerOwner, repetitions: Option<u32>) {
    match owner {
        TimerOwner::Instance {
            instance,
            element_instance,
            element,
        } => {
            if let Some(at) = find(ctx, instance, element_instance).filter(|at| at.is_live(ctx)) {
                waiting::reschedule(ctx, &at, element, repetitions, ctx.now());
            }
        }
        TimerOwner::Definition {
            definition,
            element,
        } => command::due::reschedule_start(ctx, definition, element, repetitions, ctx.now()),
    }
}

fn retry(ctx: &mut Ctx<'_>, instance: ProcessInstanceKey, element: ElementInstanceKey) {
    let Some(at) = find(ctx, instance, element) else {
        return;
    };
    if !token::is_open(ctx, instance, at.scope) && element != instance.root() {
        return;
    }
    match at.state(ctx) {
        ElementState::Activating => element::enter(ctx, &at),
        ElementState::Completing => element::exit(ctx, &at),
        ElementState::Activated
        | ElementState::Completed
        | ElementState::Terminating
        | ElementState::Terminated => {}
    }
}
