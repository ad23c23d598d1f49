//! Large data through the real binary: taken in, once in the journal, handed out, through `kill -9` and eviction.

use std::sync::Arc;
use std::time::Duration;

use crate::grpc::proto::ActivatedJob;
use crate::grpc::{self, Client};
use crate::http;
use crate::models::definitions;
use crate::server::{Server, TempDir};

const PROCESSES: usize = 10;

/// With it a CloudEvent has hardly less than the 4 MiB it may have, and a job just fits into a message of gRPC.
const TEXT_BYTES: usize = 4_120_000;

/// Not even two of the instances fit into memory.
const CONFIG: &str = "[limits]\ninstance-cache = \"16 MiB\"\n";

/// Started by a CloudEvent of type `wide`; a task of type `work` holds it.
fn process(number: usize) -> String {
    definitions(&format!(
        r#"<bpmn:message id="m1" name="wide"/>
<bpmn:process id="wide-{number}" isExecutable="true">
  <bpmn:startEvent id="start"><bpmn:messageEventDefinition id="d1" messageRef="m1"/></bpmn:startEvent>
  <bpmn:sequenceFlow id="f1" sourceRef="start" targetRef="work"/>
  <bpmn:serviceTask id="work">
    <bpmn:extensionElements><zeebe:taskDefinition type="work"/></bpmn:extensionElements>
  </bpmn:serviceTask>
</bpmn:process>"#
    ))
}

/// Letters in no order, so that nothing repeats by itself.
fn letters(length: usize) -> String {
    let mut state = 1_u64;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        char::from(b'a' + ((state >> 33) % 26) as u8)
    };
    std::iter::repeat_with(&mut next).take(length).collect()
}

fn log_bytes(server: &Server) -> u64 {
    let metrics = http::get(&server.management, "/metrics").body;
    let line = metrics
        .lines()
        .find_map(|line| line.strip_prefix("kapelle_log_bytes_total"))
        .unwrap_or_else(|| panic!("{metrics}"));
    line.split_whitespace()
        .next_back()
        .unwrap()
        .parse()
        .unwrap()
}

async fn next_job(client: &mut Client) -> ActivatedJob {
    let mut request = grpc::activate("work");
    request.max_jobs_to_activate = 1;
    let mut jobs = grpc::poll(client, request).await.unwrap();
    assert_eq!(jobs.len(), 1);
    jobs.remove(0)
}

#[tokio::test]
async fn a_cloud_event_of_the_largest_size_reaches_ten_processes_and_outlives_kill_9() {
    let dir = TempDir::new();
    let server = Server::start_in(dir.path(), CONFIG);
    for number in 0..PROCESSES {
        http::must_deploy(&server.rest, "wide.bpmn", &process(number));
    }
    let text: Arc<str> = letters(TEXT_BYTES).into();
    let event = format!(
        r#"{{"specversion":"1.0","id":"1","source":"/s","type":"wide","data":{{"text":"{text}"}}}}"#
    );
    let before = log_bytes(&server);
    let json = [("content-type", "application/cloudevents+json")];
    let answer = http::send(&server.rest, "POST", "/events", &json, event.as_bytes());
    assert_eq!(answer.status, 200, "{}", answer.body);
    let started = answer.body.matches(r#""outcome":"STARTED""#).count();
    assert_eq!(started, 1 + PROCESSES, "{}", answer.body);
    let written = log_bytes(&server) - before;
    assert!(written < TEXT_BYTES as u64 * 21 / 20, "{written} bytes");
    server.kill();

    let mut server = Server::start_in(dir.path(), CONFIG);
    for done in 0..PROCESSES {
        if done == PROCESSES / 2 {
            // What was evicted by now comes from the store, the rest from the journal.
            server.kill();
            server = Server::start_in(dir.path(), CONFIG);
        }
        let mut client = grpc::connect(&server).await;
        let job = tokio::time::timeout(Duration::from_secs(30), next_job(&mut client))
            .await
            .expect("there is one more");
        assert!(
            job.variables == format!(r#"{{"text":"{text}"}}"#),
            "{} bytes came, not the ones that were sent",
            job.variables.len()
        );
        let path = format!("/v2/jobs/{}/completion", job.key);
        let answer = http::post(&server.rest, &path, "{}");
        assert_eq!(answer.status, 204, "{}", answer.body);
    }
}
