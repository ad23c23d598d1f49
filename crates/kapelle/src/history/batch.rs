//! Rows in memory: what a run of committed events changes, each row once.
//!
//! An instance that lives for a few milliseconds begins and ends inside one batch, so its rows are written once, in their
//! last state. A row that is `new` here is inserted; another is updated with what is `Some`.

use std::collections::BTreeMap;
use std::sync::Arc;

use kapelle_engine::event::{
    Event, IncidentRaised, InstanceCreated, JobActivated, JobCreated, JobFailed, JobRef,
    MessagePublished, OutboxAdded, ProcessDeployed, SubscriptionClosed, SubscriptionOpened,
};
use kapelle_engine::ids::{
    IncidentKey, MessageKey, ProcessInstanceKey, ResourceKey, Sequence, Timestamp,
};
use kapelle_engine::response::{Match, Outcome};
use kapelle_events::CloudEvent;
use kapelle_runtime::reader::CommittedRecord;

use super::query::words::{DeliveryState, ElementState, IncidentState, InstanceState, JobState};

/// A process instance and the key of something that it owns: the order of the clustered tables.
pub(super) type Owned = (u64, u64);

#[derive(Default)]
pub(super) struct Batch {
    /// The last record that is in it.
    pub(super) position: Sequence,
    /// Of variables and CloudEvents, about: what makes a batch large.
    pub(super) bytes: usize,
    pub(super) resources: BTreeMap<ResourceKey, (Arc<str>, Arc<[u8]>)>,
    pub(super) definitions: Vec<ProcessDeployed>,
    pub(super) instances: BTreeMap<u64, InstanceRow>,
    pub(super) elements: BTreeMap<Owned, ElementRow>,
    pub(super) jobs: BTreeMap<Owned, JobRow>,
    pub(super) incidents: BTreeMap<u64, IncidentRow>,
    pub(super) variables: BTreeMap<Owned, VariableRow>,
    pub(super) subscriptions: BTreeMap<u64, SubscriptionRow>,
    pub(super) arrivals: Vec<Arrival>,
    pub(super) routes: Vec<Route>,
    pub(super) messages: BTreeMap<MessageKey, Sequence>,
    pub(super) later: Vec<Later>,
    pub(super) outbox: BTreeMap<u64, OutboxRow>,
    /// The CloudEvent whose bindings are being published: between its `Received` and its `Routed`.
    routing: Option<Sequence>,
}

#[derive(Default)]
pub(super) struct InstanceRow {
    pub(super) created: Option<(Box<InstanceCreated>, Timestamp)>,
    pub(super) state: Option<InstanceState>,
    pub(super) ended: Option<Timestamp>,
    /// Incidents raised less incidents resolved.
    pub(super) incidents: i64,
}

#[derive(Default)]
pub(super) struct ElementRow {
    /// Element index, scope, start.
    pub(super) created: Option<(u32, u64, Timestamp)>,
    pub(super) state: Option<ElementState>,
    pub(super) ended: Option<Timestamp>,
    /// 0: no longer.
    pub(super) incident: Option<u64>,
}

#[derive(Default)]
pub(super) struct JobRow {
    pub(super) created: Option<(Box<JobCreated>, Timestamp)>,
    pub(super) state: Option<JobState>,
    pub(super) worker: Option<Arc<str>>,
    pub(super) retries: Option<i32>,
    pub(super) deadline: Option<Timestamp>,
    pub(super) updated: Timestamp,
    pub(super) ended: Option<Timestamp>,
    pub(super) error_code: Option<Arc<str>>,
    pub(super) error_message: Option<Arc<str>>,
}

#[derive(Default)]
pub(super) struct IncidentRow {
    pub(super) raised: Option<(Box<IncidentRaised>, Timestamp)>,
    pub(super) state: Option<IncidentState>,
    pub(super) resolved: Option<Timestamp>,
}

pub(super) struct VariableRow {
    pub(super) scope: u64,
    pub(super) name: Arc<str>,
    pub(super) value: Arc<[u8]>,
}

#[derive(Default)]
pub(super) struct SubscriptionRow {
    pub(super) opened: Option<(Box<SubscriptionOpened>, Sequence, Timestamp)>,
    pub(super) closed: Option<(u8, Sequence, Timestamp)>,
}

/// Something that came in.
pub(super) struct Arrival {
    pub(super) position: Sequence,
    pub(super) at: Timestamp,
    pub(super) tenant: Arc<str>,
    pub(super) channel: Arc<str>,
    pub(super) what: Arrived,
}

pub(super) enum Arrived {
    Event {
        event: Arc<CloudEvent>,
        raw: Option<Arc<[u8]>>,
    },
    Repeat {
        source: Arc<str>,
        id: Arc<str>,
        first: Sequence,
        same_content: bool,
    },
    Malformed {
        raw: Arc<[u8]>,
        reason: Arc<str>,
    },
}

/// What an arrival came to.
pub(super) struct Route {
    pub(super) position: Sequence,
    pub(super) outcome: Outcome,
    pub(super) matches: Vec<Match>,
    pub(super) reason: Arc<str>,
}

/// What happened to a buffered CloudEvent afterwards.
pub(super) struct Later {
    pub(super) message: MessageKey,
    pub(super) at: Timestamp,
    pub(super) what: &'static str,
    pub(super) process_id: Arc<str>,
    pub(super) instance: Option<ProcessInstanceKey>,
}

#[derive(Default)]
pub(super) struct OutboxRow {
    pub(super) added: Option<(Box<OutboxAdded>, Sequence, Timestamp)>,
    pub(super) state: Option<DeliveryState>,
    pub(super) error: Option<Arc<str>>,
    /// Attempts that failed.
    pub(super) attempts: Option<u32>,
    pub(super) retry_at: Option<Timestamp>,
}

impl Batch {
    // A dispatch table: one line an event.
    pub(super) fn add(&mut self, record: CommittedRecord) {
        let (position, at) = (record.sequence, record.command.at);
        self.position = position;
        match record.event {
            Event::ResourceStored {
                resource,
                name,
                bytes,
                ..
            } => {
                self.resources.insert(resource, (name, bytes));
            }
            Event::ProcessDeployed(deployed) => self.definitions.push(*deployed),
            Event::InstanceCreated(created) => self.instance_created(created, at),
            Event::InstanceEnded(ended) => self.instance_ended(ended.instance, ended.completed, at),
            // The root scope's element instance is the instance itself, which has a row of its own.
            Event::ElementActivating { instance, key, .. }
            | Event::ElementCompleted { instance, key, .. }
            | Event::ElementTerminated { instance, key, .. }
                if instance.0 == key.0 => {}
            Event::ElementActivating {
                instance,
                key,
                element,
                scope,
                ..
            } => {
                let row = self.elements.entry((instance.0, key.0)).or_default();
                row.created = Some((element.0, scope.0, at));
                row.state = Some(ElementState::Active);
            }
            Event::ElementCompleted { instance, key, .. } => {
                self.element_ended((instance.0, key.0), ElementState::Completed, at)
            }
            Event::ElementTerminated { instance, key, .. } => {
                self.element_ended((instance.0, key.0), ElementState::Terminated, at)
            }
            Event::VariableSet {
                instance,
                scope,
                variable,
                name,
                value,
            } => {
                self.bytes += value.0.len();
                let row = VariableRow {
                    scope: scope.0,
                    name,
                    value: value.0,
                };
                self.variables.insert((instance.0, variable.0), row);
            }
            Event::JobCreated(created) => self.job_created(created, at),
            Event::JobActivated(activated) => self.job_activated(*activated, at),
            Event::JobMadeAvailable { job, .. } => self.job(&job, JobState::Created, at),
            Event::JobCompleted { job, .. } => self.job_ended(&job, JobState::Completed, at),
            Event::JobCanceled { job, .. } => self.job_ended(&job, JobState::Canceled, at),
            Event::JobFailed(failed) => self.job_failed(*failed, at),
            Event::JobErrorThrown {
                job,
                code,
                message,
                caught,
                ..
            } => self.job_error_thrown(&job, code, message, caught, at),
            Event::JobRetriesUpdated { job, retries } => {
                self.job_changed(&job, at).retries = Some(retries)
            }
            Event::JobTimeoutUpdated { job, deadline, .. } => {
                self.job_changed(&job, at).deadline = Some(deadline)
            }
            // As in Camunda it is its incident that shows.
            Event::JobWithheld { .. } => {}
            Event::MessagePublished(published) => self.message_published(&published),
            Event::MessageCorrelated(met) => {
                self.message_met(met.message, "CORRELATED", met.process_id, met.instance, at)
            }
            Event::MessageStarted(met) => {
                self.message_met(met.message, "STARTED", met.process_id, met.instance, at)
            }
            Event::MessageExpired(expired) => self.message_expired(expired.message, at),
            Event::SubscriptionOpened(opened) => {
                let key = opened.subscription.0;
                self.subscriptions.entry(key).or_default().opened = Some((opened, position, at));
            }
            Event::SubscriptionClosed(closed) => self.subscription_closed(&closed, position, at),
            Event::IncidentRaised(raised) => self.incident_raised(raised, at),
            Event::IncidentResolved {
                incident,
                instance,
                element,
                ..
            } => self.incident_resolved(incident, instance, element.0, at),
            Event::CloudEventReceived {
                tenant,
                source_name,
                event,
                raw,
                ..
            } => {
                self.routing = Some(position);
                self.bytes += event.data().map_or(0, |data| data.as_bytes().len());
                self.bytes += raw.as_ref().map_or(0, |raw| raw.len());
                self.arrivals.push(Arrival {
                    position,
                    at,
                    tenant,
                    channel: source_name,
                    what: Arrived::Event { event, raw },
                });
            }
            Event::CloudEventRouted {
                position,
                outcome,
                matches,
                reason,
                ..
            } => {
                self.routing = None;
                self.routes.push(Route {
                    position,
                    outcome,
                    matches,
                    reason,
                });
            }
            Event::CloudEventRepeated {
                tenant,
                source_name,
                source,
                id,
                first,
                same_content,
                ..
            } => {
                let what = Arrived::Repeat {
                    source,
                    id,
                    first,
                    same_content,
                };
                self.arrivals.push(Arrival {
                    position,
                    at,
                    tenant,
                    channel: source_name,
                    what,
                });
            }
            Event::RecordRejected {
                tenant,
                source_name,
                raw,
                reason,
                ..
            } => {
                let what = Arrived::Malformed { raw, reason };
                self.arrivals.push(Arrival {
                    position,
                    at,
                    tenant,
                    channel: source_name,
                    what,
                });
            }
            Event::OutboxAdded(added) => {
                self.bytes += added.event.data().map_or(0, |data| data.as_bytes().len());
                let row = self.outbox.entry(added.entry.0).or_default();
                row.added = Some((added, position, at));
                row.state = Some(DeliveryState::Pending);
            }
            Event::OutboxAcked { entry } => {
                self.outbox.entry(entry.0).or_default().state = Some(DeliveryState::Delivered)
            }
            Event::OutboxDeferred {
                entry,
                attempts,
                retry_at,
                error,
            } => {
                let row = self.outbox.entry(entry.0).or_default();
                row.attempts = Some(attempts);
                row.retry_at = Some(retry_at);
                row.error = Some(error);
            }
            Event::OutboxBuried {
                entry,
                attempts,
                error,
            } => {
                let row = self.outbox.entry(entry.0).or_default();
                row.state = Some(DeliveryState::Dead);
                row.attempts = Some(attempts);
                row.error = Some(error);
            }
            // Nothing that a search shows: steps between states, and the engine's own book-keeping.
            Event::LeaderAnnounced { .. }
            | Event::DeploymentCreated { .. }
            | Event::ElementActivated { .. }
            | Event::ElementCompleting { .. }
            | Event::ElementTerminating { .. }
            | Event::FlowTaken { .. }
            | Event::TokensDiscarded { .. }
            | Event::JoinConsumed { .. }
            | Event::BpmnEventTriggered(_)
            | Event::EventBindingOpened(_)
            | Event::StartSubscriptionOpened(_)
            | Event::StartSubscriptionClosed(_)
            | Event::StartLockReleased { .. }
            | Event::TimerScheduled(_)
            | Event::TimerTriggered(_)
            | Event::TimerCanceled(_)
            | Event::InstanceQuarantined { .. }
            | Event::StepInterrupted(_)
            | Event::DedupBucketDropped { .. }
            | Event::DedupForgotten { .. }
            | Event::RequestRemembered { .. }
            | Event::RequestForgotten { .. }
            | Event::SubscriberPut { .. }
            | Event::SubscriberDeleted { .. }
            | Event::DeadLettersSettled { .. }
            | Event::DueMoved { .. } => {}
        }
    }

    fn instance_created(&mut self, created: Box<InstanceCreated>, at: Timestamp) {
        let row = self.instances.entry(created.instance.0).or_default();
        row.created = Some((created, at));
        row.state = Some(InstanceState::Active);
    }

    fn instance_ended(&mut self, instance: ProcessInstanceKey, completed: bool, at: Timestamp) {
        let row = self.instances.entry(instance.0).or_default();
        row.state = Some(if completed {
            InstanceState::Completed
        } else {
            InstanceState::Terminated
        });
        row.ended = Some(at);
    }

    fn element_ended(&mut self, key: Owned, state: ElementState, at: Timestamp) {
        let row = self.elements.entry(key).or_default();
        row.state = Some(state);
        row.ended = Some(at);
        row.incident = Some(0);
    }

    fn job_created(&mut self, created: Box<JobCreated>, at: Timestamp) {
        let row = self.job_changed(&created.job, at);
        row.retries = Some(created.retries);
        row.state = Some(JobState::Created);
        row.created = Some((created, at));
    }

    fn job_changed(&mut self, job: &JobRef, at: Timestamp) -> &mut JobRow {
        let row = self.jobs.entry((job.instance.0, job.job.0)).or_default();
        row.updated = at;
        row
    }

    fn job(&mut self, job: &JobRef, state: JobState, at: Timestamp) {
        self.job_changed(job, at).state = Some(state);
    }

    fn job_activated(&mut self, activated: JobActivated, at: Timestamp) {
        let row = self.job_changed(&activated.job, at);
        // Zeebe's API knows no "activated": a job that a worker holds is still CREATED.
        row.state = Some(JobState::Created);
        row.worker = Some(activated.worker);
        row.deadline = Some(activated.deadline);
    }

    fn job_ended(&mut self, job: &JobRef, state: JobState, at: Timestamp) {
        let row = self.job_changed(job, at);
        row.state = Some(state);
        row.ended = Some(at);
    }

    fn job_failed(&mut self, failed: JobFailed, at: Timestamp) {
        let row = self.job_changed(&failed.job, at);
        row.state = Some(JobState::Failed);
        row.retries = Some(failed.retries);
        row.error_message = Some(failed.message);
    }

    fn job_error_thrown(
        &mut self,
        job: &JobRef,
        code: Arc<str>,
        message: Arc<str>,
        caught: bool,
        at: Timestamp,
    ) {
        let row = self.job_changed(job, at);
        row.state = Some(JobState::ErrorThrown);
        row.error_code = Some(code);
        row.error_message = Some(message);
        row.ended = caught.then_some(at);
    }

    fn message_published(&mut self, published: &MessagePublished) {
        if let (Some(position), Some(_)) = (self.routing, &published.binding) {
            self.messages.insert(published.message, position);
        }
    }

    /// While its CloudEvent is being routed, meeting is the outcome and not something that happened later.
    fn message_met(
        &mut self,
        message: MessageKey,
        what: &'static str,
        process_id: Arc<str>,
        instance: ProcessInstanceKey,
        at: Timestamp,
    ) {
        if self.routing.is_none() {
            self.later.push(Later {
                message,
                at,
                what,
                process_id,
                instance: Some(instance),
            });
        }
    }

    fn message_expired(&mut self, message: MessageKey, at: Timestamp) {
        if self.routing.is_none() {
            self.later.push(Later {
                message,
                at,
                what: "EXPIRED",
                process_id: Arc::from(""),
                instance: None,
            });
        }
    }

    fn subscription_closed(
        &mut self,
        closed: &SubscriptionClosed,
        position: Sequence,
        at: Timestamp,
    ) {
        self.subscriptions
            .entry(closed.subscription.0)
            .or_default()
            .closed = Some((closed.reason as u8, position, at));
    }

    fn incident_raised(&mut self, raised: Box<IncidentRaised>, at: Timestamp) {
        self.instances
            .entry(raised.instance.0)
            .or_default()
            .incidents += 1;
        let element = (raised.instance.0, raised.element_instance.0);
        self.elements.entry(element).or_default().incident = Some(raised.incident.0);
        let row = self.incidents.entry(raised.incident.0).or_default();
        row.raised = Some((raised, at));
        row.state = Some(IncidentState::Active);
    }

    fn incident_resolved(
        &mut self,
        incident: IncidentKey,
        instance: ProcessInstanceKey,
        element: u64,
        at: Timestamp,
    ) {
        self.instances.entry(instance.0).or_default().incidents -= 1;
        self.elements
            .entry((instance.0, element))
            .or_default()
            .incident = Some(0);
        let row = self.incidents.entry(incident.0).or_default();
        row.state = Some(IncidentState::Resolved);
        row.resolved = Some(at);
    }
}
