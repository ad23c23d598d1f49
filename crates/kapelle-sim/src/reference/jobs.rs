//! Jobs: taken, done, failed, changed, given back.

use std::collections::BTreeSet;

use kapelle_engine::command::{ActivateJobs, DueKind, FailJob, ThrowJobError};
use kapelle_engine::event::{AvailableCause, IncidentKind};
use kapelle_engine::ids::JobKey;

use super::answers::{Answer, JobGiven};
use super::elements::Problem;
use super::said::{Name, Said};
use super::state::{At, Job, JobState};
use super::variables::Reach;
use super::{Reference, Step};
use crate::value::{Values, read_values};

impl Reference {
    pub(super) fn job(&self, at: At) -> Result<&Job, String> {
        self.standing(at)
            .and_then(|standing| standing.job.as_ref())
            .ok_or_else(|| format!("there is no job at {at:?}"))
    }

    pub(super) fn job_mut(&mut self, at: At) -> &mut Job {
        self.standing_mut(at)
            .job
            .as_mut()
            .expect("invariant: looked at before")
    }

    /// The job, if a worker's answer still counts.
    pub(super) fn answerable(&self, at: At) -> Result<&Job, String> {
        let job = self.job(at)?;
        self.check_not_aside(at)?;
        match job.state {
            JobState::Available | JobState::Taken => Ok(job),
            state => Err(format!("the job at {at:?} is {state:?}")),
        }
    }

    fn check_not_aside(&self, at: At) -> Result<(), String> {
        if self.case(at.case).set_aside.is_some() {
            return Err(format!("the instance of {at:?} is set aside"));
        }
        Ok(())
    }

    /// Jobs of a type that can be taken, the oldest first.
    fn available(&self, job_type: &str) -> Vec<(u64, At)> {
        let mut found = Vec::new();
        for (case, living) in &self.cases {
            for (node, standing) in &living.nodes {
                if let Some(job) = &standing.job
                    && job.state == JobState::Available
                    && *job.job_type == *job_type
                {
                    let at = At {
                        case: *case,
                        node: *node,
                    };
                    found.push((job.made, at));
                }
            }
        }
        found.sort_unstable();
        found
    }

    /// Where the jobs are that the command takes: as many as it asks for, without those of instances that are set aside.
    pub(super) fn offered(&self, command: &ActivateJobs) -> Vec<At> {
        let max = command.max_jobs.min(self.limits.jobs_per_activation_max) as usize;
        let first = self.available(&command.job_type).into_iter().take(max);
        first
            .map(|(_, at)| at)
            .filter(|at| self.case(at.case).set_aside.is_none())
            .collect()
    }

    pub(super) fn activate(&mut self, command: &ActivateJobs) -> Answer {
        let deadline = self.now + command.timeout_ms;
        let mut given = Vec::new();
        for at in self.offered(command) {
            let job = self.job_mut(at);
            job.take(deadline, None);
            let job = job.clone();
            self.say(Said::JobTaken {
                node: self.node(at),
                worker: command.worker.clone(),
                deadline,
            });
            let case = self.case(at.case);
            given.push(JobGiven {
                node: self.node(at),
                case: at.case,
                process: case.process.id.as_str().into(),
                version: case.version,
                job_type: job.job_type,
                retries: job.retries,
                headers: sorted(job.headers),
                deadline,
                variables: case.sees_all(at.node),
            });
        }
        Answer::Jobs(given)
    }

    pub(super) fn complete_job(&mut self, at: At, variables: &Values) -> Result<(), String> {
        self.answerable(at)?;
        self.say(Said::JobDone {
            node: self.node(at),
        });
        self.standing_mut(at).job = None;
        // An element that is being ended has no use for the result any more.
        if self.case(at.case).is_live(at.node) {
            self.job_completed(at, variables);
        }
        Ok(())
    }

    pub(super) fn fail_job(&mut self, at: At, command: &FailJob) -> Result<(), String> {
        self.answerable(at)?;
        let retries = command.retries.max(0);
        let until = (retries > 0 && command.backoff_ms > 0).then(|| self.now + command.backoff_ms);
        self.say(Said::JobFailed {
            node: self.node(at),
            retries,
            until,
        });
        let job = self.job_mut(at);
        job.release(if retries > 0 && until.is_none() {
            JobState::Available
        } else {
            JobState::Failed
        });
        (job.retries, job.backoff_until) = (retries, until);
        self.merge(at, Reach::Local, &read_values(&command.variables.0));
        if retries == 0 {
            self.raise(at, Problem(IncidentKind::JobNoRetries), true);
        }
        Ok(())
    }

    pub(super) fn throw_error(&mut self, at: At, command: &ThrowJobError) -> Result<(), String> {
        self.answerable(at)?;
        let is_live = self.case(at.case).is_live(at.node);
        let catcher = if is_live {
            self.catcher(at, &command.code)
        } else {
            None
        };
        self.say(Said::JobThrew {
            node: self.node(at),
            code: command.code.clone(),
            caught: catcher.is_some() || !is_live,
        });
        match catcher {
            Some((host, boundary)) => {
                self.standing_mut(at).job = None;
                self.trigger(host, &boundary, read_values(&command.variables.0));
            }
            None if is_live => {
                self.job_mut(at).release(JobState::Threw);
                self.raise(at, Problem(IncidentKind::UnhandledErrorEvent), true);
            }
            None => self.standing_mut(at).job = None,
        }
        Ok(())
    }

    pub(super) fn update_job(
        &mut self,
        at: At,
        retries: Option<i32>,
        timeout_ms: Option<i64>,
    ) -> Result<(), String> {
        let had_deadline = self.job(at)?.deadline.is_some();
        self.check_not_aside(at)?;
        let deadline = timeout_ms.map(|timeout| self.now + timeout);
        if deadline.is_some() && !had_deadline {
            return Err(format!("nobody has the job at {at:?}"));
        }
        if let Some(retries) = retries {
            self.job_mut(at).retries = retries;
            self.say(Said::JobRetries {
                node: self.node(at),
                retries,
            });
        }
        if let Some(deadline) = deadline {
            self.job_mut(at).hold_until(deadline);
            self.say(Said::JobDeadline {
                node: self.node(at),
                deadline,
            });
        }
        Ok(())
    }

    pub(super) fn yield_job(&mut self, at: At) -> Result<(), String> {
        self.check_not_aside(at)?;
        match self.job(at)?.state {
            JobState::Taken => {
                self.free_job(at, AvailableCause::Yielded);
                Ok(())
            }
            state => Err(format!("the job at {at:?} is {state:?}")),
        }
    }

    /// It may be taken again.
    pub(super) fn free_job(&mut self, at: At, cause: AvailableCause) {
        self.say(Said::JobFree {
            node: self.node(at),
            cause,
        });
        self.job_mut(at).release(JobState::Available);
    }

    /// Another process leads: what the one before pushed may never have arrived.
    pub(super) fn release_pushed(&mut self, deadline: i64, job: JobKey) {
        let mut handed_out = self.handed_out();
        handed_out.retain(|entry| *entry > (deadline, job));
        let max = self.limits.sweep_max;
        if handed_out.len() >= max
            && let Some((deadline, job)) = handed_out.get(max - 1)
        {
            self.push_step(Step::ReleasePushed {
                deadline: *deadline,
                job: *job,
            });
        }
        for (_, job) in handed_out.into_iter().take(max) {
            let Ok(at) = self.job_at(job) else { continue };
            let pushed = self.job(at).ok().and_then(|job| job.pushed_by);
            if pushed.is_some_and(|by| by != self.incarnation) {
                self.free_job(at, AvailableCause::LeaderChanged);
                self.push_again(at);
            }
        }
    }

    /// A stream may get it at once, and then it is behind its new deadline when the next share is looked for.
    fn push_again(&mut self, at: At) {
        let is_it =
            |said: &Said| matches!(said, Said::JobTaken { node, .. } if node.number == at.node);
        if let Some(place) = self.pushed.iter().position(|(said, _)| is_it(said)) {
            let (said, by) = self.pushed.remove(place);
            self.push_job(&said, by)
                .expect("invariant: it was just made available");
        }
    }

    /// Where deadlines of jobs are among what is due: not where they were if they were put off, and there also when the job
    /// is over or has another deadline meanwhile.
    fn handed_out(&self) -> Vec<(i64, JobKey)> {
        let put_off = self.put_off.iter();
        let mut found: BTreeSet<(i64, JobKey)> = put_off
            .filter(|due| due.what == DueKind::JobDeadline)
            .map(|due| (due.at.0, JobKey(due.key)))
            .collect();
        for case in self.cases.values() {
            for (node, standing) in &case.nodes {
                let job = standing.job.as_ref().filter(|job| !job.deadline_is_put_off);
                let deadline = job.and_then(|job| job.deadline);
                found.extend(deadline.zip(self.names.job_key(*node)));
            }
        }
        found.into_iter().collect()
    }

    /// The job that a command speaks of.
    pub(super) fn job_at(&self, key: JobKey) -> Result<At, String> {
        let node = self
            .names
            .job(key)
            .ok_or_else(|| format!("there never was a job {key}"))?;
        self.find_node(node.number)
            .ok_or_else(|| format!("{node:?} is over"))
    }
}

impl Job {
    /// A worker has it.
    pub(super) fn take(&mut self, deadline: i64, pushed_by: Option<u64>) {
        self.state = JobState::Taken;
        (self.backoff_until, self.pushed_by) = (None, pushed_by);
        self.hold_until(deadline);
    }

    /// A worker may keep it for so long.
    fn hold_until(&mut self, deadline: i64) {
        (self.deadline, self.deadline_is_put_off) = (Some(deadline), false);
    }

    /// No worker has it any more.
    fn release(&mut self, state: JobState) {
        self.state = state;
        (self.deadline, self.backoff_until, self.pushed_by) = (None, None, None);
    }
}

/// Names of headers and what they say, sorted.
pub(super) fn sorted(mut headers: Vec<(Name, Name)>) -> Vec<(Name, Name)> {
    headers.sort();
    headers
}
