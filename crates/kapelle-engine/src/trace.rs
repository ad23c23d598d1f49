//! Events as text: stable, compact, one line each. For tests, command line and simulator alike.
//!
//! Keys are shown without their partition (`#7`), so that traces stay short; `explain` commands of the edges show whole
//! ones. A trace learns names as it reads: an instance's elements are named once its creation and its definition are
//! known, else they are shown by their index.
//!
//! Deliberately absent: colours, time zones, and anything to parse.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use kapelle_feel::json;
use kapelle_model::graph::{ElementIndex, FlowIndex, Process};

use crate::document::{Document, StoredValue};
use crate::event::{AvailableCause, CloseReason, DueOwner, Event, JobRef, TimerEvent, TimerOwner};
use crate::ids::{COUNTER_BITS, DefinitionKey, ProcessInstanceKey, Timestamp};

/// Writes events as lines.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    definitions: BTreeMap<DefinitionKey, Arc<Process>>,
    instances: BTreeMap<ProcessInstanceKey, DefinitionKey>,
    /// Compiled files that processes of this deployment came from, until they are named by their definitions.
    files: BTreeMap<u64, Arc<[u8]>>,
}

/// The part of a key that says something.
fn short(key: u64) -> u64 {
    key & ((1 << COUNTER_BITS) - 1)
}

impl Trace {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes a definition known that was deployed before this trace began.
    pub fn know(&mut self, definition: DefinitionKey, process: Arc<Process>) {
        self.definitions.insert(definition, process);
    }

    /// One line, without its end.
    pub fn line(&mut self, event: &Event) -> String {
        self.learn(event);
        let mut line = String::new();
        self.write(&mut line, event)
            .expect("writing to a string can't fail");
        line
    }

    fn learn(&mut self, event: &Event) {
        match event {
            Event::ResourceStored {
                resource, bytes, ..
            } => {
                self.files.insert(resource.0, bytes.clone());
            }
            Event::ProcessDeployed(deployed) => {
                let compiled = self.files.get(&deployed.resource.0).and_then(|bytes| {
                    kapelle_model::compile(bytes, u16::try_from(deployed.semantics).ok()?).ok()
                });
                let process = compiled.and_then(|bpmn| {
                    bpmn.processes
                        .into_iter()
                        .find(|process| process.id == deployed.process_id)
                });
                if let Some(process) = process {
                    self.definitions
                        .insert(deployed.definition, Arc::new(process));
                }
            }
            Event::InstanceCreated(created) => {
                self.instances.insert(created.instance, created.definition);
            }
            _ => {}
        }
    }

    fn process(&self, instance: ProcessInstanceKey) -> Option<&Process> {
        self.definitions
            .get(self.instances.get(&instance)?)
            .map(Arc::as_ref)
    }

    fn element(&self, instance: ProcessInstanceKey, index: ElementIndex) -> String {
        match self
            .process(instance)
            .and_then(|process| process.elements.get(index.0 as usize))
        {
            Some(element) => element.id.to_string(),
            None => format!("element {}", index.0),
        }
    }

    fn element_of(&self, definition: DefinitionKey, index: ElementIndex) -> String {
        match self
            .definitions
            .get(&definition)
            .and_then(|process| process.elements.get(index.0 as usize))
        {
            Some(element) => element.id.to_string(),
            None => format!("element {}", index.0),
        }
    }

    fn flow(&self, instance: ProcessInstanceKey, index: FlowIndex) -> String {
        let Some(process) = self.process(instance) else {
            return format!("flow {}", index.0);
        };
        match process.flows.get(index.0 as usize) {
            Some(flow) => format!(
                "{} -> {}",
                process.element(flow.source).id,
                process.element(flow.target).id
            ),
            None => format!("flow {}", index.0),
        }
    }

    fn timer(&self, timer: &TimerEvent) -> String {
        match timer.owner {
            TimerOwner::Instance {
                instance, element, ..
            } => self.element(instance, element),
            TimerOwner::Definition {
                definition,
                element,
            } => self.element_of(definition, element),
        }
    }

    // A dispatch table: one arm per event.
    fn write(&self, out: &mut String, event: &Event) -> std::fmt::Result {
        match event {
            Event::LeaderAnnounced { epoch, incarnation } => write!(
                out,
                "leader announced: epoch {epoch}, incarnation {incarnation}"
            ),

            Event::ResourceStored {
                resource,
                name,
                bytes,
                ..
            } => {
                write!(
                    out,
                    "resource stored #{} {name} ({} bytes)",
                    short(resource.0),
                    bytes.len()
                )
            }
            Event::ProcessDeployed(deployed) => {
                write!(
                    out,
                    "process deployed #{} {} version {}",
                    short(deployed.definition.0),
                    deployed.process_id,
                    deployed.version
                )
            }
            Event::DeploymentCreated { deployment, .. } => {
                write!(out, "deployment created #{}", short(deployment.0))
            }

            Event::InstanceCreated(created) => {
                write!(
                    out,
                    "instance created #{} {} version {}",
                    short(created.instance.0),
                    created.process_id,
                    created.version
                )?;
                created
                    .start_lock
                    .as_ref()
                    .map_or(Ok(()), |key| write!(out, " locks '{key}'"))
            }
            Event::InstanceEnded(ended) => {
                let how = if ended.completed {
                    "completed"
                } else {
                    "terminated"
                };
                write!(out, "instance {how} #{}", short(ended.instance.0))
            }
            Event::ElementActivating {
                instance, element, ..
            } => write!(out, "{} activating", self.element(*instance, *element)),
            Event::ElementActivated {
                instance, element, ..
            } => write!(out, "{} activated", self.element(*instance, *element)),
            Event::ElementCompleting {
                instance, element, ..
            } => write!(out, "{} completing", self.element(*instance, *element)),
            Event::ElementCompleted {
                instance, element, ..
            } => write!(out, "{} completed", self.element(*instance, *element)),
            Event::ElementTerminating {
                instance, element, ..
            } => write!(out, "{} terminating", self.element(*instance, *element)),
            Event::ElementTerminated {
                instance, element, ..
            } => write!(out, "{} terminated", self.element(*instance, *element)),
            Event::FlowTaken { instance, flow, .. } => {
                write!(out, "flow {}", self.flow(*instance, *flow))
            }
            Event::JoinConsumed {
                instance, gateway, ..
            } => write!(out, "{} joined", self.element(*instance, *gateway)),
            Event::TokensDiscarded { .. } => write!(out, "tokens discarded"),
            Event::BpmnEventTriggered(triggered) => {
                write!(
                    out,
                    "{} triggered{}",
                    self.element(triggered.instance, triggered.element),
                    payload(&triggered.variables)
                )
            }

            Event::VariableSet {
                scope, name, value, ..
            } => write!(
                out,
                "variable {name} = {} in #{}",
                value_text(value),
                short(scope.0)
            ),

            Event::JobCreated(created) => {
                write!(
                    out,
                    "{} created, retries {}",
                    job(&created.job),
                    created.retries
                )?;
                created
                    .headers
                    .iter()
                    .try_for_each(|header| write!(out, ", {}={}", header.key, header.value))
            }
            Event::JobActivated(activated) => {
                let how = if activated.pushed_by.is_some() {
                    "pushed to"
                } else {
                    "activated by"
                };
                write!(
                    out,
                    "{} {how} {} until {}",
                    job(&activated.job),
                    activated.worker,
                    time(activated.deadline)
                )
            }
            Event::JobMadeAvailable {
                job: reference,
                cause,
                ..
            } => write!(out, "{} available: {}", job(reference), cause_text(*cause)),
            Event::JobCompleted { job: reference, .. } => {
                write!(out, "{} completed", job(reference))
            }
            Event::JobFailed(failed) => {
                write!(
                    out,
                    "{} failed, retries {}: {}",
                    job(&failed.job),
                    failed.retries,
                    failed.message
                )?;
                failed.backoff_until.map_or(Ok(()), |until| {
                    write!(out, " (backs off until {})", time(until))
                })
            }
            Event::JobErrorThrown {
                job: reference,
                code,
                caught,
                ..
            } => {
                let caught = if *caught { "caught" } else { "not caught" };
                write!(out, "{} threw error {code}, {caught}", job(reference))
            }
            Event::JobCanceled { job: reference, .. } => write!(out, "{} canceled", job(reference)),
            Event::JobRetriesUpdated {
                job: reference,
                retries,
            } => write!(out, "{} has retries {retries}", job(reference)),
            Event::JobTimeoutUpdated {
                job: reference,
                deadline,
                ..
            } => write!(out, "{} may take until {}", job(reference), time(*deadline)),
            Event::JobWithheld { job: reference } => write!(out, "{} withheld", job(reference)),

            Event::MessagePublished(published) => {
                let (name, key) = (&published.name, &published.correlation_key);
                write!(
                    out,
                    "message {name} '{key}' published until {}{}",
                    time(published.expires),
                    payload(&published.variables)
                )
            }
            Event::MessageCorrelated(met) => {
                write!(
                    out,
                    "message {} '{}' met instance #{}",
                    met.name,
                    met.correlation_key,
                    short(met.instance.0)
                )
            }
            Event::MessageStarted(started) => {
                write!(
                    out,
                    "message {} '{}' started instance #{}",
                    started.name,
                    started.correlation_key,
                    short(started.instance.0)
                )
            }
            Event::MessageExpired(expired) => write!(
                out,
                "message {} '{}' expired",
                expired.name, expired.correlation_key
            ),
            Event::SubscriptionOpened(opened) => {
                let waits = self.element(opened.instance, opened.element);
                write!(
                    out,
                    "{waits} waits for message {} '{}'",
                    opened.name, opened.correlation_key
                )
            }
            Event::SubscriptionClosed(closed) => {
                let (name, key) = (&closed.name, &closed.correlation_key);
                write!(
                    out,
                    "no longer waits for message {name} '{key}': {}",
                    close_text(closed.reason)
                )
            }
            Event::StartSubscriptionOpened(start) => write!(
                out,
                "process {} starts with message {}",
                start.process_id, start.name
            ),
            Event::StartSubscriptionClosed(start) => write!(
                out,
                "process {} no longer starts with message {}",
                start.process_id, start.name
            ),
            Event::EventBindingOpened(opened) => {
                write!(
                    out,
                    "event {} becomes message {} of {}",
                    opened.event_type, opened.message, opened.process_id
                )
            }
            Event::StartLockReleased {
                process_id,
                correlation_key,
                ..
            } => write!(out, "process {process_id} releases '{correlation_key}'"),

            Event::TimerScheduled(timer) => {
                write!(out, "{} waits until {}", self.timer(timer), time(timer.due))
            }
            Event::TimerTriggered(timer) => write!(out, "{} is due", self.timer(timer)),
            Event::TimerCanceled(timer) => write!(
                out,
                "{} no longer waits until {}",
                self.timer(timer),
                time(timer.due)
            ),

            Event::IncidentRaised(raised) => {
                let element = self.element(raised.instance, raised.element);
                write!(
                    out,
                    "incident #{} at {element}: {} {}",
                    short(raised.incident.0),
                    raised.kind.as_str(),
                    raised.message
                )
            }
            Event::IncidentResolved { incident, .. } => {
                write!(out, "incident #{} resolved", short(incident.0))
            }
            Event::InstanceQuarantined {
                instance, reason, ..
            } => {
                write!(out, "instance #{} set aside: {reason}", short(instance.0))
            }
            Event::StepInterrupted(interrupted) => write!(
                out,
                "incident #{} holds up {}",
                short(interrupted.incident.0),
                interrupted.step.name()
            ),

            Event::CloudEventReceived {
                source_name, event, ..
            } => {
                write!(
                    out,
                    "event {} {} {} from {source_name}",
                    event.source(),
                    event.id(),
                    event.event_type()
                )
            }
            Event::CloudEventRouted {
                outcome, reason, ..
            } => write!(out, "event {}: {reason}", outcome.as_str()),
            Event::CloudEventRepeated {
                source,
                id,
                first,
                same_content,
                ..
            } => {
                let differs = if *same_content {
                    ""
                } else {
                    " with other content"
                };
                write!(out, "event {source} {id} repeats {}{differs}", first.0)
            }
            Event::RecordRejected {
                source_name,
                reason,
                ..
            } => write!(out, "record from {source_name} rejected: {reason}"),
            Event::DedupBucketDropped { bucket } => {
                write!(out, "bucket {bucket} of the dedup window dropped")
            }
            Event::DedupForgotten {
                bucket,
                identities,
                renewed,
                ..
            } => {
                write!(
                    out,
                    "bucket {bucket} of the dedup window forgot {}, renewed {}",
                    identities.len(),
                    renewed.len()
                )
            }

            Event::OutboxAdded(added) => {
                let (event, to) = (&added.event, &added.to);
                let data = event.data().map_or_else(String::new, |data| {
                    format!(" {}", data.as_bytes().escape_ascii())
                });
                write!(
                    out,
                    "event out #{} {} to '{to}'{data}",
                    short(added.entry.0),
                    event.event_type()
                )
            }
            Event::OutboxAcked { entry } => write!(out, "event out #{} delivered", short(entry.0)),
            Event::OutboxDeferred {
                entry,
                attempts,
                retry_at,
                error,
            } => {
                write!(
                    out,
                    "event out #{} not delivered by attempt {attempts}, again at {}: {error}",
                    short(entry.0),
                    retry_at.0
                )
            }
            Event::OutboxBuried {
                entry,
                attempts,
                error,
            } => {
                write!(
                    out,
                    "event out #{} given up after {attempts} attempts: {error}",
                    short(entry.0)
                )
            }

            Event::RequestRemembered {
                request, instance, ..
            } => write!(
                out,
                "request '{request}' made instance #{}",
                short(instance.0)
            ),
            Event::RequestForgotten { request, .. } => write!(out, "request '{request}' forgotten"),
            Event::SubscriberPut { name, is_new, .. } => {
                let how = if *is_new { "created" } else { "changed" };
                write!(out, "subscriber {name} {how}")
            }
            Event::SubscriberDeleted { name, .. } => write!(out, "subscriber {name} deleted"),
            Event::DeadLettersSettled {
                subscriber,
                positions,
                redrive,
                ..
            } => {
                let fate = if *redrive { "redriven" } else { "discarded" };
                write!(
                    out,
                    "{} dead letters of {subscriber} {fate}",
                    positions.len()
                )
            }
            Event::DueMoved { due, owner, to } => {
                let whose = match owner {
                    DueOwner::Partition {} => String::new(),
                    DueOwner::Instance { instance } | DueOwner::PushedJob { instance, .. } => {
                        format!(" of instance #{}", short(instance.0))
                    }
                    DueOwner::Definition { definition } => {
                        format!(" of definition #{}", short(definition.0))
                    }
                    DueOwner::Request { request, .. } => format!(" of request '{request}'"),
                    DueOwner::Step { step } => format!(" {}", step.name()),
                };
                match to {
                    Some(to) => write!(
                        out,
                        "{:?} #{}{whose} put off until {}",
                        due.what,
                        short(due.key),
                        time(*to)
                    ),
                    None => write!(out, "{:?} #{}{whose} dropped", due.what, short(due.key)),
                }
            }
        }
    }
}

fn job(job: &JobRef) -> String {
    format!("job #{} {}", short(job.job.0), job.job_type)
}

fn time(at: Timestamp) -> String {
    format!("{} ms", at.0)
}

fn payload(document: &Document) -> String {
    if document.is_empty() {
        String::new()
    } else {
        format!(" {}", json::from_msgpack(&document.0))
    }
}

fn value_text(value: &StoredValue) -> String {
    json::from_msgpack(&value.0)
}

fn cause_text(cause: AvailableCause) -> &'static str {
    match cause {
        AvailableCause::Yielded => "given back",
        AvailableCause::TimedOut => "timed out",
        AvailableCause::BackoffOver => "back-off is over",
        AvailableCause::LeaderChanged => "leader changed",
        AvailableCause::IncidentResolved => "incident resolved",
    }
}

fn close_text(reason: CloseReason) -> &'static str {
    match reason {
        CloseReason::Correlated => "met",
        CloseReason::ElementLeft => "left",
        CloseReason::Terminated => "terminated",
        CloseReason::Replaced => "replaced",
    }
}
