//! Element instances, tokens and triggers.

use kapelle_model::graph::{ElementIndex, FlowIndex};

use crate::element::lifecycle::ElementState;
use crate::event::{BpmnEventTriggered, Event};
use crate::ids::ElementInstanceKey;
use crate::state::instance::{ElementInstance, Instance, Token, Trigger};

pub(super) fn to_instance(target: &mut Instance, event: &Event) {
    match event {
        Event::ElementActivating {
            key,
            element,
            scope,
            flow,
            trigger_of,
            ..
        } => {
            activating(target, *key, *element, *scope, *flow);
            if let Some(waiting) = trigger_of {
                take_over(target, *waiting, *key, *element);
            }
        }
        Event::ElementActivated { key, rests, .. } => {
            if let Some(element) = target.element_mut(*key) {
                element.state = ElementState::Activated;
                element.indexed |= *rests;
            }
        }
        Event::ElementCompleting { key, .. } => set_state(target, *key, ElementState::Completing),
        Event::ElementTerminating { key, .. } => set_state(target, *key, ElementState::Terminating),
        Event::ElementCompleted { key, .. } | Event::ElementTerminated { key, .. } => {
            leave(target, *key)
        }
        Event::FlowTaken {
            scope,
            flow,
            target: to,
            ..
        } => add_token(target, *scope, *flow, *to),
        Event::JoinConsumed { scope, gateway, .. } => {
            for token in target
                .tokens
                .iter_mut()
                .filter(|token| token.scope == *scope && token.target == *gateway)
            {
                token.count -= 1;
            }
            target.tokens.retain(|token| token.count > 0);
        }
        Event::TokensDiscarded { scope, .. } => {
            target.tokens.retain(|token| token.scope != *scope);
            drop_triggers(target, |trigger| trigger.scope == *scope);
        }
        Event::BpmnEventTriggered(triggered) => trigger(target, triggered),
        _ => unreachable!("dispatched by family"),
    }
}

fn activating(
    target: &mut Instance,
    key: ElementInstanceKey,
    element: ElementIndex,
    scope: ElementInstanceKey,
    flow: Option<FlowIndex>,
) {
    if let Some(flow) = flow
        && let Some(at) = target
            .tokens
            .iter()
            .position(|token| token.scope == scope && token.flow == flow)
    {
        target.tokens[at].count -= 1;
        if target.tokens[at].count == 0 {
            target.tokens.remove(at);
        }
    }
    if scope != key
        && let Some(scope) = target.element_mut(scope)
    {
        scope.children += 1;
    }
    let state = ElementState::Activating;
    target.elements.push(ElementInstance {
        key,
        element,
        scope,
        state,
        indexed: false,
        children: 0,
    });
}

fn set_state(target: &mut Instance, key: ElementInstanceKey, state: ElementState) {
    if let Some(element) = target.element_mut(key) {
        element.state = state;
    }
}

/// Gone, with its variables, the trigger it has used, and those that waited for something in it.
fn leave(target: &mut Instance, key: ElementInstanceKey) {
    let Ok(at) = target
        .elements
        .binary_search_by_key(&key, |element| element.key)
    else {
        return;
    };
    let left = target.elements.remove(at);
    if left.scope != key
        && let Some(scope) = target.element_mut(left.scope)
    {
        scope.children -= 1;
    }
    let freed = &mut target.payload_bytes;
    target.variables.retain(|variable| {
        let keep = variable.scope != key;
        if !keep {
            *freed -= variable.value.0.len() + variable.name.len();
        }
        keep
    });
    let used = |trigger: &Trigger| trigger.waiting == key && trigger.element == left.element;
    drop_triggers(target, |trigger| used(trigger) || trigger.scope == key);
}

fn drop_triggers(target: &mut Instance, unwanted: impl Fn(&Trigger) -> bool) {
    let freed = &mut target.payload_bytes;
    target.triggers.retain(|trigger| {
        let keep = !unwanted(trigger);
        if !keep {
            *freed -= trigger.variables.0.len();
        }
        keep
    });
}

fn add_token(target: &mut Instance, scope: ElementInstanceKey, flow: FlowIndex, to: ElementIndex) {
    match target
        .tokens
        .iter_mut()
        .find(|token| token.scope == scope && token.flow == flow)
    {
        Some(token) => token.count += 1,
        None => target.tokens.push(Token {
            scope,
            flow,
            target: to,
            count: 1,
        }),
    }
}

fn trigger(target: &mut Instance, triggered: &BpmnEventTriggered) {
    // Whatever waits in a scope ends with it at the latest; the root waits in itself.
    let scope = target
        .element(triggered.waiting)
        .map_or(triggered.waiting, |waiting| waiting.scope);
    target.payload_bytes += triggered.variables.0.len();
    target.triggers.push(Trigger {
        waiting: triggered.waiting,
        element: triggered.element,
        scope,
        variables: triggered.variables.clone(),
    });
    if triggered.cause.event_id.is_some() || triggered.cause.traceparent.is_some() {
        // A conversation goes on although what moves it now does not name it.
        let known = target.cause.correlation_id.take();
        target.cause = triggered.cause.clone();
        let correlation_id = &mut target.cause.correlation_id;
        *correlation_id = correlation_id.take().or(known);
    }
}

/// The element that goes on gets the payload of the one that waited.
fn take_over(
    target: &mut Instance,
    waiting: ElementInstanceKey,
    by: ElementInstanceKey,
    element: ElementIndex,
) {
    let pending = |trigger: &&mut Trigger| trigger.waiting == waiting && trigger.element == element;
    if let Some(trigger) = target.triggers.iter_mut().find(pending) {
        trigger.waiting = by;
    }
}
