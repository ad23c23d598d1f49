//! User tasks that are jobs: Camunda's form before `zeebe:userTask`, worked on by any worker or task list.
//!
//! The job has the type `io.camunda.zeebe:userTask` and tells what it is about in headers `io.camunda.zeebe:*`.
//!
//! Invariant: whatever describes the task is in a header; nothing of it is dropped. Deliberately absent: Camunda user
//! tasks (`zeebe:userTask`), deployed forms (`formId`) and priorities, which are refused.

use crate::diagnostic::Code;
use crate::graph::{Header, HeaderValue, JobDefinition, Text};
use crate::xml::{Namespace, NodeId};

use super::process::Builder;
use super::report::At;
use super::{action, extension, value};

const JOB_TYPE: &str = "io.camunda.zeebe:userTask";

/// A person is asked once: a failed attempt is an incident at once, as in Camunda.
const RETRIES: &str = "1";

pub(super) fn build(builder: &mut Builder<'_, '_>, node: NodeId) -> Option<JobDefinition> {
    let document = builder.document;
    let mut job = match extension::find(document, node, Namespace::Zeebe, "taskDefinition") {
        Some(definition) => action::job(builder, [node; 2], definition)?,
        None => JobDefinition {
            job_type: Text::Static(JOB_TYPE.into()),
            retries: Text::Static(RETRIES.into()),
            headers: action::headers(builder, [node; 2]),
        },
    };
    let mut described = Vec::new();
    if let Some(id) = extension::find(document, node, Namespace::Zeebe, "assignmentDefinition") {
        described.extend(text(builder, id, "assignee", "assignee"));
        described.extend(list(builder, id, "candidateGroups"));
        described.extend(list(builder, id, "candidateUsers"));
    }
    if let Some(id) = extension::find(document, node, Namespace::Zeebe, "taskSchedule") {
        described.extend(date(builder, id, "dueDate"));
        described.extend(date(builder, id, "followUpDate"));
    }
    if let Some(id) = extension::find(document, node, Namespace::Zeebe, "formDefinition") {
        described.extend(form(builder, id));
    }
    job.headers.extend(described);
    Some(job)
}

fn header(name: &str, value: HeaderValue) -> Header {
    Header {
        key: format!("io.camunda.zeebe:{name}").into(),
        value,
    }
}

fn text(builder: &mut Builder<'_, '_>, id: NodeId, attribute: &str, name: &str) -> Option<Header> {
    let value = match value::text_attribute(builder.document, builder.report, id, attribute)? {
        Text::Static(text) => HeaderValue::Static(text),
        Text::Expr(expr) => HeaderValue::Text(expr),
    };
    Some(header(name, value))
}

/// Static text is values separated by commas; they become the list expression that they abbreviate.
fn list(builder: &mut Builder<'_, '_>, id: NodeId, name: &str) -> Option<Header> {
    let expr = match value::text_attribute(builder.document, builder.report, id, name)? {
        Text::Expr(expr) => expr,
        Text::Static(text) => {
            let items: Vec<&str> = text.split(',').map(str::trim).collect();
            if items.iter().any(|item| item.is_empty()) {
                let message = format!(
                    "attribute '{name}' is '{}': a value between commas is empty",
                    value::quoted(&text)
                );
                builder.report.rule(
                    Code::Assignment,
                    At::Attribute(id, name),
                    message,
                    "Write values separated by single commas.",
                );
            }
            let quoted: Vec<String> = items
                .iter()
                .map(|item| format!("\"{}\"", item.replace('\\', "\\\\").replace('"', "\\\"")))
                .collect();
            value::required_expression(
                builder.report,
                At::Attribute(id, name),
                &format!("=[{}]", quoted.join(",")),
            )?
        }
    };
    Some(header(name, HeaderValue::TextList(expr)))
}

fn date(builder: &mut Builder<'_, '_>, id: NodeId, name: &str) -> Option<Header> {
    let value = match value::text_attribute(builder.document, builder.report, id, name)? {
        Text::Expr(expr) => HeaderValue::DateTime(expr),
        Text::Static(text) => {
            if let Err(error) = crate::graph::TimerKind::Date.parse(&text) {
                let message = format!("attribute '{name}' is wrong: {error}");
                builder.report.rule(
                    Code::Assignment,
                    At::Attribute(id, name),
                    message,
                    "Write a date-time with offset, or an expression.",
                );
            }
            HeaderValue::Static(text)
        }
    };
    Some(header(name, value))
}

fn form(builder: &mut Builder<'_, '_>, id: NodeId) -> Option<Header> {
    let given: Vec<&str> = ["formKey", "formId", "externalReference"]
        .into_iter()
        .filter(|name| value::attribute(builder.document, id, name).is_some())
        .collect();
    match given.as_slice() {
        ["formKey"] => text(builder, id, "formKey", "formKey"),
        [other] => {
            let message = format!("'{other}' of <zeebe:formDefinition> is not executable yet");
            builder.report.error(
                Code::Form,
                At::Attribute(id, other),
                message,
                "Use formKey, which the task list resolves.",
            );
            None
        }
        _ => {
            let message =
                "a form definition must have exactly one of formKey, formId and externalReference";
            builder
                .report
                .error(Code::Form, At::Node(id), message, "Keep one of them.");
            None
        }
    }
}
