//! How tokens move: along flows, out of scopes, and away.

use kapelle_model::graph::FlowIndex;

use crate::ctx::Ctx;
use crate::element::At;
use crate::element::lifecycle::ElementState;
use crate::event::Event;
use crate::ids::{ElementInstanceKey, ProcessInstanceKey};
use crate::step::Step;

/// The element has completed: a token goes along each outgoing flow. Where there is none, its scope may be done.
pub(super) fn take_outgoing(ctx: &mut Ctx<'_>, at: &At) {
    let outgoing = &at.element().outgoing;
    if outgoing.is_empty() {
        return left_scope(ctx, at.instance, at.scope);
    }
    for flow in outgoing {
        take(ctx, at, *flow);
    }
}

/// A token goes along one flow.
pub(super) fn take(ctx: &mut Ctx<'_>, at: &At, flow: FlowIndex) {
    let (instance, scope, element) = (
        at.instance,
        at.scope,
        at.definition.process.flow(flow).target,
    );
    ctx.emit(Event::FlowTaken {
        instance,
        scope,
        flow,
        target: element,
    });
    ctx.push(Step::Activate {
        instance,
        scope,
        element,
        flow: Some(flow),
    });
}

/// A token or an element instance has left that scope. When it was the last, the scope is done.
pub(super) fn left_scope(
    ctx: &mut Ctx<'_>,
    instance: ProcessInstanceKey,
    scope: ElementInstanceKey,
) {
    let aggregate = ctx.instance(instance);
    let Some(element) = aggregate.element(scope) else {
        return;
    };
    let step = match element.state {
        ElementState::Activated if aggregate.is_empty_scope(element) => Step::Complete {
            instance,
            element: scope,
        },
        ElementState::Terminating if element.children == 0 => Step::Terminate {
            instance,
            element: scope,
        },
        _ => return,
    };
    ctx.push(step);
}

/// Whether tokens may still enter elements of that scope.
pub(crate) fn is_open(
    ctx: &Ctx<'_>,
    instance: ProcessInstanceKey,
    scope: ElementInstanceKey,
) -> bool {
    ctx.instance(instance)
        .element(scope)
        .is_some_and(|scope| scope.state == ElementState::Activated)
}

/// Tokens of that scope that no element has are gone: in flight, at joins, or about to leave a boundary event.
pub(super) fn discard(ctx: &mut Ctx<'_>, instance: ProcessInstanceKey, scope: ElementInstanceKey) {
    let aggregate = ctx.instance(instance);
    let has_tokens = aggregate.tokens.iter().any(|token| token.scope == scope);
    if has_tokens
        || aggregate
            .triggers
            .iter()
            .any(|trigger| trigger.scope == scope)
    {
        ctx.emit(Event::TokensDiscarded { instance, scope });
    }
}

/// What is alive in that scope.
pub(super) fn children(
    ctx: &Ctx<'_>,
    instance: ProcessInstanceKey,
    scope: ElementInstanceKey,
) -> Vec<ElementInstanceKey> {
    let elements = ctx.instance(instance).elements.iter();
    elements
        .filter(|element| element.scope == scope && element.key != scope)
        .map(|element| element.key)
        .collect()
}
