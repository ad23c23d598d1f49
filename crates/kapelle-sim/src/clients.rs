//! Clients and workers: what they ask, and what they may rely on once they are answered.
//!
//! Every command carries the number of its operation somewhere where events show it (a tag, a worker's name, a message),
//! so that an answer can be held against the records it stands for:
//!
//! - acknowledged: the effect is in the journal once, after the command was given and not behind what was durable when
//!   the answer came;
//! - refused: the effect is not there and never comes;
//! - no answer, or "unknown": either, but not more often than it was asked ([`crate::facts::Facts::may_happen`]).
//!
//! Together the first is linearizability: whoever asks after an answer comes behind it in the journal.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use kapelle_engine::command::{Command, CommandMeta};
use kapelle_engine::effect::StreamId;
use kapelle_engine::ids::{IncidentKey, JobKey, OutboxKey, ProcessInstanceKey, Sequence};
use kapelle_engine::response::{EventResult, Outcome, Response};
use kapelle_runtime::partition::Request;
use kapelle_runtime::{Refusal, Reply};

use crate::broker::Offered;
use crate::exercised::Exercised;
use crate::facts::Mark;
use crate::history::History;
use crate::network::{Call, Fate, Network, News};
use crate::reference::Reference;

/// Where an answer arrives.
#[derive(Clone, Default)]
pub(crate) struct Slot(Arc<Mutex<Option<Reply>>>);

impl Slot {
    pub(crate) fn get(&self) -> Option<Reply> {
        self.0.lock().expect("invariant: no panic inside").clone()
    }

    fn refuse(&self, refusal: Refusal) {
        let before = self
            .0
            .lock()
            .expect("invariant: no panic inside")
            .replace(Err(refusal));
        assert!(before.is_none(), "a command was answered and refused");
    }

    /// The command as a request that is answered here. That of an operation is on a trace, which the journal keeps.
    pub(crate) fn request(&self, command: Command, operation: Option<u64>) -> Request {
        let slot = Arc::clone(&self.0);
        let meta = CommandMeta {
            traceparent: operation.map(trace_of),
            ..CommandMeta::default()
        };
        Request::Command {
            command,
            meta,
            reply: Box::new(move |reply| {
                let before = slot
                    .lock()
                    .expect("invariant: no panic inside")
                    .replace(reply);
                assert!(before.is_none(), "a command was answered twice");
            }),
        }
    }
}

/// What an operation wants, as far as its answer promises something.
#[derive(Clone, Debug)]
pub(crate) enum Asked {
    Deploy,
    Create {
        request: Option<Arc<str>>,
    },
    Cancel(ProcessInstanceKey),
    SetVariables,
    Resolve(IncidentKey),
    Activate,
    Complete(JobKey),
    Fail,
    ThrowError,
    Retries,
    Message,
    Ingest(Vec<Offered>),
    /// Promises nothing that could be looked for.
    Other,
}

struct Waiting {
    operation: u64,
    call: Call,
    slot: Slot,
    /// What becomes of its answer.
    answer: Fate,
}

/// All clients and workers.
#[derive(Default)]
pub(crate) struct Clients {
    waiting: Vec<Waiting>,
    operations: u64,
    /// How often each was.
    acknowledged: BTreeMap<Mark, usize>,
    /// Cancelled, says an answer; the end may come some follow-ups later.
    canceled: BTreeSet<ProcessInstanceKey>,
    /// Jobs that workers know they have.
    pub(crate) held: Vec<JobKey>,
    /// … and that they once had.
    pub(crate) done: Vec<JobKey>,
    /// Jobs that were pushed down a stream.
    pub(crate) pushed: Vec<(StreamId, JobKey)>,
    pub(crate) streams: Vec<StreamId>,
    /// CloudEvents whose intake was acknowledged, for their broker.
    pub(crate) taken_in: BTreeSet<Box<str>>,
}

impl Clients {
    /// The number of the next operation.
    pub(crate) fn next_operation(&mut self) -> u64 {
        self.operations += 1;
        // Above all numbers that mean something else, such as retries that a drain sets.
        self.operations + 10
    }

    pub(crate) fn ask(&mut self, operation: u64, call: Call, answer: Fate) -> Request {
        let slot = Slot::default();
        let request = slot.request(call.command.clone(), Some(operation));
        self.waiting.push(Waiting {
            operation,
            call,
            slot,
            answer,
        });
        request
    }

    /// The process is gone: whoever waits never learns, but for those whose request is still under way.
    pub(crate) fn lose_connections(
        &mut self,
        network: &mut Network,
        reference: &mut Reference,
        exercised: &mut Exercised,
    ) {
        let (under_way, waiting): (Vec<_>, Vec<_>) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|waiting| network.is_under_way(waiting.operation));
        self.waiting = under_way;
        exercised.unknown += waiting.len() as u64;
        for waiting in waiting {
            reference.forget_answer(waiting.operation);
            waiting.asks_again(network);
        }
        self.pushed.clear();
        self.streams.clear();
    }

    /// The journal ends there: what was behind it when somebody asked is lost.
    pub(crate) fn ends_at(&mut self, end: Sequence) {
        for waiting in &mut self.waiting {
            waiting.call.floor = waiting.call.floor.min(end);
        }
    }

    /// It was refused at the door.
    pub(crate) fn overloaded(&self, operation: u64) {
        let waits = |waiting: &&Waiting| waiting.operation == operation;
        if let Some(waiting) = self.waiting.iter().find(waits) {
            waiting.slot.refuse(Refusal::Overloaded);
        }
    }

    /// A request that will never arrive.
    pub(crate) fn never_arrives(
        &mut self,
        operation: u64,
        history: &mut History,
        reference: &mut Reference,
        network: &mut Network,
    ) -> Result<(), String> {
        let at = self
            .waiting
            .iter()
            .position(|waiting| waiting.operation == operation)
            .expect("invariant: somebody waits for whatever is under way");
        let waiting = self.waiting.remove(at);
        reference.was_not_taken(operation);
        history.facts.will_not_happen(waiting.call.named)?;
        waiting.asks_again(network);
        Ok(())
    }

    /// Something that is answered by now.
    pub(crate) fn learn(&mut self, news: News) {
        match news {
            News::Jobs(jobs) => self.held.extend(jobs),
            News::TakenIn(ids) => self.taken_in.extend(ids),
        }
    }

    /// Everything that was taken is answered once nothing is left to do.
    pub(crate) fn check_answered(&self, network: &Network) -> Result<(), String> {
        match self
            .waiting
            .iter()
            .find(|waiting| !network.is_under_way(waiting.operation))
        {
            None => Ok(()),
            Some(waiting) => Err(format!(
                "operation {} was taken and never answered: {:?}",
                waiting.operation, waiting.call.asked
            )),
        }
    }

    /// Looks at the answers that came; `durable` is how far the journal is by now, and the history has seen all of it.
    pub(crate) fn take_answers(
        &mut self,
        history: &mut History,
        reference: &mut Reference,
        durable: Sequence,
        network: &mut Network,
        exercised: &mut Exercised,
    ) -> Result<(), String> {
        let mut index = 0;
        while let Some(waiting) = self.waiting.get(index) {
            let Some(reply) = waiting.slot.get() else {
                index += 1;
                continue;
            };
            let waiting = self.waiting.remove(index);
            match reply {
                Ok(response) => {
                    exercised.acknowledged += 1;
                    reference.check_answer(waiting.operation, &response)?;
                    let news = self.acknowledged(&waiting, response, history, durable)?;
                    match waiting.answer {
                        Fate::Arrives => news.into_iter().for_each(|news| self.learn(news)),
                        Fate::Late => {
                            exercised.late_answers += 1;
                            news.into_iter()
                                .for_each(|news| network.answer_is_late(news));
                        }
                        Fate::Lost => {
                            exercised.lost_answers += 1;
                            network.unheard(waiting.call);
                        }
                        Fate::Unwanted => {}
                    }
                }
                Err(Refusal::Unavailable { .. }) => {
                    exercised.unknown += 1;
                    reference.forget_answer(waiting.operation);
                    waiting.asks_again(network);
                }
                Err(Refusal::Rejected(rejection)) => {
                    exercised.refused += 1;
                    history.facts.will_not_happen(waiting.call.named)?;
                    reference.check_refused(waiting.operation, &rejection)?;
                }
                Err(Refusal::Overloaded | Refusal::DiskFull) => {
                    exercised.not_taken += 1;
                    history.facts.will_not_happen(waiting.call.named)?;
                    reference.was_not_taken(waiting.operation);
                    waiting.asks_again(network);
                }
            }
        }
        Ok(())
    }

    fn acknowledged(
        &mut self,
        waiting: &Waiting,
        response: Response,
        history: &History,
        durable: Sequence,
    ) -> Result<Option<News>, String> {
        let (promised, floor) = promised(&waiting.call, &response);
        for mark in promised {
            self.check_promise(waiting, mark, floor, history, durable)?;
        }
        match (&waiting.call.asked, response) {
            (Asked::Cancel(instance), _) => {
                self.canceled.insert(*instance);
            }
            (Asked::Activate, Response::JobsActivated(jobs)) => {
                return Ok(Some(News::Jobs(jobs.iter().map(|job| job.job).collect())));
            }
            (
                Asked::Create {
                    request: Some(request),
                },
                Response::InstanceCreated(created),
            ) if !history.facts.was_remembered(request, created.instance) => {
                return Err(format!(
                    "request {request} was answered with {}, which it never made",
                    created.instance
                ));
            }
            (Asked::Ingest(offered), Response::Ingested(results)) => {
                check_results(offered, &results, history)?;
                let names = offered.iter().map(|offered| offered.name().into());
                return Ok(Some(News::TakenIn(names.collect())));
            }
            _ => {}
        }
        Ok(None)
    }

    /// What an answer promises is in the journal, at the right place, as often as it was promised.
    fn check_promise(
        &mut self,
        waiting: &Waiting,
        mark: Mark,
        floor: Sequence,
        history: &History,
        durable: Sequence,
    ) -> Result<(), String> {
        let operation = waiting.operation;
        let found = history.facts.find_all(&mark);
        if found.is_empty() {
            return Err(format!(
                "operation {operation} was acknowledged without effect: {mark:?} is not committed"
            ));
        }
        if !found
            .iter()
            .any(|found| (floor.0 + 1..=durable.0).contains(&found.0))
        {
            return Err(format!(
                "operation {operation} was acknowledged out of order: {mark:?} is at {found:?}, given behind {}, \
                 answered at {}",
                floor.0, durable.0
            ));
        }
        // Variables that were set again to what they are leave no second record.
        let repeats = matches!(
            mark,
            Mark::Created(_) | Mark::Deployed(_) | Mark::Received(_) | Mark::VariablesSet(_)
        );
        let times = self.acknowledged.entry(mark.clone()).or_default();
        *times += 1;
        if *times > found.len() && !repeats {
            return Err(format!(
                "acknowledged {times} times, and done {} times: {mark:?}",
                found.len()
            ));
        }
        Ok(())
    }

    /// What was cancelled has ended, unless it was set aside on the way.
    pub(crate) fn check_ended(&mut self, facts: &crate::facts::Facts) -> Result<(), String> {
        self.canceled
            .retain(|instance| !facts.ended.contains_key(instance));
        match self
            .canceled
            .iter()
            .find(|instance| !facts.is_aside(**instance))
        {
            None => Ok(()),
            Some(instance) => Err(format!("instance {instance} was cancelled and lives")),
        }
    }
}

impl Waiting {
    /// Whoever waits for an answer hears nothing, or that it shall come again.
    fn asks_again(self, network: &mut Network) {
        if self.answer != Fate::Unwanted {
            network.unheard(self.call);
        }
    }
}

/// What an answer says that happened, and behind which record.
fn promised(call: &Call, response: &Response) -> (Vec<Mark>, Sequence) {
    let operation = call.named;
    let one = |mark| (vec![mark], call.floor);
    // What may have been there before the command came.
    let old = |mark| (vec![mark], Sequence(0));
    match (&call.asked, response) {
        (Asked::Deploy, Response::Deployed(deployed)) => old(Mark::Deployed(deployed.key)),
        (Asked::Create { request: Some(_) }, Response::InstanceCreated(created)) => {
            old(Mark::Created(created.instance))
        }
        (Asked::Create { request: None }, Response::InstanceCreated(created)) => (
            vec![Mark::Created(created.instance), Mark::CreatedBy(operation)],
            call.floor,
        ),
        (Asked::Create { request: None }, Response::Deferred { .. }) => {
            one(Mark::CreatedBy(operation))
        }
        (Asked::SetVariables, _) => one(Mark::VariablesSet(operation)),
        (Asked::Resolve(incident), _) => one(Mark::Resolved(*incident)),
        (Asked::Activate, Response::JobsActivated(jobs)) => (
            jobs.iter()
                .map(|job| Mark::Activated(operation, job.job))
                .collect(),
            call.floor,
        ),
        (Asked::Complete(job), _) => one(Mark::Completed(*job)),
        (Asked::Fail, _) => one(Mark::Failed(operation)),
        (Asked::ThrowError, _) => one(Mark::Thrown(operation)),
        (Asked::Retries, _) => one(Mark::Retried(operation)),
        (Asked::Message, _) => one(Mark::Published(operation)),
        _ => (Vec::new(), call.floor),
    }
}

/// Each CloudEvent was taken in where the answer says, or before.
fn check_results(
    offered: &[Offered],
    results: &[EventResult],
    history: &History,
) -> Result<(), String> {
    if offered.len() != results.len() {
        return Err(format!(
            "{} CloudEvents got {} results",
            offered.len(),
            results.len()
        ));
    }
    for (offered, result) in offered.iter().zip(results) {
        let at = match result.outcome {
            Outcome::Duplicate => result.duplicate_of.unwrap_or_default(),
            _ => result.position,
        };
        let is_there = match offered {
            Offered::Event(id) => {
                *result.id == **id && history.facts.find(&Mark::Received(at)).is_some()
            }
            // Of what is none, what came is kept.
            Offered::Record { raw, .. } => history.facts.kept(at) == Some(raw),
        };
        if !is_there {
            return Err(format!(
                "{offered:?} was acknowledged as {} at record {}, where it is not",
                result.outcome.as_str(),
                at.0
            ));
        }
    }
    Ok(())
}

/// The number of an operation as a W3C trace.
fn trace_of(operation: u64) -> Arc<str> {
    format!("00-{operation:032x}-{operation:016x}-01").into()
}

/// … and back.
pub(crate) fn operation_of_trace(trace: &str) -> Option<u64> {
    let (_, rest) = trace.split_once('-')?;
    u64::from_str_radix(rest.get(16..32)?, 16).ok()
}

/// The key of a delivery's command.
pub(crate) fn outbox_key(command: &Command) -> Option<OutboxKey> {
    match command {
        Command::AckOutbox { entry } | Command::BuryOutbox { entry, .. } => Some(*entry),
        _ => None,
    }
}
