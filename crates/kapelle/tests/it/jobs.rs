//! Long polls and streams over gRPC: who gets a job, when, and what becomes of one that did not arrive.

use std::time::Duration;

use tokio::time::timeout;
use tonic::Code;

use crate::grpc::proto::*;
use crate::grpc::{Client, activate, connect, create, deploy, poll};
use crate::models;
use crate::server::Server;

/// Far beyond anything that is waited for here, far below the job time-outs.
const SOON: Duration = Duration::from_secs(20);

fn stream(job_type: &str) -> StreamActivatedJobsRequest {
    StreamActivatedJobsRequest {
        r#type: job_type.to_owned(),
        worker: "streamer".to_owned(),
        timeout: 600_000,
        ..Default::default()
    }
}

async fn started() -> (Server, Client) {
    let server = Server::start();
    let mut client = connect(&server).await;
    deploy(&mut client, "one.bpmn", &models::one_task("one", "work")).await;
    (server, client)
}

#[tokio::test]
async fn a_long_poll_is_woken_by_a_new_job() {
    let (_server, mut client) = started().await;
    let mut worker = client.clone();
    let waiting = tokio::spawn(async move {
        poll(
            &mut worker,
            ActivateJobsRequest {
                request_timeout: 60_000,
                ..activate("work")
            },
        )
        .await
    });
    // Whether it is asked before or after the poll arrived makes no difference to the result.
    let created = client
        .create_process_instance(create("one", ""))
        .await
        .unwrap()
        .into_inner();
    let jobs = timeout(SOON, waiting).await.unwrap().unwrap().unwrap();
    assert_eq!(jobs[0].process_instance_key, created.process_instance_key);
}

#[tokio::test]
async fn many_waiting_polls_share_many_jobs() {
    let (_server, mut client) = started().await;
    let polls: Vec<_> = (0..8)
        .map(|_| {
            let mut worker = client.clone();
            let request = ActivateJobsRequest {
                request_timeout: 60_000,
                max_jobs_to_activate: 1,
                ..activate("work")
            };
            tokio::spawn(async move { poll(&mut worker, request).await })
        })
        .collect();
    for _ in 0..8 {
        client
            .create_process_instance(create("one", ""))
            .await
            .unwrap();
    }
    let mut keys = Vec::new();
    for poll in polls {
        let jobs = timeout(SOON, poll).await.unwrap().unwrap().unwrap();
        keys.extend(jobs.iter().map(|job| job.key));
    }
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), 8);
}

#[tokio::test]
async fn jobs_are_pushed_down_a_stream_and_those_from_before_are_polled() {
    let (_server, mut client) = started().await;
    let before = client
        .create_process_instance(create("one", ""))
        .await
        .unwrap()
        .into_inner();
    let mut jobs = client
        .stream_activated_jobs(stream("work"))
        .await
        .unwrap()
        .into_inner();
    let after = client
        .create_process_instance(create("one", r#"{"a":1}"#))
        .await
        .unwrap()
        .into_inner();
    let pushed = timeout(SOON, jobs.message())
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert_eq!(pushed.process_instance_key, after.process_instance_key);
    assert_eq!(
        (pushed.worker.as_str(), pushed.variables.as_str()),
        ("streamer", r#"{"a":1}"#)
    );
    let polled = poll(&mut client, activate("work")).await.unwrap();
    assert_eq!(polled.len(), 1);
    assert_eq!(polled[0].process_instance_key, before.process_instance_key);
}

#[tokio::test]
async fn a_burst_beyond_the_capacity_of_a_stream_arrives_all_the_same() {
    let (_server, mut client) = started().await;
    let mut jobs = client
        .stream_activated_jobs(stream("work"))
        .await
        .unwrap()
        .into_inner();
    const COUNT: usize = 1_000;
    let creators: Vec<_> = (0..COUNT)
        .map(|_| {
            let mut client = client.clone();
            tokio::spawn(async move {
                // On a machine that has much to do a burst may be refused, as clients know.
                while let Err(status) = client.create_process_instance(create("one", "")).await {
                    assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            })
        })
        .collect();
    for creator in creators {
        creator.await.unwrap();
    }
    // Nothing was read until now: most jobs found no room.
    let mut keys = std::collections::BTreeSet::new();
    while keys.len() < COUNT {
        let job = timeout(SOON, jobs.message())
            .await
            .expect("all arrive")
            .unwrap()
            .unwrap();
        assert!(keys.insert(job.key), "job {} came twice", job.key);
    }
}

#[tokio::test]
async fn jobs_of_a_stream_whose_client_is_gone_are_available_at_once() {
    let (server, mut client) = started().await;
    let mut gone = connect(&server).await;
    let jobs = gone
        .stream_activated_jobs(stream("work"))
        .await
        .unwrap()
        .into_inner();
    // 7 MB: flow control lets 2 MB into the stream of a client that does not read.
    let ballast = format!(r#"{{"ballast":"{}"}}"#, "x".repeat(60_000));
    for _ in 0..120 {
        client
            .create_process_instance(create("one", &ballast))
            .await
            .unwrap();
    }
    drop(jobs);
    drop(gone);
    // The stream's job time-out is ten minutes: what comes now was given back.
    let mut count = 0;
    while count < 60 {
        let jobs = timeout(SOON, poll(&mut client, activate("work")))
            .await
            .expect("they are given back")
            .unwrap();
        count += jobs.len();
    }
}

#[tokio::test]
async fn jobs_of_a_poll_whose_answer_is_not_read_are_available_at_once() {
    let (server, mut client) = started().await;
    // As JSON a job has 1.8 MB, two of them fill a message: the second message waits for room that a client which does
    // not read never gives.
    let ballast = format!(r#"{{"ballast":"{}"}}"#, "\\u0001".repeat(300_000));
    for _ in 0..6 {
        client
            .create_process_instance(create("one", &ballast))
            .await
            .unwrap();
    }
    let mut gone = connect(&server).await;
    let request = ActivateJobsRequest {
        timeout: 600_000,
        ..activate("work")
    };
    let unread = gone.activate_jobs(request).await.unwrap();
    drop(unread);
    drop(gone);
    // The poll's job time-out is ten minutes: what comes now was given back.
    let jobs = timeout(SOON, poll(&mut client, activate("work")))
        .await
        .expect("it waits 5 s at most")
        .unwrap();
    assert!(!jobs.is_empty());
}

#[tokio::test]
async fn a_batch_of_jobs_is_cut_at_the_size_of_a_message() {
    let (_server, mut client) = started().await;
    let ballast = format!(r#"{{"ballast":"{}"}}"#, "x".repeat(1_000_000));
    for _ in 0..6 {
        client
            .create_process_instance(create("one", &ballast))
            .await
            .unwrap();
    }
    // A client refuses messages over 4 MiB, so a batch that is not cut would fail here.
    let first = poll(&mut client, activate("work")).await.unwrap();
    let second = poll(&mut client, activate("work")).await.unwrap();
    assert_eq!((first.len(), second.len()), (4, 2));
}

#[tokio::test]
async fn a_stopping_server_ends_streams_and_long_polls() {
    let (server, mut client) = started().await;
    let mut jobs = client
        .stream_activated_jobs(stream("work"))
        .await
        .unwrap()
        .into_inner();
    let mut worker = client.clone();
    let waiting = tokio::spawn(async move {
        poll(
            &mut worker,
            ActivateJobsRequest {
                request_timeout: 60_000,
                ..activate("other")
            },
        )
        .await
    });
    client.topology(TopologyRequest {}).await.unwrap();
    let stopped = tokio::task::spawn_blocking(move || server.stop());
    let ended = timeout(SOON, jobs.message())
        .await
        .expect("the stream ends");
    assert_eq!(ended.unwrap_err().code(), Code::Unavailable);
    timeout(SOON, waiting)
        .await
        .expect("the poll ends")
        .unwrap()
        .ok();
    assert!(stopped.await.unwrap().success());
}
