//! Linearizability of the command API.
//!
//! The journal is the witness of the order: a command that left records took place where they are, and the interpreter says
//! what it had to be answered there. What left none, a refusal or an answer that nothing changed, took place at some moment
//! between its request and its answer. So everyone who waits is asked for at each of those moments: what would your answer be
//! if it were your turn now? One of these it has to be.
//!
//! **Invariant**: the first moment is not before anything that was answered before the request was made, because the
//! interpreter knows all that is committed; the last one not behind the answer, because it looks at the answer only then.

use std::collections::BTreeSet;

use kapelle_engine::command::{Command, CreateInstance, ProcessSelector, SetVariables};
use kapelle_engine::rejection::{Rejection, RejectionCode};

use super::Reference;
use super::answers::Answer;
use super::state::{At, JobState, Phase};
use crate::value::read_values;

/// The intent of what is refused because it would not fit into the journal: nothing that could be foreseen here.
const TOO_LARGE: &str = "PROCESS";

/// A command on its way.
#[derive(Clone, Debug)]
pub(super) struct Outstanding {
    pub(super) command: Command,
    /// When it was asked.
    pub(super) since: i64,
    /// Somebody waits for its answer.
    pub(super) is_awaited: bool,
    /// What it may be answered without having left a record.
    pub(super) possible: BTreeSet<Silence>,
}

/// An answer that left no record.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Silence {
    /// The number of the refusal's class: these have no order of their own.
    Refused(u8),
    Answered(Answer),
}

impl Silence {
    fn refused(code: RejectionCode) -> Option<Self> {
        Some(Self::Refused(code as u8))
    }
}

impl Reference {
    /// A moment: everyone who waits could have their turn.
    pub(crate) fn consider(&mut self) {
        let mut outstanding = std::mem::take(&mut self.asked);
        for asked in outstanding.values_mut().filter(|asked| asked.is_awaited) {
            // It may be any time since the last record; that is what a window of time is asked for.
            let now = self.now.max(asked.since);
            asked.possible.extend(self.silence(&asked.command, now));
        }
        self.asked = outstanding;
    }

    /// A command was refused.
    ///
    /// # Errors
    /// It was done, or there was no moment to refuse it so.
    pub(crate) fn check_refused(
        &mut self,
        operation: u64,
        rejection: &Rejection,
    ) -> Result<(), String> {
        if let Some(answer) = self.answers.remove(&operation) {
            return Err(format!("it was refused, and done: {answer:?}"));
        }
        if rejection.intent == TOO_LARGE && self.may_be_too_large {
            self.asked.remove(&operation);
            return Ok(());
        }
        self.check_silence(operation, &Silence::Refused(rejection.code as u8))
            .map_err(|why| format!("{why}: {rejection}"))
    }

    pub(super) fn check_silence(&mut self, operation: u64, is: &Silence) -> Result<(), String> {
        let Some(asked) = self.asked.remove(&operation) else {
            return Err(format!("operation {operation} is answered twice"));
        };
        if asked.possible.contains(is) {
            return Ok(());
        }
        Err(format!(
            "operation {operation} is not linearizable: {:?} was answered {is:?}; between its request and its answer there \
             was {:?}",
            asked.command, asked.possible
        ))
    }

    /// Nobody will learn how that ended.
    pub(crate) fn forget_answer(&mut self, operation: u64) {
        self.answers.remove(&operation);
        if let Some(asked) = self.asked.get_mut(&operation) {
            asked.is_awaited = false;
            asked.possible.clear();
        }
    }

    /// A request that was not taken: it will never be done.
    pub(crate) fn was_not_taken(&mut self, operation: u64) {
        self.asked.remove(&operation);
    }

    /// What the command would be answered now if that left no record; nothing if it would leave one.
    fn silence(&self, command: &Command, now: i64) -> Option<Silence> {
        match command {
            Command::Deploy(deploy) => {
                let bytes = &deploy.resources.first()?.bytes;
                let process = &self.known.get(bytes)?.id;
                let latest = self
                    .latest(process)
                    .filter(|latest| latest.bytes == *bytes)?;
                let answer = Answer::Deployed(process.as_str().into(), latest.version);
                Some(Silence::Answered(answer))
            }
            Command::CreateInstance(create) => self.silence_of_create(create, now),
            Command::CancelInstance { instance } => match self.element(instance.root()) {
                Err(_) => Silence::refused(RejectionCode::NotFound),
                // Its end goes on already.
                Ok(root) => {
                    let has_children = self.case(root.case).children(root.node).next().is_some();
                    let is_ending = self.phase(root) == Some(Phase::Terminating);
                    (is_ending && has_children).then_some(Silence::Answered(Answer::Done))
                }
            },
            Command::SetVariables(set) => self.silence_of_set(set),
            Command::ResolveIncident { incident } => self.silence_of_resolve(*incident),
            Command::ActivateJobs(activate) => {
                let offered = self.offered(activate);
                offered
                    .is_empty()
                    .then(|| Silence::Answered(Answer::Jobs(Vec::new())))
            }
            Command::CompleteJob { job, .. } => self.silence_of_job(*job, &Self::is_over),
            Command::FailJob(fail) => self.silence_of_job(fail.job, &Self::is_over),
            Command::ThrowJobError(throw) => self.silence_of_job(throw.job, &Self::is_over),
            Command::UpdateJob {
                job, timeout_ms, ..
            } => self.silence_of_job(*job, &|own, at| {
                timeout_ms.is_some() && own.job(at).is_ok_and(|job| job.deadline.is_none())
            }),
            Command::YieldJob { job } => self.silence_of_job(*job, &|own, at| {
                own.job(at).is_ok_and(|job| job.state != JobState::Taken)
            }),
            Command::PublishMessage(publish) => {
                let is_taken = self.id_is_taken(&super::messages::publication(publish));
                is_taken.then_some(Silence::Refused(RejectionCode::AlreadyExists as u8))
            }
            Command::CorrelateMessage(correlate) => {
                let publication = super::messages::passing(correlate);
                let candidates = self.candidates(&publication);
                candidates
                    .is_empty()
                    .then_some(Silence::Refused(RejectionCode::NotFound as u8))
            }
            _ => None,
        }
    }

    fn silence_of_create(&self, create: &CreateInstance, now: i64) -> Option<Silence> {
        let kept = create.idempotency_key.as_ref();
        if let Some(first) = kept.and_then(|request| self.requests.get(request))
            && first.until > now
        {
            let answer = Answer::Created(first.case, first.process.clone(), first.version);
            return Some(Silence::Answered(answer));
        }
        match &create.process {
            ProcessSelector::Latest { process_id } if self.latest(process_id).is_some() => None,
            _ => Silence::refused(RejectionCode::NotFound),
        }
    }

    fn silence_of_set(&self, set: &SetVariables) -> Option<Silence> {
        let Ok(at) = self.element(set.scope) else {
            return Silence::refused(RejectionCode::NotFound);
        };
        let case = self.case(at.case);
        let values = read_values(&set.variables.0);
        let is_said_already = values.iter().all(|(name, value)| {
            let holder = if set.local {
                Some(at.node)
            } else {
                case.holder(at.node, name)
            };
            holder.and_then(|holder| case.nodes[&holder].variables.get(name)) == Some(value)
        });
        is_said_already.then_some(Silence::Answered(Answer::VariablesSet))
    }

    fn silence_of_resolve(&self, key: kapelle_engine::ids::IncidentKey) -> Option<Silence> {
        let number = self.names.incident(key);
        let open = number.and_then(|number| Some((number, self.open_incident(number)?)));
        let Some((number, (at, incident))) = open else {
            return Silence::refused(RejectionCode::NotFound);
        };
        let is_left_alone = self.is_left_alone(at.case, number);
        let has_no_retries = incident.of_job && self.job(at).is_ok_and(|job| job.retries <= 0);
        (is_left_alone || has_no_retries)
            .then_some(Silence::Refused(RejectionCode::InvalidState as u8))
    }

    /// A command about a job that is there, and of which `is_wrong` says that it cannot be done now.
    fn silence_of_job(
        &self,
        key: kapelle_engine::ids::JobKey,
        is_wrong: &dyn Fn(&Self, At) -> bool,
    ) -> Option<Silence> {
        let found = self.job_at(key).ok().filter(|at| self.job(*at).is_ok());
        let Some(at) = found else {
            return Silence::refused(RejectionCode::NotFound);
        };
        let is_refused = self.case(at.case).set_aside.is_some() || is_wrong(self, at);
        is_refused.then_some(Silence::Refused(RejectionCode::InvalidState as u8))
    }

    /// No answer of a worker counts any more.
    fn is_over(&self, at: At) -> bool {
        self.answerable(at).is_err()
    }
}
