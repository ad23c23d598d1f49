//! Workers over all three ways, none of them reliable: they complete, fail, repeat themselves and vanish.

use std::time::Duration;

use kapelle_feel::json::pull::Raw;

use super::notes::Notebook;
use super::random::Random;
use super::search;
use super::victim::Addresses;
use super::wire::{self, Answer, Ending, Line, Reason};
use crate::grpc::Client;
use crate::grpc::proto::*;

const JOB_TYPE: &str = "crash-work";

/// How soon another worker gets what a vanished one had.
const JOB_TIMEOUT_MS: i64 = 3_000;

/// What a worker needs to know of a job.
struct Work {
    key: i64,
    id: String,
    retries: i32,
    flaky: bool,
}

/// How a worker tells the server.
enum Voice {
    Grpc(Box<Client>),
    Rest(Addresses),
}

/// The part of a worker that all three share.
struct Hand {
    name: String,
    notes: Notebook,
    random: Random,
    count: u64,
}

pub(crate) fn hire(
    addresses: &Addresses,
    notes: &Notebook,
    random: &mut Random,
) -> Vec<tokio::task::JoinHandle<()>> {
    let mut hand = |name: &str| Hand {
        name: name.to_owned(),
        notes: notes.clone(),
        random: random.fork(),
        count: 0,
    };
    vec![
        tokio::spawn(stream(hand("stream"), Line::new(addresses))),
        tokio::spawn(stream(hand("stream-2"), Line::new(addresses))),
        tokio::spawn(poll(hand("poll"), Line::new(addresses))),
        tokio::spawn(poll_over_rest(hand("rest"), addresses.clone())),
    ]
}

async fn stream(mut hand: Hand, mut line: Line) {
    loop {
        let request = StreamActivatedJobsRequest {
            r#type: JOB_TYPE.to_owned(),
            worker: hand.name.clone(),
            timeout: JOB_TIMEOUT_MS,
            fetch_variable: vec!["id".to_owned(), "flaky".to_owned()],
            ..Default::default()
        };
        let mut client = line.client().await;
        let opened = client.stream_activated_jobs(request).await;
        let Ok(mut jobs) = line.ended(opened) else {
            continue;
        };
        while let Ok(Some(job)) = jobs.message().await {
            hand.work(&mut Voice::Grpc(Box::new(client.clone())), Work::of(&job))
                .await;
        }
        line = Line::new(&line.addresses);
    }
}

async fn poll(mut hand: Hand, mut line: Line) {
    loop {
        let request = ActivateJobsRequest {
            r#type: JOB_TYPE.to_owned(),
            worker: hand.name.clone(),
            timeout: JOB_TIMEOUT_MS,
            max_jobs_to_activate: 8,
            request_timeout: 1_000,
            fetch_variable: vec!["id".to_owned(), "flaky".to_owned()],
            ..Default::default()
        };
        let mut client = line.client().await;
        let opened = client.activate_jobs(request).await;
        let Ok(mut batches) = line.ended(opened) else {
            continue;
        };
        while let Ok(Some(batch)) = batches.message().await {
            for job in &batch.jobs {
                hand.work(&mut Voice::Grpc(Box::new(client.clone())), Work::of(job))
                    .await;
            }
        }
    }
}

async fn poll_over_rest(mut hand: Hand, addresses: Addresses) {
    let body = format!(
        r#"{{"type":"{JOB_TYPE}","worker":"{}","timeout":{JOB_TIMEOUT_MS},"maxJobsToActivate":4,"requestTimeout":1000,"fetchVariable":["id","flaky"]}}"#,
        hand.name
    );
    loop {
        let Ok(answer) = wire::json(&addresses, "/v2/jobs/activation", &body).await else {
            continue;
        };
        let jobs = search::member(Raw::parse(&answer).unwrap(), "jobs").unwrap();
        for job in jobs.elements() {
            hand.work(&mut Voice::Rest(addresses.clone()), Work::of_rest(job))
                .await;
        }
    }
}

impl Work {
    fn of(job: &ActivatedJob) -> Self {
        let variables = Raw::parse(&job.variables).unwrap();
        Self {
            key: job.key,
            id: search::text(variables, "id").unwrap(),
            retries: job.retries,
            flaky: search::text(variables, "flaky").as_deref() == Some("true"),
        }
    }

    fn of_rest(job: Raw<'_>) -> Self {
        let variables = search::member(job, "variables").unwrap();
        Self {
            key: search::text(job, "jobKey").unwrap().parse().unwrap(),
            id: search::text(variables, "id").unwrap(),
            retries: search::text(job, "retries").unwrap().parse().unwrap(),
            flaky: search::text(variables, "flaky").as_deref() == Some("true"),
        }
    }
}

impl Hand {
    async fn work(&mut self, voice: &mut Voice, work: Work) {
        if self.random.percent(1) {
            // Dies with the job in its hands.
            self.notes.open().vanished_workers += 1;
            return;
        }
        let has_failed = {
            let mut notes = self.notes.open();
            let job = notes.jobs.entry(work.key).or_default();
            job.id.clone_from(&work.id);
            job.failures
                .iter()
                .any(|(_, ending)| *ending == Ending::Acknowledged)
        };
        if work.flaky && !has_failed {
            let retries = if self.random.percent(50) {
                0
            } else {
                work.retries - 1
            };
            let ending = wire::ending(&voice.fail(work.key, retries).await);
            let mut notes = self.notes.open();
            notes
                .jobs
                .entry(work.key)
                .or_default()
                .failures
                .push((retries, ending));
            return;
        }
        self.count += 1;
        let token = format!("{}-{}", self.name, self.count);
        let ending = wire::ending(&voice.complete(work.key, &token).await);
        {
            let mut notes = self.notes.open();
            // Whether not found is right is seen when all completions are known.
            notes.expect(
                &format!("the completion of job {}", work.key),
                ending,
                &[Reason::NotFound, Reason::InvalidState],
            );
            notes
                .jobs
                .entry(work.key)
                .or_default()
                .completions
                .push((token, ending));
        }
        if ending == Ending::Acknowledged && self.random.percent(10) {
            self.complete_again(voice, work.key).await;
        }
    }

    async fn complete_again(&mut self, voice: &mut Voice, key: i64) {
        let ending = wire::ending(&voice.complete(key, "twice").await);
        let mut notes = self.notes.open();
        notes.second_completions += 1;
        if !matches!(
            ending,
            Ending::Refused(Reason::NotFound | Reason::Exhausted) | Ending::InDoubt
        ) {
            notes
                .surprises
                .push(format!("job {key} was completed twice: {ending:?}"));
        }
    }
}

impl Voice {
    async fn complete(&mut self, key: i64, token: &str) -> Answer<()> {
        let variables = format!(r#"{{"by":"{token}"}}"#);
        match self {
            Self::Grpc(client) => {
                let request = CompleteJobRequest {
                    job_key: key,
                    variables,
                    result: None,
                };
                wire::sort(client.complete_job(request).await).map(drop)
            }
            Self::Rest(addresses) => {
                let body = format!(r#"{{"variables":{variables}}}"#);
                wire::json(addresses, &format!("/v2/jobs/{key}/completion"), &body)
                    .await
                    .map(drop)
            }
        }
    }

    async fn fail(&mut self, key: i64, retries: i32) -> Answer<()> {
        match self {
            Self::Grpc(client) => {
                let request = FailJobRequest {
                    job_key: key,
                    retries,
                    error_message: "flaky".to_owned(),
                    retry_back_off: 20,
                    ..Default::default()
                };
                wire::sort(client.fail_job(request).await).map(drop)
            }
            Self::Rest(addresses) => {
                let body =
                    format!(r#"{{"retries":{retries},"errorMessage":"flaky","retryBackOff":20}}"#);
                wire::json(addresses, &format!("/v2/jobs/{key}/failure"), &body)
                    .await
                    .map(drop)
            }
        }
    }
}

/// Resolves incidents as it finds them, for ever.
pub(crate) async fn resolve(addresses: Addresses, notes: Notebook) {
    let mut line = Line::new(&addresses);
    loop {
        for incident in search::all(&addresses, "incidents", r#"{"state":"ACTIVE"}"#).await {
            let (key, job) = (
                incident["incidentKey"].parse().unwrap(),
                incident["jobKey"].parse().unwrap(),
            );
            let mut client = line.client().await;
            let more = UpdateJobRetriesRequest {
                job_key: job,
                retries: 1,
                operation_reference: None,
            };
            let more = client.update_job_retries(more).await;
            if line.ended(more).is_err() {
                continue;
            }
            let mut client = line.client().await;
            let result = client
                .resolve_incident(ResolveIncidentRequest {
                    incident_key: key,
                    operation_reference: None,
                })
                .await;
            let ending = wire::ending(&line.ended(result));
            let mut notes = notes.open();
            notes.expect(&format!("the resolution of {key}"), ending, &[]);
            *notes.resolutions.entry(job).or_default() += u64::from(ending == Ending::Acknowledged);
        }
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
}
