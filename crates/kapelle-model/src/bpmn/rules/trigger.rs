//! No two events that wait for the same thing in the same place.
//!
//! Invariant: whatever arrives at a process start or an activity has one receiver there. Deliberately absent: the same
//! message at different activities, which is fine.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::diagnostic::Code;
use crate::graph::{BoundaryTrigger, ElementIndex, ElementKind, MessageIndex};

use super::super::process::Builder;
use super::super::report::At;

pub(super) fn check(builder: &mut Builder<'_, '_>) {
    starts(builder);
    for index in builder.process.indexes() {
        boundaries(builder, index);
    }
}

fn name(builder: &Builder<'_, '_>, message: MessageIndex) -> String {
    builder.process.message(message).name.to_string()
}

fn starts(builder: &mut Builder<'_, '_>) {
    let mut seen: BTreeMap<String, Arc<str>> = BTreeMap::new();
    for index in builder.process.message_starts.clone() {
        let element = builder.process.element(index);
        let id = element.id.clone();
        let Some(message) = element.kind.awaited_message() else {
            continue;
        };
        let name = name(builder, message);
        if let Some(first) = seen.get(&name) {
            let message =
                format!("'{first}' and '{id}' start the process on the same message '{name}'");
            builder.report.rule(
                Code::DuplicateTrigger,
                At::Node(builder.node(index)),
                message,
                "Keep one of them.",
            );
        } else {
            seen.insert(name, id);
        }
    }
}

fn boundaries(builder: &mut Builder<'_, '_>, index: ElementIndex) {
    let host = builder.process.element(index);
    let host_id = host.id.clone();
    let mut messages: BTreeMap<String, Arc<str>> = BTreeMap::new();
    let mut errors: BTreeMap<Option<Arc<str>>, Arc<str>> = BTreeMap::new();
    if let ElementKind::ReceiveTask(message) = host.kind {
        messages.insert(name(builder, message), host_id.clone());
    }
    if !host.boundary.is_empty()
        && matches!(host.kind, ElementKind::PassThroughTask)
        && !builder.refused.contains(&index)
    {
        let first = builder.node(host.boundary[0]);
        let message = format!("'{host_id}' does not wait, so its boundary events never happen");
        builder.report.warn(
            Code::BoundaryEvent,
            At::Node(first),
            message,
            "Attach the event to a task that waits.",
        );
    }
    for event in builder.process.element(index).boundary.clone() {
        let element = builder.process.element(event);
        let id = element.id.clone();
        let ElementKind::BoundaryEvent(boundary) = &element.kind else {
            continue;
        };
        let (what, first) = match &boundary.trigger {
            BoundaryTrigger::Message(message) => {
                let name = name(builder, *message);
                (
                    format!("the message '{name}'"),
                    messages.insert(name, id.clone()),
                )
            }
            BoundaryTrigger::Error { code } => {
                let what = code.as_ref().map_or_else(
                    || "every error".to_owned(),
                    |code| format!("the error '{code}'"),
                );
                (what, errors.insert(code.clone(), id.clone()))
            }
            // Two timers at one activity are two deadlines.
            BoundaryTrigger::Timer(_) => continue,
        };
        if let Some(first) = first {
            let message = format!("'{first}' and '{id}' both wait for {what} at '{host_id}'");
            builder.report.rule(
                Code::DuplicateTrigger,
                At::Node(builder.node(event)),
                message,
                "Keep one of them.",
            );
        }
    }
}
