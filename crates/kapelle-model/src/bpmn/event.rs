//! Events: their definitions, and which of them may stand where.
//!
//! Invariant: an event has at most one definition, a boundary event exactly one; a timer has exactly one kind and one
//! that its place allows. Deliberately absent: definitions that do not run yet; they are refused by name.

use std::sync::Arc;

use crate::diagnostic::Code;
use crate::graph::{
    Boundary, BoundaryTrigger, CatchTrigger, ElementIndex, ElementKind, ElementType, EndBehavior,
    EventType, StartTrigger, Text, ThrowBehavior, Timer, TimerKind, TimerValue,
};
use crate::xml::{Namespace, NodeId};

use super::process::Builder;
use super::report::At;
use super::{action, extension, inbound, message, tag, value};

/// The definition an event has.
#[derive(Clone, Copy, Debug)]
enum Definition {
    None,
    Message(NodeId),
    Timer(NodeId),
    Error(NodeId),
    Terminate(NodeId),
}

impl Definition {
    fn event_type(self) -> EventType {
        match self {
            Self::None => EventType::None,
            Self::Message(_) => EventType::Message,
            Self::Timer(_) => EventType::Timer,
            Self::Error(_) => EventType::Error,
            Self::Terminate(_) => EventType::Terminate,
        }
    }

    fn node(self) -> Option<NodeId> {
        match self {
            Self::None => None,
            Self::Message(id) | Self::Timer(id) | Self::Error(id) | Self::Terminate(id) => Some(id),
        }
    }
}

/// Whether a child of an event is one of its definitions.
pub(super) fn is_definition(name: &str) -> bool {
    name.ends_with("EventDefinition") || name == "eventDefinitionRef"
}

pub(super) fn build(
    builder: &mut Builder<'_, '_>,
    index: ElementIndex,
    node: NodeId,
    element_type: ElementType,
) -> Option<ElementKind> {
    let definition = definition(builder, node)?;
    builder.element(index).event_type = definition.event_type();
    let kind = match element_type {
        ElementType::StartEvent => {
            start(builder, index, node, definition).map(|it| it.map(ElementKind::StartEvent))
        }
        ElementType::EndEvent => {
            end(builder, node, definition).map(|it| it.map(ElementKind::EndEvent))
        }
        ElementType::IntermediateThrowEvent => {
            throw(builder, node, definition).map(|it| it.map(ElementKind::ThrowEvent))
        }
        ElementType::IntermediateCatchEvent => {
            catch(builder, node, definition).map(|it| it.map(ElementKind::CatchEvent))
        }
        ElementType::BoundaryEvent => {
            boundary(builder, index, node, definition).map(|it| it.map(ElementKind::BoundaryEvent))
        }
        other => unreachable!("invariant: {other:?} is no event"),
    };
    kind.unwrap_or_else(|Misplaced| {
        let what = &builder.document.node(node).name;
        let text = match definition.node() {
            Some(id) => format!(
                "<{}> is not allowed in <{what}>",
                builder.document.node(id).name
            ),
            None => format!("<{what}> must have an event definition"),
        };
        builder.report.error(
            Code::EventDefinition,
            At::Node(definition.node().unwrap_or(node)),
            text,
            allowed(element_type),
        );
        None
    })
}

/// The definition may not stand at this kind of event.
struct Misplaced;

/// `None` inside: the definition may stand here but is wrong, which has been reported.
type Built<T> = Result<Option<T>, Misplaced>;

fn allowed(element_type: ElementType) -> &'static str {
    match element_type {
        ElementType::StartEvent => {
            "A process starts with none, message or timer; a subprocess with none."
        }
        ElementType::EndEvent => "An end event has none, message, error or terminate.",
        ElementType::IntermediateThrowEvent => "An intermediate throw event has none or message.",
        ElementType::IntermediateCatchEvent => "An intermediate catch event has message or timer.",
        _ => "A boundary event has message, timer or error.",
    }
}

/// The one definition, or `None` if something is wrong, which has been reported.
fn definition(builder: &mut Builder<'_, '_>, node: NodeId) -> Option<Definition> {
    let document = builder.document;
    let mut found = Definition::None;
    let mut sound = true;
    let definitions = document
        .children(node)
        .filter(|(_, child)| child.namespace == Namespace::Bpmn && is_definition(&child.name));
    for (count, (id, child)) in definitions.enumerate() {
        if count == 1 {
            let help = "Use one event for each, behind an event-based gateway or in parallel.";
            builder.report.error(
                Code::EventDefinition,
                At::Node(id),
                "an event with several definitions is not executable yet",
                help,
            );
            sound = false;
        }
        found = match &*child.name {
            "messageEventDefinition" => Definition::Message(id),
            "timerEventDefinition" => Definition::Timer(id),
            "errorEventDefinition" => Definition::Error(id),
            "terminateEventDefinition" => Definition::Terminate(id),
            name => {
                match tag::refused_event_definition(name) {
                    Some(remedy) => builder.report.error(
                        Code::NotExecutable,
                        At::Node(id),
                        format!("<{name}> is not executable yet"),
                        remedy,
                    ),
                    None => builder.report.unknown_element(id),
                }
                sound = false;
                found
            }
        };
    }
    if let Some(id) = found.node() {
        let is_thrown = matches!(
            &*document.node(node).name,
            "endEvent" | "intermediateThrowEvent"
        );
        let is_message = matches!(found, Definition::Message(_));
        let allowed: &[&str] = if is_thrown && is_message {
            &action::MESSAGE_EXTENSIONS
        } else {
            &[]
        };
        extension::check(builder, id, allowed);
    }
    sound.then_some(found)
}

fn start(
    builder: &mut Builder<'_, '_>,
    index: ElementIndex,
    node: NodeId,
    definition: Definition,
) -> Built<StartTrigger> {
    let in_process = builder.process.element(index).scope == ElementIndex::ROOT;
    let trigger = match definition {
        Definition::None if in_process => {
            let id = builder.process.element(index).id.clone();
            Some(match inbound::start(builder, node, &id) {
                None => StartTrigger::None,
                // It may also be started by hand.
                Some(message) => {
                    let none_start = &mut builder.process.none_start;
                    *none_start = none_start.or(Some(index));
                    StartTrigger::Message(message)
                }
            })
        }
        Definition::None => Some(StartTrigger::None),
        Definition::Message(id) if in_process => {
            message::receive(builder, node, id, message::Use::Start).map(StartTrigger::Message)
        }
        Definition::Timer(id) if in_process => start_timer(builder, id).map(StartTrigger::Timer),
        _ => return Err(Misplaced),
    };
    if in_process {
        let process = &mut builder.process;
        match &trigger {
            // Of several, the first; the others are refused by a rule.
            Some(StartTrigger::None) => process.none_start = process.none_start.or(Some(index)),
            Some(StartTrigger::Message(_)) => process.message_starts.push(index),
            Some(StartTrigger::Timer(_)) => process.timer_starts.push(index),
            None => {}
        }
    }
    Ok(trigger)
}

fn end(builder: &mut Builder<'_, '_>, node: NodeId, definition: Definition) -> Built<EndBehavior> {
    Ok(match definition {
        Definition::None => Some(EndBehavior::None),
        Definition::Terminate(_) => Some(EndBehavior::Terminate),
        Definition::Message(id) => action::message(builder, node, id).map(EndBehavior::Message),
        Definition::Error(id) => thrown_error(builder, id).map(|code| EndBehavior::Error { code }),
        Definition::Timer(_) => return Err(Misplaced),
    })
}

fn throw(
    builder: &mut Builder<'_, '_>,
    node: NodeId,
    definition: Definition,
) -> Built<ThrowBehavior> {
    Ok(match definition {
        Definition::None => Some(ThrowBehavior::None),
        Definition::Message(id) => action::message(builder, node, id).map(ThrowBehavior::Message),
        _ => return Err(Misplaced),
    })
}

fn catch(
    builder: &mut Builder<'_, '_>,
    node: NodeId,
    definition: Definition,
) -> Built<CatchTrigger> {
    Ok(match definition {
        Definition::Message(id) => {
            message::receive(builder, node, id, message::Use::Catch).map(CatchTrigger::Message)
        }
        Definition::Timer(id) => {
            timer(builder, id, &[TimerKind::Date, TimerKind::Duration]).map(CatchTrigger::Timer)
        }
        _ => return Err(Misplaced),
    })
}

fn boundary(
    builder: &mut Builder<'_, '_>,
    index: ElementIndex,
    node: NodeId,
    definition: Definition,
) -> Built<Boundary> {
    let interrupting =
        value::boolean(builder.document, builder.report, node, "cancelActivity") != Some(false);
    let trigger = match definition {
        Definition::Message(id) => {
            message::receive(builder, node, id, message::Use::Catch).map(BoundaryTrigger::Message)
        }
        Definition::Timer(id) if interrupting => {
            timer(builder, id, &[TimerKind::Date, TimerKind::Duration]).map(BoundaryTrigger::Timer)
        }
        Definition::Timer(id) => timer(
            builder,
            id,
            &[TimerKind::Date, TimerKind::Duration, TimerKind::Cycle],
        )
        .map(BoundaryTrigger::Timer),
        Definition::Error(id) => {
            caught_error(builder, id).map(|code| BoundaryTrigger::Error { code })
        }
        Definition::None | Definition::Terminate(_) => return Err(Misplaced),
    };
    let attached_to = attach(builder, index, node);
    if matches!(definition, Definition::Error(_)) && !interrupting {
        let help = "An error ends the activity; set cancelActivity to true.";
        builder.report.error(
            Code::BoundaryEvent,
            At::Attribute(node, "cancelActivity"),
            "an error boundary event must be interrupting",
            help,
        );
    }
    let (Some(trigger), Some(attached_to)) = (trigger, attached_to) else {
        return Ok(None);
    };
    builder.element(attached_to).boundary.push(index);
    Ok(Some(Boundary {
        attached_to,
        interrupting,
        trigger,
    }))
}

fn attach(
    builder: &mut Builder<'_, '_>,
    index: ElementIndex,
    node: NodeId,
) -> Option<ElementIndex> {
    let Some(reference) = value::attribute(builder.document, node, "attachedToRef") else {
        builder.report.missing(
            node,
            "attachedToRef",
            "Attach the event to the border of an activity.",
        );
        return None;
    };
    let host = builder.find(reference).filter(|host| {
        let host = builder.process.element(*host);
        host.scope == builder.process.element(index).scope && is_activity(host.element_type)
    });
    if host.is_none() {
        let text = format!(
            "it is attached to '{}', which is no activity of the same scope",
            value::quoted(reference)
        );
        let help = "Attach the event to a task or subprocess beside it.";
        builder.report.error(
            Code::BoundaryEvent,
            At::Attribute(node, "attachedToRef"),
            text,
            help,
        );
    }
    host
}

fn is_activity(element_type: ElementType) -> bool {
    matches!(
        element_type,
        ElementType::SubProcess
            | ElementType::Task
            | ElementType::ManualTask
            | ElementType::ServiceTask
            | ElementType::SendTask
            | ElementType::ReceiveTask
            | ElementType::UserTask
    )
}

/// It is evaluated when the process is deployed: nobody's variables exist then.
fn start_timer(builder: &mut Builder<'_, '_>, id: NodeId) -> Option<Timer> {
    let kinds = [TimerKind::Date, TimerKind::Duration, TimerKind::Cycle];
    let timer = timer(builder, id, &kinds)?;
    if let TimerValue::Expr(expr) = &timer.value
        && let Some(variable) = expr.variables().first()
    {
        let text = format!("the timer of a start event cannot read the variable '{variable}'");
        let help = "It is computed at deployment; use a constant or functions such as now().";
        builder.report.rule(Code::Timer, At::Node(id), text, help);
    }
    Some(timer)
}

fn timer(builder: &mut Builder<'_, '_>, id: NodeId, allowed: &[TimerKind]) -> Option<Timer> {
    let (child, kind) = timer_kind(builder, id)?;
    let node = builder.document.node(child);
    let at = At::Text(child);
    if !allowed.contains(&kind) {
        let text = format!("<{}> is not allowed here", node.name);
        let help = "A cycle may stand at a start event of the process or a boundary event that does not interrupt.";
        builder
            .report
            .error(Code::Timer, At::Node(child), text, help);
        return None;
    }
    if node.text.trim().is_empty() {
        let help = "Write an ISO-8601 date-time, duration or cycle.";
        builder
            .report
            .error(Code::Timer, at, "the timer has no value", help);
        return None;
    }
    let value = match value::text(builder.report, at, &node.text)? {
        Text::Expr(expr) => TimerValue::Expr(expr),
        Text::Static(text) => match kind.parse(&text) {
            Ok(schedule) => TimerValue::Static(schedule),
            Err(error) => {
                let help = "Correct the value, or write an expression with '='.";
                builder
                    .report
                    .error(Code::Timer, at, error.to_string(), help);
                return None;
            }
        },
    };
    Some(Timer { kind, value })
}

fn timer_kind(builder: &mut Builder<'_, '_>, id: NodeId) -> Option<(NodeId, TimerKind)> {
    let mut kinds = Vec::new();
    for (child, node) in builder.document.children(id) {
        match (node.namespace, &*node.name) {
            (Namespace::Bpmn, "timeDate") => kinds.push((child, TimerKind::Date)),
            (Namespace::Bpmn, "timeDuration") => kinds.push((child, TimerKind::Duration)),
            (Namespace::Bpmn, "timeCycle") => kinds.push((child, TimerKind::Cycle)),
            (Namespace::Bpmn, "documentation" | "extensionElements") => {}
            _ => builder.report.unknown_element(child),
        }
    }
    let [one] = kinds.as_slice() else {
        let text = "a timer must have exactly one of timeDate, timeDuration and timeCycle";
        let help = "Choose one kind of timer in the modeler.";
        builder.report.error(Code::Timer, At::Node(id), text, help);
        return None;
    };
    Some(*one)
}

/// The `bpmn:error` a definition refers to, or `None` inside if it refers to none.
fn error_node(builder: &mut Builder<'_, '_>, id: NodeId) -> Option<Option<NodeId>> {
    let Some(reference) = value::attribute(builder.document, id, "errorRef") else {
        return Some(None);
    };
    let found = builder.definitions.resolve(reference, "error");
    if found.is_none() {
        let text = format!(
            "'errorRef' refers to '{}', which is no error of this document",
            value::quoted(reference)
        );
        builder.report.error(
            Code::BrokenReference,
            At::Attribute(id, "errorRef"),
            text,
            "Correct the reference, or add the error.",
        );
        return None;
    }
    Some(found)
}

fn thrown_error(builder: &mut Builder<'_, '_>, id: NodeId) -> Option<Text> {
    let Some(error) = error_node(builder, id)? else {
        builder
            .report
            .missing(id, "errorRef", "Choose or create the error that is thrown.");
        return None;
    };
    let Some(raw) = value::attribute(builder.document, error, "errorCode") else {
        builder.report.missing(
            error,
            "errorCode",
            "The code is what a boundary event catches.",
        );
        return None;
    };
    value::text(builder.report, At::Attribute(error, "errorCode"), raw)
}

/// The code, or `None` inside to catch every error.
fn caught_error(builder: &mut Builder<'_, '_>, id: NodeId) -> Option<Option<Arc<str>>> {
    let Some(error) = error_node(builder, id)? else {
        return Some(None);
    };
    let Some(raw) = value::attribute(builder.document, error, "errorCode") else {
        builder.report.missing(
            error,
            "errorCode",
            "To catch every error, remove the reference to the error.",
        );
        return None;
    };
    value::constant(builder.report, At::Attribute(error, "errorCode"), raw).map(Some)
}
