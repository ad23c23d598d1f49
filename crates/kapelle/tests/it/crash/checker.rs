//! Proves from the clients' notes that nothing acknowledged was lost or doubled.
//!
//! Three witnesses: what the engine answers to commands that must be refused now, what the webhook received, and what
//! history finds. Every deviation becomes a sentence; none is a proof.

use std::collections::{BTreeMap, BTreeSet};

use kapelle_feel::json::pull::Raw;

use super::found::Found;
use super::notes::{How, Job, Notes, Start};
use super::receiver::{Inbox, Received};
use super::search;
use super::victim::Addresses;
use super::wire::{self, Ending, Line, Reason};
use crate::grpc::proto::{CancelProcessInstanceRequest, CompleteJobRequest};

/// Sentences about what is wrong.
pub(crate) type Findings = Vec<String>;

/// Whether the instance was ended by its client. A cancellation is repeated until it is certain, so this is certain.
pub(crate) fn is_cancelled(notes: &Notes, id: &str) -> bool {
    notes.cancels.get(id).is_some_and(|endings| {
        endings.contains(&Ending::Acknowledged)
            || (endings.contains(&Ending::InDoubt)
                && endings.last() == Some(&Ending::Refused(Reason::NotFound)))
    })
}

/// Whether the end of this instance must be told some day.
pub(crate) fn must_end(notes: &Notes, id: &str, start: &Start) -> bool {
    start.ending == Ending::Acknowledged && !is_cancelled(notes, id)
}

/// How often something may have happened, by what its client knows.
fn is_right_count(ending: Ending, count: usize) -> bool {
    match ending {
        Ending::Acknowledged => count == 1,
        Ending::InDoubt => count <= 1,
        Ending::Refused(_) => count == 0,
    }
}

/// Notes against the webhook.
pub(crate) fn check_ends(notes: &Notes, inbox: &Inbox) -> Findings {
    let mut findings = inbox.changed.clone();
    let told = inbox.of();
    for subject in told
        .keys()
        .filter(|subject| !notes.starts.contains_key(**subject))
    {
        findings.push(format!("an instance {subject} ended that nobody asked for"));
    }
    for (id, start) in &notes.starts {
        let ends = told.get(id.as_str()).map_or(&[][..], Vec::as_slice);
        let is_right = if is_cancelled(notes, id) {
            ends.is_empty()
        } else {
            is_right_count(start.ending, ends.len())
        };
        if !is_right {
            findings.push(format!(
                "{id} ({start:?}, cancelled: {}) told of {} ends",
                is_cancelled(notes, id),
                ends.len()
            ));
        }
        if start.started_answers > 1 {
            findings.push(format!(
                "CloudEvent {id} was answered with STARTED {} times",
                start.started_answers
            ));
        }
        if let [end] = ends {
            findings.extend(check_content(notes, id, start.how, end));
        }
    }
    findings
}

fn check_content(notes: &Notes, id: &str, how: How, end: &Received) -> Findings {
    let Ok(body) = Raw::parse(&end.body) else {
        return vec![format!("the end of {id} is told as {}", end.body)];
    };
    let value = |name: &str| search::text(body, name);
    let mut findings = Findings::new();
    match how {
        How::Task => findings.extend(check_by(notes, id, value("by"))),
        How::Wait => {
            findings.extend(check_paid(notes, id, value("paid")));
            findings.extend(check_set(notes, id, value("set")));
        }
        How::Timer | How::Message | How::Event => {}
    }
    findings
}

/// The variable that jobs write has the value of the acknowledged completion, else of one in doubt.
fn check_by(notes: &Notes, id: &str, by: Option<String>) -> Option<String> {
    let jobs: Vec<&Job> = notes.jobs.values().filter(|job| job.id == id).collect();
    let [job] = jobs.as_slice() else {
        return Some(format!("{id} has {} jobs", jobs.len()));
    };
    let with = |wanted: Ending| {
        job.completions
            .iter()
            .filter(move |(_, ending)| *ending == wanted)
            .map(|(token, _)| token)
    };
    let acknowledged: Vec<&String> = with(Ending::Acknowledged).collect();
    let is_right = match acknowledged.as_slice() {
        [] => with(Ending::InDoubt).any(|token| Some(token) == by.as_ref()),
        [token] => Some(*token) == by.as_ref(),
        _ => false,
    };
    (!is_right).then(|| {
        format!(
            "the job of {id} wrote {by:?}; its completions: {:?}",
            job.completions
        )
    })
}

/// The first acknowledged payment counts, unless one in doubt was before it; the last ones only where there was none.
fn check_paid(notes: &Notes, id: &str, paid: Option<String>) -> Option<String> {
    let payments = notes.payments.get(id).map_or(&[][..], Vec::as_slice);
    let first = payments
        .iter()
        .position(|payment| payment.ending == Ending::Acknowledged)
        .unwrap_or(payments.len());
    let is_right = payments
        .iter()
        .take(first + 1)
        .filter(|payment| !matches!(payment.ending, Ending::Refused(_)))
        .any(|payment| Some(&payment.token) == paid.as_ref());
    (!is_right).then(|| format!("{id} was paid with {paid:?}; its payments: {payments:?}"))
}

/// The number last acknowledged, or one in doubt after it.
fn check_set(notes: &Notes, id: &str, set: Option<String>) -> Option<String> {
    let settings = notes.settings.get(id).map_or(&[][..], Vec::as_slice);
    let last = settings
        .iter()
        .rposition(|(_, ending)| *ending == Ending::Acknowledged);
    let doubts = settings
        .iter()
        .skip(last.map_or(0, |last| last + 1))
        .filter(|(_, ending)| *ending == Ending::InDoubt);
    let mut possible: Vec<Option<String>> =
        doubts.map(|(number, _)| Some(number.to_string())).collect();
    possible.push(last.map(|last| settings[last].0.to_string()));
    (!possible.contains(&set))
        .then(|| format!("`set` of {id} is {set:?}; it was set: {settings:?}"))
}

/// What jobs were told, against itself.
pub(crate) fn check_jobs(notes: &Notes) -> Findings {
    let mut findings = Findings::new();
    for (key, job) in &notes.jobs {
        let some = |wanted: Ending| {
            job.completions
                .iter()
                .filter(|(_, ending)| *ending == wanted)
                .count()
        };
        let is_lost = some(Ending::Refused(Reason::NotFound)) > 0
            && some(Ending::Acknowledged) + some(Ending::InDoubt) == 0;
        let is_stopped = some(Ending::Refused(Reason::InvalidState)) > 0 && job.failures.is_empty();
        if is_lost || is_stopped || some(Ending::Acknowledged) > 1 {
            findings.push(format!(
                "job {key} cannot have been answered like this: {job:?}"
            ));
        }
    }
    findings
}

/// Notes against history.
pub(crate) fn check_found(notes: &Notes, inbox: &Inbox, found: &Found) -> Findings {
    let mut findings = found.doubles();
    for (id, keys) in &found.instances_by_id {
        if !notes.starts.contains_key(id) {
            findings.push(format!(
                "history has {id} as {keys:?}, which nobody asked for"
            ));
        }
    }
    let told = inbox.of();
    for (id, start) in &notes.starts {
        let keys = found.instances_by_id.get(id).map_or(&[][..], Vec::as_slice);
        if !is_right_count(start.ending, keys.len())
            || (start.key.is_some() && start.key != keys.first().copied())
        {
            findings.push(format!("history has {id} as {keys:?}: {start:?}"));
        }
        let Some(instance) = keys.first().and_then(|key| found.instances.get(key)) else {
            continue;
        };
        let wanted = if is_cancelled(notes, id) {
            "TERMINATED"
        } else {
            "COMPLETED"
        };
        if instance["state"] != wanted {
            findings.push(format!("{id} is {} and not {wanted}", instance["state"]));
        }
        let end = told.get(id.as_str()).and_then(|ends| ends.first());
        findings.extend(check_variables(
            notes,
            id,
            found,
            keys[0],
            end.map(|end| end.body.as_str()),
        ));
        if start.how == How::Task && found.jobs_of(keys[0]).len() != 1 {
            findings.push(format!(
                "history has jobs {:?} of {id}",
                found.jobs_of(keys[0])
            ));
        }
    }
    findings.extend(check_found_jobs(notes, found));
    findings.extend(check_found_events(notes, inbox, found));
    findings
}

fn check_variables(
    notes: &Notes,
    id: &str,
    found: &Found,
    key: i64,
    end: Option<&str>,
) -> Findings {
    let value = |name: &str| found.variables.get(&(key, name.to_owned())).cloned();
    let Some(end) = end else {
        return check_set(notes, id, value("set")).into_iter().collect();
    };
    let Ok(end) = Raw::parse(end) else {
        return Findings::new();
    };
    ["by", "paid", "set"]
        .into_iter()
        .filter(|name| search::member(end, name).is_some())
        .filter(|name| search::text(end, name) != value(name))
        .map(|name| {
            format!(
                "`{name}` of {id} is {:?} in history; its end told of {}",
                value(name),
                end.text()
            )
        })
        .collect()
}

fn check_found_jobs(notes: &Notes, found: &Found) -> Findings {
    let mut findings = Findings::new();
    for (key, job) in &notes.jobs {
        match found.jobs.get(key) {
            Some(state) if state == "COMPLETED" => {}
            other => findings.push(format!("job {key} is {other:?} in history")),
        }
        let to_incident = |wanted: Ending| {
            job.failures
                .iter()
                .filter(|(retries, ending)| *retries == 0 && *ending == wanted)
                .count()
        };
        let (least, doubts) = (
            to_incident(Ending::Acknowledged),
            to_incident(Ending::InDoubt),
        );
        let incidents = found.incidents.get(key).map_or(0, Vec::len);
        if incidents < least || incidents > least + doubts {
            findings.push(format!(
                "history has {incidents} incidents of job {key}: {job:?}"
            ));
        }
    }
    for (job, states) in &found.incidents {
        if states.iter().any(|state| state != "RESOLVED") {
            findings.push(format!("incidents of job {job} are {states:?}"));
        }
    }
    findings
}

fn check_found_events(notes: &Notes, inbox: &Inbox, found: &Found) -> Findings {
    let mut findings = Findings::new();
    for (id, start) in notes
        .starts
        .iter()
        .filter(|(_, start)| start.how == How::Event)
    {
        let outcomes = found.events_in.get(id).map_or(&[][..], Vec::as_slice);
        let first = outcomes
            .iter()
            .filter(|outcome| *outcome != "DUPLICATE")
            .count();
        if !is_right_count(start.ending, first)
            || outcomes.iter().any(|o| o != "DUPLICATE" && o != "STARTED")
        {
            findings.push(format!("history has CloudEvent {id} with {outcomes:?}"));
        }
    }
    let duplicates = found
        .events_in
        .values()
        .flatten()
        .filter(|outcome| *outcome == "DUPLICATE")
        .count() as u64;
    if duplicates < notes.duplicates {
        findings.push(format!(
            "history has {duplicates} duplicates; clients were told of {}",
            notes.duplicates
        ));
    }
    let received: BTreeSet<&String> = inbox.by_id.keys().collect();
    let told: BTreeSet<&String> = found.events_out.keys().collect();
    for id in received.symmetric_difference(&told) {
        findings.push(format!(
            "CloudEvent {id} is either in history or in the inbox, not in both"
        ));
    }
    for (id, state) in found
        .events_out
        .iter()
        .filter(|(_, state)| *state != "DELIVERED")
    {
        findings.push(format!("CloudEvent {id} is {state}"));
    }
    findings
}

/// Asks the engine itself: nothing that has ended can be cancelled, no job that was done can be completed.
pub(crate) async fn ask_engine(
    addresses: &Addresses,
    instances: Vec<i64>,
    jobs: Vec<i64>,
) -> Findings {
    /// Requests on the way at once.
    const AT_ONCE: usize = 32;
    let mut line = Line::new(addresses);
    let client = line.client().await;
    let requests: Vec<(bool, i64)> = instances
        .into_iter()
        .map(|key| (true, key))
        .chain(jobs.into_iter().map(|key| (false, key)))
        .collect();
    let mut findings = Findings::new();
    for chunk in requests.chunks(AT_ONCE) {
        let asked = chunk.iter().map(|&(is_instance, key)| {
            let mut client = client.clone();
            tokio::spawn(async move {
                let answer = if is_instance {
                    let request = CancelProcessInstanceRequest {
                        process_instance_key: key,
                        operation_reference: None,
                    };
                    wire::sort(client.cancel_process_instance(request).await).map(drop)
                } else {
                    let request = CompleteJobRequest {
                        job_key: key,
                        ..Default::default()
                    };
                    wire::sort(client.complete_job(request).await).map(drop)
                };
                let what = if is_instance {
                    "cancelling instance"
                } else {
                    "completing job"
                };
                (answer != Err(Ending::Refused(Reason::NotFound)))
                    .then(|| format!("{what} {key} at the end: {answer:?}"))
            })
        });
        for task in asked.collect::<Vec<_>>() {
            findings.extend(task.await.unwrap());
        }
    }
    findings
}

/// Who has not ended although it must.
pub(crate) fn missing<'n>(
    notes: &'n Notes,
    told: &BTreeMap<&str, Vec<&Received>>,
) -> Vec<(&'n String, &'n Start)> {
    notes
        .starts
        .iter()
        .filter(|(id, start)| must_end(notes, id, start) && !told.contains_key(id.as_str()))
        .collect()
}
