//! A disk that fills up, with and without a warning, and one that fails. The tracer stands for the disk: it knows how much
//! room is left and says so, and which sync is to fail.

use std::io::Read as _;
use std::process::Stdio;
use std::time::Duration;

use super::*;
use crate::crash::powercut::{Knob, Platter};
use crate::found;
use crate::program::{Place, ended_within};
use crate::server::{Server, TempDir};

const MIB: i64 = 1 << 20;

/// The least that can be asked to stay free; checkpoints all the time, because they take room too.
const CONFIG: &str =
    "[data]\ndisk-reserve = \"64 MiB\"\nreplay-records = 2000\ncopy-interval = \"1 MiB\"\n";

struct Machine {
    dir: TempDir,
    platter: Platter,
}

impl Machine {
    fn new() -> Self {
        let dir = TempDir::new();
        let platter = Platter::new(dir.path());
        Self { dir, platter }
    }

    fn room(&self, bytes: i64) {
        self.platter.control.set(Knob::Room, bytes);
    }

    fn start(&self) -> Server {
        let data = self.platter.data();
        Server::start_as(self.dir.path(), &data, CONFIG, |mut command| {
            self.platter.apply(&mut command);
            command
        })
    }
}

/// Some kilobytes of variables.
fn ballast() -> String {
    format!(r#"{{"ballast":"{}"}}"#, "x".repeat(20_000))
}

fn jobs(rest: &str) -> Vec<String> {
    let ask = r#"{"type":"work","timeout":600000,"maxJobsToActivate":1000,"requestTimeout":-1}"#;
    let answer = http::post(rest, "/v2/jobs/activation", ask);
    assert_eq!(answer.status, 200, "{}", answer.body);
    found::jobs(&answer.body)
}

#[test]
fn new_work_is_refused_before_the_disk_is_full_and_what_runs_goes_on() {
    let machine = Machine::new();
    let server = machine.start();
    http::must_deploy(&server.rest, "one.bpmn", &models::one_task("one", "work"));
    let keys: Vec<String> = (0..200)
        .map(|_| must_start(&server.rest, "one", "{}"))
        .collect();
    machine.room(40 * MIB);
    let refused = || {
        let answer = start(&server.rest, "one", "{}");
        let is_refused = answer.status == 503 && answer.body.contains("RESOURCE_EXHAUSTED");
        assert!(is_refused || answer.status == 200, "{}", answer.line());
        is_refused
    };
    eventually("new work is refused", Duration::from_secs(10), refused);
    let told = http::metric(&server.management, "kapelle_disk_full_rejections_total");
    assert!(told > 0.5);
    let jobs = jobs(&server.rest);
    assert!(
        jobs.len() >= keys.len(),
        "jobs are still handed out: {}",
        jobs.len()
    );
    for job in &jobs {
        let answer = http::post(&server.rest, &format!("/v2/jobs/{job}/completion"), "{}");
        assert_eq!(answer.status, 204, "{}", answer.body);
    }
    assert!(refused(), "there is no more room than before");
    let ended = instances(&server.rest, "COMPLETED");
    assert!(keys.iter().all(|key| ended.contains(key)), "all have ended");
    machine.room(4_096 * MIB);
    eventually("new work is taken again", Duration::from_secs(10), || {
        !refused()
    });
    assert!(server.stop().success());
}

#[test]
fn a_disk_that_is_full_without_a_warning_ends_the_server_and_loses_nothing() {
    let machine = Machine::new();
    let server = machine.start();
    http::must_deploy(&server.rest, "one.bpmn", &models::one_task("one", "work"));
    // So small that it runs out between two looks at the disk.
    machine.room(2 * MIB);
    let taken = fill(&server.rest);
    let status = server.ends_by_itself();
    assert!(
        !status.success(),
        "it says that something is wrong: {status}"
    );
    // Without room it may not start, or start and refuse; with room it works.
    machine.room(-1);
    let server = machine.start();
    assert_there(&server, &taken);
    must_start(&server.rest, "one", "{}");
}

/// Starts instances until nobody answers; the keys of those that were acknowledged.
fn fill(rest: &str) -> Vec<String> {
    let mut taken = Vec::new();
    for _ in 0..5_000 {
        let body = format!(
            r#"{{"processDefinitionId":"one","variables":{}}}"#,
            ballast()
        );
        match http::try_post(rest, "/v2/process-instances", &body) {
            Some(answer) if answer.status == 200 => taken.push(answer.member("processInstanceKey")),
            Some(answer) if answer.status == 503 || answer.status == 500 => {}
            Some(answer) => panic!("{}", answer.line()),
            None => return taken,
        }
    }
    taken
}

/// Some were acknowledged, and all of them are there.
fn assert_there(server: &Server, taken: &[String]) {
    let there = instances(&server.rest, "ACTIVE");
    let lost = taken.iter().filter(|key| !there.contains(key)).count();
    assert!(
        lost == 0 && !taken.is_empty(),
        "{lost} of {} are lost",
        taken.len()
    );
}

#[test]
fn a_failed_sync_ends_the_server_and_loses_nothing() {
    let machine = Machine::new();
    let server = machine.start();
    http::must_deploy(&server.rest, "one.bpmn", &models::one_task("one", "work"));
    machine.platter.control.set(Knob::FailSync, 25);
    let taken = fill(&server.rest);
    let status = server.ends_by_itself();
    assert!(
        !status.success(),
        "it says that something is wrong: {status}"
    );
    let server = machine.start();
    assert_there(&server, &taken);
}

/// `ulimit -f`: no file may be larger. The system ends a process that goes on all the same, unless it listens.
#[test]
fn a_limit_of_file_size_loses_nothing() {
    let dir = TempDir::new();
    let data = dir.path().join("data");
    // In blocks of 512 bytes: 80 MiB, which a segment and the reserve fit into, and what is searched does not for long.
    let server = Server::start_as(dir.path(), &data, CONFIG, limited("-f 163840"));
    http::must_deploy(&server.rest, "one.bpmn", &models::one_task("one", "work"));
    let taken = fill(&server.rest);
    drop(server);
    let server = Server::start_as(dir.path(), &data, CONFIG, |command| command);
    assert_there(&server, &taken);
    assert!(taken.len() > 1_000, "{}", taken.len());
}

#[test]
fn a_limit_of_file_size_that_is_too_small_is_told() {
    let place = Place::new();
    // 24 MiB, less than the smallest file that is needed.
    let mut command =
        limited("-f 49152")(place.command(&["serve", "--port", "auto", "--data", "data"]));
    let mut child = command
        .current_dir(place.path())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let status = ended_within(&mut child, Duration::from_secs(60));
    let mut told = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut told)
        .unwrap();
    assert_eq!(status.code(), Some(1), "{told}");
    assert!(
        told.contains("error[KAP-") && told.contains("File too large"),
        "{told}"
    );
}
