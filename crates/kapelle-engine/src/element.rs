//! What each BPMN element does: dispatch by `match`, nothing else.
//!
//! An element's file says what it does when a token enters (`activate`), when its work is done (`complete`) and,
//! where it is more than to stop waiting, when it is ended from outside (`terminate`). How tokens move between
//! elements is in `token`, what elements wait for in `waiting`.

mod action_task;
mod boundary_event;
mod catch_event;
mod end_event;
pub(crate) mod error;
mod event_based_gateway;
mod exclusive_gateway;
pub mod lifecycle;
mod parallel_gateway;
mod pass_through_task;
pub(crate) mod process;
mod publish;
mod receive_task;
mod start_event;
mod sub_process;
mod throw_event;
pub(crate) mod token;
pub(crate) mod waiting;

use std::sync::Arc;

use kapelle_model::graph::{Element, ElementIndex, ElementKind, FlowIndex};

use crate::ctx::Ctx;
use crate::definitions::Definition;
use crate::document::Document;
use crate::element::lifecycle::ElementState;
use crate::event::{BpmnEventTriggered, Cause, CloseReason, Event};
use crate::ids::{ElementInstanceKey, ProcessInstanceKey};
use crate::mapping;
use crate::problem::{self, Problem};
use crate::step::Step;

pub(crate) use action_task::job_completed;
pub(crate) use parallel_gateway::arrive as arrive_at_join;

/// An element instance that a handler works on.
#[derive(Clone, Debug)]
pub(crate) struct At {
    pub(crate) instance: ProcessInstanceKey,
    pub(crate) key: ElementInstanceKey,
    pub(crate) index: ElementIndex,
    pub(crate) scope: ElementInstanceKey,
    pub(crate) definition: Arc<Definition>,
}

impl At {
    /// The element instance, if it is alive.
    pub(crate) fn find(
        ctx: &mut Ctx<'_>,
        instance: ProcessInstanceKey,
        key: ElementInstanceKey,
    ) -> Option<Self> {
        let aggregate = ctx.find_instance(instance)?;
        let definition = aggregate.definition;
        let &element = aggregate.element(key)?;
        let definition = ctx.definition(definition);
        Some(Self {
            instance,
            key,
            index: element.element,
            scope: element.scope,
            definition,
        })
    }

    pub(crate) fn element(&self) -> &Element {
        self.definition.element(self.index)
    }

    pub(crate) fn state(&self, ctx: &Ctx<'_>) -> ElementState {
        ctx.instance(self.instance)
            .element(self.key)
            .expect("the element instance is alive")
            .state
    }

    /// Whether it is at work and nothing is ending it or its scope.
    pub(crate) fn is_live(&self, ctx: &Ctx<'_>) -> bool {
        let instance = ctx.instance(self.instance);
        let activated = |key| {
            instance
                .element(key)
                .is_some_and(|element| element.state == ElementState::Activated)
        };
        activated(self.key) && activated(self.scope)
    }
}

/// A token enters an element of `scope`.
pub(crate) fn activate(
    ctx: &mut Ctx<'_>,
    instance: ProcessInstanceKey,
    scope: ElementInstanceKey,
    element: ElementIndex,
    flow: Option<FlowIndex>,
    trigger_of: Option<ElementInstanceKey>,
) {
    let definition = ctx.definition_of(instance);
    let key = ElementInstanceKey(ctx.new_key());
    ctx.emit(Event::ElementActivating {
        instance,
        key,
        element,
        scope,
        flow,
        trigger_of,
    });
    enter(
        ctx,
        &At {
            instance,
            key,
            index: element,
            scope,
            definition,
        },
    );
}

/// Everything from entering to being at work; taken up again here when an incident on the way was resolved.
pub(crate) fn enter(ctx: &mut Ctx<'_>, at: &At) {
    let entered = check_limits(ctx, at)
        .and_then(|()| mapping::inputs(ctx, at))
        .and_then(|()| match &at.element().kind {
            ElementKind::Process => {
                unreachable!("the root scope is entered when its instance is created")
            }
            ElementKind::SubProcess { start } => sub_process::activate(ctx, at, *start),
            ElementKind::StartEvent(_) => start_event::activate(ctx, at),
            ElementKind::EndEvent(behavior) => end_event::activate(ctx, at, behavior),
            ElementKind::ThrowEvent(behavior) => throw_event::activate(ctx, at, behavior),
            ElementKind::CatchEvent(_) => catch_event::activate(ctx, at),
            ElementKind::BoundaryEvent(_) => boundary_event::activate(ctx, at),
            ElementKind::PassThroughTask => pass_through_task::activate(ctx, at),
            ElementKind::ActionTask(action) => action_task::activate(ctx, at, action),
            ElementKind::ReceiveTask(_) => receive_task::activate(ctx, at),
            ElementKind::ExclusiveGateway { default } => {
                exclusive_gateway::activate(ctx, at, *default)
            }
            ElementKind::ParallelGateway => parallel_gateway::activate(ctx, at),
            ElementKind::EventBasedGateway => event_based_gateway::activate(ctx, at),
        });
    if let Err(problem) = entered {
        problem::raise(ctx, at, None, problem);
    }
}

/// An element's work is done.
pub(crate) fn complete(ctx: &mut Ctx<'_>, at: &At) {
    ctx.emit(Event::ElementCompleting {
        instance: at.instance,
        key: at.key,
        element: at.index,
    });
    exit(ctx, at);
}

/// Everything from being done to having left; taken up again here when an incident on the way was resolved.
pub(crate) fn exit(ctx: &mut Ctx<'_>, at: &At) {
    let left = match &at.element().kind {
        ElementKind::Process => process::complete(ctx, at),
        ElementKind::EndEvent(behavior) => end_event::complete(ctx, at, behavior),
        ElementKind::BoundaryEvent(boundary) => boundary_event::complete(ctx, at, boundary),
        _ => leave(ctx, at),
    };
    if let Err(problem) = left {
        problem::raise(ctx, at, None, problem);
    }
}

/// What completing is for most elements: map outputs, stop waiting, let the token go on.
fn leave(ctx: &mut Ctx<'_>, at: &At) -> Result<(), Problem> {
    let payload = own_payload(ctx, at);
    mapping::outputs(ctx, at, payload.as_ref())?;
    completed(ctx, at);
    token::take_outgoing(ctx, at);
    Ok(())
}

/// What met this element instance, if something did.
fn own_payload(ctx: &Ctx<'_>, at: &At) -> Option<Document> {
    ctx.instance(at.instance)
        .trigger(at.key)
        .map(|trigger| trigger.variables.clone())
}

/// Activated, without waiting for anything.
fn activated(ctx: &mut Ctx<'_>, at: &At) {
    ctx.emit(Event::ElementActivated {
        instance: at.instance,
        key: at.key,
        element: at.index,
        rests: false,
    });
}

/// Activated, and waiting: from now on it is found by its key.
fn activated_and_rests(ctx: &mut Ctx<'_>, at: &At) {
    let indexed = ctx
        .instance(at.instance)
        .element(at.key)
        .is_some_and(|element| element.indexed);
    ctx.emit(Event::ElementActivated {
        instance: at.instance,
        key: at.key,
        element: at.index,
        rests: !indexed,
    });
}

/// Completed; nothing of it is left.
fn completed(ctx: &mut Ctx<'_>, at: &At) {
    waiting::close_all(ctx, at, CloseReason::ElementLeft);
    // An incident may be about something beside its work: a recurring timer that can no longer be read.
    resolve_incidents(ctx, at);
    let rested = ctx
        .instance(at.instance)
        .element(at.key)
        .is_some_and(|element| element.indexed);
    ctx.emit(Event::ElementCompleted {
        instance: at.instance,
        key: at.key,
        element: at.index,
        rested,
    });
}

/// Ends an element instance from outside, and what is in it. Children go first; the last of them comes back here.
pub(crate) fn terminate(ctx: &mut Ctx<'_>, at: &At) {
    if at.state(ctx) != ElementState::Terminating {
        begin_termination(ctx, at);
    }
    let element = ctx
        .instance(at.instance)
        .element(at.key)
        .expect("the element instance is alive");
    if element.children > 0 {
        return;
    }
    let rested = element.indexed;
    // Its work may have failed while its children ended.
    resolve_incidents(ctx, at);
    // An interrupting boundary event goes on as soon as its host is gone.
    let pending = ctx
        .instance(at.instance)
        .trigger(at.key)
        .filter(|trigger| trigger.element != at.index);
    let boundary = pending.map(|trigger| trigger.element);
    ctx.emit(Event::ElementTerminated {
        instance: at.instance,
        key: at.key,
        element: at.index,
        rested,
    });
    match boundary {
        _ if at.index == ElementIndex::ROOT => process::terminated(ctx, at),
        Some(boundary) if token::is_open(ctx, at.instance, at.scope) => {
            activate(ctx, at.instance, at.scope, boundary, None, Some(at.key));
        }
        _ => token::left_scope(ctx, at.instance, at.scope),
    }
}

fn begin_termination(ctx: &mut Ctx<'_>, at: &At) {
    ctx.emit(Event::ElementTerminating {
        instance: at.instance,
        key: at.key,
        element: at.index,
    });
    waiting::close_all(ctx, at, CloseReason::Terminated);
    crate::jobs::cancel_all(ctx, at);
    resolve_incidents(ctx, at);
    token::discard(ctx, at.instance, at.key);
    for child in token::children(ctx, at.instance, at.key) {
        ctx.push(Step::Terminate {
            instance: at.instance,
            element: child,
        });
    }
}

fn resolve_incidents(ctx: &mut Ctx<'_>, at: &At) {
    let of_this = ctx
        .instance(at.instance)
        .incidents
        .iter()
        .filter(|incident| incident.element == at.key);
    let open: Vec<_> = of_this.copied().collect();
    for incident in open {
        problem::resolve(ctx, at.instance, incident);
    }
}

/// Something that a live element instance waited for has come: `element` goes on with `variables`.
pub(crate) fn trigger(
    ctx: &mut Ctx<'_>,
    waiting: &At,
    element: ElementIndex,
    variables: Document,
    cause: Cause,
) {
    let instance = waiting.instance;
    ctx.emit(Event::BpmnEventTriggered(Box::new(BpmnEventTriggered {
        instance,
        waiting: waiting.key,
        element,
        variables,
        cause,
    })));
    match (
        &waiting.definition.element(element).kind,
        &waiting.element().kind,
    ) {
        (ElementKind::BoundaryEvent(boundary), _) if boundary.interrupting => {
            terminate(ctx, waiting)
        }
        (ElementKind::BoundaryEvent(_), _) => activate(
            ctx,
            instance,
            waiting.scope,
            element,
            None,
            Some(waiting.key),
        ),
        (_, ElementKind::EventBasedGateway) => {
            event_based_gateway::go_on_with(ctx, waiting, element)
        }
        _ => complete(ctx, waiting),
    }
}

fn check_limits(ctx: &Ctx<'_>, at: &At) -> Result<(), Problem> {
    let (instance, limits) = (ctx.instance(at.instance), ctx.limits());
    if instance.elements.len() > limits.elements_per_instance_max {
        let max = limits.elements_per_instance_max;
        return Err(Problem::limit(format!(
            "The process instance has more than {max} active element instances."
        )));
    }
    if ctx.entered() > limits.run_length_max {
        let max = limits.run_length_max;
        return Err(Problem::limit(format!(
            "More than {max} elements were entered without waiting for anything from outside: it looks like an endless loop."
        )));
    }
    Ok(())
}
