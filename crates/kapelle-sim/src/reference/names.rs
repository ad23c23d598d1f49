//! Events of the engine in the words of [`Said`].
//!
//! **Invariant**: only names and numbers are changed. The engine's graph is asked for nothing but the names that its
//! indexes stand for.

use std::collections::BTreeMap;
use std::sync::Arc;

use kapelle_engine::command::{Due, DueKind};
use kapelle_engine::event::{Event, InstanceCreated, JobRef, OutboxAdded, TimerEvent, TimerOwner};
use kapelle_engine::ids::{
    DefinitionKey, ElementInstanceKey, IncidentKey, JobKey, MessageKey, OutboxKey,
    ProcessInstanceKey, ResourceKey, SubscriptionKey, TimerKey,
};
use kapelle_engine::response;
use kapelle_model::graph::{ElementIndex, FlowIndex, Process};

use super::cloud_events::data_of;
use super::said::{Match, Name, Node, Passage, Said, TimerOf};
use crate::value::{Value, read_values};

/// Who has which key.
#[derive(Clone, Default)]
pub(crate) struct Names {
    resources: BTreeMap<ResourceKey, Arc<[u8]>>,
    definitions: BTreeMap<DefinitionKey, (Arc<Process>, i32)>,
    cases: BTreeMap<ProcessInstanceKey, (u64, Arc<Process>)>,
    nodes: BTreeMap<ElementInstanceKey, Node>,
    jobs: BTreeMap<JobKey, Node>,
    /// Back again, by the number of its node: no element instance has more than one.
    job_keys: BTreeMap<u64, JobKey>,
    subscriptions: BTreeMap<SubscriptionKey, (Node, Name)>,
    timers: BTreeMap<TimerKey, TimerOf>,
    incidents: BTreeMap<IncidentKey, u64>,
    messages: BTreeMap<MessageKey, u64>,
    outbox: BTreeMap<OutboxKey, u64>,
}

impl Names {
    pub(crate) fn case(&self, key: ProcessInstanceKey) -> Option<u64> {
        self.cases.get(&key).map(|(number, _)| *number)
    }

    pub(crate) fn node(&self, key: ElementInstanceKey) -> Option<&Node> {
        self.nodes.get(&key)
    }

    pub(crate) fn job(&self, key: JobKey) -> Option<&Node> {
        self.jobs.get(&key)
    }

    pub(crate) fn job_key(&self, node: u64) -> Option<JobKey> {
        self.job_keys.get(&node).copied()
    }

    pub(crate) fn incident(&self, key: IncidentKey) -> Option<u64> {
        self.incidents.get(&key).copied()
    }

    pub(crate) fn message(&self, key: MessageKey) -> Option<u64> {
        self.messages.get(&key).copied()
    }

    pub(crate) fn timer(&self, key: TimerKey) -> Option<&TimerOf> {
        self.timers.get(&key)
    }

    /// The name of an element of an instance.
    pub(crate) fn element(&self, instance: ProcessInstanceKey, index: ElementIndex) -> Name {
        let (_, process) = &self.cases[&instance];
        process.element(index).id.clone()
    }

    /// Names of the two ends of a flow.
    pub(crate) fn flow(&self, instance: ProcessInstanceKey, index: FlowIndex) -> (Name, Name) {
        let (_, process) = &self.cases[&instance];
        let flow = process.flow(index);
        let name = |index| process.element(index).id.clone();
        (name(flow.source), name(flow.target))
    }

    /// What bindings made of a CloudEvent.
    pub(crate) fn matches(&self, matches: &[response::Match]) -> Vec<Match> {
        let own = matches.iter().map(|found| Match {
            process: found.process_id.clone(),
            message: found.message.clone(),
            key: found.correlation_key.clone(),
            outcome: found.outcome,
            case: found.instance.map(|instance| self.cases[&instance].0),
        });
        own.collect()
    }

    fn at(&self, key: ElementInstanceKey) -> Node {
        self.nodes[&key].clone()
    }

    fn number(&self, key: ElementInstanceKey) -> u64 {
        self.nodes[&key].number
    }

    fn of_job(&self, job: &JobRef) -> Node {
        self.jobs[&job.job].clone()
    }

    /// What an event says; nothing for what only the engine itself is concerned with.
    // A dispatch table: one arm for each kind of event.
    pub(crate) fn said(&mut self, event: &Event) -> Option<Said> {
        Some(match event {
            Event::LeaderAnnounced { .. }
            | Event::DeploymentCreated { .. }
            | Event::DedupBucketDropped { .. }
            | Event::DedupForgotten { .. }
            // Attempts are the runtime's.
            | Event::OutboxDeferred { .. }
            | Event::SubscriberPut { .. }
            | Event::SubscriberDeleted { .. }
            | Event::DeadLettersSettled { .. } => return None,
            Event::ResourceStored {
                resource, bytes, ..
            } => {
                self.resources.insert(*resource, bytes.clone());
                return None;
            }
            Event::ProcessDeployed(deployed) => {
                let process = self.compile(deployed.resource);
                let version = deployed.version;
                let id = process.id.clone();
                self.definitions
                    .insert(deployed.definition, (Arc::new(process), version));
                Said::Deployed {
                    process: id,
                    version,
                }
            }
            Event::StartSubscriptionOpened(start) => Said::StartOpened {
                process: start.process_id.clone(),
                message: start.name.clone(),
            },
            Event::StartSubscriptionClosed(start) => Said::StartClosed {
                process: start.process_id.clone(),
                message: start.name.clone(),
            },
            Event::EventBindingOpened(opened) => Said::Bound {
                process: opened.process_id.clone(),
                event_type: opened.event_type.clone(),
                message: opened.message.clone(),
            },

            Event::InstanceCreated(_)
            | Event::InstanceEnded(_)
            | Event::InstanceQuarantined { .. }
            | Event::StepInterrupted(_)
            | Event::ElementActivating { .. }
            | Event::ElementActivated { .. }
            | Event::ElementCompleting { .. }
            | Event::ElementCompleted { .. }
            | Event::ElementTerminating { .. }
            | Event::ElementTerminated { .. }
            | Event::FlowTaken { .. }
            | Event::TokensDiscarded { .. }
            | Event::JoinConsumed { .. }
            | Event::BpmnEventTriggered(_)
            | Event::VariableSet { .. }
            | Event::IncidentRaised(_)
            | Event::IncidentResolved { .. } => self.of_instance(event),

            Event::JobCreated(_)
            | Event::JobActivated(_)
            | Event::JobMadeAvailable { .. }
            | Event::JobCompleted { .. }
            | Event::JobFailed(_)
            | Event::JobErrorThrown { .. }
            | Event::JobCanceled { .. }
            | Event::JobRetriesUpdated { .. }
            | Event::JobTimeoutUpdated { .. }
            | Event::JobWithheld { .. } => self.about_job(event),

            Event::MessagePublished(_)
            | Event::MessageCorrelated(_)
            | Event::MessageStarted(_)
            | Event::MessageExpired(_)
            | Event::SubscriptionOpened(_)
            | Event::SubscriptionClosed(_)
            | Event::StartLockReleased { .. } => self.about_message(event),

            Event::TimerScheduled(timer) => {
                let of = self.timer_of(timer);
                self.timers.insert(timer.timer, of.clone());
                Said::TimerSet {
                    of,
                    due: timer.due.0,
                    left: timer.repetitions,
                }
            }
            Event::TimerTriggered(timer) => Said::TimerFired {
                of: self.timer_of(timer),
            },
            Event::TimerCanceled(timer) => Said::TimerGone {
                of: self.timer_of(timer),
            },
            Event::DueMoved { to: None, .. } => Said::DueDropped,
            Event::DueMoved { to: Some(_), .. } => Said::DuePutOff,

            Event::CloudEventReceived { .. }
            | Event::CloudEventRouted { .. }
            | Event::CloudEventRepeated { .. }
            | Event::RecordRejected { .. }
            | Event::OutboxAdded(_)
            | Event::OutboxAcked { .. }
            | Event::OutboxBuried { .. } => self.about_cloud_event(event),

            Event::RequestRemembered {
                request,
                instance,
                until,
                ..
            } => Said::Remembered {
                request: request.clone(),
                case: self.cases[instance].0,
                until: until.0,
            },
            Event::RequestForgotten {
                request, instance, ..
            } => Said::Forgotten {
                request: request.clone(),
                case: self.cases[instance].0,
            },
        })
    }

    fn compile(&self, resource: ResourceKey) -> Process {
        let (bpmn, _) = kapelle_model::parse_bpmn(
            "deployed",
            &self.resources[&resource],
            &kapelle_model::Limits::default(),
        );
        let mut processes = bpmn.map(|bpmn| bpmn.processes).unwrap_or_default();
        processes
            .pop()
            .expect("invariant: what was deployed is a process")
    }

    fn created(&mut self, created: &InstanceCreated) -> Said {
        let (process, _) = &self.definitions[&created.definition];
        let (process, case) = (Arc::clone(process), self.cases.len() as u64);
        let start = process.element(created.start).id.clone();
        self.cases.insert(created.instance, (case, process));
        Said::Created {
            case,
            process: created.process_id.clone(),
            version: created.version,
            start,
            awaited: created.awaited.is_some(),
            lock: created.start_lock.clone(),
        }
    }

    fn of_instance(&mut self, event: &Event) -> Said {
        let passed = |names: &Self, key: &ElementInstanceKey, passage| Said::Passed {
            node: names.at(*key),
            passage,
        };
        match event {
            Event::InstanceCreated(created) => self.created(created),
            Event::InstanceEnded(ended) => Said::Ended {
                case: self.cases[&ended.instance].0,
                completed: ended.completed,
            },
            Event::InstanceQuarantined { instance, .. } => Said::SetAside {
                case: self.cases[instance].0,
            },
            Event::StepInterrupted(interrupted) => Said::Interrupted {
                incident: self.incidents[&interrupted.incident],
            },
            Event::ElementActivating {
                instance,
                key,
                element,
                scope,
                ..
            } => {
                let node = Node {
                    number: self.nodes.len() as u64,
                    element: self.element(*instance, *element),
                };
                self.nodes.insert(*key, node.clone());
                Said::Entered {
                    case: self.cases[instance].0,
                    node,
                    scope: self.number(*scope),
                }
            }
            Event::ElementActivated { key, .. } => passed(self, key, Passage::Activated),
            Event::ElementCompleting { key, .. } => passed(self, key, Passage::Completing),
            Event::ElementCompleted { key, .. } => passed(self, key, Passage::Completed),
            Event::ElementTerminating { key, .. } => passed(self, key, Passage::Terminating),
            Event::ElementTerminated { key, .. } => passed(self, key, Passage::Terminated),
            Event::FlowTaken {
                instance,
                scope,
                flow,
                ..
            } => {
                let (from, to) = self.flow(*instance, *flow);
                Said::Flow {
                    scope: self.number(*scope),
                    from,
                    to,
                }
            }
            Event::TokensDiscarded { scope, .. } => Said::Discarded {
                scope: self.number(*scope),
            },
            Event::JoinConsumed {
                instance,
                scope,
                gateway,
            } => Said::Joined {
                scope: self.number(*scope),
                join: self.element(*instance, *gateway),
            },
            Event::BpmnEventTriggered(triggered) => Said::Triggered {
                node: self.at(triggered.waiting),
                element: self.element(triggered.instance, triggered.element),
                payload: read_values(&triggered.variables.0),
            },
            Event::VariableSet {
                scope, name, value, ..
            } => Said::Set {
                scope: self.number(*scope),
                name: name.clone(),
                value: Value::read(&value.0),
            },
            Event::IncidentRaised(raised) => {
                let incident = self.incidents.len() as u64;
                self.incidents.insert(raised.incident, incident);
                Said::Incident {
                    incident,
                    node: self.at(raised.element_instance),
                    kind: raised.kind,
                    of_job: raised.job.is_some(),
                }
            }
            Event::IncidentResolved { incident, .. } => Said::Resolved {
                incident: self.incidents[incident],
            },
            _ => unreachable!("dispatched by family"),
        }
    }

    fn about_job(&mut self, event: &Event) -> Said {
        match event {
            Event::JobCreated(created) => {
                let node = self.at(created.job.element);
                self.jobs.insert(created.job.job, node.clone());
                self.job_keys.insert(node.number, created.job.job);
                let headers = created.headers.iter();
                Said::JobMade {
                    node,
                    job_type: created.job.job_type.clone(),
                    retries: created.retries,
                    headers: headers
                        .map(|header| (header.key.clone(), header.value.clone()))
                        .collect(),
                }
            }
            Event::JobActivated(activated) => Said::JobTaken {
                node: self.of_job(&activated.job),
                worker: activated.worker.clone(),
                deadline: activated.deadline.0,
            },
            Event::JobMadeAvailable { job, cause, .. } => Said::JobFree {
                node: self.of_job(job),
                cause: *cause,
            },
            Event::JobCompleted { job, .. } => Said::JobDone {
                node: self.of_job(job),
            },
            Event::JobFailed(failed) => Said::JobFailed {
                node: self.of_job(&failed.job),
                retries: failed.retries,
                until: failed.backoff_until.map(|until| until.0),
            },
            Event::JobErrorThrown {
                job, code, caught, ..
            } => Said::JobThrew {
                node: self.of_job(job),
                code: code.clone(),
                caught: *caught,
            },
            Event::JobCanceled { job, .. } => Said::JobCanceled {
                node: self.of_job(job),
            },
            Event::JobRetriesUpdated { job, retries } => Said::JobRetries {
                node: self.of_job(job),
                retries: *retries,
            },
            Event::JobTimeoutUpdated { job, deadline, .. } => Said::JobDeadline {
                node: self.of_job(job),
                deadline: deadline.0,
            },
            Event::JobWithheld { job } => Said::JobWithheld {
                node: self.of_job(job),
            },
            _ => unreachable!("dispatched by family"),
        }
    }

    fn about_message(&mut self, event: &Event) -> Said {
        match event {
            Event::MessagePublished(published) => {
                let message = self.messages.len() as u64;
                self.messages.insert(published.message, message);
                let binding = published.binding.as_ref();
                Said::Published {
                    message,
                    name: published.name.clone(),
                    key: published.correlation_key.clone(),
                    id: published.message_id.clone(),
                    expires: published.expires.0,
                    variables: read_values(&published.variables.0),
                    only: binding.map(|only| (only.process_id.clone(), only.key_kind)),
                }
            }
            Event::MessageCorrelated(met) => Said::Met {
                message: self.messages[&met.message],
                node: self.at(met.element_instance),
            },
            Event::MessageStarted(started) => Said::Started {
                message: self.messages[&started.message],
                case: self.cases[&started.instance].0,
            },
            Event::MessageExpired(expired) => Said::Expired {
                message: self.messages[&expired.message],
            },
            Event::SubscriptionOpened(opened) => {
                let node = self.at(opened.element_instance);
                let element = self.element(opened.instance, opened.element);
                self.subscriptions
                    .insert(opened.subscription, (node.clone(), element.clone()));
                Said::Opened {
                    node,
                    element,
                    name: opened.name.clone(),
                    key: opened.correlation_key.clone(),
                    kind: opened.key_kind,
                    once: opened.once,
                }
            }
            Event::SubscriptionClosed(closed) => {
                let (node, element) = self.subscriptions[&closed.subscription].clone();
                Said::Closed { node, element }
            }
            Event::StartLockReleased {
                process_id,
                correlation_key,
                instance,
                ..
            } => Said::LockFree {
                process: process_id.clone(),
                key: correlation_key.clone(),
                case: self.cases[instance].0,
            },
            _ => unreachable!("dispatched by family"),
        }
    }

    fn about_cloud_event(&mut self, event: &Event) -> Said {
        match event {
            Event::CloudEventReceived { event, .. } => Said::Received {
                id: event.id().into(),
            },
            Event::CloudEventRouted {
                outcome, matches, ..
            } => Said::Routed {
                outcome: *outcome,
                matches: self.matches(matches),
            },
            Event::CloudEventRepeated {
                id,
                first_outcome,
                same_content,
                ..
            } => Said::Repeated {
                id: id.clone(),
                first: *first_outcome,
                same_content: *same_content,
            },
            Event::RecordRejected { .. } => Said::Rejected,
            Event::OutboxAdded(added) => self.out(added),
            Event::OutboxAcked { entry } => Said::Delivered {
                entry: self.outbox[entry],
            },
            Event::OutboxBuried { entry, .. } => Said::GivenUp {
                entry: self.outbox[entry],
            },
            _ => unreachable!("dispatched by family"),
        }
    }

    fn out(&mut self, added: &OutboxAdded) -> Said {
        let entry = self.outbox.len() as u64;
        self.outbox.insert(added.entry, entry);
        Said::Out {
            entry,
            to: added.to.clone(),
            event_type: added.event.event_type().into(),
            subject: added.event.subject().map(Name::from),
            data: data_of(&added.event),
        }
    }

    fn timer_of(&self, timer: &TimerEvent) -> TimerOf {
        match timer.owner {
            TimerOwner::Instance {
                instance,
                element_instance,
                element,
            } => TimerOf::Node(self.at(element_instance), self.element(instance, element)),
            TimerOwner::Definition { definition, .. } => {
                let (process, version) = &self.definitions[&definition];
                TimerOf::Process(process.id.clone(), *version)
            }
        }
    }

    /// Whose timer it is, if what is due is one.
    pub(crate) fn due(&self, due: &Due) -> Option<TimerOf> {
        (due.what == DueKind::Timer)
            .then(|| self.timers.get(&TimerKey(due.key)).cloned())
            .flatten()
    }
}
