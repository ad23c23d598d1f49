//! Nodes and flows into BPMN XML.
//!
//! Invariant: an argument whose first word is not known panics. Deliberately absent: diagrams.

use std::fmt::Write;

use super::text::{Flow, Node, Scope};

/// The words that arguments may begin with.
const WORDS: [&str; 27] = [
    "type",
    "job",
    "retries",
    "header",
    "assignee",
    "in",
    "out",
    "message",
    "key",
    "id",
    "ttl",
    "event",
    "filter",
    "eventkey",
    "variables",
    "eventttl",
    "lock",
    "publish",
    "source",
    "subject",
    "data",
    "to",
    "date",
    "duration",
    "cycle",
    "terminate",
    "error",
];

/// What is written besides the process: messages and errors, in order of use.
#[derive(Default)]
struct Definitions {
    xml: String,
    messages: Vec<String>,
    errors: Vec<String>,
}

pub(super) fn document(scope: &Scope) -> String {
    let mut definitions = Definitions::default();
    let mut body = String::new();
    write_scope(&mut body, &mut definitions, scope);
    format!(
        "<definitions xmlns=\"http://www.omg.org/spec/BPMN/20100524/MODEL\" \
         xmlns:zeebe=\"http://camunda.org/schema/zeebe/1.0\" xmlns:kapelle=\"urn:kapelle:bpmn:1\">\n\
         <process id=\"{}\" isExecutable=\"true\">\n{body}</process>\n{}</definitions>\n",
        scope.name, definitions.xml
    )
}

fn write_scope(out: &mut String, definitions: &mut Definitions, scope: &Scope) {
    for node in &scope.nodes {
        write_node(out, definitions, scope, node);
    }
    for flow in &scope.flows {
        write_flow(out, flow);
    }
}

fn write_flow(out: &mut String, flow: &Flow) {
    let target = flow
        .target
        .as_deref()
        .expect("invariant: the parser checks that flows lead somewhere");
    element(
        out,
        "sequenceFlow",
        &[
            ("id", &flow.id),
            ("sourceRef", &flow.source),
            ("targetRef", target),
        ],
        |out| {
            if let Some(condition) = &flow.condition {
                element(out, "conditionExpression", &[], |out| {
                    out.push_str(&escape(&format!("={condition}")))
                });
            }
        },
    );
}

fn write_node(out: &mut String, definitions: &mut Definitions, scope: &Scope, node: &Node) {
    let tag = match &*node.kind {
        "service" => "serviceTask",
        "send" => "sendTask",
        "receive" => "receiveTask",
        "user" => "userTask",
        "manual" => "manualTask",
        "task" => "task",
        "start" => "startEvent",
        "end" => "endEvent",
        "throw" => "intermediateThrowEvent",
        "catch" => "intermediateCatchEvent",
        "boundary" => "boundaryEvent",
        "exclusive" => "exclusiveGateway",
        "parallel" => "parallelGateway",
        "event" => "eventBasedGateway",
        "sub" => "subProcess",
        other => panic!("'{other}' is no kind of node"),
    };
    let parts = Parts::of(definitions, node);
    let mut attributes: Vec<(&str, &str)> = vec![("id", &node.id)];
    if let Some((host, interrupts)) = &node.attached {
        attributes.push(("attachedToRef", host));
        attributes.push(("cancelActivity", if *interrupts { "true" } else { "false" }));
    }
    if let Some(flow) = scope
        .flows
        .iter()
        .find(|flow| flow.is_default && flow.source == node.id)
    {
        attributes.push(("default", &flow.id));
    }
    if let (Some(message), "send" | "receive") = (&parts.message, &*node.kind) {
        attributes.push(("messageRef", message));
    }
    element(out, tag, &attributes, |out| {
        if !parts.extensions.is_empty() {
            element(out, "extensionElements", &[], |out| {
                out.push_str(&parts.extensions)
            });
        }
        if !matches!(&*node.kind, "send" | "receive") {
            out.push_str(&parts.definition);
        }
        if let Some(inner) = &node.inner {
            out.push('\n');
            write_scope(out, definitions, inner);
        }
    });
    out.push('\n');
}

/// What the arguments of a node come to.
#[derive(Default)]
struct Parts {
    extensions: String,
    mappings: String,
    headers: String,
    /// The event definition.
    definition: String,
    /// Id of the message.
    message: Option<String>,
}

impl Parts {
    fn of(definitions: &mut Definitions, node: &Node) -> Self {
        let mut parts = Self::default();
        if let Some((word, _)) = node
            .arguments
            .iter()
            .find(|(word, _)| !WORDS.contains(&&**word))
        {
            panic!("'{word}' of '{}' is no word of an argument", node.id);
        }
        parts.read_mappings(node);
        match &*node.kind {
            "service" | "user" => parts.job(node),
            "send" | "throw" | "end" => parts.throw(definitions, node),
            _ => parts.trigger(definitions, node),
        }
        if !parts.headers.is_empty() {
            write!(
                parts.extensions,
                "<zeebe:taskHeaders>{}</zeebe:taskHeaders>",
                parts.headers
            )
            .expect(STRING);
        }
        if !parts.mappings.is_empty() {
            write!(
                parts.extensions,
                "<zeebe:ioMapping>{}</zeebe:ioMapping>",
                parts.mappings
            )
            .expect(STRING);
        }
        parts
    }

    fn read_mappings(&mut self, node: &Node) {
        for (word, rest) in &node.arguments {
            let tag = match &**word {
                "in" => "zeebe:input",
                "out" => "zeebe:output",
                _ => continue,
            };
            let (target, source) = rest
                .split_once('=')
                .unwrap_or_else(|| panic!("write the mapping '{rest}' as path = expression"));
            empty(
                &mut self.mappings,
                tag,
                &[
                    ("source", &format!("={}", source.trim())),
                    ("target", target.trim()),
                ],
            );
        }
    }

    fn job(&mut self, node: &Node) {
        let job_type = argument(node, "type").or_else(|| argument(node, "job"));
        if node.kind == "service" || job_type.is_some() {
            let retries = argument(node, "retries");
            let mut attributes = vec![("type", job_type.unwrap_or(&node.id))];
            attributes.extend(retries.map(|retries| ("retries", retries)));
            empty(&mut self.extensions, "zeebe:taskDefinition", &attributes);
        }
        if let Some(assignee) = argument(node, "assignee") {
            empty(
                &mut self.extensions,
                "zeebe:assignmentDefinition",
                &[("assignee", assignee)],
            );
        }
        for (_, rest) in node.arguments.iter().filter(|(word, _)| word == "header") {
            let (key, value) = rest
                .split_once(' ')
                .unwrap_or_else(|| panic!("write the header '{rest}' as header key value"));
            empty(
                &mut self.headers,
                "zeebe:header",
                &[("key", key), ("value", value)],
            );
        }
    }

    fn throw(&mut self, definitions: &mut Definitions, node: &Node) {
        if let Some(event_type) = argument(node, "publish") {
            let mut attributes = vec![("type", event_type)];
            attributes.extend(
                ["source", "subject", "data", "to"]
                    .iter()
                    .filter_map(|name| Some((*name, argument(node, name)?))),
            );
            empty(&mut self.extensions, "kapelle:publish", &attributes);
        } else if argument(node, "message").is_some() {
            self.message(definitions, node, false);
            let names = [
                ("key", "correlationKey"),
                ("id", "messageId"),
                ("ttl", "timeToLive"),
            ];
            let attributes: Vec<(&str, &str)> = names
                .iter()
                .filter_map(|(word, name)| Some((*name, argument(node, word)?)))
                .collect();
            empty(&mut self.extensions, "zeebe:publishMessage", &attributes);
        } else if argument(node, "job").is_some() || node.kind == "send" {
            self.job(node);
        } else {
            self.trigger(definitions, node);
            return;
        }
        let reference = self.message.clone();
        let attributes: Vec<(&str, &str)> =
            reference.iter().map(|id| ("messageRef", &**id)).collect();
        empty(&mut self.definition, "messageEventDefinition", &attributes);
    }

    fn trigger(&mut self, definitions: &mut Definitions, node: &Node) {
        if argument(node, "message").is_some() {
            self.message(definitions, node, true);
            let id = self.message.clone().expect("invariant: just made");
            empty(
                &mut self.definition,
                "messageEventDefinition",
                &[("messageRef", &id)],
            );
        }
        for (word, tag) in [
            ("date", "timeDate"),
            ("duration", "timeDuration"),
            ("cycle", "timeCycle"),
        ] {
            if let Some(value) = argument(node, word) {
                element(&mut self.definition, "timerEventDefinition", &[], |out| {
                    element(out, tag, &[], |out| out.push_str(&escape(value)));
                });
            }
        }
        if argument(node, "terminate").is_some() {
            empty(&mut self.definition, "terminateEventDefinition", &[]);
        }
        match argument(node, "error") {
            None => {}
            Some("") => empty(&mut self.definition, "errorEventDefinition", &[]),
            Some(code) => {
                let id = definitions.error(code);
                empty(
                    &mut self.definition,
                    "errorEventDefinition",
                    &[("errorRef", &id)],
                );
            }
        }
    }

    fn message(&mut self, definitions: &mut Definitions, node: &Node, is_caught: bool) {
        let name = argument(node, "message").expect("invariant: asked before");
        let mut extensions = String::new();
        if is_caught && let Some(key) = argument(node, "key") {
            empty(
                &mut extensions,
                "zeebe:subscription",
                &[("correlationKey", &format!("={key}"))],
            );
        }
        let binding: Vec<(&str, String)> = [
            ("event", "type", ""),
            ("filter", "filter", "="),
            ("eventkey", "key", "="),
            ("variables", "variables", "="),
            ("eventttl", "ttl", ""),
            ("lock", "lock", ""),
        ]
        .into_iter()
        .filter_map(|(word, name, prefix)| {
            Some((name, format!("{prefix}{}", argument(node, word)?)))
        })
        .collect();
        if !binding.is_empty() {
            let attributes: Vec<(&str, &str)> = binding
                .iter()
                .map(|(name, value)| (*name, &**value))
                .collect();
            empty(&mut extensions, "kapelle:event", &attributes);
        }
        self.message = Some(definitions.message(name, &extensions));
    }
}

impl Definitions {
    /// One message for each name and description; the same again is the same message.
    fn message(&mut self, name: &str, extensions: &str) -> String {
        let content = format!(
            " name=\"{}\"><extensionElements>{extensions}</extensionElements></message>\n",
            escape(name)
        );
        let index = self
            .messages
            .iter()
            .position(|known| *known == content)
            .unwrap_or_else(|| {
                write!(
                    self.xml,
                    "<message id=\"message{}\"{content}",
                    self.messages.len()
                )
                .expect(STRING);
                self.messages.push(content);
                self.messages.len() - 1
            });
        format!("message{index}")
    }

    fn error(&mut self, code: &str) -> String {
        let index = self
            .errors
            .iter()
            .position(|known| known == code)
            .unwrap_or_else(|| {
                writeln!(
                    self.xml,
                    "<error id=\"error{}\" errorCode=\"{}\"/>",
                    self.errors.len(),
                    escape(code)
                )
                .expect(STRING);
                self.errors.push(code.to_owned());
                self.errors.len() - 1
            });
        format!("error{index}")
    }
}

const STRING: &str = "invariant: writing to a string cannot fail";

fn argument<'a>(node: &'a Node, word: &str) -> Option<&'a str> {
    node.arguments
        .iter()
        .find(|(first, _)| first == word)
        .map(|(_, rest)| &**rest)
}

fn empty(out: &mut String, tag: &str, attributes: &[(&str, &str)]) {
    element(out, tag, attributes, |_| {});
}

fn element(
    out: &mut String,
    tag: &str,
    attributes: &[(&str, &str)],
    content: impl FnOnce(&mut String),
) {
    write!(out, "<{tag}").expect(STRING);
    for (name, value) in attributes {
        write!(out, " {name}=\"{}\"", escape(value)).expect(STRING);
    }
    let start = out.len();
    out.push('>');
    content(out);
    if out.len() == start + 1 {
        out.truncate(start);
        out.push_str("/>");
    } else {
        write!(out, "</{tag}>").expect(STRING);
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
