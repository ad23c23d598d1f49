//! Where jobs are: by key, by type while they can be taken, and those pushed down a stream.

use std::ops::ControlFlow;

use crate::encode::Record;
use crate::ids::{ElementInstanceKey, IncidentKey, JobKey, ProcessInstanceKey};
use crate::keep::Keep;
use crate::state::{scan_prefix, tables};

/// A job on its way to a worker's stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PushedEntry {
    pub(crate) incarnation: u64,
    pub(crate) instance: ProcessInstanceKey,
}

pub(crate) fn instance_of(keep: &dyn Keep, job: JobKey) -> Option<ProcessInstanceKey> {
    keep.get(&tables::job(job)).map(|value| ProcessInstanceKey(tables::value_number(&value)))
}

/// The instance of an element that rests.
pub(crate) fn instance_of_element(keep: &dyn Keep, element: ElementInstanceKey) -> Option<ProcessInstanceKey> {
    keep.get(&tables::element(element)).map(|value| ProcessInstanceKey(tables::value_number(&value)))
}

pub(crate) fn instance_of_incident(keep: &dyn Keep, incident: IncidentKey) -> Option<ProcessInstanceKey> {
    keep.get(&tables::incident(incident)).map(|value| ProcessInstanceKey(tables::value_number(&value)))
}

/// Jobs that can be taken, the oldest first.
pub(crate) fn available(keep: &dyn Keep, tenant: &str, job_type: &str, max: usize) -> Vec<(JobKey, ProcessInstanceKey)> {
    let mut jobs = Vec::new();
    scan_prefix(keep, &tables::jobs_available(tenant, job_type), None, &mut |key, value| {
        if jobs.len() == max {
            return ControlFlow::Break(());
        }
        jobs.push((JobKey(tables::last_number(key)), ProcessInstanceKey(tables::value_number(value))));
        ControlFlow::Continue(())
    });
    jobs
}

/// Pushed jobs from that one on.
pub(crate) fn pushed(keep: &dyn Keep, after: JobKey, max: usize) -> Vec<(JobKey, PushedEntry)> {
    let mut jobs = Vec::new();
    let from = tables::job_pushed(JobKey(after.0.saturating_add(1)));
    scan_prefix(keep, &tables::jobs_pushed(), Some(&from), &mut |key, value| {
        if jobs.len() == max {
            return ControlFlow::Break(());
        }
        jobs.push((JobKey(tables::last_number(key)), PushedEntry::read(value).expect("the engine wrote this entry")));
        ControlFlow::Continue(())
    });
    jobs
}
