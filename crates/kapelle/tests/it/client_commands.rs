//! The commands that talk to a server, against a real one.

use std::time::{Duration, Instant};

use expect_test::{Expect, expect};

use crate::http;
use crate::models;
use crate::program::{Ended, Place, ended_within, interrupt};
use crate::server::Server;

/// A server and a directory with models, and a way to run commands against it.
struct Setup {
    server: Server,
    place: Place,
}

impl Setup {
    fn new() -> Self {
        let place = Place::new();
        place.write("one.bpmn", &models::one_task("one", "work"));
        place.write("wait.bpmn", &models::message_wait("waiting"));
        Self {
            server: Server::start(),
            place,
        }
    }

    fn run(&self, arguments: &[&str]) -> Ended {
        self.run_with(arguments, "")
    }

    fn run_with(&self, arguments: &[&str], input: &str) -> Ended {
        self.place.run_with(
            arguments,
            &[("KAPELLE_ADDRESS", self.server.rest.as_str())],
            input,
        )
    }

    /// Runs what must work; answers the data.
    fn data(&self, arguments: &[&str]) -> String {
        let ended = self.run(arguments);
        assert_eq!(ended.code, 0, "{arguments:?}\n{}", ended.text());
        ended.stdout.trim_end().to_owned()
    }

    /// The same, as text to compare: keys, times and the address differ from run to run.
    fn check(&self, arguments: &[&str], expected: Expect) {
        expected.assert_eq(&neutral(&self.run(arguments).text(), &self.server.rest));
    }

    /// Asks again until there is something: a job needs a moment to be there for a worker's poll.
    fn first(&self, arguments: &[&str]) -> String {
        let until = Instant::now() + Duration::from_secs(10);
        loop {
            let found = self.data(arguments);
            if let Some(line) = found.lines().next() {
                return line.to_owned();
            }
            assert!(Instant::now() < until, "{arguments:?} found nothing");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Keys of partition 1 and times, by what they are; columns keep their width.
fn neutral(text: &str, address: &str) -> String {
    let text = text.replace(address, "ADDRESS");
    let mut neutral = String::new();
    let mut rest = text.as_str();
    while let Some(character) = rest.chars().next() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len());
        let time = rest
            .get(..24)
            .filter(|time| time.ends_with('Z') && time.as_bytes().get(10) == Some(&b'T'));
        if digits == 16 && rest.starts_with("22517998136") {
            neutral.push_str("<-----key------>");
            rest = &rest[16..];
        } else if time.is_some() {
            neutral.push_str("<--------time---------->");
            rest = &rest[24..];
        } else {
            neutral.push(character);
            rest = &rest[character.len_utf8()..];
        }
    }
    neutral
}

#[test]
fn a_process_is_deployed_started_listed_and_cancelled() {
    let setup = Setup::new();
    setup.check(
        &["deploy", "one.bpmn", "wait.bpmn"],
        expect![[r#"
        DEFINITION        PROCESS  VERSION  RESOURCE
        <-----key------>  one      1        one.bpmn
        <-----key------>  waiting  1        wait.bpmn
        --- stderr
        --- exit 0
    "#]],
    );
    setup.check(
        &["run", "one", "--variables", r#"{"n": 1}"#],
        expect![[r#"
        INSTANCE          PROCESS  VERSION  DEFINITION
        <-----key------>  one      1        <-----key------>
        --- stderr
        --- exit 0
    "#]],
    );
    setup.check(
        &["list", "pi"],
        expect![[r#"
        KEY               PROCESS  VERSION  STATE   INCIDENT  STARTED                   ENDED
        <-----key------>  one      1        ACTIVE  false     <--------time---------->
        --- stderr
        --- exit 0
    "#]],
    );
    setup.check(
        &["list", "pd"],
        expect![[r#"
        KEY               PROCESS  VERSION  NAME  RESOURCE
        <-----key------>  one      1              one.bpmn
        <-----key------>  waiting  1              wait.bpmn
        --- stderr
        --- exit 0
    "#]],
    );
    setup.check(
        &["list", "variables"],
        expect![[r#"
        KEY               NAME  SCOPE             INSTANCE          VALUE
        <-----key------>  n     <-----key------>  <-----key------>  1
        --- stderr
        --- exit 0
    "#]],
    );
    setup.check(
        &["list", "elements", "--state", "active"],
        expect![[r#"
        KEY               ELEMENT  TYPE          STATE   INCIDENT  STARTED                   ENDED
        <-----key------>  work     SERVICE_TASK  ACTIVE  false     <--------time---------->
        --- stderr
        --- exit 0
    "#]],
    );
    let key = setup.data(&["list", "pi", "--output", "name"]);
    setup.check(
        &["get", "pi", &key],
        expect![[r#"
        processDefinitionId          one
        processDefinitionVersion     1
        startDate                    <--------time---------->
        state                        ACTIVE
        hasIncident                  false
        tenantId                     <default>
        processInstanceKey           <-----key------>
        processDefinitionKey         <-----key------>
        rootProcessInstanceKey       <-----key------>
        tags                         []
        --- stderr
        --- exit 0
    "#]],
    );
    setup.check(
        &["cancel", "pi", &key],
        expect![[r#"
        --- stderr
        instance <-----key------> is cancelled
        --- exit 0
    "#]],
    );
    setup.check(&["cancel", &key], expect![[r#"
        --- stderr
        error[KAP-2105]: Command 'CANCEL' rejected with code 'NOT_FOUND': Expected to cancel a process instance with key '<-----key------>', but no such process was found
        --- exit 5
    "#]]);
    assert_eq!(
        setup.data(&["list", "pi", "--state", "ACTIVE", "--output", "name"]),
        ""
    );
}

#[test]
fn what_is_not_there_ends_with_five() {
    let setup = Setup::new();
    assert_eq!(setup.run(&["get", "pi", "2251799813685999"]).code, 5);
    assert_eq!(setup.run(&["complete", "2251799813685999"]).code, 5);
    assert_eq!(setup.run(&["events", "show", "999999"]).code, 5);
    let ended = setup.run(&["events", "explain", "nobody", "--source", "/x"]);
    assert_eq!(ended.code, 5, "{}", ended.text());
}

#[test]
fn a_refused_deployment_fails_and_says_why() {
    let setup = Setup::new();
    setup.place.write("bad.bpmn", "<definitions/>");
    let ended = setup.run(&["deploy", "bad.bpmn"]);
    assert_eq!(ended.code, 1, "{}", ended.text());
    assert!(
        ended.stderr.contains("error[KAP-2102]") && ended.stderr.contains("bad.bpmn"),
        "{}",
        ended.stderr
    );
}

#[test]
fn what_was_done_is_an_object_a_line_for_programs() {
    let setup = Setup::new();
    setup.data(&["deploy", "one.bpmn"]);
    let start = || setup.data(&["run", "one", "--output", "name"]);
    start();
    start();
    let listed = setup.data(&["list", "jobs", "--state", "CREATED", "--output", "name"]);
    let two: Vec<&str> = listed.lines().collect();
    let check = |arguments: &[&str], expected: Expect| {
        setup.check(&[arguments, &["--output", "json"]].concat(), expected);
    };
    check(
        &["complete", two[0]],
        expect![[r#"
        {"jobKey":"<-----key------>","state":"COMPLETED"}
        --- stderr
        --- exit 0
    "#]],
    );
    check(
        &["fail", two[1], "--retries", "0", "--message", "no"],
        expect![[r#"
            {"jobKey":"<-----key------>","state":"FAILED","retries":0}
            --- stderr
            --- exit 0
        "#]],
    );
    let incident = setup.first(&["list", "inc", "--output", "name"]);
    check(
        &["resolve", &incident, "--retries", "1"],
        expect![[r#"
        {"incidentKey":"<-----key------>","state":"RESOLVED"}
        --- stderr
        --- exit 0
    "#]],
    );
    // What was done before a failure is known.
    let more = start();
    check(
        &["cancel", &more, "2251799813685999"],
        expect![[r#"
            {"processInstanceKey":"<-----key------>","state":"TERMINATED"}
            --- stderr
            error[KAP-2105]: Command 'CANCEL' rejected with code 'NOT_FOUND': Expected to cancel a process instance with key '<-----key------>', but no such process was found
            --- exit 5
        "#]],
    );
    let third = start();
    assert_eq!(setup.data(&["cancel", &third, "--output", "name"]), third);
}

#[test]
fn a_worker_throws_errors_and_sets_retries() {
    let setup = Setup::new();
    setup.place.write(
        "caught.bpmn",
        &models::task_with_error("caught", "charge", "DECLINED"),
    );
    setup.data(&["deploy", "caught.bpmn"]);
    let key = setup.data(&["run", "caught", "--output", "name"]);
    let work = |script: &str| {
        let ended = setup.run(&[
            "worker", "--type", "charge", "--max", "1", "--", "sh", "-c", script,
        ]);
        assert_eq!(ended.code, 0, "{}", ended.text());
    };
    work(r#"echo '{"retries": 7}'; echo busy >&2; exit 1"#);
    let job = setup.first(&["list", "jobs", "--output", "name"]);
    let shown = setup.data(&["get", "job", &job, "--output", "json"]);
    assert!(shown.contains("\"retries\": 7"), "{shown}");
    assert!(shown.contains("\"errorMessage\": \"busy\""), "{shown}");
    work(r#"echo '{"errorCode": "DECLINED", "variables": {"card": "4711"}}'; exit 100"#);
    let shown = setup.data(&["get", "pi", &key, "--output", "json"]);
    assert!(shown.contains("\"state\": \"COMPLETED\""), "{shown}");
    let elements = setup.data(&["list", "elements", "--instance", &key, "--output", "json"]);
    assert!(elements.contains("\"declined\""), "{elements}");
}

#[test]
fn jobs_are_completed_and_failed_and_incidents_resolved_by_hand() {
    let setup = Setup::new();
    setup.data(&["deploy", "one.bpmn"]);
    setup.data(&["run", "one"]);
    let job = setup.first(&["list", "jobs", "--type", "work", "--output", "name"]);
    setup.check(
        &[
            "fail",
            "job",
            &job,
            "--retries",
            "0",
            "--message",
            "no paper",
        ],
        expect![[r#"
        --- stderr
        job <-----key------> has failed and raised an incident
        --- exit 0
    "#]],
    );
    setup.check(&["list", "inc"], expect![[r#"
        KEY               TYPE            STATE   ELEMENT  INSTANCE          CREATED                   MESSAGE
        <-----key------>  JOB_NO_RETRIES  ACTIVE  work     <-----key------>  <--------time---------->  no paper
        --- stderr
        --- exit 0
    "#]]);
    let incident = setup.first(&["list", "inc", "--output", "name"]);
    setup.check(
        &["resolve", "inc", &incident, "--retries", "2"],
        expect![[r#"
        --- stderr
        incident <-----key------> is resolved
        --- exit 0
    "#]],
    );
    setup.check(
        &["complete", "job", &job, "--variables", r#"{"done": true}"#],
        expect![[r#"
        --- stderr
        job <-----key------> is completed
        --- exit 0
    "#]],
    );
    let again = setup.run(&["complete", "job", &job]);
    assert_eq!(again.code, 5, "{}", again.text());
    assert_eq!(
        setup
            .data(&["list", "pi", "--state", "COMPLETED", "--output", "name"])
            .lines()
            .count(),
        1
    );
}

#[test]
fn a_run_that_is_waited_for_prints_its_variables() {
    let setup = Setup::new();
    setup.data(&["deploy", "one.bpmn", "wait.bpmn"]);
    let mut worker = setup
        .place
        .command(&[
            "worker",
            "--type",
            "work",
            "--max",
            "1",
            "--",
            "sh",
            "-c",
            "cat >/dev/null; echo '{\"answer\": 42}'",
        ])
        .env("KAPELLE_ADDRESS", &setup.server.rest)
        .spawn()
        .unwrap();
    let ended = setup.run(&["run", "one", "--wait", "--timeout", "20s"]);
    assert!(ended_within(&mut worker, Duration::from_secs(20)).success());
    assert_eq!(ended.code, 0, "{}", ended.text());
    expect![[r#"
        {
          "answer": 42
        }
    "#]]
    .assert_eq(&ended.stdout);
    let ended = setup.run(&[
        "run",
        "waiting",
        "--variables",
        r#"{"order": "A-1"}"#,
        "--wait",
        "--timeout",
        "300ms",
    ]);
    assert_eq!(ended.code, 6, "{}", ended.text());
}

#[test]
fn a_message_is_published_to_who_waits_for_it() {
    let setup = Setup::new();
    setup.data(&["deploy", "wait.bpmn"]);
    setup.data(&["run", "waiting", "--variables", r#"{"order": "A-1"}"#]);
    let published = setup.data(&[
        "publish",
        "paid",
        "--key",
        "A-1",
        "--variables",
        r#"{"sum": 8}"#,
        "--output",
        "json",
    ]);
    assert!(published.contains("\"messageKey\""), "{published}");
    assert_eq!(
        setup
            .data(&["list", "pi", "--state", "COMPLETED", "--output", "name"])
            .lines()
            .count(),
        1
    );
}

#[test]
fn a_worker_fails_jobs_with_what_its_program_said() {
    let setup = Setup::new();
    setup.data(&["deploy", "one.bpmn"]);
    setup.data(&["run", "one"]);
    let arguments = [
        "worker",
        "--type",
        "work",
        "--max",
        "3",
        "--",
        "sh",
        "-c",
        "echo 'no paper' >&2; exit 1",
    ];
    let ended = setup.run(&arguments);
    assert_eq!(ended.code, 0, "{}", ended.text());
    let incidents = setup.data(&["list", "inc", "--output", "json"]);
    assert!(incidents.contains("no paper"), "{incidents}");
}

#[test]
fn ctrl_c_ends_a_worker_with_130() {
    let setup = Setup::new();
    let mut worker = setup
        .place
        .command(&["worker", "--type", "work", "--", "cat"])
        .env("KAPELLE_ADDRESS", &setup.server.rest)
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    // Its first line says that it works, so the handler is there.
    let stderr = worker.stderr.take().unwrap();
    let mut first = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(stderr), &mut first).unwrap();
    assert!(first.starts_with("working on work"), "{first}");
    interrupt(&worker);
    assert_eq!(
        ended_within(&mut worker, Duration::from_secs(10)).code(),
        Some(130)
    );
}

#[test]
fn events_are_sent_listed_shown_and_explained() {
    let setup = Setup::new();
    setup
        .place
        .write("event.bpmn", &models::event_to_event("shop", "nowhere"));
    setup.data(&["deploy", "event.bpmn"]);
    let send = |id: &str, kind: &str, subject: &str| {
        let arguments = [
            "events",
            "send",
            "--type",
            kind,
            "--source",
            "/shop",
            "--subject",
            subject,
            "--id",
            id,
            "--data",
            "{\"order\": 1}",
        ];
        setup.data(&[&arguments[..], &["--output", "json"]].concat())
    };
    assert!(send("1", "order.placed", "A-1").contains("\"STARTED\""));
    assert!(send("1", "order.placed", "A-1").contains("\"DUPLICATE\""));
    assert!(send("2", "order.lost", "A-1").contains("\"NO_MATCH\""));
    let listed = setup.data(&["events", "tail", "--direction", "in"]);
    assert_eq!(listed.lines().count(), 3, "{listed}");
    assert!(
        listed.lines().last().unwrap().contains("order.lost"),
        "{listed}"
    );
    assert_eq!(
        setup
            .data(&["events", "tail", "--outcome", "NO_MATCH,DUPLICATE"])
            .lines()
            .count(),
        2
    );
    let shown = setup.data(&[
        "events", "show", "2", "--source", "/shop", "--output", "json",
    ]);
    assert!(shown.contains("\"order.lost\""), "{shown}");
    let explained = setup.data(&["events", "explain", "2", "--source", "/shop"]);
    assert!(
        explained.contains("order.lost") && explained.contains("NO_MATCH"),
        "{explained}"
    );
}

#[test]
fn a_file_of_events_is_sent_as_it_stands_and_a_bad_one_is_refused_with_its_place() {
    let setup = Setup::new();
    let event =
        |id: u32| format!(r#"{{"specversion":"1.0","id":"{id}","source":"/shop","type":"x"}}"#);
    setup
        .place
        .write("batch.json", &format!("[{},{}]", event(1), event(2)));
    assert_eq!(
        setup
            .data(&["events", "send", "batch.json", "--output", "name"])
            .lines()
            .count(),
        2
    );
    let from_input = setup.run_with(&["events", "send", "-", "--output", "json"], &event(3));
    assert_eq!(from_input.code, 0, "{}", from_input.text());
    setup
        .place
        .write("bad.json", &format!("[{},{{\"id\":\"4\"}}]", event(5)));
    let ended = setup.run(&["events", "send", "bad.json"]);
    assert_eq!(ended.code, 1, "{}", ended.text());
}

#[test]
fn status_tells_that_the_server_is_there() {
    let setup = Setup::new();
    let shown = setup.data(&["status"]);
    assert!(
        shown.contains("healthy") && shown.contains("leader"),
        "{shown}"
    );
}

#[test]
fn what_was_done_to_subscribers_and_dead_letters_is_an_object_a_line_for_programs() {
    let setup = Setup::new();
    // Nobody listens there.
    setup.place.write(
        "s.json",
        r#"{"target":{"webhook":{"url":"http://127.0.0.1:9/"}},"retry":{"attempts":1}}"#,
    );
    let json = |arguments: &[&str]| setup.data(&[arguments, &["--output", "json"]].concat());
    assert_eq!(
        json(&["subscribers", "put", "s", "s.json"]),
        r#"{"name":"s","state":"IN_PLACE"}"#
    );
    let event = r#"{"specversion":"1.0","id":"1","source":"/shop","type":"t"}"#;
    let media = [("content-type", "application/cloudevents+json")];
    let rest = &setup.server.rest;
    assert_eq!(
        http::send(rest, "POST", "/events", &media, event.as_bytes()).status,
        200
    );
    setup.first(&["dead", "list", "--output", "name"]);
    let dead = http::get(rest, "/v2/kapelle/dead-letters?subscriber=s");
    let position = dead.member("position");
    assert_eq!(
        json(&["dead", "redrive", "s", &position]),
        format!(r#"{{"subscriber":"s","positions":["{position}"],"state":"REDRIVEN"}}"#)
    );
    setup.first(&["dead", "list", "--output", "name"]);
    assert_eq!(
        json(&["dead", "discard", "s", &position, "--reason", "old"]),
        format!(r#"{{"subscriber":"s","positions":["{position}"],"state":"DISCARDED"}}"#)
    );
    for (verb, state) in [
        ("pause", "PAUSED"),
        ("resume", "RESUMED"),
        ("delete", "DELETED"),
    ] {
        assert_eq!(
            json(&["subscribers", verb, "s"]),
            format!(r#"{{"name":"s","state":"{state}"}}"#)
        );
    }
    setup.data(&["subscribers", "put", "s", "s.json"]);
    assert_eq!(
        setup.data(&["subscribers", "delete", "s", "--output", "name"]),
        "s"
    );
}
