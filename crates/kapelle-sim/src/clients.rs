//! Clients and workers: what they ask, and what they may rely on once they are answered.
//!
//! Every command carries the number of its operation somewhere where events show it (a tag, a worker's name, a message),
//! so that an answer can be held against the records it stands for:
//!
//! - acknowledged: the effect is in the journal once, after the command was given and not behind what was durable when
//!   the answer came;
//! - refused: the effect is not there and never comes;
//! - no answer, or "unknown": either, but not twice ([`Mark`] allows nothing twice).
//!
//! Together the first is linearizability: whoever asks after an answer comes behind it in the journal.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use kapelle_engine::command::{Command, CommandMeta};
use kapelle_engine::effect::StreamId;
use kapelle_engine::ids::{IncidentKey, JobKey, OutboxKey, ProcessInstanceKey, Sequence};
use kapelle_engine::response::{EventResult, Outcome, Response};
use kapelle_runtime::partition::Request;
use kapelle_runtime::{Refusal, Reply};

use crate::exercised::Exercised;
use crate::facts::Mark;
use crate::history::History;
use crate::reference::Reference;

/// Where an answer arrives.
#[derive(Clone, Default)]
pub(crate) struct Slot(Arc<Mutex<Option<Reply>>>);

impl Slot {
    pub(crate) fn get(&self) -> Option<Reply> {
        self.0.lock().expect("invariant: no panic inside").clone()
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
    Ingest(Vec<Box<str>>),
    /// Promises nothing that could be looked for.
    Other,
}

struct Waiting {
    operation: u64,
    asked: Asked,
    /// The end of the journal when it was given.
    floor: Sequence,
    slot: Slot,
    /// Its answer never reaches the client.
    answer_lost: bool,
}

/// All clients and workers.
#[derive(Default)]
pub(crate) struct Clients {
    waiting: Vec<Waiting>,
    operations: u64,
    acknowledged: BTreeSet<Mark>,
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

    pub(crate) fn ask(
        &mut self,
        operation: u64,
        asked: Asked,
        command: Command,
        floor: Sequence,
        answer_lost: bool,
    ) -> Request {
        let slot = Slot::default();
        let request = slot.request(command, Some(operation));
        self.waiting.push(Waiting {
            operation,
            asked,
            floor,
            slot,
            answer_lost,
        });
        request
    }

    /// The process is gone: whoever waits never learns.
    pub(crate) fn lose_connections(
        &mut self,
        reference: &mut Reference,
        exercised: &mut Exercised,
    ) {
        exercised.unknown += self.waiting.len() as u64;
        for waiting in self.waiting.drain(..) {
            reference.forget_answer(waiting.operation);
        }
        self.pushed.clear();
        self.streams.clear();
    }

    /// Looks at the answers that came; `durable` is how far the journal is by now, and the history has seen all of it.
    pub(crate) fn take_answers(
        &mut self,
        history: &mut History,
        reference: &mut Reference,
        durable: Sequence,
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
                    self.acknowledged(waiting, response, history, durable)?;
                }
                Err(Refusal::Unavailable { .. }) => {
                    exercised.unknown += 1;
                    reference.forget_answer(waiting.operation);
                }
                Err(Refusal::Rejected(rejection)) => {
                    exercised.refused += 1;
                    refused(&waiting, history)?;
                    reference.check_refused(waiting.operation, &rejection)?;
                }
                Err(Refusal::Overloaded | Refusal::DiskFull) => {
                    exercised.not_taken += 1;
                    refused(&waiting, history)?;
                    reference.was_not_taken(waiting.operation);
                }
            }
        }
        Ok(())
    }

    fn acknowledged(
        &mut self,
        waiting: Waiting,
        response: Response,
        history: &History,
        durable: Sequence,
    ) -> Result<(), String> {
        let operation = waiting.operation;
        let (promised, floor) = promised(&waiting, &response);
        for mark in promised {
            let found = history.facts.find(&mark).ok_or_else(|| {
                format!("operation {operation} was acknowledged without effect: {mark:?} is not committed")
            })?;
            if found > durable || found <= floor {
                return Err(format!(
                    "operation {operation} was acknowledged out of order: {mark:?} is record {}, given behind {}, \
                     answered at {}",
                    found.0, floor.0, durable.0
                ));
            }
            let repeats = matches!(
                mark,
                Mark::Created(_) | Mark::Deployed(_) | Mark::Received(_)
            );
            if !self.acknowledged.insert(mark.clone()) && !repeats {
                return Err(format!("acknowledged twice: {mark:?}"));
            }
        }
        match (waiting.asked, response) {
            (Asked::Cancel(instance), _) => {
                self.canceled.insert(instance);
            }
            (Asked::Activate, Response::JobsActivated(jobs)) if !waiting.answer_lost => {
                self.held.extend(jobs.iter().map(|job| job.job));
            }
            (
                Asked::Create {
                    request: Some(request),
                },
                Response::InstanceCreated(created),
            ) if !history.facts.was_remembered(&request, created.instance) => {
                return Err(format!(
                    "request {request} was answered with {}, which it never made",
                    created.instance
                ));
            }
            (Asked::Ingest(ids), Response::Ingested(results)) => {
                check_results(&ids, &results, history)?;
                if !waiting.answer_lost {
                    self.taken_in.extend(ids);
                }
            }
            _ => {}
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

/// What an answer says that happened, and behind which record.
fn promised(waiting: &Waiting, response: &Response) -> (Vec<Mark>, Sequence) {
    let operation = waiting.operation;
    let one = |mark| (vec![mark], waiting.floor);
    // What may have been there before the command came.
    let old = |mark| (vec![mark], Sequence(0));
    match (&waiting.asked, response) {
        (Asked::Deploy, Response::Deployed(deployed)) => old(Mark::Deployed(deployed.key)),
        (Asked::Create { request: Some(_) }, Response::InstanceCreated(created)) => {
            old(Mark::Created(created.instance))
        }
        (Asked::Create { request: None }, Response::InstanceCreated(created)) => (
            vec![Mark::Created(created.instance), Mark::CreatedBy(operation)],
            waiting.floor,
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
            waiting.floor,
        ),
        (Asked::Complete(job), _) => one(Mark::Completed(*job)),
        (Asked::Fail, _) => one(Mark::Failed(operation)),
        (Asked::ThrowError, _) => one(Mark::Thrown(operation)),
        (Asked::Retries, _) => one(Mark::Retried(operation)),
        (Asked::Message, _) => one(Mark::Published(operation)),
        _ => (Vec::new(), waiting.floor),
    }
}

fn refused(waiting: &Waiting, history: &mut History) -> Result<(), String> {
    let operation = waiting.operation;
    let mark = match &waiting.asked {
        Asked::Create { .. } => Mark::CreatedBy(operation),
        Asked::SetVariables => Mark::VariablesSet(operation),
        Asked::Fail => Mark::Failed(operation),
        Asked::ThrowError => Mark::Thrown(operation),
        Asked::Retries => Mark::Retried(operation),
        Asked::Message => Mark::Published(operation),
        _ => return Ok(()),
    };
    history.facts.forbid(mark)
}

/// Each CloudEvent was taken in where the answer says, or before.
fn check_results(
    ids: &[Box<str>],
    results: &[EventResult],
    history: &History,
) -> Result<(), String> {
    if ids.len() != results.len() {
        return Err(format!(
            "{} CloudEvents got {} results",
            ids.len(),
            results.len()
        ));
    }
    for (id, result) in ids.iter().zip(results) {
        let at = match result.outcome {
            Outcome::Duplicate => result.duplicate_of.unwrap_or_default(),
            _ => result.position,
        };
        if *result.id != **id || history.facts.find(&Mark::Received(at)).is_none() {
            return Err(format!(
                "CloudEvent {id} was acknowledged as {} at record {}, where nothing was received",
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
