//! `bpmn:message`: name, `zeebe:subscription`, and the binding to CloudEvents (`kapelle:event`).
//!
//! Invariant: a message is built once per process, whoever uses it; what each use needs is checked at each use.
//! Deliberately absent: correlation itself.

use std::sync::Arc;

use kapelle_feel::{Env, Value};

use crate::diagnostic::Code;
use crate::graph::{EventBinding, Message, MessageIndex, Payload, Text};
use crate::timer::Period;
use crate::xml::{Namespace, NodeId};

use super::process::Builder;
use super::report::At;
use super::{extension, inbound, value};

/// What an element wants of a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Use {
    Start,
    Catch,
    Throw,
}

const EVENT_ATTRIBUTES: [&str; 6] = ["type", "filter", "key", "variables", "ttl", "lock"];

/// The message that an element receives: the one that `messageRef` of `id` names, bound by the element's connector.
pub(super) fn receive(
    builder: &mut Builder<'_, '_>,
    element: NodeId,
    id: NodeId,
    usage: Use,
) -> Option<MessageIndex> {
    let index = build(builder, id, usage)?;
    inbound::bind(builder, element, index, usage);
    Some(index)
}

/// The message that `messageRef` of a node names, fit for its use.
pub(super) fn build(builder: &mut Builder<'_, '_>, id: NodeId, usage: Use) -> Option<MessageIndex> {
    let document = builder.document;
    let Some(reference) = value::attribute(document, id, "messageRef") else {
        builder.report.missing(
            id,
            "messageRef",
            "Choose or create a message in the modeler.",
        );
        return None;
    };
    let Some(node) = builder.definitions.resolve(reference, "message") else {
        let message = format!(
            "'messageRef' refers to '{}', which is no message of this document",
            value::quoted(reference)
        );
        builder.report.error(
            Code::BrokenReference,
            At::Attribute(id, "messageRef"),
            message,
            "Correct the reference, or add the message.",
        );
        return None;
    };
    let index = builder.message(node, |builder| read(builder, node));
    let message = builder.process.message(index);
    if usage == Use::Catch && message.correlation_key.is_none() && !has_subscription(builder, node)
    {
        let text =
            "a caught message must have a zeebe:subscription with a correlation key".to_owned();
        let help = "Add a subscription correlation key to the message: an expression over the process's variables.";
        builder
            .report
            .rule(Code::Message, At::Node(node), text, help);
    }
    let message = builder.process.message(index);
    if usage == Use::Start
        && let Text::Expr(expr) = &message.name
    {
        let text = format!(
            "the name of a message that starts a process must be constant, but is '={}'",
            value::quoted(expr.text())
        );
        builder.report.rule(
            Code::ConstantRequired,
            At::Attribute(node, "name"),
            text,
            "Write the name itself, without '='.",
        );
    }
    Some(index)
}

fn has_subscription(builder: &Builder<'_, '_>, node: NodeId) -> bool {
    // One that is there but wrong has already been reported.
    extension::find(builder.document, node, Namespace::Zeebe, "subscription").is_some()
}

fn read(builder: &mut Builder<'_, '_>, id: NodeId) -> Message {
    let document = builder.document;
    let node = document.node(id);
    let raw = node.value("name").unwrap_or_default();
    if raw.trim().is_empty() {
        builder.report.rule(
            Code::Message,
            At::Node(id),
            "a message must have a name",
            "The name is what publishers say.",
        );
    }
    let name = value::text(builder.report, At::Attribute(id, "name"), raw)
        .map_or_else(|| Text::Static(Arc::from("")), fold);
    let subscription = extension::find(document, id, Namespace::Zeebe, "subscription");
    let correlation_key = subscription.and_then(|subscription| {
        if value::attribute(document, subscription, "correlationKey").is_none() {
            builder.report.missing(
                subscription,
                "correlationKey",
                "Write an expression such as =orderId.",
            );
        }
        value::expression_attribute(document, builder.report, subscription, "correlationKey")
    });
    let event = extension::find(document, id, Namespace::Kapelle, "event");
    let binding = event.and_then(|event| binding(builder, event, &name));
    extension::check(builder, id, &["subscription", "event"]);
    Message {
        id: node.value("id").unwrap_or_default().into(),
        name,
        correlation_key,
        binding,
    }
}

/// An expression that reads no variable and gives a text is that text: Camunda evaluates such names at deployment. One
/// that calls a function may give another text each time, so it stays.
fn fold(name: Text) -> Text {
    let Text::Expr(expr) = &name else { return name };
    if !expr.variables().is_empty() || expr.text().contains('(') {
        return name;
    }
    match expr
        .evaluate(&(), &Env::default())
        .map(|evaluation| evaluation.value)
    {
        Ok(Value::String(text)) => Text::Static(Arc::from(&*text)),
        _ => name,
    }
}

fn binding(builder: &mut Builder<'_, '_>, id: NodeId, name: &Text) -> Option<EventBinding> {
    let document = builder.document;
    extension::check_own_attributes(builder, id, &EVENT_ATTRIBUTES);
    let report = &mut *builder.report;
    let event_type = match (value::attribute(document, id, "type"), name) {
        (Some(raw), _) => value::constant(report, At::Attribute(id, "type"), raw),
        (None, Text::Static(name)) => Some(name.clone()),
        (None, Text::Expr(_)) => {
            report.missing(
                id,
                "type",
                "Where the message's name is an expression, the CloudEvent's type must be given.",
            );
            None
        }
    };
    let filter = value::expression_attribute(document, report, id, "filter");
    let key = value::expression_attribute(document, report, id, "key");
    let variables = value::expression_attribute(document, report, id, "variables");
    let ttl_ms = value::attribute(document, id, "ttl")
        .and_then(|raw| ttl(builder, At::Attribute(id, "ttl"), raw));
    let lock = value::boolean(document, builder.report, id, "lock") != Some(false);
    Some(EventBinding {
        event_type: event_type?,
        filter,
        key,
        variables,
        message_id: None,
        ttl_ms,
        lock,
        payload: Payload::CloudEvent,
    })
}

pub(super) fn ttl(builder: &mut Builder<'_, '_>, at: At<'_>, raw: &str) -> Option<u64> {
    let help = "Write an ISO-8601 duration in days or less, such as PT1H.";
    match Period::parse(raw) {
        // Months have no fixed length, and this length is needed without a calendar.
        Ok(period) if period.months == 0 && period.ms >= 0 => u64::try_from(period.ms).ok(),
        Ok(_) => {
            let message = format!("{} is '{}'", value::place(at), value::quoted(raw));
            builder.report.error(Code::InvalidValue, at, message, help);
            None
        }
        Err(error) => {
            builder.report.error(
                Code::InvalidValue,
                at,
                format!("{} is wrong: {error}", value::place(at)),
                help,
            );
            None
        }
    }
}
