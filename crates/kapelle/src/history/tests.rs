//! The projection from made-up runs of events, without a partition; what needs one is in `tests/it/history.rs`.

mod explaining;
mod files;
mod listing;
mod paging;
mod projecting;
mod pruning;
mod releasing;
mod searching;
mod waiting;

use std::path::PathBuf;
use std::sync::Arc;

use kapelle_engine::document::StoredValue;
use kapelle_engine::event::{
    Cause, Event, Header, IncidentKind, IncidentRaised, InstanceCreated, InstanceEnded, JobCreated,
    JobRef, KeyKind, ProcessDeployed, SubscriptionOpened,
};
use kapelle_engine::ids::{
    DefinitionKey, DeploymentKey, ElementInstanceKey, IncidentKey, JobKey, ProcessInstanceKey,
    ResourceKey, Sequence, SubscriptionKey, Timestamp, VariableKey,
};
use kapelle_model::graph::ElementIndex;
use kapelle_runtime::reader::{CommandHeader, CommittedRecord};
use rusqlite::Connection;
use rusqlite::types::ValueRef;

use super::batch::Batch;
use super::query::{Entity, Search, get, search};
use super::{flush, schema};
use crate::gateway::rest::body::JsonText;

const TENANT: &str = "<default>";

/// start → work (a service task with headers) → paid (a message catch event) → end; only `work` has a name.
const ORDER: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<bpmn:definitions xmlns:bpmn="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:zeebe="http://camunda.org/schema/zeebe/1.0"
    targetNamespace="urn:test" id="definitions">
<bpmn:message id="m1" name="paid"><bpmn:extensionElements><zeebe:subscription correlationKey="=order"/></bpmn:extensionElements></bpmn:message>
<bpmn:process id="order" name="Order" isExecutable="true">
  <bpmn:startEvent id="start"/>
  <bpmn:sequenceFlow id="f1" sourceRef="start" targetRef="work"/>
  <bpmn:serviceTask id="work" name="Do it">
    <bpmn:extensionElements>
      <zeebe:taskDefinition type="pack" retries="3"/>
      <zeebe:taskHeaders><zeebe:header key="colour" value="green"/></zeebe:taskHeaders>
    </bpmn:extensionElements>
  </bpmn:serviceTask>
  <bpmn:sequenceFlow id="f2" sourceRef="work" targetRef="paid"/>
  <bpmn:intermediateCatchEvent id="paid"><bpmn:messageEventDefinition id="d1" messageRef="m1"/></bpmn:intermediateCatchEvent>
  <bpmn:sequenceFlow id="f3" sourceRef="paid" targetRef="end"/>
  <bpmn:endEvent id="end"/>
</bpmn:process>
</bpmn:definitions>"#;

const DEFINITION: u64 = 2;

/// A run of events and what it makes of an empty database.
struct Story {
    db: Connection,
    known: flush::Known,
    batch: Batch,
    position: u64,
    now: i64,
}

impl Story {
    /// Nothing was ever deployed.
    fn empty() -> Self {
        Self {
            db: schema::in_memory(),
            known: flush::Known::new(),
            batch: Batch::default(),
            position: 0,
            now: 1_000,
        }
    }

    /// Process `order` is deployed as definition 2.
    fn new() -> Self {
        let mut story = Self::empty();
        for event in deployment() {
            story.say(event);
        }
        story.write();
        story
    }

    /// It happened; the position of its record.
    fn say(&mut self, event: Event) -> u64 {
        self.position += 1;
        let sequence = Sequence(self.position);
        let command = Arc::new(CommandHeader {
            sequence,
            kind: 0,
            at: Timestamp(self.now),
            traceparent: None,
        });
        self.batch.add(CommittedRecord {
            sequence,
            command,
            event,
        });
        self.position
    }

    /// A transaction ends here.
    fn write(&mut self) {
        if self.batch.position.0 < self.position {
            return;
        }
        let batch = std::mem::take(&mut self.batch);
        flush::write(&mut self.db, &batch, &mut self.known).unwrap();
    }

    fn search(&self, entity: &Entity, body: &str) -> String {
        let request = Search::read(entity, &JsonText::new(body), false)
            .unwrap_or_else(|problem| panic!("{body}: {}", problem.detail()));
        search(entity, request, &self.db).unwrap()
    }

    /// The keys that a search finds, as they come.
    fn found(&self, entity: &Entity, key: &str, body: &str) -> String {
        member(&self.search(entity, body), key).join(" ")
    }

    fn get(&self, entity: &Entity, key: i64) -> Option<String> {
        get(entity, key, &self.db).unwrap()
    }

    /// All rows of a table, as text.
    fn rows(&self, table: &str) -> String {
        let mut statement = self
            .db
            .prepare(&format!("SELECT * FROM {table} ORDER BY 1, 2"))
            .unwrap();
        let columns = statement.column_count();
        let mut text = String::new();
        let mut rows = statement.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            let cells: Vec<String> = (0..columns)
                .map(|column| match row.get_ref(column).unwrap() {
                    ValueRef::Null => "-".to_owned(),
                    ValueRef::Integer(number) => number.to_string(),
                    ValueRef::Real(number) => number.to_string(),
                    ValueRef::Text(bytes) => String::from_utf8_lossy(bytes).into_owned(),
                    ValueRef::Blob(bytes) => format!("{} bytes", bytes.len()),
                })
                .collect();
            text.push_str(&format!("{table} {}\n", cells.join(" | ")));
        }
        text
    }

    fn all_rows(&self) -> String {
        TABLES.iter().map(|table| self.rows(table)).collect()
    }

    // What happens to an instance, in the engine's events.

    fn start(&mut self, instance: u64) {
        self.say(created(instance));
        self.say(activating(instance, instance, 0));
    }

    fn variable(&mut self, instance: u64, key: u64, name: &str, json: &str) {
        self.say(set(instance, instance, key, name, json));
    }

    fn end(&mut self, instance: u64, completed: bool) {
        self.say(ended(instance, completed));
    }
}

/// A directory that goes away.
struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Self {
        let path =
            std::env::temp_dir().join(format!("kapelle-history-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn database(&self) -> PathBuf {
        self.0.join("history.db")
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}

const TABLES: [&str; 12] = [
    "instance",
    "element",
    "job",
    "incident",
    "variable",
    "subscription",
    "event_in",
    "event_instance",
    "event_message",
    "event_later",
    "event_out",
    "meta",
];

/// The texts of a member, wherever it stands.
fn member(json: &str, name: &str) -> Vec<String> {
    let opening = format!("\"{name}\":\"");
    json.split(&opening)
        .skip(1)
        .map(|rest| rest[..rest.find('"').unwrap()].to_owned())
        .collect()
}

fn text(text: &str) -> Arc<str> {
    Arc::from(text)
}

fn index(id: &str) -> ElementIndex {
    let bpmn = kapelle_model::compile(ORDER.as_bytes(), kapelle_model::SEMANTICS).unwrap();
    bpmn.processes[0].find(id).unwrap()
}

fn deployment() -> [Event; 2] {
    let stored = Event::ResourceStored {
        resource: ResourceKey(1),
        tenant: text(TENANT),
        name: text("order.bpmn"),
        bytes: Arc::from(ORDER.as_bytes()),
        checksum: [0; 32],
    };
    [stored, deployed(DEFINITION, 1)]
}

fn deployed(definition: u64, version: i32) -> Event {
    Event::ProcessDeployed(Box::new(ProcessDeployed {
        definition: DefinitionKey(definition),
        deployment: DeploymentKey(3),
        resource: ResourceKey(1),
        tenant: text(TENANT),
        process_id: text("order"),
        version,
        version_tag: None,
        name: Some(text("Order")),
        resource_name: text("order.bpmn"),
        semantics: kapelle_model::SEMANTICS.into(),
    }))
}

fn created(instance: u64) -> Event {
    Event::InstanceCreated(Box::new(InstanceCreated {
        instance: ProcessInstanceKey(instance),
        definition: DefinitionKey(DEFINITION),
        tenant: text(TENANT),
        process_id: text("order"),
        version: 1,
        start: ElementIndex(0),
        awaited: None,
        tags: Vec::new(),
        business_id: None,
        start_lock: None,
        cause: Cause::default(),
    }))
}

fn ended(instance: u64, completed: bool) -> Event {
    Event::InstanceEnded(InstanceEnded {
        instance: ProcessInstanceKey(instance),
        definition: DefinitionKey(DEFINITION),
        completed,
    })
}

fn activating(instance: u64, key: u64, element: u32) -> Event {
    Event::ElementActivating {
        instance: ProcessInstanceKey(instance),
        key: ElementInstanceKey(key),
        element: ElementIndex(element),
        scope: ElementInstanceKey(instance),
        flow: None,
        trigger_of: None,
    }
}

fn completed(instance: u64, key: u64, element: ElementIndex) -> Event {
    Event::ElementCompleted {
        instance: ProcessInstanceKey(instance),
        key: ElementInstanceKey(key),
        element,
        rested: false,
    }
}

fn set(instance: u64, scope: u64, key: u64, name: &str, json: &str) -> Event {
    let value = kapelle_feel::json::to_msgpack(json.as_bytes()).unwrap();
    Event::VariableSet {
        instance: ProcessInstanceKey(instance),
        scope: ElementInstanceKey(scope),
        variable: VariableKey(key),
        name: text(name),
        value: StoredValue(Arc::from(value)),
    }
}

fn job(instance: u64, element: u64, key: u64) -> JobRef {
    JobRef {
        job: JobKey(key),
        instance: ProcessInstanceKey(instance),
        element: ElementInstanceKey(element),
        tenant: text(TENANT),
        job_type: text("pack"),
    }
}

fn job_created(job: JobRef, headers: &[(&str, &str)]) -> Event {
    let headers = headers
        .iter()
        .map(|(key, value)| Header {
            key: text(key),
            value: text(value),
        })
        .collect();
    Event::JobCreated(Box::new(JobCreated {
        job,
        element: index("work"),
        retries: 3,
        taken: false,
        headers,
    }))
}

fn incident_raised(
    instance: u64,
    element: u64,
    key: u64,
    job: Option<u64>,
    message: &str,
) -> Event {
    Event::IncidentRaised(Box::new(IncidentRaised {
        incident: IncidentKey(key),
        instance: ProcessInstanceKey(instance),
        definition: DefinitionKey(DEFINITION),
        element_instance: ElementInstanceKey(element),
        element: index("work"),
        job: job.map(JobKey),
        kind: IncidentKind::JobNoRetries,
        message: text(message),
    }))
}

fn incident_resolved(instance: u64, element: u64, key: u64, job: Option<u64>) -> Event {
    Event::IncidentResolved {
        incident: IncidentKey(key),
        instance: ProcessInstanceKey(instance),
        element: ElementInstanceKey(element),
        job: job.map(JobKey),
    }
}

/// An instance of `order` waits at `paid`.
fn subscribed(instance: u64, key: u64, name: &str, correlation_key: &str) -> SubscriptionOpened {
    SubscriptionOpened {
        subscription: SubscriptionKey(key),
        instance: ProcessInstanceKey(instance),
        definition: DefinitionKey(DEFINITION),
        tenant: text(TENANT),
        process_id: text("order"),
        name: text(name),
        correlation_key: text(correlation_key),
        key_kind: KeyKind::Text,
        element_instance: ElementInstanceKey(instance + 1),
        element: index("paid"),
        once: true,
    }
}
