//! `zeebe:ioMapping`: input and output mappings.
//!
//! Invariant: an output source is an expression; a target is a path of at least one name, none of them a reserved word.
//! Deliberately absent: evaluation.

use std::sync::Arc;

use crate::diagnostic::Code;
use crate::graph::{ElementIndex, ElementKind, ElementType, Mapping, Text};
use crate::xml::{Namespace, NodeId};

use super::process::Builder;
use super::report::At;
use super::{extension, value};

/// Words that FEEL reads otherwise than as a name (camunda8.md §3.11).
const RESERVED: [&str; 11] = [
    "null", "true", "false", "function", "if", "then", "else", "for", "between", "instance", "of",
];

/// Which directions have a meaning at an element: before it does something, after it got something.
fn directions(kind: &ElementKind) -> (bool, bool) {
    match kind {
        ElementKind::ActionTask(_)
        | ElementKind::ReceiveTask(_)
        | ElementKind::SubProcess { .. } => (true, true),
        ElementKind::CatchEvent(_) | ElementKind::ThrowEvent(_) | ElementKind::EndEvent(_) => {
            (true, true)
        }
        ElementKind::StartEvent(_) | ElementKind::BoundaryEvent(_) => (false, true),
        // Observed: Camunda's undefined and manual tasks ignore mappings (camunda8.md §3.12).
        ElementKind::PassThroughTask
        | ElementKind::Process
        | ElementKind::ExclusiveGateway { .. }
        | ElementKind::ParallelGateway
        | ElementKind::EventBasedGateway => (false, false),
    }
}

pub(super) fn build(builder: &mut Builder<'_, '_>, index: ElementIndex) {
    let document = builder.document;
    let Some(mapping) =
        extension::find(document, builder.node(index), Namespace::Zeebe, "ioMapping")
    else {
        return;
    };
    let element = builder.process.element(index);
    let (inputs, outputs) = directions(&element.kind);
    let is_task = matches!(
        element.element_type,
        ElementType::Task | ElementType::ManualTask
    );
    for (child, node) in document.children(mapping) {
        let (used, is_input) = match (&*node.name, node.namespace) {
            ("input", Namespace::Zeebe) => (inputs, true),
            ("output", Namespace::Zeebe) => (outputs, false),
            _ => {
                builder.report.unknown_element(child);
                continue;
            }
        };
        if !used {
            let message = format!("an {} mapping has no effect here", node.name);
            let help = if is_task {
                "Make the task a service task, or move the mapping."
            } else {
                "Move the mapping to a task or another event."
            };
            builder
                .report
                .warn(Code::Mapping, At::Node(child), message, help);
            continue;
        }
        if let Some(mapping) = one(builder, child, is_input) {
            let element = builder.element(index);
            if is_input {
                element.inputs.push(mapping)
            } else {
                element.outputs.push(mapping)
            }
        }
    }
}

fn one(builder: &mut Builder<'_, '_>, id: NodeId, is_input: bool) -> Option<Mapping> {
    let source = source(builder, id, is_input);
    let target = target(builder, id);
    Some(Mapping {
        source: source?,
        target: target?,
    })
}

fn source(builder: &mut Builder<'_, '_>, id: NodeId, is_input: bool) -> Option<Text> {
    let document = builder.document;
    let Some(raw) = document.node(id).value("source") else {
        builder
            .report
            .missing(id, "source", "Write an expression such as =order.total.");
        return None;
    };
    let at = At::Attribute(id, "source");
    if is_input {
        value::text(builder.report, at, raw)
    } else {
        value::required_expression(builder.report, at, raw).map(Text::Expr)
    }
}

fn target(builder: &mut Builder<'_, '_>, id: NodeId) -> Option<Vec<Arc<str>>> {
    let Some(raw) = value::attribute(builder.document, id, "target") else {
        builder.report.missing(
            id,
            "target",
            "Name the variable, or a path in it such as order.total.",
        );
        return None;
    };
    let parts: Vec<&str> = raw.trim().split('.').collect();
    if let Some(wrong) = parts.iter().find(|part| !is_name(part)) {
        let message = format!(
            "the target '{}' is no path: '{}' is no name",
            value::quoted(raw),
            value::quoted(wrong)
        );
        let help = "A path is names joined by '.'; a name begins with a letter or '_' and is no word of FEEL.";
        builder
            .report
            .rule(Code::Mapping, At::Attribute(id, "target"), message, help);
    }
    Some(parts.into_iter().map(Arc::from).collect())
}

fn is_name(part: &str) -> bool {
    let mut characters = part.chars();
    characters
        .next()
        .is_some_and(|c| c.is_alphabetic() || c == '_')
        && characters.all(|c| c.is_alphanumeric() || c == '_')
        && !RESERVED.contains(&part)
}
