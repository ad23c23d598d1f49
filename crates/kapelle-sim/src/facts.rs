//! What the committed events say, kept so that oracles can ask: what exists, what waits for what, what happened how often.
//!
//! **Invariant**: independent of the engine's state. It is made of events alone and decides nothing; whatever it finds
//! impossible is a failure of the run.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kapelle_engine::event::{Event, OutboxAdded, TimerOwner};
use kapelle_engine::ids::{
    DeploymentKey, ElementInstanceKey, IncidentKey, JobKey, OutboxKey, ProcessInstanceKey,
    Sequence, SubscriptionKey, TimerKey, Timestamp,
};
use kapelle_events::CloudEvent;
use kapelle_feel::msgpack;

use crate::subscribers::Settled;

/// Something that may be in the journal once at most; what names an operation: as often as that was asked.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Mark {
    Created(ProcessInstanceKey),
    /// By the client's operation of that number.
    CreatedBy(u64),
    Ended(ProcessInstanceKey),
    Completed(JobKey),
    Activated(u64, JobKey),
    Failed(u64),
    Thrown(u64),
    Retried(u64),
    Resolved(IncidentKey),
    VariablesSet(u64),
    Published(u64),
    Deployed(DeploymentKey),
    /// At that position.
    Received(Sequence),
    OutboxLeft(OutboxKey),
}

impl Mark {
    /// The operation that it names.
    fn operation(&self) -> Option<u64> {
        match self {
            Self::CreatedBy(operation)
            | Self::Activated(operation, _)
            | Self::Failed(operation)
            | Self::Thrown(operation)
            | Self::Retried(operation)
            | Self::VariablesSet(operation)
            | Self::Published(operation) => Some(*operation),
            _ => None,
        }
    }
}

/// A job that is not over.
#[derive(Clone, Debug)]
pub(crate) struct OpenJob {
    pub(crate) element: ElementInstanceKey,
    /// A worker has it.
    pub(crate) held: bool,
    /// It failed for good or threw what nobody catches: an incident.
    pub(crate) stuck: bool,
}

/// A subscription of an instance.
#[derive(Clone, Debug)]
pub(crate) struct OpenSubscription {
    pub(crate) element: ElementInstanceKey,
    pub(crate) name: Arc<str>,
    pub(crate) key: Arc<str>,
}

/// An open incident.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OpenIncident {
    pub(crate) instance: ProcessInstanceKey,
    pub(crate) element: ElementInstanceKey,
    pub(crate) job: Option<JobKey>,
}

/// Name, correlation key, id.
type MessageId = (Arc<str>, Arc<str>, Arc<str>);

/// What the events so far come to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    marks: BTreeMap<Mark, Vec<Sequence>>,
    /// How often what an operation names may happen: once for each time that it was asked and not refused.
    may_happen: BTreeMap<u64, usize>,
    pub(crate) instances: BTreeMap<ProcessInstanceKey, Option<Arc<str>>>,
    pub(crate) ended: BTreeMap<ProcessInstanceKey, bool>,
    elements: BTreeMap<ElementInstanceKey, (ProcessInstanceKey, ElementInstanceKey)>,
    pub(crate) jobs: BTreeMap<JobKey, OpenJob>,
    pub(crate) subscriptions: BTreeMap<SubscriptionKey, OpenSubscription>,
    timers: BTreeMap<TimerKey, Option<ElementInstanceKey>>,
    pub(crate) incidents: BTreeMap<IncidentKey, OpenIncident>,
    pub(crate) outbox: BTreeMap<OutboxKey, Arc<OutboxAdded>>,
    pub(crate) left: BTreeMap<OutboxKey, bool>,
    /// CloudEvents that came or were published, for the event store.
    pub(crate) stored: BTreeMap<Sequence, Arc<CloudEvent>>,
    /// Subscribers with the record that made them.
    pub(crate) subscribers: BTreeMap<Arc<str>, Sequence>,
    /// Decisions about their dead letters.
    pub(crate) settled: Vec<Settled>,
    /// What is no CloudEvent, as it was kept.
    records: BTreeMap<Sequence, Arc<[u8]>>,
    /// Instances by their idempotency key, while it is remembered.
    requests: BTreeMap<Arc<str>, (ProcessInstanceKey, Timestamp)>,
    /// … and whom each ever made.
    made: BTreeSet<(Arc<str>, ProcessInstanceKey)>,
    /// How often each CloudEvent was received, and when last.
    received: BTreeMap<Box<str>, (u64, Timestamp)>,
    /// … and how often it had which effect.
    effects: BTreeMap<(Box<str>, String), u64>,
    /// Instances that are set aside, by the incident that ends it.
    aside: BTreeMap<IncidentKey, ProcessInstanceKey>,
    /// Instances may be set aside: what follows from a command does not always fit into a batch.
    sets_aside: bool,
    /// How long an id must not have a second effect; `None`: the window is bounded by count, too.
    window_ms: Option<i64>,
    /// Ids of messages that are in the buffer.
    message_ids: BTreeMap<MessageId, Timestamp>,
    pub(crate) seen: BTreeMap<&'static str, u64>,
}

impl Facts {
    /// Nothing has happened. `window_ms`: how long a CloudEvent's id must not have a second effect, if time alone says so.
    pub(crate) fn new(window_ms: Option<i64>, sets_aside: bool) -> Self {
        Self {
            window_ms,
            sets_aside,
            ..Self::default()
        }
    }

    /// Takes in the next event.
    ///
    /// # Errors
    /// What must not be.
    pub(crate) fn note(
        &mut self,
        event: &Event,
        sequence: Sequence,
        at: Timestamp,
    ) -> Result<(), String> {
        *self.seen.entry(event.name()).or_default() += 1;
        self.note_marks(event, sequence)?;
        if let Event::RecordRejected { raw, .. } = event {
            self.records.insert(sequence, Arc::clone(raw));
        }
        if let Event::InstanceQuarantined {
            instance,
            reason,
            incident,
        } = event
        {
            if !self.sets_aside {
                // Nothing here panics on purpose, and every outcome fits into a batch.
                return Err(format!("instance {instance} was set aside: {reason}"));
            }
            self.aside.insert(*incident, *instance);
        }
        self.check_left_alone(event)?;
        self.note_instances(event);
        self.note_jobs(event)?;
        self.note_waiting(event);
        self.note_subscribers(event, sequence);
        self.note_outside(event, at)
    }

    /// No token of an instance that is set aside moves, and nobody gets its jobs.
    fn check_left_alone(&self, event: &Event) -> Result<(), String> {
        let instance = match event {
            Event::ElementActivating {
                instance,
                flow: Some(_),
                ..
            } => *instance,
            Event::JobActivated(activated) => activated.job.instance,
            Event::MessageCorrelated(correlated) => correlated.instance,
            _ => return Ok(()),
        };
        if self.is_aside(instance) {
            return Err(format!(
                "instance {instance} is set aside, and there is {}",
                event.name()
            ));
        }
        Ok(())
    }

    /// Where it happened, if it did.
    pub(crate) fn find(&self, mark: &Mark) -> Option<Sequence> {
        self.find_all(mark).last().copied()
    }

    pub(crate) fn find_all(&self, mark: &Mark) -> &[Sequence] {
        self.marks.get(mark).map_or(&[], Vec::as_slice)
    }

    /// The record that is no CloudEvent and was kept there.
    pub(crate) fn kept(&self, at: Sequence) -> Option<&Arc<[u8]>> {
        self.records.get(&at)
    }

    /// Whether that request ever made that instance.
    pub(crate) fn was_remembered(&self, request: &Arc<str>, instance: ProcessInstanceKey) -> bool {
        self.made.contains(&(Arc::clone(request), instance))
    }

    /// An operation is asked, once more if it was before: what it names may happen once more.
    pub(crate) fn may_happen(&mut self, operation: u64) {
        *self.may_happen.entry(operation).or_default() += 1;
    }

    /// It was refused, or never arrived: it has not happened and never will.
    pub(crate) fn will_not_happen(&mut self, operation: u64) -> Result<(), String> {
        if let Some(may) = self.may_happen.get_mut(&operation) {
            *may -= 1;
        }
        let marks = [
            Mark::CreatedBy(operation),
            Mark::Failed(operation),
            Mark::Thrown(operation),
            Mark::Retried(operation),
            Mark::VariablesSet(operation),
            Mark::Published(operation),
        ];
        marks.iter().try_for_each(|mark| self.check_times(mark))
    }

    fn mark(&mut self, mark: Mark, sequence: Sequence) -> Result<(), String> {
        self.marks.entry(mark.clone()).or_default().push(sequence);
        self.check_times(&mark)
    }

    fn check_times(&self, mark: &Mark) -> Result<(), String> {
        let may = mark.operation().map_or(1, |operation| {
            self.may_happen.get(&operation).copied().unwrap_or(0)
        });
        let found = self.find_all(mark);
        if found.len() <= may {
            return Ok(());
        }
        Err(format!(
            "happened too often: {mark:?} in records {found:?}, asked and not refused {may} times"
        ))
    }

    // A dispatch table: one arm per event that a client can know of.
    fn note_marks(&mut self, event: &Event, sequence: Sequence) -> Result<(), String> {
        let mark = match event {
            Event::InstanceCreated(created) => {
                for tag in &created.tags {
                    if let Some(operation) = operation_of(tag) {
                        self.mark(Mark::CreatedBy(operation), sequence)?;
                    }
                }
                Mark::Created(created.instance)
            }
            Event::InstanceEnded(ended) => Mark::Ended(ended.instance),
            Event::JobCompleted { job, .. } => Mark::Completed(job.job),
            Event::JobActivated(activated) => match operation_of(&activated.worker) {
                Some(operation) => Mark::Activated(operation, activated.job.job),
                None => return Ok(()),
            },
            Event::JobFailed(failed) => match operation_of(&failed.message) {
                Some(operation) => Mark::Failed(operation),
                None => return Ok(()),
            },
            Event::JobErrorThrown { message, .. } => match operation_of(message) {
                Some(operation) => Mark::Thrown(operation),
                None => return Ok(()),
            },
            // Ten and less are set by models and drains.
            Event::JobRetriesUpdated { retries, .. } if *retries > 10 => {
                Mark::Retried(u64::from(retries.cast_unsigned()))
            }
            Event::IncidentResolved { incident, .. } => Mark::Resolved(*incident),
            Event::VariableSet { name, value, .. } if &**name == "mark" => {
                Mark::VariablesSet(number(&value.0))
            }
            Event::MessagePublished(published) => {
                match msgpack::get(&published.variables.0, "published") {
                    Some(operation) => Mark::Published(number(operation)),
                    None => return Ok(()),
                }
            }
            Event::DeploymentCreated { deployment, .. } => Mark::Deployed(*deployment),
            Event::CloudEventReceived { .. } | Event::RecordRejected { .. } => {
                Mark::Received(sequence)
            }
            Event::OutboxAcked { entry } | Event::OutboxBuried { entry, .. } => {
                Mark::OutboxLeft(*entry)
            }
            _ => return Ok(()),
        };
        self.mark(mark, sequence)
    }

    fn note_instances(&mut self, event: &Event) {
        match event {
            Event::InstanceCreated(created) => {
                self.instances
                    .insert(created.instance, created.cause.event_id.clone());
            }
            Event::InstanceEnded(ended) => {
                self.ended.insert(ended.instance, ended.completed);
                self.instances.remove(&ended.instance);
            }
            Event::ElementActivating {
                instance,
                key,
                scope,
                ..
            } => {
                self.elements.insert(*key, (*instance, *scope));
            }
            Event::ElementCompleted { key, .. } | Event::ElementTerminated { key, .. } => {
                self.elements.remove(key);
            }
            _ => {}
        }
    }

    fn note_jobs(&mut self, event: &Event) -> Result<(), String> {
        match event {
            Event::JobCreated(created) => {
                let job = OpenJob {
                    element: created.job.element,
                    held: false,
                    stuck: false,
                };
                self.jobs.insert(created.job.job, job);
            }
            Event::JobActivated(activated) => {
                let job = self.job(activated.job.job)?;
                if std::mem::replace(&mut job.held, true) {
                    return Err(format!("two workers have job {}", activated.job.job));
                }
            }
            Event::JobMadeAvailable { job, .. } => {
                let job = self.job(job.job)?;
                (job.held, job.stuck) = (false, false);
            }
            Event::JobFailed(failed) => {
                let stuck = failed.retries == 0;
                let job = self.job(failed.job.job)?;
                (job.held, job.stuck) = (false, stuck);
            }
            Event::JobErrorThrown {
                job, caught: false, ..
            } => {
                let job = self.job(job.job)?;
                (job.held, job.stuck) = (false, true);
            }
            Event::JobCompleted { job, .. }
            | Event::JobCanceled { job, .. }
            | Event::JobErrorThrown {
                job, caught: true, ..
            } => {
                self.job(job.job)?;
                self.jobs.remove(&job.job);
            }
            _ => {}
        }
        Ok(())
    }

    fn job(&mut self, key: JobKey) -> Result<&mut OpenJob, String> {
        self.jobs
            .get_mut(&key)
            .ok_or_else(|| format!("something happened to job {key}, which is over or never was"))
    }

    fn note_waiting(&mut self, event: &Event) {
        match event {
            Event::SubscriptionOpened(opened) => {
                let open = OpenSubscription {
                    element: opened.element_instance,
                    name: opened.name.clone(),
                    key: opened.correlation_key.clone(),
                };
                self.subscriptions.insert(opened.subscription, open);
            }
            Event::SubscriptionClosed(closed) => {
                self.subscriptions.remove(&closed.subscription);
            }
            Event::TimerScheduled(timer) => {
                let element = match timer.owner {
                    TimerOwner::Instance {
                        element_instance, ..
                    } => Some(element_instance),
                    TimerOwner::Definition { .. } => None,
                };
                self.timers.insert(timer.timer, element);
            }
            Event::TimerTriggered(timer) | Event::TimerCanceled(timer) => {
                self.timers.remove(&timer.timer);
            }
            Event::IncidentRaised(raised) => {
                let open = OpenIncident {
                    instance: raised.instance,
                    element: raised.element_instance,
                    job: raised.job,
                };
                self.incidents.insert(raised.incident, open);
            }
            Event::IncidentResolved { incident, .. } => {
                self.incidents.remove(incident);
                self.aside.remove(incident);
            }
            _ => {}
        }
    }

    fn note_subscribers(&mut self, event: &Event, sequence: Sequence) {
        match event {
            Event::CloudEventReceived { event, .. } => {
                self.stored.insert(sequence, Arc::clone(event));
            }
            Event::OutboxAdded(added) => {
                self.stored.insert(sequence, Arc::new(added.event.clone()));
            }
            Event::SubscriberPut {
                name, is_new: true, ..
            } => {
                self.subscribers.insert(Arc::clone(name), sequence);
            }
            Event::SubscriberDeleted { name, .. } => {
                self.subscribers.remove(name);
            }
            event => self.settled.extend(Settled::of(event, sequence)),
        }
    }

    fn note_outside(&mut self, event: &Event, at: Timestamp) -> Result<(), String> {
        match event {
            Event::CloudEventReceived { event, .. } => self.received(event.id(), at),
            Event::MessagePublished(published) => {
                if let (Some(binding), Some(id)) = (&published.binding, &published.cause.event_id) {
                    let what = format!("message {} of {}", published.name, binding.process_id);
                    self.effect_of(id, what)?;
                }
                self.note_message_id(published, at)
            }
            Event::InstanceCreated(created) => match &created.cause.event_id {
                Some(id) => self.effect_of(id, format!("start of {}", created.process_id)),
                None => Ok(()),
            },
            Event::OutboxAdded(added) => {
                self.outbox.insert(added.entry, Arc::new((**added).clone()));
                Ok(())
            }
            Event::OutboxAcked { entry } => {
                self.left.insert(*entry, true);
                Ok(())
            }
            Event::OutboxBuried { entry, .. } => {
                self.left.insert(*entry, false);
                Ok(())
            }
            Event::RequestRemembered {
                request,
                instance,
                until,
                ..
            } => {
                self.made.insert((request.clone(), *instance));
                match self.requests.insert(request.clone(), (*instance, *until)) {
                    Some((first, until)) if until > at => Err(format!(
                        "request {request} started {first} and, while that was remembered, {instance}"
                    )),
                    _ => Ok(()),
                }
            }
            Event::RequestForgotten {
                request,
                instance,
                until,
                ..
            } => {
                if self.requests.get(request) == Some(&(*instance, *until)) {
                    self.requests.remove(request);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn note_message_id(
        &mut self,
        published: &kapelle_engine::event::MessagePublished,
        at: Timestamp,
    ) -> Result<(), String> {
        if published.message_id.is_empty() {
            return Ok(());
        }
        let key = (
            published.name.clone(),
            published.correlation_key.clone(),
            published.message_id.clone(),
        );
        match self.message_ids.insert(key, published.expires) {
            Some(expires) if expires > at => Err(format!(
                "message {} with id {} was taken while an earlier one was buffered",
                published.name, published.message_id
            )),
            _ => Ok(()),
        }
    }

    /// Within the window an id is received once.
    fn received(&mut self, id: &str, at: Timestamp) -> Result<(), String> {
        let (count, before) = self.received.entry(id.into()).or_insert((0, at));
        let apart = at.0 - before.0;
        let too_soon = *count > 0 && self.window_ms.is_some_and(|window| apart < window);
        (*count, *before) = (*count + 1, at);
        if too_soon {
            return Err(format!(
                "CloudEvent {id} was received twice, {apart} ms apart"
            ));
        }
        Ok(())
    }

    /// Each time it is received a CloudEvent has an effect once at most.
    fn effect_of(&mut self, id: &str, what: String) -> Result<(), String> {
        let received = self.received.get(id).map_or(0, |(count, _)| *count);
        let effects = self.effects.entry((id.into(), what)).or_default();
        *effects += 1;
        if *effects > received {
            return Err(format!(
                "CloudEvent {id} was received {received} times and had an effect {effects} times"
            ));
        }
        Ok(())
    }

    /// The first element that nothing can move: it has no job, no timer, no subscription, no incident and nothing inside,
    /// and its instance is not set aside.
    pub(crate) fn stuck(&self) -> Option<(ProcessInstanceKey, ElementInstanceKey)> {
        let mut moved: BTreeSet<ElementInstanceKey> = BTreeSet::new();
        moved.extend(self.jobs.values().map(|job| job.element));
        moved.extend(self.subscriptions.values().map(|open| open.element));
        moved.extend(self.timers.values().copied().flatten());
        moved.extend(self.incidents.values().map(|open| open.element));
        let inner = self
            .elements
            .iter()
            .filter(|(key, (_, scope))| *key != scope);
        moved.extend(inner.map(|(_, (_, scope))| *scope));
        let aside: BTreeSet<ProcessInstanceKey> = self.aside.values().copied().collect();
        self.elements
            .iter()
            .find(|(key, (instance, _))| !moved.contains(key) && !aside.contains(instance))
            .map(|(key, (instance, _))| (*instance, *key))
    }

    /// Whether it is set aside.
    pub(crate) fn is_aside(&self, instance: ProcessInstanceKey) -> bool {
        self.aside.values().any(|aside| *aside == instance)
    }

    /// Whether timers will still start instances.
    pub(crate) fn will_start(&self) -> bool {
        self.timers.values().any(Option::is_none)
    }

    /// The tags, workers and messages of an operation name it so.
    pub(crate) fn name_of(operation: u64) -> Arc<str> {
        Arc::from(format!("op-{operation}"))
    }
}

fn operation_of(name: &str) -> Option<u64> {
    name.strip_prefix("op-")?.parse().ok()
}

fn number(value: &[u8]) -> u64 {
    msgpack::as_i64(value).map_or(u64::MAX, i64::cast_unsigned)
}
