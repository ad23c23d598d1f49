//! What a command should be answered, against what it was.

use kapelle_engine::response::{InstanceResult, Outcome, Response};

use super::Reference;
use super::jobs::sorted;
use super::linear::Silence;
use super::said::{Match, Name, Node};
use crate::value::{Values, read_values};

/// An answer without any key of the engine.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Answer {
    Done,
    Deployed(Name, i32),
    Created(u64, Name, i32),
    Deferred(u64),
    VariablesSet,
    Jobs(Vec<JobGiven>),
    Published(u64),
    Correlated(u64, u64),
    Ingested(Vec<(Outcome, Vec<Match>)>),
}

/// A job as a worker gets it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct JobGiven {
    pub(super) node: Node,
    pub(super) case: u64,
    pub(super) process: Name,
    pub(super) version: i32,
    pub(super) job_type: Name,
    pub(super) retries: i32,
    pub(super) headers: Vec<(Name, Name)>,
    pub(super) deadline: i64,
    pub(super) variables: Values,
}

impl Reference {
    /// An answer has come.
    ///
    /// # Errors
    /// It should have been another one.
    pub(crate) fn check_answer(
        &mut self,
        operation: u64,
        response: &Response,
    ) -> Result<(), String> {
        let is = self.answer(response);
        let Some(expected) = self.answers.remove(&operation) else {
            let is = is.ok_or_else(|| format!("nobody knows what {response:?} speaks of"))?;
            return self.check_silence(operation, &Silence::Answered(is));
        };
        if is == Some(expected.clone()) {
            return Ok(());
        }
        Err(format!(
            "the reference interpreter would have answered otherwise:\n  is     {is:?}\n  should {expected:?}"
        ))
    }

    /// An instance whose creator waits has completed.
    pub(crate) fn check_result(&mut self, result: &InstanceResult) -> Result<(), String> {
        let case = self.names.case(result.created.instance);
        let should = case.and_then(|case| self.results.remove(&case));
        let is = read_values(&result.variables.0);
        if should.as_ref() == Some(&is) {
            return Ok(());
        }
        Err(format!(
            "the result of instance {} is {is:?} and should be {should:?}",
            result.created.instance
        ))
    }

    fn answer(&self, response: &Response) -> Option<Answer> {
        let names = &self.names;
        Some(match response {
            Response::Done => Answer::Done,
            Response::Deployed(deployed) => {
                let process = deployed.processes.first()?;
                Answer::Deployed(process.process_id.clone(), process.version)
            }
            Response::InstanceCreated(created) => Answer::Created(
                names.case(created.instance)?,
                created.process_id.clone(),
                created.version,
            ),
            Response::Deferred { instance } => Answer::Deferred(names.case(*instance)?),
            Response::VariablesSet { .. } => Answer::VariablesSet,
            Response::JobsActivated(jobs) => {
                let given = jobs.iter().map(|job| {
                    let headers = job.headers.iter().cloned().collect();
                    Some(JobGiven {
                        node: names.job(job.job)?.clone(),
                        case: names.case(job.instance)?,
                        process: job.process_id.clone(),
                        version: job.version,
                        job_type: job.job_type.clone(),
                        retries: job.retries,
                        headers: sorted(headers),
                        deadline: job.deadline.0,
                        variables: read_values(&job.variables.0),
                    })
                });
                Answer::Jobs(given.collect::<Option<_>>()?)
            }
            Response::MessagePublished { key } => Answer::Published(names.message(*key)?),
            Response::MessageCorrelated { key, instance } => {
                Answer::Correlated(names.message(*key)?, names.case(*instance)?)
            }
            Response::Ingested(results) => {
                let results = results.iter();
                let own = results.map(|result| (result.outcome, names.matches(&result.matches)));
                Answer::Ingested(own.collect())
            }
        })
    }
}
