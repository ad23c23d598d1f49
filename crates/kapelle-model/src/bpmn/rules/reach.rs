//! Where tokens can go: cycles in which nothing ever waits, and elements no token reaches.
//!
//! Invariant: linear in elements and flows, without recursion. Deliberately absent: anything that depends on values, such
//! as a condition that is never true.

use crate::diagnostic::Code;
use crate::graph::{
    Action, Element, ElementIndex, ElementKind, ElementType, EndBehavior, Process, ThrowBehavior,
};

use super::super::process::Builder;
use super::super::report::At;

pub(super) fn check(builder: &mut Builder<'_, '_>) {
    let cycle = endless_cycle(builder);
    if let Some(cycle) = cycle {
        let mut ids: Vec<&str> = cycle
            .iter()
            .map(|index| &*builder.process.element(*index).id)
            .collect();
        ids.push(ids[0]);
        let message = format!("the cycle {} has no element that waits", ids.join(" > "));
        let help =
            "It would run for ever within one moment; put a job, a timer or a message into it.";
        builder.report.rule(
            Code::EndlessLoop,
            At::Node(builder.node(cycle[0])),
            message,
            help,
        );
    }
    unreachable(builder);
}

/// Whether a token comes through at once and leaves everything as it was, so that the next round is the same.
fn passes_through(element: &Element) -> bool {
    let at_once = match &element.kind {
        ElementKind::PassThroughTask
        | ElementKind::ExclusiveGateway { .. }
        | ElementKind::ThrowEvent(ThrowBehavior::None) => true,
        ElementKind::ActionTask(action)
        | ElementKind::ThrowEvent(ThrowBehavior::Message(action)) => {
            !matches!(action, Action::Job(_))
        }
        // With several incoming flows it waits for the others.
        ElementKind::ParallelGateway => element.incoming.len() <= 1,
        ElementKind::Process
        | ElementKind::SubProcess { .. }
        | ElementKind::StartEvent(_)
        | ElementKind::EndEvent(
            EndBehavior::None
            | EndBehavior::Terminate
            | EndBehavior::Error { .. }
            | EndBehavior::Message(_),
        )
        | ElementKind::CatchEvent(_)
        | ElementKind::BoundaryEvent(_)
        | ElementKind::ReceiveTask(_)
        | ElementKind::EventBasedGateway => false,
    };
    at_once && element.outputs.is_empty()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    New,
    Open,
    Done,
}

/// One cycle of pass-through elements, if there is any: a depth-first search with its own stack.
fn endless_cycle(builder: &Builder<'_, '_>) -> Option<Vec<ElementIndex>> {
    let process = &builder.process;
    let passes = |index: ElementIndex| {
        passes_through(process.element(index)) && !builder.refused.contains(&index)
    };
    let mut marks = vec![Mark::New; process.elements.len()];
    for root in process.indexes().filter(|index| passes(*index)) {
        if marks[root.0 as usize] != Mark::New {
            continue;
        }
        marks[root.0 as usize] = Mark::Open;
        let mut path = vec![(root, 0)];
        while let Some((at, next)) = path.last_mut() {
            let element = process.element(*at);
            let Some(flow) = element.outgoing.get(*next) else {
                marks[at.0 as usize] = Mark::Done;
                path.pop();
                continue;
            };
            *next += 1;
            let target = process.flow(*flow).target;
            if !passes(target) {
                continue;
            }
            match marks[target.0 as usize] {
                Mark::Done => {}
                Mark::New => {
                    marks[target.0 as usize] = Mark::Open;
                    path.push((target, 0));
                }
                Mark::Open => {
                    let from = path
                        .iter()
                        .position(|(index, _)| *index == target)
                        .expect("invariant: what is open is on the path");
                    return Some(path[from..].iter().map(|(index, _)| *index).collect());
                }
            }
        }
    }
    None
}

fn unreachable(builder: &mut Builder<'_, '_>) {
    let reached = reached(&builder.process);
    for index in builder.process.indexes() {
        if reached[index.0 as usize] || builder.refused.contains(&index) {
            continue;
        }
        let element = builder.process.element(index);
        // Saying it of what stands inside or behind would only repeat it.
        let scope_reached = reached[element.scope.0 as usize];
        let first = element.incoming.is_empty()
            && !element.id.is_empty()
            && element.element_type != ElementType::BoundaryEvent;
        if scope_reached && first {
            let message = format!("'{}' is never reached", element.id);
            builder.report.warn(
                Code::Unreachable,
                At::Node(builder.node(index)),
                message,
                "Connect it, or remove it.",
            );
        }
    }
}

fn reached(process: &Process) -> Vec<bool> {
    let mut reached = vec![false; process.elements.len()];
    reached[0] = true;
    let starts = process.indexes().filter(|index| {
        let element = process.element(*index);
        element.scope == ElementIndex::ROOT && element.element_type == ElementType::StartEvent
    });
    let mut open: Vec<ElementIndex> = starts.collect();
    while let Some(index) = open.pop() {
        if std::mem::replace(&mut reached[index.0 as usize], true) {
            continue;
        }
        let element = process.element(index);
        open.extend(
            element
                .outgoing
                .iter()
                .map(|flow| process.flow(*flow).target),
        );
        open.extend(&element.boundary);
        if let ElementKind::SubProcess { start } = element.kind {
            open.push(start);
        }
    }
    reached
}
