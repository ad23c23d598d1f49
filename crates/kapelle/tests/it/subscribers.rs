//! Subscribers on the real binary: what reaches whom, in which order, what dies and is redriven, and what a crash leaves.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use expect_test::expect;

use crate::http::{self, Answer};
use crate::server::{Server, TempDir};

const BATCH: (&str, &str) = ("content-type", "application/cloudevents-batch+json");

/// Sends CloudEvents `id`, `type`, `subject`.
fn send(server: &Server, events: &[(&str, &str, &str)]) {
    let events: Vec<_> = events
        .iter()
        .map(|(id, kind, subject)| {
            format!(r#"{{"specversion":"1.0","id":"{id}","source":"/shop","type":"{kind}","subject":"{subject}","data":{{"n":{}}}}}"#, id.len())
        })
        .collect();
    let answer = http::send(
        &server.rest,
        "POST",
        "/events",
        &[BATCH],
        format!("[{}]", events.join(",")).as_bytes(),
    );
    assert_eq!(answer.status, 200, "{}", answer.body);
}

fn put(server: &Server, name: &str, document: &str) {
    let answer = http::json(
        &server.rest,
        "PUT",
        &format!("/v2/kapelle/subscribers/{name}"),
        document,
    );
    assert_eq!(answer.status, 204, "{}", answer.body);
}

/// A receiver that notes the ids of what comes, and answers 200, or 503 while it is told to.
struct Hook {
    url: String,
    came: Receiver<String>,
    is_down: Arc<AtomicBool>,
}

impl Hook {
    fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let (sender, came) = mpsc::channel();
        let is_down = Arc::new(AtomicBool::new(false));
        let down = Arc::clone(&is_down);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (sender, down) = (sender.clone(), Arc::clone(&down));
                std::thread::spawn(move || {
                    let mut stream = stream.unwrap();
                    let mut reader = BufReader::new(stream.try_clone().unwrap());
                    loop {
                        let (mut id, mut length) = (String::new(), 0);
                        loop {
                            let mut line = String::new();
                            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                                return;
                            }
                            let line = line.trim().to_ascii_lowercase();
                            if let Some(value) = line.strip_prefix("ce-id:") {
                                id = value.trim().to_owned();
                            }
                            if let Some(value) = line.strip_prefix("content-length:") {
                                length = value.trim().parse().unwrap();
                            }
                            if line.is_empty() {
                                break;
                            }
                        }
                        let mut body = vec![0; length];
                        reader.read_exact(&mut body).unwrap();
                        let is_down = down.load(Ordering::SeqCst);
                        let status = if is_down {
                            "503 Service Unavailable"
                        } else {
                            "200 OK"
                        };
                        if !is_down {
                            sender.send(id).ok();
                        }
                        if write!(stream, "HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n").is_err()
                        {
                            return;
                        }
                    }
                });
            }
        });
        Self { url, came, is_down }
    }

    fn next(&self) -> String {
        self.came
            .recv_timeout(Duration::from_secs(20))
            .expect("a delivery")
    }

    fn take(&self, count: usize) -> Vec<String> {
        (0..count).map(|_| self.next()).collect()
    }
}

fn show(server: &Server, name: &str) -> Answer {
    http::get(&server.rest, &format!("/v2/kapelle/subscribers/{name}"))
}

/// Waits until the subscriber's report says so.
fn wait_for(server: &Server, name: &str, what: &str) {
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        let answer = show(server, name);
        if answer.body.contains(what) {
            return;
        }
        assert!(Instant::now() < end, "{what} is not in {}", answer.body);
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn receive(server: &Server, name: &str, body: &str) -> Answer {
    let answer = http::post(
        &server.rest,
        &format!("/v2/kapelle/subscribers/{name}/receive"),
        body,
    );
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer
}

/// The values of a text member, in order.
fn all(answer: &Answer, member: &str) -> Vec<String> {
    let start = format!("\"{member}\":\"");
    answer
        .body
        .split(&start)
        .skip(1)
        .map(|rest| rest[..rest.find('"').unwrap()].to_owned())
        .collect()
}

#[test]
fn a_webhook_gets_what_its_filter_passes_in_the_order_of_keys() {
    let server = Server::start();
    let hook = Hook::open();
    send(&server, &[("before", "order.placed", "a")]);
    put(
        &server,
        "loyalty",
        &format!(
            r#"{{"filter":{{"prefix":{{"type":"order."}}}},"target":{{"webhook":{{"url":"{}"}}}}}}"#,
            hook.url
        ),
    );
    send(
        &server,
        &[
            ("1", "order.placed", "a"),
            ("2", "truck.moved", "a"),
            ("3", "order.paid", "a"),
            ("4", "order.closed", "a"),
        ],
    );
    assert_eq!(hook.take(3), ["1", "3", "4"]);
    wait_for(&server, "loyalty", r#""delivered":3"#);
    let report = show(&server, "loyalty").body;
    assert!(report.contains(r#""matched":3,"filtered":1"#), "{report}");
    // From the beginning, too, for who asks for it.
    put(
        &server,
        "all",
        &format!(
            r#"{{"start":"earliest","target":{{"webhook":{{"url":"{}"}}}}}}"#,
            hook.url
        ),
    );
    assert_eq!(hook.take(5), ["before", "1", "2", "3", "4"]);
}

#[test]
fn what_fails_holds_up_its_own_key_dies_and_is_redriven() {
    let server = Server::start();
    let hook = Hook::open();
    let document = format!(
        r#"{{"target":{{"webhook":{{"url":"{}"}}}},"retry":{{"attempts":2,"first":"PT0.05S","limit":"PT0.1S"}}}}"#,
        hook.url
    );
    put(&server, "s", &document);
    hook.is_down.store(true, Ordering::SeqCst);
    send(&server, &[("1", "t", "a")]);
    wait_for(&server, "s", r#""dead":1"#);
    let dead = http::get(&server.rest, "/v2/kapelle/dead-letters?subscriber=s");
    assert_eq!(all(&dead, "id"), ["1"], "{}", dead.body);
    assert!(
        dead.body
            .contains(r#""attempts":2,"lastError":"RECEIVER_FAILED"#),
        "{}",
        dead.body
    );
    hook.is_down.store(false, Ordering::SeqCst);
    send(&server, &[("2", "t", "a")]);
    assert_eq!(hook.next(), "2");
    let position = all(&dead, "position").remove(0);
    let redrive = format!(r#"{{"subscriber":"s","positions":["{position}"]}}"#);
    assert_eq!(
        http::post(&server.rest, "/v2/kapelle/dead-letters/redrive", &redrive).status,
        204
    );
    assert_eq!(hook.next(), "1");
    wait_for(&server, "s", r#""dead":0"#);
}

#[test]
fn consumers_pull_acknowledge_release_and_reject() {
    let server = Server::start();
    put(
        &server,
        "p",
        r#"{"order":"parallel","target":{"pull":{"lock":"PT1S"}},"retry":{"attempts":3}}"#,
    );
    send(
        &server,
        &[("1", "t", "a"), ("2", "t", "a"), ("3", "t", "a")],
    );
    let received = receive(&server, "p", r#"{"maxEvents":10,"waitTime":20000}"#);
    let mut tokens = all(&received, "lockToken");
    while tokens.len() < 3 {
        tokens.extend(all(
            &receive(&server, "p", r#"{"maxEvents":10,"waitTime":20000}"#),
            "lockToken",
        ));
    }
    let say = |verb: &str, token: &str, more: &str| {
        let body = format!(r#"{{"lockTokens":["{token}"]{more}}}"#);
        http::post(
            &server.rest,
            &format!("/v2/kapelle/subscribers/p/{verb}"),
            &body,
        )
        .body
    };
    expect![[r#"{"succeeded":["T"],"failed":[]}"#]]
        .assert_eq(&say("acknowledge", &tokens[0], "").replace(&tokens[0], "T"));
    expect![[r#"{"succeeded":[],"failed":["T"]}"#]]
        .assert_eq(&say("acknowledge", &tokens[0], "").replace(&tokens[0], "T"));
    say("release", &tokens[1], r#","delay":0"#);
    say("reject", &tokens[2], r#","reason":"no thanks""#);
    let again = receive(&server, "p", r#"{"maxEvents":10,"waitTime":20000}"#);
    assert!(
        again.body.contains(r#""deliveryCount":2"#),
        "{}",
        again.body
    );
    assert_eq!(all(&again, "id"), ["2"]);
    wait_for(&server, "p", r#""dead":1"#);
    let dead = http::get(&server.rest, "/v2/kapelle/dead-letters").body;
    assert!(dead.contains(r#""lastError":"no thanks""#), "{dead}");
    // Nobody acknowledged 2: the lock runs out and somebody else gets it.
    let third = receive(&server, "p", r#"{"maxEvents":10,"waitTime":20000}"#);
    assert!(
        third.body.contains(r#""deliveryCount":3"#),
        "{}",
        third.body
    );
}

#[test]
fn a_crash_repeats_deliveries_and_loses_none() {
    let dir = TempDir::new();
    let hook = Hook::open();
    let server = Server::start_in(dir.path(), "");
    put(
        &server,
        "s",
        &format!(r#"{{"target":{{"webhook":{{"url":"{}"}}}}}}"#, hook.url),
    );
    let mut sent = Vec::new();
    let mut server = Some(server);
    for round in 0..4 {
        let running = server.take().unwrap();
        let ids: Vec<_> = (0..40).map(|number| format!("{round}-{number}")).collect();
        let events: Vec<_> = ids.iter().map(|id| (id.as_str(), "t", "k")).collect();
        send(&running, &events);
        sent.extend(ids);
        running.kill();
        server = Some(Server::start_in(dir.path(), ""));
    }
    let mut first_arrivals: Vec<String> = Vec::new();
    let end = Instant::now() + Duration::from_secs(40);
    while first_arrivals.len() < sent.len() && Instant::now() < end {
        if let Ok(id) = hook.came.recv_timeout(Duration::from_secs(20))
            && !first_arrivals.contains(&id)
        {
            first_arrivals.push(id);
        }
    }
    assert_eq!(first_arrivals, sent);
}

#[test]
fn stored_events_are_found_by_their_attributes() {
    let server = Server::start();
    send(
        &server,
        &[("1", "a", "x"), ("2", "b", "x"), ("3", "a", "y")],
    );
    put(&server, "p", r#"{"start":"earliest","target":{"pull":{}}}"#);
    wait_for(&server, "p", r#""matched":3"#);
    let found = |query: &str| {
        all(
            &http::get(&server.rest, &format!("/v2/kapelle/stored-events?{query}")),
            "id",
        )
    };
    assert_eq!(found(""), ["3", "2", "1"]);
    assert_eq!(found("type=a"), ["3", "1"]);
    assert_eq!(found("type=a&subject=x"), ["1"]);
    assert_eq!(found("id=2"), ["2"]);
    assert_eq!(found("source=/shop&limit=2"), ["3", "2"]);
    let refused = http::get(&server.rest, "/v2/kapelle/stored-events?typ=a");
    assert_eq!(refused.status, 400);
}

#[test]
fn a_message_target_starts_processes_and_a_filter_is_tried_before_it_is_used() {
    let server = Server::start();
    http::must_deploy(
        &server.rest,
        "p.bpmn",
        &crate::models::event_to_event("p", "nowhere"),
    );
    put(
        &server,
        "m",
        r#"{"filter":{"sql":"type = 'shop.order'"},"target":{"message":{"name":"order.placed","key":"subject","variables":"{order: subject}"}}}"#,
    );
    send(
        &server,
        &[("1", "shop.order", "A-1"), ("2", "other", "A-2")],
    );
    wait_for(&server, "m", r#""delivered":1"#);
    let tried = http::post(
        &server.rest,
        "/v2/kapelle/subscribers/none/try",
        r#"{"filter":{"sql":"subject = 'A-2'"},"last":2}"#,
    )
    .body;
    assert!(tried.contains(r#""looked":2,"matched":1"#), "{tried}");
    assert!(
        tried.contains("✗ subject = 'A-2'  (it is false)"),
        "{tried}"
    );
}

#[test]
fn what_is_no_subscriber_is_refused_with_its_place() {
    let server = Server::start();
    let mut seen = String::new();
    for (method, path, body) in [
        (
            "PUT",
            "/v2/kapelle/subscribers/s",
            r#"{"target":{"webhook":{"url":"ftp://x"}}}"#,
        ),
        (
            "PUT",
            "/v2/kapelle/subscribers/s%20t",
            r#"{"target":{"pull":{}}}"#,
        ),
        ("PUT", "/v2/kapelle/subscribers/s", "["),
        ("GET", "/v2/kapelle/subscribers/nobody", ""),
        ("DELETE", "/v2/kapelle/subscribers/nobody", ""),
        ("POST", "/v2/kapelle/subscribers/nobody/receive", "{}"),
        (
            "POST",
            "/v2/kapelle/subscribers/nobody/swallow",
            r#"{"lockTokens":[]}"#,
        ),
        (
            "POST",
            "/v2/kapelle/subscribers/s/acknowledge",
            r#"{"lockTokens":["x"]}"#,
        ),
        (
            "POST",
            "/v2/kapelle/dead-letters/discard",
            r#"{"subscriber":"s","positions":["1"]}"#,
        ),
        (
            "POST",
            "/v2/kapelle/dead-letters/redrive",
            r#"{"subscriber":"s","positions":["1"]}"#,
        ),
    ] {
        let answer = http::json(&server.rest, method, path, body);
        seen.push_str(&format!(
            "{method} {path}: {} {}\n",
            answer.status,
            answer.member("detail")
        ));
    }
    expect![[r#"
        PUT /v2/kapelle/subscribers/s: 400 Command 'PUT' rejected with code 'INVALID_ARGUMENT': Expected a valid document for subscriber 's', but target.webhook.url: \
        PUT /v2/kapelle/subscribers/s%20t: 400 Command 'PUT' rejected with code 'INVALID_ARGUMENT': Expected the name of a subscriber to consist of letters, digits, '-', '_' and '.', not beginning with '.', but it is 's t'
        PUT /v2/kapelle/subscribers/s: 400 Command 'PUT' rejected with code 'INVALID_ARGUMENT': Expected a valid document for subscriber 's', but expected a value, found the end at line 1 column 2
        GET /v2/kapelle/subscribers/nobody: 404 Expected to find subscriber with name 'nobody', but there is none
        DELETE /v2/kapelle/subscribers/nobody: 404 Command 'DELETE' rejected with code 'NOT_FOUND': Expected to find subscriber with name 'nobody', but there is none
        POST /v2/kapelle/subscribers/nobody/receive: 404 Expected to find subscriber with name 'nobody' and the target 'pull', but there is none
        POST /v2/kapelle/subscribers/nobody/swallow: 404 There is no operation 'swallow'; there are receive, acknowledge, release, reject, renew, try.
        POST /v2/kapelle/subscribers/s/acknowledge: 400 The value for lockTokens is 'x' but must be a lockToken of a receive.
        POST /v2/kapelle/dead-letters/discard: 400 No reason provided: say why the dead letters are discarded.
        POST /v2/kapelle/dead-letters/redrive: 404 Command 'SETTLE' rejected with code 'NOT_FOUND': Expected to find subscriber with name 's', but there is none
    "#]].assert_eq(&seen);
}
