//! Camunda's inbound connectors: properties at a start or receiving element that say which outside events it wants, what
//! their key is and what becomes of them. They are read as a binding to CloudEvents (design §7), as `kapelle:event` is.
//!
//! Invariant: expressions see what the connector would have shown them, made of the CloudEvent ([`Payload`]); what a
//! connector does besides (subscribe, authenticate, answer) is not done here, and where that matters a warning says so.
//!
//! Deliberately absent: `deduplicationId` and `consumeUnmatchedEvents`, which are about subscriptions that nobody makes.

use std::sync::Arc;

use kapelle_feel::Expr;

use crate::diagnostic::Code;
use crate::graph::{EventBinding, Message, MessageIndex, Payload, Text};
use crate::xml::{Document, Namespace, NodeId};

use super::message::Use;
use super::process::Builder;
use super::report::At;
use super::{extension, message, value};

/// What names the kind of connector; elements without it have no connector.
const TYPE: &str = "inbound.type";

/// A CloudEvent type by the modeler's hand, where that of the connector's address does not fit.
const EVENT_TYPE: &str = "kapelle.type";

/// What a connector would do and nobody does here: property, whether any value but this one asks for it, and what is so.
const NOT_DONE: [(&str, &str, &str); 4] = [
    (
        "inbound.auth.type",
        "NONE",
        "the connector's authorization is not checked",
    ),
    (
        "inbound.shouldValidateHmac",
        "disabled",
        "the connector's HMAC is not checked",
    ),
    (
        "inbound.responseExpression",
        "",
        "the sender does not get the connector's response",
    ),
    (
        "inbound.verificationExpression",
        "",
        "the connector's verification does not answer",
    ),
];

/// The properties of an element that has a connector, by name.
struct Connector<'d> {
    document: &'d Document,
    properties: Vec<NodeId>,
}

impl<'d> Connector<'d> {
    fn at(document: &'d Document, element: NodeId) -> Option<Self> {
        let properties = extension::all(document, element)
            .filter(|child| document.node(*child).is(Namespace::Zeebe, "properties"))
            .flat_map(|list| document.children(list).map(|(child, _)| child))
            .collect();
        let connector = Self {
            document,
            properties,
        };
        connector.get(TYPE).is_some().then_some(connector)
    }

    /// The property and its value, unless that is blank.
    fn get(&self, name: &str) -> Option<(NodeId, &'d str)> {
        let id = *self
            .properties
            .iter()
            .find(|id| self.document.node(**id).value("name") == Some(name))?;
        let value = value::attribute(self.document, id, "value")?;
        Some((id, value))
    }

    fn expression(&self, builder: &mut Builder<'_, '_>, name: &str) -> Option<Expr> {
        let (id, value) = self.get(name)?;
        value::required_expression(builder.report, At::Attribute(id, "value"), value)
    }

    fn payload(&self) -> Payload {
        let kind = self.get(TYPE).map_or("", |(_, kind)| kind);
        match kind {
            _ if kind.contains("webhook") => Payload::Webhook,
            _ if kind.contains("kafka") => Payload::Kafka,
            _ if kind.contains("rabbitmq") => Payload::Rabbitmq,
            _ => Payload::Body,
        }
    }

    /// The CloudEvent's type: as said, else what the connector listens at, else the message's name.
    fn event_type(&self, builder: &mut Builder<'_, '_>, name: &Text) -> Option<Arc<str>> {
        if let Some((id, value)) = self.get(EVENT_TYPE) {
            return value::constant(builder.report, At::Attribute(id, "value"), value);
        }
        let address = match self.payload() {
            Payload::Webhook => "inbound.context",
            Payload::Kafka => "topic.topicName",
            Payload::Rabbitmq => "queueName",
            Payload::Body | Payload::CloudEvent => "",
        };
        let address = self
            .get(address)
            .filter(|(_, value)| !value.trim_start().starts_with('=') && !value.contains("{{"))
            .map(|(_, value)| Arc::from(value));
        address.or_else(|| name.as_static().cloned())
    }

    /// `resultVariable` gets all of the payload, the members of `resultExpression` become variables beside it; without
    /// both there are none.
    fn variables(&self, builder: &mut Builder<'_, '_>) -> Option<Expr> {
        let result = self.expression(builder, "resultExpression");
        // A comment at its end must not reach further.
        let result = result.map(|expr| format!("({}\n)", expr.text()));
        let whole = self.get("resultVariable").map(|(_, name)| {
            let name = name.trim().replace('\\', "\\\\").replace('"', "\\\"");
            format!("{{\"{name}\": response}}")
        });
        let text = match (whole, result) {
            (Some(whole), Some(result)) => format!("context merge([{whole}, {result}])"),
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) => "{}".to_owned(),
        };
        composed(builder, self.get(TYPE)?.0, &text)
    }

    fn warn_of_what_is_not_done(&self, builder: &mut Builder<'_, '_>) {
        for (name, harmless, what) in NOT_DONE {
            if let Some((id, value)) = self.get(name)
                && value != harmless
            {
                let message = format!("{what}: its events come in through the server's own door");
                let help = "Let the server check who may send events, or run Camunda's connectors beside it.";
                builder
                    .report
                    .warn(Code::Extension, At::Node(id), message, help);
            }
        }
    }
}

/// Expressions that parse by themselves may together be nested too deep.
fn composed(builder: &mut Builder<'_, '_>, id: NodeId, text: &str) -> Option<Expr> {
    Expr::parse(text)
        .inspect_err(|error| {
            let message = format!("the connector's result does not parse: {}", error.message);
            let help = "Simplify resultExpression.";
            builder
                .report
                .error(Code::Expression, At::Node(id), message, help);
        })
        .ok()
}

/// Says so where a connector stands at an element that receives nothing.
pub(super) fn check_place(builder: &mut Builder<'_, '_>, element: NodeId, receives: bool) {
    if receives || Connector::at(builder.document, element).is_none() {
        return;
    }
    let message = "an inbound connector has no effect on an element that receives no message";
    let help = "Put it at a start event of the process, a message event or a receive task.";
    builder
        .report
        .warn(Code::Extension, At::Node(element), message, help);
}

/// Binds the element's message by the element's connector, if it has one. What `kapelle:event` says at the message goes
/// before.
pub(super) fn bind(
    builder: &mut Builder<'_, '_>,
    element: NodeId,
    index: MessageIndex,
    usage: Use,
) {
    let Some(connector) = Connector::at(builder.document, element) else {
        return;
    };
    let message = builder.process.message(index).clone();
    if message
        .binding
        .as_ref()
        .is_some_and(|binding| binding.payload != Payload::CloudEvent)
    {
        let text = format!(
            "message '{}' has an inbound connector already",
            message.name
        );
        let help = "Let each connector have a message of its own; the first one counts.";
        builder
            .report
            .warn(Code::Extension, At::Node(element), text, help);
        return;
    }
    let own = binding(builder, &connector, &message.name);
    if usage == Use::Catch && connector.get("correlationKeyExpression").is_none() {
        let text =
            "the connector has no correlationKeyExpression, so no event ever reaches who waits";
        let help = "Fill in its correlation key (payload).";
        builder
            .report
            .warn(Code::Extension, At::Node(element), text, help);
    }
    connector.warn_of_what_is_not_done(builder);
    let Some(own) = own else { return };
    builder.process.messages[index.0 as usize].binding = Some(match message.binding {
        None => own,
        Some(said) => EventBinding {
            event_type: said.event_type,
            filter: said.filter.or(own.filter),
            key: said.key.or(own.key),
            variables: said.variables.or(own.variables),
            message_id: own.message_id,
            ttl_ms: said.ttl_ms.or(own.ttl_ms),
            lock: said.lock,
            payload: own.payload,
        },
    });
}

/// The message by which events start a process whose start event has a connector and no message of its own.
pub(super) fn start(
    builder: &mut Builder<'_, '_>,
    element: NodeId,
    id: &Arc<str>,
) -> Option<MessageIndex> {
    Connector::at(builder.document, element)?;
    // Nobody else publishes it; the process's id keeps it apart from those of others.
    let name = Text::Static(format!("{}/{id}", builder.process.id).into());
    let index = builder.message(element, |_| Message {
        id: Arc::from(""),
        name,
        correlation_key: None,
        binding: None,
    });
    bind(builder, element, index, Use::Start);
    Some(index)
}

fn binding(
    builder: &mut Builder<'_, '_>,
    connector: &Connector<'_>,
    name: &Text,
) -> Option<EventBinding> {
    let event_type = connector.event_type(builder, name);
    let filter = connector.expression(builder, "activationCondition");
    // Where a connector says nothing there is none; the subject is not meant.
    let key = connector
        .expression(builder, "correlationKeyExpression")
        .or_else(|| Expr::parse("null").ok());
    let variables = connector.variables(builder);
    let message_id = connector.expression(builder, "messageIdExpression");
    let ttl_ms = connector
        .get("messageTtl")
        .and_then(|(id, raw)| message::ttl(builder, At::Attribute(id, "value"), raw));
    Some(EventBinding {
        event_type: event_type?,
        filter,
        key,
        variables,
        message_id,
        ttl_ms,
        lock: true,
        payload: connector.payload(),
    })
}
