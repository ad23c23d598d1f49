//! What one flow node does: dispatch by its type, and what all of them share.
//!
//! Invariant: afterwards the element has its final kind and mappings, or is marked as refused. Deliberately absent:
//! anything that needs other elements to be built first.

use crate::diagnostic::Code;
use crate::graph::{Action, ElementIndex, ElementKind, ElementType, EventType};
use crate::xml::{Namespace, NodeId};

use super::process::Builder;
use super::report::At;
use super::{action, event, extension, inbound, mapping, message, tag, user_task, value};

pub(super) fn build(builder: &mut Builder<'_, '_>, index: ElementIndex) {
    if builder.refused.contains(&index) {
        return;
    }
    check_attributes(builder, index);
    check_children(builder, index);
    let node = builder.node(index);
    let element_type = builder.process.element(index).element_type;
    match kind(builder, index, node, element_type) {
        Some(kind) => builder.element(index).kind = kind,
        None => {
            builder.refused.insert(index);
        }
    }
    mapping::build(builder, index);
    let receives = builder.process.element(index).kind.awaited_message();
    if !builder.refused.contains(&index) {
        inbound::check_place(builder, node, receives.is_some());
    }
    extension::check(builder, node, allowed_extensions(builder, index));
}

fn kind(
    builder: &mut Builder<'_, '_>,
    index: ElementIndex,
    node: NodeId,
    element_type: ElementType,
) -> Option<ElementKind> {
    Some(match element_type {
        ElementType::Task | ElementType::ManualTask => ElementKind::PassThroughTask,
        ElementType::ServiceTask => {
            ElementKind::ActionTask(Action::Job(action::service(builder, node)?))
        }
        ElementType::SendTask => ElementKind::ActionTask(action::message(builder, node, node)?),
        ElementType::UserTask => {
            ElementKind::ActionTask(Action::Job(user_task::build(builder, node)?))
        }
        ElementType::ReceiveTask => {
            builder.element(index).event_type = EventType::Message;
            ElementKind::ReceiveTask(message::receive(builder, node, node, message::Use::Catch)?)
        }
        ElementType::ParallelGateway => ElementKind::ParallelGateway,
        ElementType::EventBasedGateway => ElementKind::EventBasedGateway,
        ElementType::ExclusiveGateway => ElementKind::ExclusiveGateway {
            default: default_flow(builder, index, node),
        },
        ElementType::SubProcess => ElementKind::SubProcess {
            start: sub_process_start(builder, index)?,
        },
        ElementType::StartEvent
        | ElementType::EndEvent
        | ElementType::IntermediateCatchEvent
        | ElementType::IntermediateThrowEvent
        | ElementType::BoundaryEvent => event::build(builder, index, node, element_type)?,
        other => unreachable!("invariant: tag::element_type gives no {other:?}"),
    })
}

fn default_flow(
    builder: &mut Builder<'_, '_>,
    index: ElementIndex,
    node: NodeId,
) -> Option<crate::graph::FlowIndex> {
    let reference = value::attribute(builder.document, node, "default")?;
    let local = reference
        .rsplit_once(':')
        .map_or(reference, |(_, local)| local);
    let outgoing = &builder.process.element(index).outgoing;
    let found = outgoing.iter().copied().find(|flow| {
        let id = &*builder.process.flow(*flow).id;
        id == reference || id == local
    });
    match found {
        Some(flow) => builder.process.flows[flow.0 as usize].is_default = true,
        None => {
            let message = format!(
                "the default flow '{}' does not leave this gateway",
                value::quoted(reference)
            );
            builder.report.error(
                Code::DefaultFlow,
                At::Attribute(node, "default"),
                message,
                "Choose one of its own outgoing flows.",
            );
        }
    }
    found
}

/// The none start event inside. Further ones are a matter for the rules.
fn sub_process_start(builder: &mut Builder<'_, '_>, index: ElementIndex) -> Option<ElementIndex> {
    let found = builder
        .starts
        .get(&index)
        .and_then(|starts| starts.first().copied());
    if found.is_none() {
        let help = "Draw exactly one start event without symbol inside the subprocess.";
        builder.report.error(
            Code::StartEvents,
            At::Node(builder.node(index)),
            "a subprocess must have a none start event",
            help,
        );
    }
    found
}

/// Attributes of the standard that, when true, change behaviour in a way we do not do yet; what they make of the
/// element; and what to use meanwhile.
const REFUSED_WHEN_TRUE: [(&str, &str, &str); 4] = [
    (
        "triggeredByEvent",
        "an event subprocess",
        "Use a boundary event on a subprocess around the elements.",
    ),
    (
        "isForCompensation",
        "a compensation handler",
        "Model the undoing as a path of its own.",
    ),
    (
        "instantiate",
        "an instantiating element",
        "Use a message start event.",
    ),
    (
        "parallelMultiple",
        "a parallel multiple event",
        "Use several events behind a parallel gateway.",
    ),
];

fn check_attributes(builder: &mut Builder<'_, '_>, index: ElementIndex) {
    let id = builder.node(index);
    let node = builder.document.node(id);
    for (name, what, remedy) in REFUSED_WHEN_TRUE {
        if value::boolean(builder.document, builder.report, id, name) == Some(true) {
            refuse_attribute(builder, index, name, what, remedy);
        }
    }
    if node.value("eventGatewayType") == Some("Parallel") {
        let (what, remedy) = ("a parallel event-based gateway", REFUSED_WHEN_TRUE[3].2);
        refuse_attribute(builder, index, "eventGatewayType", what, remedy);
    }
    for name in ["startQuantity", "completionQuantity"] {
        if node.value(name).is_some_and(|value| value.trim() != "1") {
            let what = format!("'{name}' other than 1");
            refuse_attribute(builder, index, name, &what, "Use parallel gateways.");
        }
    }
    if &*node.name != "exclusiveGateway" && node.value("default").is_some() {
        let at = At::Attribute(id, "default");
        let message = "only an exclusive gateway has a default flow";
        let help =
            "Put an exclusive gateway behind the element and let the default flow leave that.";
        builder.report.error(Code::DefaultFlow, at, message, help);
    }
}

fn refuse_attribute(
    builder: &mut Builder<'_, '_>,
    index: ElementIndex,
    name: &str,
    what: &str,
    remedy: &str,
) {
    let at = At::Attribute(builder.node(index), name);
    let message = format!("{what} is not executable yet");
    builder.refuse(index, Code::NotExecutable, at, message, remedy);
}

/// Children that would change how the element runs, and those nobody knows. A subprocess has been walked already.
fn check_children(builder: &mut Builder<'_, '_>, index: ElementIndex) {
    let document = builder.document;
    let node = builder.node(index);
    let is_scope = builder.process.element(index).element_type == ElementType::SubProcess;
    let is_event = document.node(node).name.ends_with("Event");
    for (child, inner) in document.children(node) {
        if inner.namespace == Namespace::Bpmn
            && let Some(remedy) = tag::refused_marker(&inner.name)
        {
            builder.refuse(
                index,
                Code::NotExecutable,
                At::Node(child),
                format!("<{}> is not executable yet", inner.name),
                remedy,
            );
        } else if is_scope {
            // `collect` has judged the rest.
        } else {
            let is_definition = event::is_definition(&inner.name);
            let known = tag::is_description(&inner.name) || (is_definition && is_event);
            if inner.namespace != Namespace::Bpmn || !known {
                builder.report.unknown_element(child);
            }
        }
    }
}

fn allowed_extensions(builder: &Builder<'_, '_>, index: ElementIndex) -> &'static [&'static str] {
    let element = builder.process.element(index);
    match element.element_type {
        ElementType::ServiceTask => &["taskDefinition", "taskHeaders", "ioMapping"],
        ElementType::SendTask => &[
            "taskDefinition",
            "taskHeaders",
            "ioMapping",
            "publishMessage",
            "publish",
        ],
        ElementType::UserTask => &[
            "taskDefinition",
            "taskHeaders",
            "ioMapping",
            "formDefinition",
            "assignmentDefinition",
            "taskSchedule",
        ],
        ElementType::EndEvent | ElementType::IntermediateThrowEvent
            if element.event_type == EventType::Message =>
        {
            &[
                "taskDefinition",
                "taskHeaders",
                "ioMapping",
                "publishMessage",
                "publish",
            ]
        }
        // A start form is shown by a task list before the instance exists; it changes nothing here.
        ElementType::StartEvent => &["ioMapping", "formDefinition"],
        // Mappings without effect are reported one by one where they are read.
        _ => &["ioMapping"],
    }
}
