//! A process that stands still, and goes on as if nothing had been.

use std::time::Duration;

use super::*;
use crate::found;
use crate::server::Server;

#[test]
fn a_server_that_stood_still_goes_on_where_it_was() {
    let server = Server::start();
    http::must_deploy(&server.rest, "one.bpmn", &models::one_task("one", "work"));
    http::must_deploy(&server.rest, "timer.bpmn", &timer("timer"));
    let worked = must_start(&server.rest, "one", "{}");
    let timed = must_start(&server.rest, "timer", r#"{"wait":"PT1S"}"#);
    // A second for the job, and it stands still for three: two time-outs are over when it goes on.
    let activate = r#"{"type":"work","timeout":1000,"maxJobsToActivate":1,"requestTimeout":20000}"#;
    let first = found::jobs(&http::post(&server.rest, "/v2/jobs/activation", activate).body);
    signal(server.pid(), "-STOP");
    let rest = server.rest.clone();
    // Sent to one who does not listen now; nobody may answer it twice.
    let asked = std::thread::spawn(move || start(&rest, "one", "{}"));
    std::thread::sleep(Duration::from_secs(3));
    signal(server.pid(), "-CONT");

    let late = asked.join().unwrap();
    assert_eq!(late.status, 200, "asked meanwhile: {}", late.body);
    eventually("the timer", Duration::from_secs(10), || {
        has_ended(&server.rest, &timed)
    });
    // The job goes to another worker; each is completed by exactly one of them.
    let mut again = Vec::new();
    while again.len() < 2 {
        let body = http::post(&server.rest, "/v2/jobs/activation", activate).body;
        let got = found::jobs(&body);
        assert!(!got.is_empty(), "two jobs wait for a worker: {body}");
        again.extend(got);
    }
    assert!(again.contains(&first[0]), "{again:?} has {first:?}");
    for job in &again {
        let path = format!("/v2/jobs/{job}/completion");
        assert_eq!(http::post(&server.rest, &path, "{}").status, 204);
        assert_eq!(
            http::post(&server.rest, &path, "{}").status,
            404,
            "once is enough"
        );
    }
    assert!(has_ended(&server.rest, &worked));
    assert_eq!(instances(&server.rest, "ACTIVE"), Vec::<String>::new());
    assert_eq!(instances(&server.rest, "COMPLETED").len(), 3);
}
