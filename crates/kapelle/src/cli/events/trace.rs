//! Trees of causes laid out for a person.

use super::line::subject;
use crate::cli::output::{Style, cell};
use crate::client::Document;

pub(crate) fn text(trace: &Document, style: Style) -> String {
    let items = trace.list("items");
    let depths: Vec<_> = items.iter().map(depth).collect();
    let mut text = String::new();
    for (at, item) in items.iter().enumerate() {
        text.push_str(&style.faint(&branches(&depths, at)));
        text.push_str(&line(item, style));
        text.push('\n');
    }
    if trace.flag("truncated") == Some(true) {
        text.push_str(&style.warning("there is more than is shown"));
        text.push('\n');
    }
    text
}

fn depth(item: &Document) -> usize {
    usize::try_from(item.number("depth").unwrap_or_default()).unwrap_or_default()
}

/// The lines that lead from those above to an item.
fn branches(depths: &[usize], at: usize) -> String {
    let depth = depths.get(at).copied().unwrap_or_default();
    let behind = depths.get(at + 1..).unwrap_or_default();
    let goes_on = |level: usize| {
        let next = behind.iter().find(|depth| **depth <= level);
        next.is_some_and(|depth| *depth == level)
    };
    (1..=depth)
        .map(|level| match (level == depth, goes_on(level)) {
            (true, true) => "├─ ",
            (true, false) => "└─ ",
            (false, true) => "│  ",
            (false, false) => "   ",
        })
        .collect()
}

fn line(item: &Document, style: Style) -> String {
    let text = if let Some(event) = item.object("event") {
        event_line(item, &event, style)
    } else if let Some(instance) = item.object("processInstance") {
        let met = if item.text("by") == Some("MET") {
            "met "
        } else {
            ""
        };
        format!(
            "{met}process {}  {}  {}",
            style.strong(&cell(&instance, "processDefinitionId")),
            cell(&instance, "processInstanceKey"),
            cell(&instance, "state"),
        )
    } else if let Some(job) = item.object("job") {
        let worker = cell(&job, "worker");
        let by = if worker.is_empty() {
            worker
        } else {
            format!("  by {worker}")
        };
        format!(
            "job {}  {}  {}{by}",
            style.strong(&cell(&job, "type")),
            cell(&job, "jobKey"),
            cell(&job, "state"),
        )
    } else if let Some(subscriber) = item.object("subscriber") {
        subscriber_line(&subscriber, style)
    } else {
        cell(item, "kind")
    };
    text.trim_end().to_owned()
}

fn subscriber_line(subscriber: &Document, style: Style) -> String {
    let state = cell(subscriber, "state");
    let state = match &*state {
        "DONE" => style.good(&state),
        "WAITING" => style.warning(&state),
        _ => style.error(&state),
    };
    let failed = match subscriber.number("attempts") {
        None | Some(0) => String::new(),
        Some(attempts) => format!("  failed {attempts} ×: {}", cell(subscriber, "lastError")),
    };
    format!(
        "subscriber {}  {state}{failed}",
        style.strong(&cell(subscriber, "name"))
    )
}

fn event_line(item: &Document, event: &Document, style: Style) -> String {
    let path = if event.text("direction") == Some("out") {
        format!("→ {}", cell(event, "channel"))
    } else {
        format!("← {} {}", cell(event, "source"), cell(event, "id"))
    };
    let again = if item.text("by") == Some("SAME_EVENT") {
        "came in again: "
    } else {
        ""
    };
    let subject = subject(event);
    let subject = if subject.is_empty() {
        subject
    } else {
        format!(" {subject}")
    };
    format!(
        "{again}{}{subject}  {path}  {}  {}",
        style.strong(&cell(event, "type")),
        style.outcome(&cell(event, "outcome")),
        style.faint(&format!("position {}", cell(event, "position"))),
    )
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn a_tree_is_drawn_with_its_branches() {
        let event = |depth: u8, by: &str, kind: &str, direction: &str, outcome: &str| {
            format!(
                r#"{{"depth":{depth},"by":"{by}","event":{{"position":"7","direction":"{direction}","type":"{kind}","subject":"A-1","source":"/shop","id":"1","channel":"partner","outcome":"{outcome}"}}}}"#
            )
        };
        let items = [
            event(0, "ROOT", "order.placed", "in", "STARTED"),
            r#"{"depth":1,"by":"STARTED","processInstance":{"processInstanceKey":"11","processDefinitionId":"order","state":"ACTIVE"}}"#.to_owned(),
            r#"{"depth":2,"by":"PROCESS","job":{"jobKey":"12","type":"charge","state":"COMPLETED","worker":"w"}}"#.to_owned(),
            event(2, "PROCESS", "order.completed", "out", "DELIVERED"),
            r#"{"depth":3,"by":"SUBSCRIBED","subscriber":{"name":"loyalty","state":"DONE","attempts":0,"lastError":null}}"#.to_owned(),
            r#"{"depth":3,"by":"SUBSCRIBED","subscriber":{"name":"bills","state":"DEAD","attempts":2,"lastError":"gone"}}"#.to_owned(),
            event(3, "SAME_EVENT", "order.completed", "in", "NO_MATCH"),
            event(1, "CAUSATION_ID", "points.granted", "in", "NO_MATCH"),
            event(0, "ROOT", "order.paid", "in", "CORRELATED"),
            r#"{"depth":1,"by":"MET","processInstance":{"processInstanceKey":"11","processDefinitionId":"order","state":"ACTIVE"}}"#.to_owned(),
        ];
        let trace = format!(r#"{{"truncated":true,"items":[{}]}}"#, items.join(","));
        let trace = Document::parse(trace.as_bytes()).unwrap();
        expect![[r#"
            order.placed A-1  ← /shop 1  STARTED  position 7
            ├─ process order  11  ACTIVE
            │  ├─ job charge  12  COMPLETED  by w
            │  └─ order.completed A-1  → partner  DELIVERED  position 7
            │     ├─ subscriber loyalty  DONE
            │     ├─ subscriber bills  DEAD  failed 2 ×: gone
            │     └─ came in again: order.completed A-1  ← /shop 1  NO_MATCH  position 7
            └─ points.granted A-1  ← /shop 1  NO_MATCH  position 7
            order.paid A-1  ← /shop 1  CORRELATED  position 7
            └─ met process order  11  ACTIVE
            there is more than is shown
        "#]]
        .assert_eq(&text(&trace, Style::plain()));
    }
}
