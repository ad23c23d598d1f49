//! Event-based gateways: at least two targets, each a catch event reached from the gateway alone.
//!
//! Invariant: an accepted gateway can subscribe all its targets at once and cancel them together. Deliberately absent:
//! receive tasks as targets, which Camunda refuses too (camunda8.md §3.12).

use std::collections::BTreeMap;

use crate::diagnostic::Code;
use crate::graph::{CatchTrigger, ElementIndex, ElementKind, ElementType};

use super::super::process::Builder;
use super::super::report::At;

pub(super) fn check(builder: &mut Builder<'_, '_>, index: ElementIndex) {
    let element = builder.process.element(index);
    if element.element_type != ElementType::EventBasedGateway {
        return;
    }
    let node = builder.node(index);
    let targets: Vec<ElementIndex> = element
        .outgoing
        .iter()
        .map(|flow| builder.process.flow(*flow).target)
        .collect();
    if targets.len() < 2 {
        let message = format!(
            "an event-based gateway must have at least two outgoing flows, but has {}",
            targets.len()
        );
        builder.report.rule(
            Code::EventBasedGateway,
            At::Node(node),
            message,
            "Use a single catch event instead, or add another.",
        );
    }
    for target in &targets {
        check_target(builder, *target);
    }
    check_messages(builder, &targets);
}

fn check_target(builder: &mut Builder<'_, '_>, target: ElementIndex) {
    let element = builder.process.element(target);
    let id = &element.id;
    let is_catch = element.element_type == ElementType::IntermediateCatchEvent;
    let (message, help) = if !is_catch && !builder.refused.contains(&target) {
        (
            format!("'{id}' behind the event-based gateway is no intermediate catch event"),
            "Put a message or timer catch event in between.",
        )
    } else if element.incoming.len() > 1 {
        (
            format!("'{id}' behind the event-based gateway has other incoming flows too"),
            "Give the other flow a catch event of its own.",
        )
    } else {
        return;
    };
    let at = At::Node(builder.node(target));
    builder
        .report
        .rule(Code::EventBasedGateway, at, message, help);
}

/// Of two targets that wait for one message the second would never be reached.
fn check_messages(builder: &mut Builder<'_, '_>, targets: &[ElementIndex]) {
    let mut seen = BTreeMap::new();
    for target in targets {
        let element = builder.process.element(*target);
        let id = element.id.clone();
        let ElementKind::CatchEvent(CatchTrigger::Message(message)) = element.kind else {
            continue;
        };
        let name = builder.process.message(message).name.to_string();
        if let Some(first) = seen.insert(name, id.clone()).filter(|first| *first != id) {
            let at = At::Node(builder.node(*target));
            let message = format!(
                "'{first}' and '{id}' behind the same event-based gateway wait for the same message"
            );
            let help = "Only one of them could ever be reached.";
            builder
                .report
                .rule(Code::DuplicateTrigger, at, message, help);
        }
    }
}
