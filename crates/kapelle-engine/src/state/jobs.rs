//! Where jobs are: by key, by type while they can be taken, by deadline while a worker has them.

use std::ops::ControlFlow;

use crate::command::{Due, DueKind};
use crate::encode::Record;
use crate::event::DueOwner;
use crate::ids::{ElementInstanceKey, IncidentKey, JobKey, ProcessInstanceKey, Timestamp};
use crate::keep::Keep;
use crate::state::{scan_prefix, tables};

/// A job that a worker has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HandedOut {
    pub(crate) deadline: Timestamp,
    pub(crate) job: JobKey,
    pub(crate) owner: DueOwner,
}

pub(crate) fn instance_of(keep: &dyn Keep, job: JobKey) -> Option<ProcessInstanceKey> {
    keep.get(&tables::job(job))
        .map(|value| ProcessInstanceKey(tables::value_number(&value)))
}

/// An instance that may have that element instance resting in it.
///
/// A task with a job has no entry of its own, which saves one for nearly everything that waits: its job's key was the
/// next one taken after the task's own. (Where an incident came in between, the incident has made an entry.)
pub(crate) fn instance_of_element(
    keep: &dyn Keep,
    element: ElementInstanceKey,
) -> Option<ProcessInstanceKey> {
    if let Some(value) = keep.get(&tables::element(element)) {
        return Some(ProcessInstanceKey(tables::value_number(&value)));
    }
    let mut found = None;
    scan_prefix(
        keep,
        &tables::jobs(),
        Some(&tables::job(JobKey(element.0))),
        &mut |_, value| {
            found = Some(ProcessInstanceKey(tables::value_number(value)));
            ControlFlow::Break(())
        },
    );
    found
}

pub(crate) fn instance_of_incident(
    keep: &dyn Keep,
    incident: IncidentKey,
) -> Option<ProcessInstanceKey> {
    keep.get(&tables::incident(incident))
        .map(|value| ProcessInstanceKey(tables::value_number(&value)))
}

/// Jobs that can be taken, the oldest first.
pub(crate) fn available(
    keep: &dyn Keep,
    tenant: &str,
    job_type: &str,
    max: usize,
) -> Vec<(JobKey, ProcessInstanceKey)> {
    let mut jobs = Vec::new();
    scan_prefix(
        keep,
        &tables::jobs_available(tenant, job_type),
        None,
        &mut |key, value| {
            if jobs.len() == max {
                return ControlFlow::Break(());
            }
            jobs.push((
                JobKey(tables::last_number(key)),
                ProcessInstanceKey(tables::value_number(value)),
            ));
            ControlFlow::Continue(())
        },
    );
    jobs
}

/// Jobs that workers have, in the order of their deadlines, behind that one.
pub(crate) fn handed_out(
    keep: &dyn Keep,
    deadline: Timestamp,
    job: JobKey,
    max: usize,
) -> Vec<HandedOut> {
    let mut jobs = Vec::new();
    let from = tables::due(Due {
        at: deadline,
        what: DueKind::JobDeadline,
        key: job.0.saturating_add(1),
    });
    scan_prefix(keep, &tables::due_jobs(), Some(&from), &mut |key, value| {
        if jobs.len() == max {
            return ControlFlow::Break(());
        }
        let due = tables::parse_due(key);
        let owner = DueOwner::read(value).expect("the engine wrote this entry");
        jobs.push(HandedOut {
            deadline: due.at,
            job: JobKey(due.key),
            owner,
        });
        ControlFlow::Continue(())
    });
    jobs
}
