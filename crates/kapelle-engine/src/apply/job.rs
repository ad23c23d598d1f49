//! Jobs in their instance, and the indexes that find them.

use crate::command::{Due, DueKind};
use crate::encode::Record;
use crate::event::{DueOwner, Event, JobActivated, JobFailed, JobRef};
use crate::ids::{JobKey, Timestamp};
use crate::keep::Keep;
use crate::state::instance::{Instance, Job, JobState};
use crate::state::tables;

pub(super) fn to_instance(target: &mut Instance, event: &Event) {
    match event {
        Event::JobCreated(created) => target.jobs.push(Job {
            key: created.job.job,
            element: created.job.element,
            job_type: created.job.job_type.clone(),
            retries: created.retries,
            state: JobState::Activatable,
            worker: None,
            deadline: None,
            backoff_until: None,
            pushed_by: None,
            activated_before: false,
            headers: created.headers.clone(),
        }),
        Event::JobCompleted { job, .. }
        | Event::JobErrorThrown {
            job, caught: true, ..
        }
        | Event::JobCanceled { job, .. } => remove(target, job.job),
        Event::JobActivated(activated) => {
            change(target, activated.job.job, |job| activate(job, activated))
        }
        Event::JobMadeAvailable { job, .. } => {
            change(target, job.job, |job| release(job, JobState::Activatable))
        }
        Event::JobFailed(failed) => change(target, failed.job.job, |job| fail(job, failed)),
        Event::JobErrorThrown { job, .. } => {
            change(target, job.job, |job| release(job, JobState::ErrorThrown))
        }
        Event::JobRetriesUpdated { job, retries } => {
            change(target, job.job, |job| job.retries = *retries)
        }
        Event::JobTimeoutUpdated { job, deadline, .. } => {
            change(target, job.job, |job| job.deadline = Some(*deadline))
        }
        Event::JobWithheld { job } => change(target, job.job, |job| release(job, JobState::Failed)),
        _ => unreachable!("dispatched by family"),
    }
}

fn remove(target: &mut Instance, key: JobKey) {
    if let Ok(at) = target.jobs.binary_search_by_key(&key, |job| job.key) {
        target.jobs.remove(at);
    }
}

fn change(target: &mut Instance, key: JobKey, change: impl FnOnce(&mut Job)) {
    if let Some(job) = target.job_mut(key) {
        change(job);
    }
}

fn activate(job: &mut Job, activated: &JobActivated) {
    job.state = JobState::Activated;
    job.worker = Some(activated.worker.clone());
    job.deadline = Some(activated.deadline);
    job.backoff_until = None;
    job.pushed_by = activated.pushed_by;
    job.activated_before = true;
}

/// No worker has it any more.
fn release(job: &mut Job, state: JobState) {
    job.state = state;
    job.worker = None;
    job.deadline = None;
    job.backoff_until = None;
    job.pushed_by = None;
}

fn fail(job: &mut Job, failed: &JobFailed) {
    let available = failed.retries > 0 && failed.backoff_until.is_none();
    release(
        job,
        if available {
            JobState::Activatable
        } else {
            JobState::Failed
        },
    );
    job.retries = failed.retries;
    job.backoff_until = failed.backoff_until;
}

pub(super) fn to_indexes(keep: &mut dyn Keep, event: &Event) {
    match event {
        Event::JobCreated(created) => {
            let instance = tables::number_value(created.job.instance.0);
            keep.insert(&tables::job(created.job.job), &instance);
            if !created.taken {
                keep.insert(&available(&created.job), &instance);
            }
        }
        Event::JobActivated(activated) => hand_out(keep, activated),
        Event::JobMadeAvailable {
            job,
            backoff_until,
            deadline,
            ..
        } => {
            take_back(keep, job, *deadline, *backoff_until);
            keep.put(&available(job), &tables::number_value(job.instance.0));
        }
        Event::JobFailed(failed) => {
            take_back(keep, &failed.job, failed.deadline, failed.old_backoff_until);
            if let Some(until) = failed.backoff_until {
                keep.put(
                    &tables::due(backoff(&failed.job, until)),
                    &owner(&failed.job),
                );
            } else if failed.retries > 0 {
                keep.put(
                    &available(&failed.job),
                    &tables::number_value(failed.job.instance.0),
                );
            }
        }
        Event::JobErrorThrown {
            job,
            deadline,
            backoff_until,
            caught: false,
            ..
        } => take_back(keep, job, *deadline, *backoff_until),
        Event::JobCompleted {
            job,
            deadline,
            backoff_until,
        }
        | Event::JobErrorThrown {
            job,
            deadline,
            backoff_until,
            ..
        }
        | Event::JobCanceled {
            job,
            deadline,
            backoff_until,
        } => {
            take_back(keep, job, *deadline, *backoff_until);
            keep.delete(&tables::job(job.job));
        }
        Event::JobTimeoutUpdated {
            job,
            old_deadline,
            deadline: new,
            pushed_by,
        } => {
            keep.delete(&tables::due(deadline(job, *old_deadline)));
            keep.put(&tables::due(deadline(job, *new)), &worker(job, *pushed_by));
        }
        Event::JobWithheld { job } => take_back(keep, job, None, None),
        _ => unreachable!("dispatched by family"),
    }
}

fn hand_out(keep: &mut dyn Keep, activated: &JobActivated) {
    let job = &activated.job;
    if activated.was_available {
        keep.delete(&available(job));
    }
    let (key, owner) = (
        tables::due(deadline(job, activated.deadline)),
        worker(job, activated.pushed_by),
    );
    if activated.first {
        keep.insert(&key, &owner);
    } else {
        keep.put(&key, &owner);
    }
}

/// Out of every index but the one by key. A job with a deadline is with a worker, any other may be available.
fn take_back(
    keep: &mut dyn Keep,
    job: &JobRef,
    until: Option<Timestamp>,
    backoff_until: Option<Timestamp>,
) {
    match until {
        Some(until) => keep.delete(&tables::due(deadline(job, until))),
        None => keep.delete(&available(job)),
    }
    if let Some(until) = backoff_until {
        keep.delete(&tables::due(backoff(job, until)));
    }
}

fn available(job: &JobRef) -> Vec<u8> {
    tables::job_available(&job.tenant, &job.job_type, job.job)
}

fn deadline(job: &JobRef, at: Timestamp) -> Due {
    Due {
        at,
        what: DueKind::JobDeadline,
        key: job.job.0,
    }
}

fn backoff(job: &JobRef, at: Timestamp) -> Due {
    Due {
        at,
        what: DueKind::JobBackoff,
        key: job.job.0,
    }
}

/// Who has the job, as the due queue says it.
fn worker(job: &JobRef, pushed_by: Option<u64>) -> Vec<u8> {
    match pushed_by {
        Some(incarnation) => DueOwner::PushedJob {
            instance: job.instance,
            incarnation,
        }
        .to_bytes(),
        None => owner(job),
    }
}

fn owner(job: &JobRef) -> Vec<u8> {
    DueOwner::Instance {
        instance: job.instance,
    }
    .to_bytes()
}
