//! `kapelle events trace`: one story through a process, a job, a webhook and a service that nobody has modelled.

use std::time::{Duration, Instant};

use expect_test::expect;

use crate::events::receiver;
use crate::found;
use crate::http;
use crate::models;
use crate::program::{Ended, Place};
use crate::server::{Server, TempDir};

const STRUCTURED: (&str, &str) = ("content-type", "application/cloudevents+json");

/// Started by `order.placed`, met by `order.paid`; then a job `charge`, then `order.completed` to that target.
fn story(to: &str) -> String {
    models::definitions(&format!(
        r#"<bpmn:message id="m1" name="order.placed"/>
<bpmn:message id="m2" name="order.paid">
  <bpmn:extensionElements><zeebe:subscription correlationKey="=order"/></bpmn:extensionElements>
</bpmn:message>
<bpmn:message id="m3" name="order.completed"/>
<bpmn:process id="order" isExecutable="true">
  <bpmn:startEvent id="start"><bpmn:messageEventDefinition id="d1" messageRef="m1"/></bpmn:startEvent>
  <bpmn:sequenceFlow id="f1" sourceRef="start" targetRef="paid"/>
  <bpmn:intermediateCatchEvent id="paid"><bpmn:messageEventDefinition id="d2" messageRef="m2"/></bpmn:intermediateCatchEvent>
  <bpmn:sequenceFlow id="f2" sourceRef="paid" targetRef="charge"/>
  <bpmn:serviceTask id="charge">
    <bpmn:extensionElements><zeebe:taskDefinition type="charge" retries="3"/></bpmn:extensionElements>
  </bpmn:serviceTask>
  <bpmn:sequenceFlow id="f3" sourceRef="charge" targetRef="end"/>
  <bpmn:endEvent id="end">
    <bpmn:extensionElements>
      <kapelle:publish type="order.completed" subject="=order" data="={{order: order}}" to="{to}"/>
    </bpmn:extensionElements>
    <bpmn:messageEventDefinition id="d3" messageRef="m3"/>
  </bpmn:endEvent>
</bpmn:process>"#
    ))
}

fn send(server: &Server, attributes: &str) {
    let body = format!(r#"{{"specversion":"1.0",{attributes}}}"#);
    let answer = http::send(
        &server.rest,
        "POST",
        "/events",
        &[STRUCTURED],
        body.as_bytes(),
    );
    assert_eq!(answer.status, 200, "{}", answer.body);
}

fn trace(server: &Server, arguments: &[&str]) -> Ended {
    let arguments = [&["events", "trace"], arguments].concat();
    let address = [("KAPELLE_ADDRESS", server.rest.as_str())];
    Place::new().run_with(&arguments, &address, "")
}

/// What was published, when it is delivered.
fn published(server: &Server) -> found::Item {
    let began = Instant::now();
    loop {
        let out = found::events(&server.rest, "&direction=out&outcome=DELIVERED");
        if let [event] = &out[..] {
            return event.clone();
        }
        assert!(began.elapsed() < Duration::from_secs(60), "{out:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_trace_shows_processes_jobs_and_the_events_of_others_as_one_tree() {
    let (hook, _received) = receiver(&[]);
    let server = Server::start();
    http::must_deploy(&server.rest, "order.bpmn", &story(&hook));
    let from_shop = |id: &str, kind: &str, more: &str| {
        let event =
            format!(r#""id":"{id}","source":"/shop","type":"{kind}","subject":"A-1"{more}"#);
        send(&server, &event);
    };
    from_shop("o-1", "order.placed", r#","data":{"order":"A-1"}"#);
    // Again, without effect; and one of another source with the same id, which has nothing to do with it.
    from_shop("o-1", "order.placed", r#","data":{"order":"A-1"}"#);
    send(
        &server,
        r#""id":"o-1","source":"/elsewhere","type":"weather.changed""#,
    );
    from_shop("p-1", "order.paid", r#","causationid":"o-1""#);
    let activate = r#"{"type":"charge","worker":"till","timeout":60000,"maxJobsToActivate":1,"requestTimeout":5000}"#;
    let jobs = http::post(&server.rest, "/v2/jobs/activation", activate);
    let job = jobs.member("jobKey");
    let done = http::post(&server.rest, &format!("/v2/jobs/{job}/completion"), "{}");
    assert_eq!(done.status, 204, "{}", done.body);

    let completed = published(&server);
    let (id, source) = (&completed["id"], &completed["source"]);
    let shown = http::get(
        &server.rest,
        &format!("/v2/kapelle/events/{}", completed["position"]),
    );
    let conversation = shown.member("correlationid");
    let same = format!(
        r#""correlationid":"{conversation}","traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01""#
    );
    // The receiver sends it back, and grants points for it; that has an effect of its own.
    send(
        &server,
        &format!(
            r#""id":"{id}","source":"{source}","type":"order.completed","subject":"A-1","causationid":"p-1",{same}"#
        ),
    );
    send(
        &server,
        &format!(
            r#""id":"g-1","source":"/loyalty","type":"points.granted","causationid":"{id}",{same}"#
        ),
    );
    send(
        &server,
        r#""id":"m-1","source":"/mail","type":"mail.sent","causationid":"g-1""#,
    );
    // Held together by the conversation, or by the trace, alone.
    send(
        &server,
        &format!(
            r#""id":"i-1","source":"/invoices","type":"invoice.written","correlationid":"{conversation}""#
        ),
    );
    send(
        &server,
        r#""id":"a-1","source":"/audit","type":"audit.noted","traceparent":"00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-00""#,
    );
    // Causes that bite their tails.
    send(
        &server,
        r#""id":"x-1","source":"/odd","type":"odd","causationid":"x-2""#,
    );
    send(
        &server,
        r#""id":"x-2","source":"/odd","type":"odd","causationid":"x-1""#,
    );
    send(
        &server,
        r#""id":"x-3","source":"/odd","type":"odd","causationid":"x-3""#,
    );

    let ended = trace(&server, &["g-1"]);
    assert_eq!(ended.code, 0, "{}", ended.text());
    let seen = ended
        .stdout
        .replace(&hook, "http://HOOK")
        .replace(source.as_str(), "SOURCE");
    expect![[r#"
        order.placed A-1  ← /shop o-1  STARTED  position 12
        ├─ process order  2251799813685254  COMPLETED
        │  └─ job charge  2251799813685261  COMPLETED  by till
        └─ order.paid A-1  ← /shop p-1  CORRELATED  position 36
           └─ met process order  2251799813685254  COMPLETED
              └─ order.completed A-1  → http://HOOK  DELIVERED  position 57
                 └─ came in again: order.completed A-1  ← SOURCE 2251799813685263  NO_MATCH  position 68
                    └─ points.granted  ← /loyalty g-1  NO_MATCH  position 71
                       └─ mail.sent  ← /mail m-1  NO_MATCH  position 74
        invoice.written  ← /invoices i-1  NO_MATCH  position 77
        audit.noted  ← /audit a-1  NO_MATCH  position 80
    "#]].assert_eq(&seen);
    let whole = trace(&server, &["g-1", "--output", "json"]).stdout;
    // The story is one, wherever it is entered: by a cause, an effect, a repeat.
    let repeat = &found::events(&server.rest, "&outcome=DUPLICATE")[0]["position"];
    for entry in [
        &["o-1", "--source", "/shop"][..],
        &["m-1"],
        &["a-1"],
        &["p-1"],
        &[repeat],
    ] {
        let same = trace(&server, &[entry, &["--output", "json"]].concat());
        assert_eq!(same.stdout, whole, "{entry:?}");
    }
    let names = trace(&server, &["g-1", "--output", "name"]).stdout;
    assert_eq!(names.lines().count(), 8, "{names}");
    expect![[r#"
        odd  ← /odd x-2  NO_MATCH  position 86
        └─ odd  ← /odd x-1  NO_MATCH  position 83
    "#]]
    .assert_eq(&trace(&server, &["x-1"]).stdout);
    expect![[r#"
        odd  ← /odd x-3  NO_MATCH  position 89
    "#]]
    .assert_eq(&trace(&server, &["x-3"]).stdout);

    let missing = http::get(&server.rest, "/v2/kapelle/events/999999/trace");
    assert_eq!(missing.status, 404, "{}", missing.body);
    assert_ne!(trace(&server, &["no-such-id"]).code, 0);
    assert!(server.stop().success());
}

fn subscribe(server: &Server, name: &str, document: &str) {
    let path = format!("/v2/kapelle/subscribers/{name}");
    let answer = http::json(&server.rest, "PUT", &path, document);
    assert_eq!(answer.status, 204, "{}", answer.body);
}

/// The trace of `o-1`, once that holds of it.
fn traced(server: &Server, what: &str, holds: impl Fn(&str) -> bool) -> String {
    let began = Instant::now();
    loop {
        let seen = trace(server, &["o-1"]).stdout;
        if holds(&seen) {
            return seen;
        }
        let is_late = began.elapsed() > Duration::from_secs(60);
        assert!(!is_late, "not within a minute: {what}\n{seen}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_trace_shows_who_subscribed_and_what_came_of_it() {
    let (hook, received) = receiver(&[]);
    let dir = TempDir::new();
    let server = Server::start_in(dir.path(), "");
    let wants = |kind: &str, target: &str| {
        format!(
            r#"{{"filter":{{"exact":{{"type":"{kind}"}}}},"target":{target},"retry":{{"attempts":1}}}}"#
        )
    };
    let webhook = |url: &str| format!(r#"{{"webhook":{{"url":"{url}"}}}}"#);
    let pull = r#"{"pull":{}}"#;
    subscribe(&server, "points", &wants("order.placed", pull));
    subscribe(&server, "bills", &wants("order.placed", &webhook(&hook)));
    let deaf = webhook("http://127.0.0.1:9/");
    subscribe(&server, "broken", &wants("order.placed", &deaf));
    subscribe(&server, "others", &wants("order.paid", pull));
    send(
        &server,
        r#""id":"o-1","source":"/shop","type":"order.placed","subject":"A-1""#,
    );
    subscribe(&server, "late", &wants("order.placed", pull));
    received.recv_timeout(Duration::from_secs(60)).unwrap();
    let seen = traced(&server, "one is dead, one is done", |seen| {
        seen.contains("DEAD") && seen.contains("DONE")
    });
    expect![[r#"
        order.placed A-1  ← /shop o-1  NO_MATCH  position 13
        ├─ subscriber bills  DONE
        ├─ subscriber broken  DEAD  failed 1 ×: UNREACHABLE: connect: Connection refused (os error 111)
        └─ subscriber points  WAITING
    "#]].assert_eq(&seen);
    let take = r#"{"maxEvents":1,"waitTime":5000}"#;
    let taken = http::post(&server.rest, "/v2/kapelle/subscribers/points/receive", take);
    let token = format!(r#"{{"lockTokens":["{}"]}}"#, taken.member("lockToken"));
    let path = "/v2/kapelle/subscribers/points/acknowledge";
    let answer = http::post(&server.rest, path, &token);
    assert_eq!(answer.status, 200, "{}", answer.body);
    let seen = traced(&server, "nobody waits", |seen| !seen.contains("WAITING"));
    assert!(seen.contains("points  DONE"), "{seen}");
    // All of it is remembered, also that it was there before one of them.
    assert!(server.stop().success());
    let server = Server::start_in(dir.path(), "");
    assert_eq!(traced(&server, "the same", |_| true), seen);
    assert!(server.stop().success());
}
