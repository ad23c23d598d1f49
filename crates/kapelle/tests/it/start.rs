//! Starting and stopping: probes, metrics, ports and data directories that cannot be used.

use std::net::TcpListener;

use expect_test::expect;

use crate::http;
use crate::models;
use crate::server::{Server, TempDir, kapelle};

#[test]
fn probes_and_metrics_answer_on_every_path_that_charts_know() {
    let server = Server::start();
    let mut seen = String::new();
    for path in [
        "/livez",
        "/readyz",
        "/startupz",
        "/health",
        "/ready",
        "/startup",
        "/actuator/health",
        "/actuator/health/liveness",
        "/actuator/health/readiness",
        "/actuator/health/startup",
    ] {
        seen.push_str(&format!(
            "{path} {}\n",
            http::get(&server.management, path).line()
        ));
    }
    expect![[r#"
        /livez 200 application/json {"status":"UP","checks":{"server":"ready","partition":"ready"}}
        /readyz 200 application/json {"status":"UP","checks":{"server":"ready","partition":"ready"}}
        /startupz 200 application/json {"status":"UP","checks":{"server":"ready","partition":"ready"}}
        /health 200 application/json {"status":"UP","checks":{"server":"ready","partition":"ready"}}
        /ready 200 application/json {"status":"UP","checks":{"server":"ready","partition":"ready"}}
        /startup 200 application/json {"status":"UP","checks":{"server":"ready","partition":"ready"}}
        /actuator/health 200 application/json {"status":"UP","checks":{"server":"ready","partition":"ready"}}
        /actuator/health/liveness 200 application/json {"status":"UP","checks":{"server":"ready","partition":"ready"}}
        /actuator/health/readiness 200 application/json {"status":"UP","checks":{"server":"ready","partition":"ready"}}
        /actuator/health/startup 200 application/json {"status":"UP","checks":{"server":"ready","partition":"ready"}}
    "#]].assert_eq(&seen);
    for path in ["/metrics", "/actuator/prometheus"] {
        let metrics = http::get(&server.management, path);
        assert_eq!(
            metrics.header("content-type"),
            Some("text/plain; version=0.0.4; charset=utf-8")
        );
        assert!(
            metrics.body.contains("\nkapelle_commands_total "),
            "{}",
            metrics.body
        );
    }
}

#[test]
fn what_was_acknowledged_survives_a_stop_and_a_kill() {
    let dir = TempDir::new();
    let server = Server::start_in(dir.path(), "");
    http::must_deploy(&server.rest, "one.bpmn", &models::one_task("one", "work"));
    let create = r#"{"processDefinitionId":"one"}"#;
    let first =
        http::post(&server.rest, "/v2/process-instances", create).member("processInstanceKey");
    assert!(server.stop().success());
    let server = Server::start_in(dir.path(), "");
    let second =
        http::post(&server.rest, "/v2/process-instances", create).member("processInstanceKey");
    server.kill();
    let server = Server::start_in(dir.path(), "");
    let activation =
        r#"{"type":"work","timeout":60000,"maxJobsToActivate":10,"requestTimeout":5000}"#;
    let jobs = http::post(&server.rest, "/v2/jobs/activation", activation).body;
    assert!(jobs.contains(&first) && jobs.contains(&second), "{jobs}");
    assert_eq!(jobs.matches("\"jobKey\"").count(), 2, "{jobs}");
}

/// What a server that must not start says, without what differs from run to run.
fn refusal(arguments: &[&str]) -> (Option<i32>, String) {
    let output = kapelle().arg("serve").args(arguments).output().unwrap();
    (
        output.status.code(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

#[test]
fn a_port_in_use_is_named_with_the_way_out() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let dir = TempDir::new();
    let data = dir.path().join("data");
    let (code, told) = refusal(&[
        "--port",
        "auto",
        "--grpc-address",
        &address,
        "--data",
        data.to_str().unwrap(),
    ]);
    assert_eq!(code, Some(2), "{told}");
    assert!(
        told.contains("KAP-3001") && told.contains(&taken.local_addr().unwrap().port().to_string()),
        "{told}"
    );
    assert!(
        told.contains(&format!("process {}", std::process::id())),
        "{told}"
    );
    assert!(
        !data.exists(),
        "no data directory is made before the ports are known to be free"
    );
}

#[test]
fn addresses_beyond_loopback_are_refused() {
    let dir = TempDir::new();
    let data = dir.path().join("data");
    let (code, told) = refusal(&[
        "--port",
        "auto",
        "--rest-address",
        "0.0.0.0:auto",
        "--data",
        data.to_str().unwrap(),
    ]);
    assert_eq!(code, Some(2), "{told}");
    assert!(told.contains("KAP-3003"), "{told}");
}

#[test]
fn a_data_directory_in_use_is_refused() {
    let dir = TempDir::new();
    let server = Server::start_in(dir.path(), "");
    let data = dir.path().join("data");
    let (code, told) = refusal(&["--port", "auto", "--data", data.to_str().unwrap()]);
    assert_eq!(code, Some(1), "{told}");
    assert!(
        told.contains("KAP-STO-02") && told.contains("in use by process"),
        "{told}"
    );
    assert!(server.stop().success());
}

#[test]
fn a_data_directory_of_a_newer_version_is_refused_and_stays_as_it_is() {
    let dir = TempDir::new();
    assert!(Server::start_in(dir.path(), "").stop().success());
    let data = dir.path().join("data");
    let format = data.join("FORMAT");
    let known = std::fs::read_to_string(&format).unwrap();
    let newer = known.replace("format 1", "format 999");
    assert_ne!(known, newer);
    std::fs::write(&format, &newer).unwrap();
    let (code, told) = refusal(&["--port", "auto", "--data", data.to_str().unwrap()]);
    assert_eq!(code, Some(1), "{told}");
    assert!(
        told.contains("KAP-STO-03") && told.contains("999"),
        "{told}"
    );
    assert_eq!(std::fs::read_to_string(&format).unwrap(), newer);
}

#[test]
fn a_damaged_segment_is_named_with_its_place_and_left_alone() {
    let dir = TempDir::new();
    let server = Server::start_in(dir.path(), "");
    http::must_deploy(&server.rest, "one.bpmn", &models::one_task("one", "work"));
    let create = r#"{"processDefinitionId":"one"}"#;
    for _ in 0..5 {
        assert_eq!(
            http::post(&server.rest, "/v2/process-instances", create).status,
            200
        );
    }
    server.kill();
    let data = dir.path().join("data");
    let segment = data.join("partition-1/journal/00000001.segment");
    let sound = std::fs::read(&segment).unwrap();
    let place = sound
        .windows(11)
        .position(|window| window == b"serviceTask")
        .expect("the deployed file is in the journal");
    let mut damaged = sound.clone();
    damaged[place] ^= 0x20;
    std::fs::write(&segment, &damaged).unwrap();
    let (code, told) = refusal(&["--port", "auto", "--data", data.to_str().unwrap()]);
    assert_eq!(code, Some(1), "{told}");
    assert!(
        told.contains("KAP-STO-11") && told.contains("00000001.segment"),
        "{told}"
    );
    assert_eq!(
        std::fs::read(&segment).unwrap(),
        damaged,
        "nothing was repaired by guessing"
    );

    std::fs::write(&segment, &sound).unwrap();
    let server = Server::start_in(dir.path(), "");
    let activation =
        r#"{"type":"work","timeout":60000,"maxJobsToActivate":10,"requestTimeout":5000}"#;
    let jobs = http::post(&server.rest, "/v2/jobs/activation", activation);
    assert_eq!(jobs.body.matches("\"jobKey\"").count(), 5, "{}", jobs.body);
}

#[test]
fn a_broker_that_is_away_keeps_nobody_from_working() {
    let server = Server::start_with(
        "[sources.orders]\nkind = \"rabbitmq\"\nurl = \"amqp://127.0.0.1:1\"\nqueue = \"orders\"\n",
    );
    assert_eq!(http::get(&server.management, "/readyz").status, 200);
    let metrics = http::get(&server.management, "/metrics").body;
    assert!(
        metrics.contains("kapelle_source_up{source=\"orders\"} 0"),
        "{metrics}"
    );
    assert!(server.stop().success());
}

#[test]
fn an_installation_is_known_by_an_id_of_its_data_directory() {
    let (dir, other) = (TempDir::new(), TempDir::new());
    let (url, received) = crate::events::receiver(&[]);
    let sink = format!("[sinks.partner]\nkind = \"webhook\"\nurl = \"{url}\"\n");
    let cluster = |server: &Server| http::get(&server.rest, "/v2/topology").member("clusterId");
    let server = Server::start_in(dir.path(), &sink);
    let id = cluster(&server);
    assert_eq!(id.len(), 36, "{id}");
    // Nobody else's CloudEvents have this source.
    let model = models::event_to_event("p", "partner");
    http::must_deploy(&server.rest, "p.bpmn", &model);
    let event = r#"{"specversion":"1.0","id":"1","source":"/shop","type":"order.placed","data":{"order":"A-1"}}"#;
    let json = [("content-type", "application/cloudevents+json")];
    http::send(&server.rest, "POST", "/events", &json, event.as_bytes());
    let request = received
        .recv_timeout(std::time::Duration::from_secs(20))
        .unwrap();
    assert!(
        request
            .to_lowercase()
            .contains(&format!("ce-source: /kapelle/{id}/p")),
        "{request}"
    );
    server.kill();
    let server = Server::start_in(dir.path(), &sink);
    assert_eq!(cluster(&server), id);
    let stranger = Server::start_in(other.path(), "");
    assert_ne!(cluster(&stranger), id);
    assert!(server.stop().success() && stranger.stop().success());

    let file = dir.path().join("data/cluster-id");
    std::fs::write(&file, "nonsense\n").unwrap();
    let refused = kapelle()
        .args(["serve", "--port", "auto", "--data"])
        .arg(dir.path().join("data"))
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&refused.stderr);
    let told = told.replace(&dir.path().display().to_string(), "DIR");
    expect![[r#"
        error[KAP-3009]: cannot use DIR/data/cluster-id, which says which installation this is: it does not hold a UUID
        hint: restore the file from a copy; without it the installation gets a new id, and so do the CloudEvents that it publishes"#]].assert_eq(
        told.lines()
            .skip_while(|line| !line.starts_with("error"))
            .collect::<Vec<_>>()
            .join("\n")
            .as_str(),
    );
    assert_eq!(refused.status.code(), Some(1));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "nonsense\n");
}
