//! Rules over several elements, judged when the whole process is built.
//!
//! Invariant: only looks and reports; nothing here runs on replay. A refused element is taken as it would be if it were
//! right, so that its neighbours are judged for themselves. Deliberately absent: rules about one element alone.

use crate::diagnostic::Code;
use crate::graph::{ElementIndex, ElementKind, ElementType, EventType, FlowIndex};

use super::process::Builder;
use super::report::At;

mod gateway;
mod reach;
mod trigger;

pub(super) fn check(builder: &mut Builder<'_, '_>) {
    start_events(builder);
    for index in builder.process.indexes() {
        ends(builder, index);
        conditions(builder, index);
        gateway::check(builder, index);
    }
    trigger::check(builder);
    reach::check(builder);
}

/// A process has at least one start event, a scope at most one without trigger. That a subprocess has one is a condition
/// for building it.
fn start_events(builder: &mut Builder<'_, '_>) {
    if !builder.starts.contains_key(&ElementIndex::ROOT) {
        let at = At::Node(builder.node(ElementIndex::ROOT));
        let help = "Draw a start event and connect it.";
        builder.report.rule(
            Code::StartEvents,
            at,
            "a process must have a start event",
            help,
        );
    }
    for (scope, starts) in &builder.starts {
        let what = if *scope == ElementIndex::ROOT {
            "a process"
        } else {
            "a subprocess"
        };
        let none = starts
            .iter()
            .filter(|index| builder.process.element(**index).event_type == EventType::None);
        for extra in none.skip(1) {
            let id = &builder.process.element(*extra).id;
            let message =
                format!("{what} may have only one none start event; '{id}' is a further one");
            let help = "Remove it, or give it a message or timer.";
            builder.report.rule(
                Code::StartEvents,
                At::Node(builder.nodes[extra.0 as usize]),
                message,
                help,
            );
        }
    }
}

/// Elements that no flow may enter or leave.
fn ends(builder: &mut Builder<'_, '_>, index: ElementIndex) {
    let element = builder.process.element(index);
    let (no_entry, no_exit) = match element.element_type {
        ElementType::StartEvent => (Some("a start event has no incoming flow"), None),
        ElementType::BoundaryEvent => (Some("a boundary event has no incoming flow"), None),
        ElementType::EndEvent => (None, Some("an end event has no outgoing flow")),
        _ => return,
    };
    let (incoming, outgoing) = (element.incoming.clone(), element.outgoing.clone());
    for (message, flows) in [(no_entry, incoming), (no_exit, outgoing)] {
        let Some(message) = message else { continue };
        for flow in flows {
            let help = "Remove the flow, or let it end elsewhere.";
            builder.report.rule(
                Code::SequenceFlow,
                At::Node(flow_node(builder, flow)),
                message,
                help,
            );
        }
    }
}

/// Conditions stand on flows that leave an exclusive gateway, and there on all of several but the default.
fn conditions(builder: &mut Builder<'_, '_>, index: ElementIndex) {
    let element = builder.process.element(index);
    if builder.refused.contains(&index) && element.element_type == ElementType::Task {
        return;
    }
    let decides = matches!(element.kind, ElementKind::ExclusiveGateway { .. });
    let several = element.outgoing.len() > 1;
    for flow_index in element.outgoing.clone() {
        let flow = builder.process.flow(flow_index);
        let node = flow_node(builder, flow_index);
        let has_condition = flow.condition.is_some() || has_condition_element(builder, flow_index);
        let (message, help) = if has_condition && !decides {
            (
                "a condition may only stand on a flow that leaves an exclusive gateway",
                "Put an exclusive gateway in front of the flow.",
            )
        } else if has_condition && flow.is_default {
            (
                "the default flow must not have a condition",
                "Remove the condition; the flow is taken when no other is.",
            )
        } else if decides && several && !has_condition && !flow.is_default {
            (
                "a flow that leaves an exclusive gateway must have a condition or be the default",
                "Add a condition, or make it the default flow.",
            )
        } else {
            continue;
        };
        builder
            .report
            .rule(Code::Condition, At::Node(node), message, help);
    }
}

/// A condition that does not parse is one nevertheless.
fn has_condition_element(builder: &Builder<'_, '_>, flow: FlowIndex) -> bool {
    let node = flow_node(builder, flow);
    builder
        .document
        .named(node, crate::xml::Namespace::Bpmn, "conditionExpression")
        .next()
        .is_some()
}

fn flow_node(builder: &Builder<'_, '_>, flow: FlowIndex) -> crate::xml::NodeId {
    builder.flow_nodes[flow.0 as usize]
}
