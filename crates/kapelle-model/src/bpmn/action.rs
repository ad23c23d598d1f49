//! What tasks and message events do: a job, a message inside, or a CloudEvent to the outside.
//!
//! Invariant: exactly one of `zeebe:taskDefinition`, `zeebe:publishMessage` and `kapelle:publish`. Deliberately absent:
//! user tasks, which describe their job otherwise.

use std::collections::BTreeMap;

use crate::diagnostic::Code;
use crate::graph::{
    Action, Header, HeaderValue, JobDefinition, PublishEvent, PublishMessage, Text,
};
use crate::timer::Period;
use crate::xml::{Namespace, NodeId};

use super::process::Builder;
use super::report::At;
use super::{extension, message, value};

/// Camunda's default number of attempts.
const RETRIES: &str = "3";

const PUBLISH_ATTRIBUTES: [&str; 5] = ["type", "source", "subject", "data", "to"];

/// A service task: a job and nothing else.
pub(super) fn service(builder: &mut Builder<'_, '_>, node: NodeId) -> Option<JobDefinition> {
    let Some(definition) =
        extension::find(builder.document, node, Namespace::Zeebe, "taskDefinition")
    else {
        let help = "Set the job type that a worker asks for.";
        builder.report.error(
            Code::Implementation,
            At::Node(node),
            "must have exactly one zeebe:taskDefinition",
            help,
        );
        return None;
    };
    job(builder, [node; 2], definition)
}

/// What a message event may have among its extensions, at the event or at its definition.
pub(super) const MESSAGE_EXTENSIONS: [&str; 4] =
    ["taskDefinition", "taskHeaders", "publishMessage", "publish"];

/// A send task or message event: `definition` is where `messageRef` stands.
pub(super) fn message(
    builder: &mut Builder<'_, '_>,
    node: NodeId,
    definition: NodeId,
) -> Option<Action> {
    let document = builder.document;
    let places = [node, definition];
    let task = extension::find_at(document, places, Namespace::Zeebe, "taskDefinition");
    let publish_message = extension::find_at(document, places, Namespace::Zeebe, "publishMessage");
    let publish = extension::find_at(document, places, Namespace::Kapelle, "publish");
    check_places(builder, places);
    match (task, publish_message, publish) {
        (Some(task), None, None) => {
            // The message of a job is documentation, but one that is named must exist.
            if value::attribute(document, definition, "messageRef").is_some() {
                message::build(builder, definition, message::Use::Throw);
            }
            job(builder, places, task).map(Action::Job)
        }
        (None, Some(id), None) => {
            publish_internally(builder, id, definition).map(Action::PublishMessage)
        }
        (None, None, Some(id)) => {
            publish_outside(builder, id, definition).map(Action::PublishEvent)
        }
        (None, None, None) => {
            let text =
                "must have one of zeebe:taskDefinition, zeebe:publishMessage and kapelle:publish";
            let help = "Say how the message is sent: by a worker (job type), inside the engine, or as a CloudEvent.";
            builder
                .report
                .error(Code::Implementation, At::Node(node), text, help);
            None
        }
        _ => {
            let text = "has more than one of zeebe:taskDefinition, zeebe:publishMessage and kapelle:publish";
            builder.report.error(
                Code::Implementation,
                At::Node(node),
                text,
                "Keep the one way the message shall be sent.",
            );
            None
        }
    }
}

/// What stands at the event and again at its definition is given twice.
fn check_places(builder: &mut Builder<'_, '_>, [node, definition]: [NodeId; 2]) {
    if node == definition {
        return;
    }
    for name in MESSAGE_EXTENSIONS {
        for namespace in [Namespace::Zeebe, Namespace::Kapelle] {
            let second = extension::find(builder.document, definition, namespace, name);
            if let Some(second) = second
                && extension::find(builder.document, node, namespace, name).is_some()
            {
                let message = format!("<{}{name}> stands at the event already", namespace.prefix());
                builder.report.rule(
                    Code::Extension,
                    At::Node(second),
                    message,
                    "Keep one of them.",
                );
            }
        }
    }
}

/// The job that a `zeebe:taskDefinition` describes, with the headers of its element.
pub(super) fn job(
    builder: &mut Builder<'_, '_>,
    places: [NodeId; 2],
    definition: NodeId,
) -> Option<JobDefinition> {
    let document = builder.document;
    if value::attribute(document, definition, "type").is_none() {
        builder.report.missing(
            definition,
            "type",
            "Write the job type that a worker asks for.",
        );
    }
    let job_type = value::text_attribute(document, builder.report, definition, "type");
    let retries = retries(builder, definition);
    let headers = headers(builder, places);
    Some(JobDefinition {
        job_type: job_type?,
        retries: retries?,
        headers,
    })
}

fn retries(builder: &mut Builder<'_, '_>, definition: NodeId) -> Option<Text> {
    if value::attribute(builder.document, definition, "retries").is_none() {
        return Some(Text::Static(RETRIES.into()));
    }
    let retries = value::text_attribute(builder.document, builder.report, definition, "retries")?;
    let Text::Static(text) = &retries else {
        return Some(retries);
    };
    match text.trim().parse::<i32>() {
        Ok(count) if count >= 0 => Some(Text::Static(text.trim().into())),
        _ => {
            let message = format!("attribute 'retries' is '{}'", value::quoted(text));
            let help = "Write a whole number such as 3, or an expression.";
            builder.report.error(
                Code::InvalidValue,
                At::Attribute(definition, "retries"),
                message,
                help,
            );
            None
        }
    }
}

/// `zeebe:taskHeaders`. A header without key or value is dropped, as Camunda does; of two with one key the last counts.
pub(super) fn headers(builder: &mut Builder<'_, '_>, places: [NodeId; 2]) -> Vec<Header> {
    let document = builder.document;
    let mut headers: Vec<Header> = Vec::new();
    let mut positions: BTreeMap<&str, usize> = BTreeMap::new();
    let Some(list) = extension::find_at(document, places, Namespace::Zeebe, "taskHeaders") else {
        return headers;
    };
    for (child, header) in document.children(list) {
        if !header.is(Namespace::Zeebe, "header") {
            builder.report.unknown_element(child);
            continue;
        }
        let (Some(key), Some(text)) = (
            value::attribute(document, child, "key"),
            value::attribute(document, child, "value"),
        ) else {
            let message = "a header without key or value is left out";
            builder.report.warn(
                Code::Extension,
                At::Node(child),
                message,
                "Fill in both, or remove the header.",
            );
            continue;
        };
        let value = HeaderValue::Static(text.into());
        match positions.get(key) {
            Some(position) => headers[*position].value = value,
            None => {
                positions.insert(key, headers.len());
                headers.push(Header {
                    key: key.into(),
                    value,
                });
            }
        }
    }
    headers
}

fn publish_internally(
    builder: &mut Builder<'_, '_>,
    id: NodeId,
    definition: NodeId,
) -> Option<PublishMessage> {
    let document = builder.document;
    let message = message::build(builder, definition, message::Use::Throw);
    let correlation_key = value::text_attribute(document, builder.report, id, "correlationKey");
    let message_id = value::text_attribute(document, builder.report, id, "messageId");
    let time_to_live = value::text_attribute(document, builder.report, id, "timeToLive");
    if let Some(Text::Static(ttl)) = &time_to_live
        && let Err(error) = Period::parse(ttl)
    {
        let text = format!("attribute 'timeToLive' is wrong: {error}");
        builder.report.error(
            Code::InvalidValue,
            At::Attribute(id, "timeToLive"),
            text,
            "Write a duration such as PT1H, or an expression.",
        );
    }
    Some(PublishMessage {
        message: message?,
        correlation_key,
        message_id,
        time_to_live,
    })
}

fn publish_outside(
    builder: &mut Builder<'_, '_>,
    id: NodeId,
    definition: NodeId,
) -> Option<PublishEvent> {
    let document = builder.document;
    extension::check_own_attributes(builder, id, &PUBLISH_ATTRIBUTES);
    let message = value::attribute(document, definition, "messageRef")
        .and_then(|_| message::build(builder, definition, message::Use::Throw));
    let event_type = match (value::attribute(document, id, "type"), message) {
        (Some(_), _) => value::text_attribute(document, builder.report, id, "type"),
        (None, Some(message)) => Some(builder.process.message(message).name.clone()),
        (None, None) => {
            builder.report.missing(
                id,
                "type",
                "Write the type of the CloudEvent, or refer to a message whose name is the type.",
            );
            None
        }
    };
    let source = value::text_attribute(document, builder.report, id, "source");
    let subject = value::text_attribute(document, builder.report, id, "subject");
    let data = value::expression_attribute(document, builder.report, id, "data");
    let to = value::text_attribute(document, builder.report, id, "to");
    Some(PublishEvent {
        event_type: event_type?,
        source,
        subject,
        data,
        to,
    })
}
