//! What caused what: CloudEvents, process instances and jobs as trees (`docs/reference/events-api.md`).
//!
//! ```text
//! CloudEvent in ─► instance that it started or met ─► jobs
//!       ▲                      └─► CloudEvent out ─► the same CloudEvent, in again
//!       └── `causationid` ── CloudEvent of somebody else
//! ```
//!
//! What `correlationid` and the trace of `traceparent` hold together is shown together; what caused none of the others begins a
//! tree of its own.
//!
//! **Invariant**: told from what was recorded; a chain of causes that bites its tail is cut where it would.

mod collect;
mod rows;
mod tree;

use kapelle_feel::json::write_string;
use rusqlite::Connection;

use super::Error;
use super::query::time;
use crate::gateway::rest::json::{Object, array};
use collect::Collected;
use rows::{InstanceRow, JobRow};
use tree::{By, Node, Tree};

/// The trees around one CloudEvent, if there is one at that position.
pub(crate) fn trace(connection: &Connection, position: i64) -> Result<Option<String>, Error> {
    let run = || {
        let Some(collected) = Collected::around(connection, position)? else {
            return Ok(None);
        };
        let tree = Tree::of(&collected);
        Ok(Some(render(&collected, &tree)))
    };
    run().map_err(Error::sqlite("trace an event"))
}

fn render(collected: &Collected, tree: &Tree) -> String {
    let mut answer = Object::new();
    let items = tree.in_order().into_iter().map(|(node, depth)| {
        let by = tree.by(node);
        item(collected, node, depth, by)
    });
    answer
        .raw("correlationIds", &texts(&collected.correlation_ids))
        .raw("traceIds", &texts(&collected.trace_ids))
        .bool("truncated", collected.is_truncated)
        .raw("items", &array(items));
    answer.end()
}

fn texts<'t>(texts: impl IntoIterator<Item = &'t String>) -> String {
    array(texts.into_iter().map(|text| {
        let mut quoted = String::new();
        write_string(&mut quoted, text);
        quoted
    }))
}

fn item(collected: &Collected, node: Node, depth: usize, by: By) -> String {
    let mut item = Object::new();
    item.number("depth", i64::try_from(depth).unwrap_or(i64::MAX))
        .text("kind", node.kind())
        .text("by", by.as_str());
    let event = match node {
        Node::Event(position) => collected.events.get(&position),
        Node::Instance(..) | Node::Job(_) => None,
    };
    let instance = match node {
        Node::Instance(key, _) => collected.instances.get(&key),
        Node::Event(_) | Node::Job(_) => None,
    };
    let job = match node {
        Node::Job(key) => collected.jobs.get(&key),
        Node::Event(_) | Node::Instance(..) => None,
    };
    raw_or_null(&mut item, "event", event.map(|event| event.row.json()));
    raw_or_null(&mut item, "processInstance", instance.map(instance_json));
    raw_or_null(&mut item, "job", job.map(job_json));
    item.end()
}

fn raw_or_null(object: &mut Object, name: &str, json: Option<String>) {
    match json {
        Some(json) => object.raw(name, &json),
        None => object.null(name),
    };
}

fn instance_json(instance: &InstanceRow) -> String {
    let mut object = Object::new();
    object
        .text("processInstanceKey", &instance.key.to_string())
        .text_or_null("processDefinitionId", instance.process_id.as_deref());
    match instance.version {
        Some(version) => object.number("processDefinitionVersion", version),
        None => object.null("processDefinitionVersion"),
    };
    object
        .text("state", instance.state)
        .text_or_null("startTime", time(instance.started_ms).as_deref())
        .text_or_null("endTime", instance.ended_ms.and_then(time).as_deref());
    object.end()
}

fn job_json(job: &JobRow) -> String {
    let mut object = Object::new();
    object
        .text("jobKey", &job.key.to_string())
        .text("processInstanceKey", &job.instance.to_string())
        .text_or_null("elementId", job.element_id.as_deref())
        .text("type", &job.job_type)
        .text("state", job.state)
        .text_or_null("worker", job.worker.as_deref())
        .text_or_null("creationTime", time(job.created_ms).as_deref())
        .text_or_null("endTime", job.ended_ms.and_then(time).as_deref());
    object.end()
}
