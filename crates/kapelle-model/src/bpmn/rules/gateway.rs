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
    let mut messages = BTreeMap::new();
    for target in targets {
        let element = builder.process.element(target);
        let id = element.id.clone();
        let target_node = builder.node(target);
        if element.element_type != ElementType::IntermediateCatchEvent
            && !builder.refused.contains(&target)
        {
            let message =
                format!("'{id}' behind the event-based gateway is no intermediate catch event");
            builder.report.rule(
                Code::EventBasedGateway,
                At::Node(target_node),
                message,
                "Put a message or timer catch event in between.",
            );
        } else if element.incoming.len() > 1 {
            let message =
                format!("'{id}' behind the event-based gateway has other incoming flows too");
            let help = "Give the other flow a catch event of its own.";
            builder.report.rule(
                Code::EventBasedGateway,
                At::Node(target_node),
                message,
                help,
            );
        }
        let element = builder.process.element(target);
        let ElementKind::CatchEvent(CatchTrigger::Message(message)) = element.kind else {
            continue;
        };
        let name = builder.process.message(message).name.to_string();
        if let Some(first) = messages
            .insert(name, id.clone())
            .filter(|first| *first != id)
        {
            let message = format!(
                "'{first}' and '{id}' behind the same event-based gateway wait for the same message"
            );
            builder.report.rule(
                Code::DuplicateTrigger,
                At::Node(target_node),
                message,
                "Only one of them could ever be reached.",
            );
        }
    }
}
