//! What the real binary counts by process, job type, source and sink.

use std::time::{Duration, Instant};

use crate::http;
use crate::models;
use crate::server::{Server, TempDir};

/// The lines of these families, once `last` is among them: what is counted by process is counted behind the commit.
fn lines(server: &Server, families: &[&str], last: &str) -> String {
    let begun = Instant::now();
    loop {
        let page = http::get(&server.management, "/metrics").body;
        if page.contains(last) {
            let of_family = |line: &&str| families.iter().any(|name| line.starts_with(name));
            return page
                .lines()
                .filter(of_family)
                .collect::<Vec<_>>()
                .join("\n");
        }
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "no {last} in {page}"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn start(server: &Server, process: &str) -> String {
    let body = format!(r#"{{"processDefinitionId":"{process}"}}"#);
    let answer = http::post(&server.rest, "/v2/process-instances", &body);
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.member("processInstanceKey")
}

fn cancel(server: &Server, key: &str) {
    let path = format!("/v2/process-instances/{key}/cancellation");
    assert_eq!(http::post(&server.rest, &path, "{}").status, 204);
}

#[test]
fn processes_and_jobs_are_counted_by_name_also_those_of_a_life_before() {
    let dir = TempDir::new();
    let server = Server::start_in(dir.path(), "");
    http::must_deploy(&server.rest, "one.bpmn", &models::one_task("one", "pack"));
    let first = start(&server, "one");
    start(&server, "one");
    let activate = r#"{"type":"pack","timeout":600000,"maxJobsToActivate":1}"#;
    let jobs = http::post(&server.rest, "/v2/jobs/activation", activate);
    let job = jobs.member("jobKey");
    let failed = http::post(
        &server.rest,
        &format!("/v2/jobs/{job}/failure"),
        r#"{"retries":0,"errorMessage":"no"}"#,
    );
    assert_eq!(failed.status, 204, "{}", failed.body);
    let families = [
        "kapelle_process_instances_total{",
        "kapelle_process_incidents_total{",
        "kapelle_jobs_total{",
    ];
    let told = lines(&server, &families, "kapelle_process_incidents_total{");
    assert_eq!(
        told,
        "kapelle_process_instances_total{process=\"one\",state=\"STARTED\"} 2\n\
         kapelle_process_incidents_total{process=\"one\"} 1\n\
         kapelle_jobs_total{type=\"pack\",state=\"CREATED\"} 2\n\
         kapelle_jobs_total{type=\"pack\",state=\"FAILED\"} 1"
    );
    assert!(server.stop().success());
    // The definition is known from the search database alone now.
    let server = Server::start_in(dir.path(), "");
    cancel(&server, &first);
    let told = lines(&server, &families, "state=\"TERMINATED\"");
    assert!(
        told.contains("kapelle_process_instances_total{process=\"one\",state=\"TERMINATED\"} 1"),
        "{told}"
    );
}

#[test]
fn cloud_events_are_counted_by_source_and_what_clients_make_up_is_bounded() {
    let server = Server::start();
    let structured = [("content-type", "application/cloudevents-batch+json")];
    for batch in 0..3 {
        let events: Vec<String> = (0..100)
            .map(|number| {
                let number = batch * 100 + number;
                format!(
                    r#"{{"specversion":"1.0","id":"1","source":"/shop/{number:03}","type":"made.up"}}"#
                )
            })
            .collect();
        let body = format!("[{}]", events.join(","));
        let answer = http::send(
            &server.rest,
            "POST",
            "/events",
            &structured,
            body.as_bytes(),
        );
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
    let family = ["kapelle_events_by_source_total{"];
    let told = lines(&server, &family, "source=\"other\"");
    assert_eq!(told.lines().count(), 201, "{told}");
    assert!(
        told.contains("{source=\"other\",channel=\"http\",outcome=\"NO_MATCH\"} 100"),
        "{told}"
    );
    assert!(
        told.contains("{source=\"/shop/007\",channel=\"http\",outcome=\"NO_MATCH\"} 1\n"),
        "{told}"
    );
}
