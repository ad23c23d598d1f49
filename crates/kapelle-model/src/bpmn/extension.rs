//! Extension elements: finding them, and saying which have no place where they stand.
//!
//! Invariant: an extension of Camunda 8 or Kapelle is used, reported as without effect, or refused; never dropped in
//! silence. Elements of foreign namespaces are other people's and tolerated.
//!
//! Deliberately absent: what an extension means; the file of its element knows.

use crate::diagnostic::Code;
use crate::xml::{Document, Namespace, NodeId};

use super::process::Builder;
use super::report::At;

/// All extension elements of a node.
pub(super) fn all(document: &Document, id: NodeId) -> impl Iterator<Item = NodeId> + '_ {
    document
        .named(id, Namespace::Bpmn, "extensionElements")
        .flat_map(|extensions| document.children(extensions).map(|(child, _)| child))
}

/// The first extension element of that name.
pub(super) fn find(
    document: &Document,
    id: NodeId,
    namespace: Namespace,
    name: &str,
) -> Option<NodeId> {
    all(document, id).find(|child| document.node(*child).is(namespace, name))
}

/// The first at the element, else at its event definition: modelers write both.
pub(super) fn find_at(
    document: &Document,
    places: [NodeId; 2],
    namespace: Namespace,
    name: &str,
) -> Option<NodeId> {
    places
        .into_iter()
        .find_map(|place| find(document, place, namespace, name))
}

/// What each part of Camunda 8 that does not run yet would do, for those who use it.
fn refused(name: &str) -> Option<&'static str> {
    Some(match name {
        "executionListeners" => "Use a service task before or after the element.",
        "taskListeners" | "userTask" => {
            "Remove it: the user task then becomes a job of type io.camunda.zeebe:userTask."
        }
        "calledElement" => "Use an embedded subprocess.",
        "calledDecision" | "script" => "Use a job type (zeebe:taskDefinition).",
        "loopCharacteristics" => "Model the loop with an exclusive gateway.",
        "priorityDefinition" | "jobPriorityDefinition" => "Remove the priority.",
        "linkedResources" => "Name the resource in a task header.",
        "adHoc" | "agentDefinition" | "conditionalFilter" => "Remove it.",
        _ => return None,
    })
}

/// Extensions that run somewhere, so that one in the wrong place is no surprise, only useless.
fn is_known(name: &str) -> bool {
    matches!(
        name,
        "taskDefinition"
            | "ioMapping"
            | "taskHeaders"
            | "subscription"
            | "publishMessage"
            | "formDefinition"
            | "userTaskForm"
            | "assignmentDefinition"
            | "taskSchedule"
            | "versionTag"
    )
}

/// Reports what has no place among the extensions of a node. `allowed` are local names; each may stand once.
pub(super) fn check(builder: &mut Builder<'_, '_>, id: NodeId, allowed: &[&str]) {
    let document = builder.document;
    let owner = &document.node(id).name;
    let mut seen: Vec<(Namespace, &str)> = Vec::new();
    for child in all(document, id) {
        let node = document.node(child);
        let full = format!("{}{}", node.namespace.prefix(), node.name);
        let at = At::Node(child);
        let report = &mut *builder.report;
        match node.namespace {
            // Design-time data, but for connectors, which are judged where they may stand.
            Namespace::Zeebe if &*node.name == "properties" => {}
            Namespace::Zeebe | Namespace::Kapelle if allowed.contains(&&*node.name) => {
                let repeatable = &*node.name == "userTaskForm";
                if seen.contains(&(node.namespace, &*node.name)) && !repeatable {
                    report.rule(
                        Code::Extension,
                        at,
                        format!("<{full}> stands here a second time"),
                        "Keep one of them.",
                    );
                }
                seen.push((node.namespace, &node.name));
            }
            Namespace::Zeebe => {
                if let Some(remedy) = refused(&node.name) {
                    report.error(
                        Code::NotExecutable,
                        at,
                        format!("<{full}> is not executable yet"),
                        remedy,
                    );
                } else if is_known(&node.name) {
                    let message = format!("<{full}> has no effect on <{owner}>");
                    report.warn(
                        Code::Extension,
                        at,
                        message,
                        "Remove it, or move it to the element it is meant for.",
                    );
                } else {
                    report.rule(
                        Code::Extension,
                        at,
                        format!("<{full}> is not known"),
                        "Remove it, or correct its name.",
                    );
                }
            }
            Namespace::Kapelle => {
                let message = format!("<{full}> is not known or not allowed on <{owner}>");
                let help = "kapelle:event belongs on a message; kapelle:publish on a send task, message throw or message end event.";
                report.rule(Code::Extension, at, message, help);
            }
            Namespace::Camunda7 => {
                let help = "It is of Camunda 7; convert the model to Camunda 8.";
                report.warn(Code::Extension, at, format!("<{full}> has no effect"), help);
            }
            Namespace::Bpmn | Namespace::None | Namespace::Foreign => {}
        }
    }
    check_attributes(builder, id);
}

/// Attributes with our prefix are ours to know; Camunda's on BPMN elements are design-time only.
fn check_attributes(builder: &mut Builder<'_, '_>, id: NodeId) {
    let node = builder.document.node(id);
    for attribute in node
        .attributes
        .iter()
        .filter(|attribute| attribute.namespace == Namespace::Kapelle)
    {
        let message = format!(
            "attribute 'kapelle:{}' is not known on <{}>",
            attribute.name, node.name
        );
        builder.report.rule(
            Code::Extension,
            At::Node(id),
            message,
            "Remove it, or correct its name.",
        );
    }
}

/// Reports attributes of one of our own extensions that are not in `allowed`.
pub(super) fn check_own_attributes(builder: &mut Builder<'_, '_>, id: NodeId, allowed: &[&str]) {
    let node = builder.document.node(id);
    for attribute in &node.attributes {
        if attribute.namespace == Namespace::None && !allowed.contains(&&*attribute.name) {
            let message = format!(
                "attribute '{}' of <kapelle:{}> is not known",
                attribute.name, node.name
            );
            let help = format!("It has the attributes {}.", allowed.join(", "));
            builder.report.rule(
                Code::Extension,
                At::Attribute(id, &attribute.name),
                message,
                help,
            );
        }
    }
}
