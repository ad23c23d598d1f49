//! Completes jobs as they come: over a stream with a slow poll behind it, as real workers do, or by polling alone.

use std::sync::Arc;
use std::time::Duration;

use kapelle_load::cli::{Options, Scenario};
use kapelle_load::tally::Tally;
use tokio_stream::StreamExt as _;
use tonic::transport::Channel;

use crate::gateway::gateway_client::GatewayClient;
use crate::gateway::{
    ActivateJobsRequest, ActivatedJob, CompleteJobRequest, StreamActivatedJobsRequest,
};
use crate::models::{JOB_TYPE, last_element};
use crate::zeebe::taken;

/// Longer than any run.
const JOB_TIMEOUT_MS: i64 = 600_000;

/// Opens the workers of one connection.
pub(crate) fn open(client: &GatewayClient<Channel>, options: &Options, tally: &Arc<Tally>) {
    if !options.polling {
        tokio::spawn(stream(client.clone(), options.scenario, Arc::clone(tally)));
    }
    // A stream gets new jobs only: what was made without one is found by polling.
    let pause = if options.polling {
        Duration::ZERO
    } else {
        Duration::from_secs(1)
    };
    tokio::spawn(poll(
        client.clone(),
        options.scenario,
        Arc::clone(tally),
        pause,
    ));
}

async fn stream(mut client: GatewayClient<Channel>, scenario: Scenario, tally: Arc<Tally>) {
    loop {
        let request = StreamActivatedJobsRequest {
            r#type: JOB_TYPE.to_owned(),
            worker: "kapelle-load".to_owned(),
            timeout: JOB_TIMEOUT_MS,
            // A worker that reads one variable is the usual one; the payload still travels in and is stored.
            fetch_variable: vec!["key".to_owned()],
            ..StreamActivatedJobsRequest::default()
        };
        if let Ok(answer) = client.stream_activated_jobs(request).await {
            let mut jobs = answer.into_inner();
            while let Some(Ok(job)) = jobs.next().await {
                tokio::spawn(complete(client.clone(), job, scenario, Arc::clone(&tally)));
            }
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn poll(
    mut client: GatewayClient<Channel>,
    scenario: Scenario,
    tally: Arc<Tally>,
    pause: Duration,
) {
    loop {
        let request = ActivateJobsRequest {
            r#type: JOB_TYPE.to_owned(),
            worker: "kapelle-load".to_owned(),
            timeout: JOB_TIMEOUT_MS,
            max_jobs_to_activate: 64,
            fetch_variable: vec!["key".to_owned()],
            request_timeout: 10_000,
            ..ActivateJobsRequest::default()
        };
        match client.activate_jobs(request).await {
            Ok(answer) => {
                let mut answers = answer.into_inner();
                while let Some(Ok(part)) = answers.next().await {
                    for job in part.jobs {
                        tokio::spawn(complete(client.clone(), job, scenario, Arc::clone(&tally)));
                    }
                }
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
    }
}

async fn complete(
    mut client: GatewayClient<Channel>,
    job: ActivatedJob,
    scenario: Scenario,
    tally: Arc<Tally>,
) {
    loop {
        let request = CompleteJobRequest {
            job_key: job.key,
            variables: "{}".to_owned(),
            ..CompleteJobRequest::default()
        };
        let answer = client.complete_job(request).await;
        match taken(&tally, answer).await {
            Ok(Some(_)) => break,
            Ok(None) => {}
            Err(status) => return tally.give_up(&status),
        }
    }
    if job.element_id == last_element(scenario) {
        tally.ended(job.process_instance_key);
    }
}
