//! The graph as compact text for expectations in tests and for `check --verbose`.
//!
//! Invariant: a function of the graph alone, one line per element, flow or detail, in index order.
//! Deliberately absent: a parser for it. `notation` is the way in, this is the way out.

use std::fmt::{Display, Write};

use super::{
    Action, Boundary, BoundaryTrigger, CatchTrigger, Element, ElementKind, EndBehavior,
    EventBinding, Flow, HeaderValue, Mapping, Payload, Process, StartTrigger, Text, ThrowBehavior,
    Timer, TimerKind, TimerValue,
};

pub(super) fn print(process: &Process) -> String {
    let mut out = String::new();
    for (index, element) in process.elements.iter().enumerate() {
        let depth = depth(process, index);
        line(&mut out, depth, &describe(process, element));
        for detail in details(process, element) {
            line(&mut out, depth + 1, &detail);
        }
    }
    for flow in &process.flows {
        line(&mut out, 0, &describe_flow(process, flow));
    }
    out
}

fn line(out: &mut String, depth: usize, text: &str) {
    // Expressions of several lines stay on one.
    let text = text.replace('\n', "\\n");
    writeln!(out, "{:1$}{text}", "", depth * 2)
        .expect("invariant: writing to a string cannot fail");
}

fn depth(process: &Process, index: usize) -> usize {
    let mut depth = 0;
    let mut at = index;
    while at != 0 {
        at = process.elements[at].scope.0 as usize;
        depth += 1;
    }
    depth
}

fn describe(process: &Process, element: &Element) -> String {
    let mut out = format!("{} {}", element.element_type.as_str(), element.id);
    if let Some(name) = &element.name {
        write!(out, " {name:?}").expect("invariant: writing to a string cannot fail");
    }
    let kind = kind(process, &element.kind);
    if !kind.is_empty() {
        out.push_str(": ");
        out.push_str(&kind);
    }
    out
}

fn kind(process: &Process, kind: &ElementKind) -> String {
    let id = |index| process.element(index).id.to_string();
    match kind {
        ElementKind::Process => process
            .version_tag
            .as_ref()
            .map(|tag| format!("version tag {tag}"))
            .unwrap_or_default(),
        ElementKind::SubProcess { start } => format!("starts at {}", id(*start)),
        ElementKind::StartEvent(StartTrigger::None) | ElementKind::EndEvent(EndBehavior::None) => {
            String::new()
        }
        ElementKind::StartEvent(StartTrigger::Message(index))
        | ElementKind::CatchEvent(CatchTrigger::Message(index))
        | ElementKind::ReceiveTask(index) => message(process, *index),
        ElementKind::StartEvent(StartTrigger::Timer(t))
        | ElementKind::CatchEvent(CatchTrigger::Timer(t)) => timer(t),
        ElementKind::EndEvent(EndBehavior::Terminate) => "terminate".to_owned(),
        ElementKind::EndEvent(EndBehavior::Error { code }) => format!("error {code}"),
        ElementKind::EndEvent(EndBehavior::Message(a))
        | ElementKind::ThrowEvent(ThrowBehavior::Message(a))
        | ElementKind::ActionTask(a) => action(process, a),
        ElementKind::BoundaryEvent(boundary) => boundary_text(process, boundary),
        ElementKind::ExclusiveGateway {
            default: Some(flow),
        } => format!("default {}", process.flow(*flow).id),
        ElementKind::ThrowEvent(ThrowBehavior::None)
        | ElementKind::PassThroughTask
        | ElementKind::ExclusiveGateway { default: None }
        | ElementKind::ParallelGateway
        | ElementKind::EventBasedGateway => String::new(),
    }
}

fn boundary_text(process: &Process, boundary: &Boundary) -> String {
    let trigger = match &boundary.trigger {
        BoundaryTrigger::Message(index) => message(process, *index),
        BoundaryTrigger::Timer(t) => timer(t),
        BoundaryTrigger::Error { code: Some(code) } => format!("error {code}"),
        BoundaryTrigger::Error { code: None } => "any error".to_owned(),
    };
    let how = if boundary.interrupting {
        "interrupts"
    } else {
        "accompanies"
    };
    format!(
        "{how} {} on {trigger}",
        process.element(boundary.attached_to).id
    )
}

fn message(process: &Process, index: super::MessageIndex) -> String {
    let message = process.message(index);
    let mut out = format!("message {}", message.name);
    if let Some(key) = &message.correlation_key {
        write!(out, " key ={}", key.text()).expect("invariant: writing to a string cannot fail");
    }
    if let Some(binding) = &message.binding {
        out.push_str(&binding_text(binding));
    }
    out
}

fn binding_text(binding: &EventBinding) -> String {
    let mut out = format!(" event {}", binding.event_type);
    let expressions = [
        ("filter", &binding.filter),
        ("key", &binding.key),
        ("variables", &binding.variables),
        ("message id", &binding.message_id),
    ];
    for (name, expr) in expressions {
        if let Some(expr) = expr {
            write!(out, " {name} ={}", expr.text())
                .expect("invariant: writing to a string cannot fail");
        }
    }
    if let Some(ttl) = binding.ttl_ms {
        write!(out, " ttl {ttl} ms").expect("invariant: writing to a string cannot fail");
    }
    if !binding.lock {
        out.push_str(" without lock");
    }
    if binding.payload != Payload::CloudEvent {
        write!(out, " as {:?}", binding.payload)
            .expect("invariant: writing to a string cannot fail");
    }
    out
}

fn timer(timer: &Timer) -> String {
    let kind = match timer.kind {
        TimerKind::Date => "date",
        TimerKind::Duration => "duration",
        TimerKind::Cycle => "cycle",
    };
    match &timer.value {
        TimerValue::Static(schedule) => format!("timer {kind} {schedule}"),
        TimerValue::Expr(expr) => format!("timer {kind} ={}", expr.text()),
    }
}

fn action(process: &Process, action: &Action) -> String {
    match action {
        Action::Job(job) => format!("job {} retries {}", job.job_type, job.retries),
        Action::PublishMessage(publish) => {
            let mut out = format!("publish message {}", process.message(publish.message).name);
            optional(&mut out, "key", publish.correlation_key.as_ref());
            optional(&mut out, "id", publish.message_id.as_ref());
            optional(&mut out, "ttl", publish.time_to_live.as_ref());
            out
        }
        Action::PublishEvent(publish) => {
            let mut out = format!("publish event {}", publish.event_type);
            optional(&mut out, "source", publish.source.as_ref());
            optional(&mut out, "subject", publish.subject.as_ref());
            optional(
                &mut out,
                "data",
                publish
                    .data
                    .as_ref()
                    .map(|data| format!("={}", data.text()))
                    .as_ref(),
            );
            optional(&mut out, "to", publish.to.as_ref());
            out
        }
    }
}

fn optional<T: Display>(out: &mut String, name: &str, value: Option<&T>) {
    if let Some(value) = value {
        write!(out, " {name} {value}").expect("invariant: writing to a string cannot fail");
    }
}

fn details(process: &Process, element: &Element) -> Vec<String> {
    let mut out = Vec::new();
    out.extend(
        element
            .inputs
            .iter()
            .map(|mapping| mapping_text("input", mapping)),
    );
    out.extend(
        element
            .outputs
            .iter()
            .map(|mapping| mapping_text("output", mapping)),
    );
    if let Some(Action::Job(job)) = element.kind.action() {
        out.extend(
            job.headers
                .iter()
                .map(|header| format!("header {} = {}", header.key, header_text(&header.value))),
        );
    }
    if !element.boundary.is_empty() {
        let ids: Vec<&str> = element
            .boundary
            .iter()
            .map(|index| &*process.element(*index).id)
            .collect();
        out.push(format!("boundary {}", ids.join(", ")));
    }
    out
}

fn mapping_text(what: &str, mapping: &Mapping) -> String {
    let source = match &mapping.source {
        Text::Static(text) => format!("{text:?}"),
        Text::Expr(_) => mapping.source.to_string(),
    };
    format!("{what} {} {source}", mapping.target.join("."))
}

fn header_text(value: &HeaderValue) -> String {
    match value {
        HeaderValue::Static(text) => format!("{text:?}"),
        HeaderValue::Text(expr) => format!("={}", expr.text()),
        HeaderValue::TextList(expr) => format!("list ={}", expr.text()),
        HeaderValue::DateTime(expr) => format!("date-time ={}", expr.text()),
    }
}

fn describe_flow(process: &Process, flow: &Flow) -> String {
    let mut out = format!(
        "{}: {} -> {}",
        flow.id,
        process.element(flow.source).id,
        process.element(flow.target).id
    );
    if let Some(condition) = &flow.condition {
        write!(out, " if {}", condition.text())
            .expect("invariant: writing to a string cannot fail");
    }
    if flow.is_default {
        out.push_str(" by default");
    }
    out
}
