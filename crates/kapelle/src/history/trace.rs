//! What caused what: CloudEvents, process instances, jobs and subscribers as trees (`docs/reference/events-api.md`).
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

use std::collections::BTreeMap;

use kapelle_engine::ids::Sequence;
use kapelle_feel::json::write_string;
use rusqlite::Connection;

use super::Error;
use super::query::time;
use crate::backbone::Follower;
use crate::gateway::rest::json::{Object, array};
use collect::Collected;
use rows::{InstanceRow, JobRow};
use tree::{By, Node, Tree};

/// What each CloudEvent went to, by its position.
pub(crate) type Followers = BTreeMap<Sequence, Vec<Follower>>;

/// The trees around one CloudEvent.
pub(crate) struct Trace {
    collected: Collected,
    tree: Tree,
}

impl Trace {
    /// `None` where there is no CloudEvent at that position.
    pub(crate) fn around(connection: &Connection, position: i64) -> Result<Option<Self>, Error> {
        let collected =
            Collected::around(connection, position).map_err(Error::sqlite("trace an event"))?;
        Ok(collected.map(|collected| Self {
            tree: Tree::of(&collected),
            collected,
        }))
    }

    /// Of the CloudEvents in it.
    pub(crate) fn positions(&self) -> Vec<Sequence> {
        let positions = self.collected.events.keys();
        positions.map(|position| sequence(*position)).collect()
    }

    pub(crate) fn json(&self, followers: &Followers) -> String {
        let mut items = Vec::new();
        for (node, depth) in self.tree.in_order() {
            items.push(item(&self.collected, node, depth, self.tree.by(node)));
            if let Node::Event(position) = node {
                let followers = followers.get(&sequence(position)).into_iter().flatten();
                items.extend(followers.map(|follower| subscriber_item(depth + 1, follower)));
            }
        }
        let mut answer = Object::new();
        answer
            .raw("correlationIds", &texts(&self.collected.correlation_ids))
            .raw("traceIds", &texts(&self.collected.trace_ids))
            .bool("truncated", self.collected.is_truncated)
            .raw("items", &array(items));
        answer.end()
    }
}

fn sequence(position: i64) -> Sequence {
    Sequence(position.unsigned_abs())
}

fn texts<'t>(texts: impl IntoIterator<Item = &'t String>) -> String {
    array(texts.into_iter().map(|text| {
        let mut quoted = String::new();
        write_string(&mut quoted, text);
        quoted
    }))
}

fn head(depth: usize, kind: &str, by: &str) -> Object {
    let mut item = Object::new();
    item.number("depth", i64::try_from(depth).unwrap_or(i64::MAX))
        .text("kind", kind)
        .text("by", by);
    item
}

fn subscriber_item(depth: usize, follower: &Follower) -> String {
    let mut subscriber = Object::new();
    subscriber
        .text("name", &follower.subscriber)
        .text("state", follower.state.as_str())
        .number("attempts", follower.attempts.into())
        .text_or_null("lastError", follower.last_error.as_deref());
    let mut item = head(depth, "SUBSCRIBER", "SUBSCRIBED");
    item.null("event")
        .null("processInstance")
        .null("job")
        .raw("subscriber", &subscriber.end());
    item.end()
}

fn item(collected: &Collected, node: Node, depth: usize, by: By) -> String {
    let mut item = head(depth, node.kind(), by.as_str());
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
    item.null("subscriber");
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
