//! Few file handles, little memory.

use std::net::TcpStream;
use std::time::Duration;

use super::*;
use crate::server::{Server, TempDir};

/// Connects as often as it can within a moment.
fn crowd(address: &str) -> Vec<TcpStream> {
    let address = address.parse().unwrap();
    let connect = |_| TcpStream::connect_timeout(&address, Duration::from_millis(300)).ok();
    (0..300).map_while(connect).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_take_all_they_can_do_not_end_the_server() {
    let dir = TempDir::new();
    let config = "[data]\nreplay-records = 1000\ncopy-interval = \"1 MiB\"\n";
    let data = dir.path().join("data");
    let server = Server::start_as(dir.path(), &data, config, limited("-n 128"));
    let mut client = crate::grpc::connect(&server).await;
    crate::grpc::deploy(&mut client, "one.bpmn", &models::one_task("one", "work")).await;
    // They only stand about; whoever works is connected already, and goes on through checkpoints, which need handles.
    let crowds = [
        crowd(&server.rest),
        crowd(&server.grpc),
        crowd(&server.management),
    ];
    let connected: usize = crowds.iter().map(Vec::len).sum();
    assert!(connected > 128, "only {connected} could connect");
    let mut keys = Vec::new();
    for _ in 0..400 {
        let created = client
            .create_process_instance(crate::grpc::create("one", ""))
            .await;
        keys.push(
            created
                .unwrap()
                .into_inner()
                .process_instance_key
                .to_string(),
        );
    }
    drop(crowds);
    let again = || {
        http::try_post(
            &server.rest,
            "/v2/process-instances",
            r#"{"processDefinitionId":"one"}"#,
        )
    };
    eventually("it serves others again", Duration::from_secs(20), || {
        again().is_some_and(|answer| answer.status == 200)
    });
    let there = instances(&server.rest, "ACTIVE");
    assert!(keys.iter().all(|key| there.contains(key)));
    assert!(http::metric(&server.management, "kapelle_checkpoints_total") >= 1.0);
    assert!(server.stop().success());
}

/// The most that a process has had in memory.
fn peak_mib(pid: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib: f64 = line
        .unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap();
    kib / 1_024.0
}

#[test]
fn waiting_instances_outgrow_memory_and_the_server_does_not() {
    let dir = TempDir::new();
    let config = "[limits]\ninstance-cache = \"16 MiB\"\n[data]\nreplay-records = 5000\nstore-cache = \"8 MiB\"\n\
                  [history]\nenabled = false\n";
    let data = dir.path().join("data");
    // Address space, in KiB: threads and allocator reserve much more than they use.
    let server = Server::start_as(dir.path(), &data, config, limited("-v 3000000"));
    http::must_deploy(&server.rest, "one.bpmn", &models::one_task("one", "work"));
    let ballast = format!(r#"{{"ballast":"{}"}}"#, "x".repeat(100_000));
    for _ in 0..3_000 {
        let answer = start(&server.rest, "one", &ballast);
        assert!(
            answer.status == 200 || answer.status == 503,
            "{}",
            answer.line()
        );
    }
    let peak = peak_mib(server.pid());
    assert!(
        peak < 250.0,
        "300 MB of instances in 16 MiB of cache took {peak:.0} MiB"
    );
    assert!(server.stop().success());
}
