//! `POST /events`, and CloudEvents that leave.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::mpsc;
use std::time::Duration;

use expect_test::expect;

use crate::http::{self, Answer};
use crate::models;
use crate::server::{Server, TempDir};

const STRUCTURED: (&str, &str) = ("content-type", "application/cloudevents+json");
const BATCH: (&str, &str) = ("content-type", "application/cloudevents-batch+json");

fn send(server: &Server, headers: &[(&str, &str)], body: &str) -> Answer {
    http::send(&server.rest, "POST", "/events", headers, body.as_bytes())
}

fn placed(id: &str, order: &str) -> String {
    format!(
        r#"{{"specversion":"1.0","id":"{id}","source":"/shop","type":"order.placed","subject":"{order}","data":{{"order":"{order}"}}}}"#
    )
}

/// Outcomes in the order of the request.
fn outcomes(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer
        .body
        .split("\"position\":")
        .skip(1)
        .map(|result| {
            let start = result.find("\"outcome\":\"").unwrap() + 11;
            result[start..start + result[start..].find('"').unwrap()].to_owned()
        })
        .collect()
}

#[test]
fn all_three_modes_reach_a_process_and_a_repeat_has_no_effect() {
    let server = Server::start();
    http::must_deploy(
        &server.rest,
        "p.bpmn",
        &models::event_to_event("p", "nowhere"),
    );
    let binary = send(
        &server,
        &[
            ("ce-specversion", "1.0"),
            ("ce-id", "1"),
            ("ce-source", "/shop"),
            ("ce-type", "order.placed"),
            ("ce-subject", "A-1"),
            ("content-type", "application/json"),
            (
                "traceparent",
                "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            ),
        ],
        r#"{"order":"A-1"}"#,
    );
    assert_eq!(outcomes(&binary), ["STARTED"]);
    let structured = send(&server, &[STRUCTURED], &placed("2", "A-2"));
    assert_eq!(outcomes(&structured), ["STARTED"]);
    let other = placed("9", "A-9").replace("order.placed", "nobody.knows");
    let batch = format!("[{},{},{other}]", placed("3", "A-3"), placed("1", "A-1"));
    let batch = send(&server, &[BATCH], &batch);
    assert_eq!(outcomes(&batch), ["STARTED", "DUPLICATE", "NO_MATCH"]);
    assert_eq!(batch.body.matches("\"id\":\"1\"").count(), 1);
}

#[test]
fn malformed_events_are_refused_with_a_stable_code_and_the_index() {
    let server = Server::start();
    let good = placed("1", "A-1");
    let version = good.replace("\"1.0\"", "\"0.3\"");
    let no_type = good.replace("\"type\":\"order.placed\",", "");
    let batch = format!("[{good},{no_type}]");
    let many = format!("[{}]", vec![good.as_str(); 1_001].join(","));
    let plain: (&str, &str) = ("content-type", "text/plain");
    let avro: (&str, &str) = ("content-type", "application/cloudevents+avro");
    let mut seen = String::new();
    for (what, headers, body) in [
        ("nothing says that it is a CloudEvent", vec![plain], "hello"),
        (
            "JSON without the media type",
            vec![("content-type", "application/json")],
            good.as_str(),
        ),
        ("an unknown format", vec![avro], "x"),
        ("broken JSON", vec![STRUCTURED], "{"),
        ("another version", vec![STRUCTURED], version.as_str()),
        ("a missing attribute", vec![STRUCTURED], no_type.as_str()),
        (
            "a missing attribute in headers",
            vec![("ce-specversion", "1.0"), ("ce-id", "1")],
            "",
        ),
        (
            "invalid UTF-8",
            vec![
                ("ce-specversion", "1.0"),
                ("ce-id", "%ff"),
                ("ce-source", "/s"),
                ("ce-type", "t"),
            ],
            "",
        ),
        ("one bad entry", vec![BATCH], batch.as_str()),
        ("no array", vec![BATCH], good.as_str()),
        ("too many", vec![BATCH], many.as_str()),
    ] {
        let answer = send(&server, &headers, body);
        assert_eq!(
            answer.header("content-type"),
            Some("application/problem+json"),
            "{what}: {}",
            answer.body
        );
        seen.push_str(&format!("{what}\n  {} {}\n", answer.status, answer.body));
    }
    expect![[r#"
        nothing says that it is a CloudEvent
          415 {"type":"about:blank","title":"Unsupported Media Type","status":415,"detail":"neither CloudEvents headers nor a CloudEvents content type are present","instance":"/events","code":"KAP-CE-002"}
        JSON without the media type
          415 {"type":"about:blank","title":"Unsupported Media Type","status":415,"detail":"neither CloudEvents headers nor a CloudEvents content type are present","instance":"/events","code":"KAP-CE-002"}
        an unknown format
          415 {"type":"about:blank","title":"Unsupported Media Type","status":415,"detail":"media type \"application/cloudevents+avro\" is not a supported CloudEvents format","instance":"/events","code":"KAP-CE-001"}
        broken JSON
          400 {"type":"about:blank","title":"Bad Request","status":400,"detail":"malformed JSON at byte 1: expected a member name","instance":"/events","code":"KAP-CE-003"}
        another version
          400 {"type":"about:blank","title":"Bad Request","status":400,"detail":"specversion \"0.3\" is not supported, expected \"1.0\"","instance":"/events","code":"KAP-CE-005"}
        a missing attribute
          400 {"type":"about:blank","title":"Bad Request","status":400,"detail":"required attribute \"type\" is missing","instance":"/events","code":"KAP-CE-004"}
        a missing attribute in headers
          400 {"type":"about:blank","title":"Bad Request","status":400,"detail":"required attribute \"source\" is missing","instance":"/events","code":"KAP-CE-004"}
        invalid UTF-8
          400 {"type":"about:blank","title":"Bad Request","status":400,"detail":"attribute \"id\" is not valid UTF-8","instance":"/events","code":"KAP-CE-010"}
        one bad entry
          400 {"type":"about:blank","title":"Bad Request","status":400,"detail":"batch entry 1: required attribute \"type\" is missing","instance":"/events","code":"KAP-CE-004","index":1}
        no array
          400 {"type":"about:blank","title":"Bad Request","status":400,"detail":"a batch is a JSON array of CloudEvents, found an object","instance":"/events","code":"KAP-CE-014"}
        too many
          413 {"type":"about:blank","title":"Payload Too Large","status":413,"detail":"number of CloudEvents in the batch is 1001, the limit is 1000","instance":"/events","code":"KAP-CE-013"}
    "#]].assert_eq(&seen);
    // The good entry beside the bad one was not taken either: it is no repeat now.
    assert_eq!(outcomes(&send(&server, &[STRUCTURED], &good)), ["NO_MATCH"]);
    let large = format!("{{\"data\":\"{}\"}}", "x".repeat(5 << 20));
    assert_eq!(send(&server, &[STRUCTURED], &large).status, 413);
}

/// Receives webhooks; answers each with the next status of the list, then with 204.
pub(crate) fn receiver(statuses: &'static [u16]) -> (String, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let (sender, received) = mpsc::channel();
    std::thread::spawn(move || {
        let mut statuses = statuses.iter();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let request = read_request(&mut stream);
            let status = statuses.next().unwrap_or(&204);
            write!(
                stream,
                "HTTP/1.1 {status} X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
            )
            .unwrap();
            if sender.send(request).is_err() {
                return;
            }
        }
    });
    (url, received)
}

fn read_request(stream: &mut std::net::TcpStream) -> String {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let count = stream.read(&mut buffer).unwrap();
        bytes.extend_from_slice(&buffer[..count]);
        let text = String::from_utf8_lossy(&bytes).to_lowercase();
        let Some(head) = text.find("\r\n\r\n") else {
            continue;
        };
        let length = text
            .lines()
            .find_map(|line| line.strip_prefix("content-length:"))
            .map_or(0, |length| length.trim().parse::<usize>().unwrap());
        if bytes.len() >= head + 4 + length || count == 0 {
            return String::from_utf8(bytes).unwrap();
        }
    }
}

fn sink(url: &str) -> String {
    format!(
        "[sinks.partner]\nkind = \"webhook\"\nurl = \"{url}\"\n[outbox]\nbackoff = \"50ms\"\nattempts = 4\n"
    )
}

#[test]
fn a_published_event_reaches_its_webhook_after_failures_with_the_same_id() {
    let (url, received) = receiver(&[503, 500]);
    let server = Server::start_with(&sink(&url));
    http::must_deploy(
        &server.rest,
        "p.bpmn",
        &models::event_to_event("p", "partner"),
    );
    assert_eq!(
        outcomes(&send(&server, &[STRUCTURED], &placed("1", "A-1"))),
        ["STARTED"]
    );
    let id = |request: &str| {
        let line = request
            .lines()
            .find(|line| line.to_lowercase().starts_with("ce-id:"))
            .unwrap();
        line[6..].trim().to_owned()
    };
    let attempts: Vec<String> = (0..3)
        .map(|_| received.recv_timeout(Duration::from_secs(20)).unwrap())
        .collect();
    assert!(
        attempts
            .iter()
            .all(|attempt| id(attempt) == id(&attempts[0]))
    );
    let last = attempts[2].to_lowercase();
    assert!(last.contains("ce-type: order.completed"), "{last}");
    assert!(last.contains("ce-subject: a-1"), "{last}");
    assert!(last.contains("ce-causationid: "), "{last}");
    assert!(last.ends_with(r#"{"order":"a-1"}"#), "{last}");
    assert!(
        received.recv_timeout(Duration::from_millis(300)).is_err(),
        "delivered once it is delivered no more"
    );
}

#[test]
fn attempts_go_on_where_they_were_when_the_server_comes_back() {
    let (url, received) = receiver(&[503; 20]);
    let dir = TempDir::new();
    let server = Server::start_in(dir.path(), &sink(&url));
    let model = models::event_to_event("p", "partner");
    http::must_deploy(&server.rest, "p.bpmn", &model);
    send(&server, &[STRUCTURED], &placed("1", "A-1"));
    // Seen in history: on record, not only on its way.
    let out = |server: &Server, wanted: &str| {
        let deadline = std::time::Instant::now() + Duration::from_secs(20);
        loop {
            let answer = http::get(&server.rest, "/v2/kapelle/events?direction=out");
            if answer.body.contains(wanted) {
                return answer;
            }
            assert!(std::time::Instant::now() < deadline, "{}", answer.body);
            std::thread::sleep(Duration::from_millis(10));
        }
    };
    let pending = out(&server, "\"attempts\":2");
    assert_eq!(pending.member("outcome"), "PENDING");
    assert!(pending.member("reason").contains("503"), "{}", pending.body);
    assert!(pending.member("nextAttemptAt").ends_with('Z'));
    server.kill();
    let server = Server::start_in(dir.path(), &sink(&url));
    let dead = out(&server, "\"outcome\":\"DEAD\"");
    assert_eq!(dead.member("attempts"), "4");
    // A failure that was not yet on record at the kill is made again.
    let asked = received.try_iter().count();
    assert!((4..=5).contains(&asked), "{asked} requests");
    let position = dead.member("position");
    let told = crate::program::Place::new().run(&[
        "events",
        "explain",
        &position,
        "--address",
        &format!("http://{}", server.rest),
    ]);
    assert!(
        told.stdout
            .contains("given up after 4 attempts, the last one: "),
        "{}",
        told.stdout
    );
    assert!(server.stop().success());
}

#[test]
fn what_could_not_be_delivered_is_delivered_after_a_restart() {
    let (url, received) = receiver(&[]);
    let dir = TempDir::new();
    // Nobody listens on that port now.
    let server = Server::start_in(dir.path(), &sink("http://127.0.0.1:9/hook"));
    http::must_deploy(
        &server.rest,
        "p.bpmn",
        &models::event_to_event("p", "partner"),
    );
    assert_eq!(
        outcomes(&send(&server, &[STRUCTURED], &placed("1", "A-1"))),
        ["STARTED"]
    );
    server.kill();
    let server = Server::start_in(dir.path(), &sink(&url));
    let request = received.recv_timeout(Duration::from_secs(20)).unwrap();
    assert!(request.contains(r#"{"order":"A-1"}"#), "{request}");
    assert_eq!(
        outcomes(&send(&server, &[STRUCTURED], &placed("1", "A-1"))),
        ["DUPLICATE"]
    );
    assert!(server.stop().success());
}
