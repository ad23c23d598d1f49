//! A real RabbitMQ on both sides of the real binary: CloudEvents come from a queue, start processes, and leave to an
//! exchange, while the broker and the server go away in the middle.
//!
//! The other party keeps notes of what the broker confirmed and of all that arrived; the end is compared with them.

#[expect(
    dead_code,
    reason = "the connectors' tests use more of the broker than these"
)]
#[path = "../../../kapelle-connectors/tests/it/broker.rs"]
mod broker;
mod control;
mod partner;
mod rules;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use expect_test::expect;

use self::broker::{Broker, with_broker};
use self::partner::{Fact, Partner};
use crate::certificates::Certificates;
use crate::crash::powercut::disk::Manner;
use crate::crash::powercut::{Knob, Platter};
use crate::crash::random::Random;
use crate::found;
use crate::http;
use crate::models;
use crate::program::Place;
use crate::script;
use crate::server::{Server, TempDir};

/// How long anything may take on a loaded machine before a test gives up.
const PATIENCE: Duration = Duration::from_secs(120);

fn config(broker: &Broker, queue: &str, attempts: u32) -> String {
    let url = broker.url_of("guest", "guest");
    format!(
        "[sources.orders]\nkind = \"rabbitmq\"\nurl = \"{url}\"\nqueue = \"{queue}\"\ndeclare = true\nprefetch = 64\n\
         [sinks.partner]\nkind = \"rabbitmq\"\nurl = \"{url}\"\nexchange = \"out\"\n\
         [sinks.missing]\nkind = \"rabbitmq\"\nurl = \"{url}\"\nexchange = \"no-such-exchange\"\n\
         [sinks.deaf]\nkind = \"webhook\"\nurl = \"http://127.0.0.1:9/\"\n\
         [outbox]\nbackoff = \"50ms\"\nbackoff-limit = \"500ms\"\nattempts = {attempts}\n"
    )
}

/// Looks again and again until something holds.
async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !holds().await {
        assert!(
            began.elapsed() < PATIENCE,
            "not within {PATIENCE:?}: {what}"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A metric's value; 0 where there is none.
fn metric(server: &Server, line_start: &str) -> u64 {
    let page = http::get(&server.management, "/metrics").body;
    let line = page.lines().find(|line| line.starts_with(line_start));
    line.and_then(|line| line.rsplit(' ').next()?.parse().ok())
        .unwrap_or(0)
}

/// How many process instances there are.
fn instances(server: &Server) -> u64 {
    let one = r#"{"page":{"limit":1}}"#;
    let found = http::post(&server.rest, "/v2/process-instances/search", one);
    found.member("totalItems").parse().unwrap()
}

/// Subjects of the CloudEvents of that direction with that outcome.
fn subjects(server: &Server, filter: &str) -> Vec<String> {
    let events = found::events(&server.rest, filter);
    events
        .into_iter()
        .map(|mut event| event.remove("subject").unwrap())
        .collect()
}

/// Enough that each fault meets some on their way.
const ORDERS: usize = 480;

#[test]
fn nothing_is_lost_or_doubled_while_broker_and_server_go_away() {
    with_broker("nothing_is_lost_or_doubled", |broker| async move {
        let dir = TempDir::new();
        let config = config(&broker, "orders", 1_000);
        let mut partner = Partner::new(&broker, "orders", "completed").await;
        let mut server = Server::start_in(dir.path(), &config);
        let process = models::event_to_event("order", "partner");
        http::must_deploy(&server.rest, "order.bpmn", &process);
        let (mut fault, mut malformed) = (None, 0);
        for number in 0..ORDERS {
            partner.send(&Fact::new(number)).await;
            if number % 20 == 7 {
                // A producer that is not sure sends again.
                partner.send(&Fact::new(number)).await;
            }
            if number % 12 == 5 {
                partner
                    .raw(None, format!("no CloudEvent {number}").as_bytes())
                    .await;
                malformed += 1;
            }
            // In the middle of the stream; it goes on at once.
            let broker = broker.clone();
            match number {
                _ if number == ORDERS / 4 => {
                    fault = Some(tokio::task::spawn_blocking(move || {
                        broker.server.stop();
                        broker.server.start();
                    }));
                }
                _ if number == ORDERS / 2 => {
                    fault.take().unwrap().await.unwrap();
                    assert!(instances(&server) > 0, "it died before it did anything");
                    server.kill();
                    server = Server::start_in(dir.path(), &config);
                }
                _ if number == ORDERS * 3 / 4 => {
                    fault = Some(tokio::task::spawn_blocking(move || {
                        broker.server.kill9();
                        broker.server.start();
                    }));
                }
                _ => {}
            }
        }
        fault.unwrap().await.unwrap();
        eventually("all orders are completed", async || {
            partner.receive().await;
            partner.completed() == ORDERS
        })
        .await;
        // What has arrived may have to go once more, because its confirmation was lost.
        eventually("all are on record as delivered", async || {
            subjects(&server, "&direction=out&outcome=DELIVERED").len() == ORDERS
        })
        .await;
        check(&server, &partner, malformed);
        // The source was there before and after the broker's death.
        let connects = metric(&server, "kapelle_source_connects_total{");
        assert!(connects >= 2, "the last fault broke nothing: {connects}");
        assert!(server.stop().success());
        assert_eq!(partner.waiting("orders").await, 0, "all is acknowledged");
        assert!(partner.reconnects >= 2, "the broker was not missed");
    });
}

/// Enough that a server that finds them all at once dies among them.
const FOUND_AT_ONCE: usize = 400;

/// A kill alone proves little: what was written is in the page cache, synced or not. The power takes it.
#[test]
fn what_the_broker_may_forget_survives_a_loss_of_power() {
    with_broker("what_the_broker_may_forget", |broker| async move {
        let dir = TempDir::new();
        let config = config(&broker, "orders-in-doubt", 1_000);
        let mut platter = Platter::new(dir.path());
        let mut random = Random::new(1);
        let start = |platter: &Platter| {
            Server::start_as(dir.path(), &platter.data(), &config, |mut command| {
                platter.apply(&mut command);
                command
            })
        };
        let mut partner = Partner::new(&broker, "orders-in-doubt", "completed").await;
        let server = start(&platter);
        let process = models::event_to_event("order", "partner");
        http::must_deploy(&server.rest, "order.bpmn", &process);
        assert!(server.stop().success());
        platter.absorb();
        // A slow disk: mostly there is something that was written and not yet synced.
        let slow = Duration::from_millis(20).as_nanos() as i64;
        platter.control.set(Knob::SyncDelay, slow);
        let (mut sent, mut in_the_middle) = (0, 0);
        for _ in 0..4 {
            for number in sent..sent + FOUND_AT_ONCE {
                partner.send(&Fact::new(number)).await;
            }
            sent += FOUND_AT_ONCE;
            let server = start(&platter);
            eventually("it reads the queue", async || {
                metric(&server, "kapelle_source_received_total{") > 0
            })
            .await;
            server.kill();
            platter.absorb();
            platter.cut(Manner::Promised, &mut random);
            // The broker gives out again what it was not told to forget; that takes it a moment.
            tokio::time::sleep(Duration::from_millis(500)).await;
            in_the_middle += usize::from(partner.waiting("orders-in-doubt").await > 0);
        }
        assert!(in_the_middle >= 2, "died among them {in_the_middle} times");
        platter.control.set(Knob::SyncDelay, 0);
        let server = start(&platter);
        eventually("all orders are completed", async || {
            partner.receive().await;
            partner.completed() == sent
        })
        .await;
        let started = subjects(&server, "&direction=in&outcome=STARTED");
        assert_eq!(started.len(), sent, "each starts one instance");
        assert_eq!(instances(&server), sent as u64);
        partner.check();
        assert!(server.stop().success());
        assert_eq!(partner.waiting("orders-in-doubt").await, 0);
    });
}

/// Compares what the server has on record with the notes of the other party.
fn check(server: &Server, partner: &Partner, malformed: usize) {
    let expected: BTreeSet<String> = (0..ORDERS).map(|n| Fact::new(n).subject()).collect();
    let once = |what: &str, subjects: Vec<String>| {
        let count = subjects.len();
        let distinct: BTreeSet<String> = subjects.into_iter().collect();
        assert_eq!(distinct, expected, "{what}");
        assert_eq!(count, ORDERS, "{what}: some twice");
    };
    once("in", subjects(server, "&direction=in&outcome=STARTED"));
    once("out", subjects(server, "&direction=out&outcome=DELIVERED"));
    assert_eq!(instances(server), ORDERS as u64);
    let repeats = subjects(server, "&direction=in&outcome=DUPLICATE");
    assert!(repeats.len() >= ORDERS / 20, "{} repeats", repeats.len());
    // Also what is no CloudEvent is on record once, however often it was delivered.
    let rejected = subjects(server, "&direction=in&outcome=REJECTED");
    assert_eq!(rejected.len(), malformed);
    let outcomes = found::events(&server.rest, "").len();
    assert_eq!(
        outcomes,
        2 * ORDERS + repeats.len() + malformed,
        "other outcomes"
    );
    partner.check();
}

/// Some hundred kilobytes of CloudEvents that together come to more than a batch of the journal …
const NARROW: usize = 40;
/// … because so many processes are started by each.
const PROCESSES: usize = 8;

#[test]
fn what_can_never_be_taken_is_on_record_and_does_not_stop_the_queue() {
    with_broker("what_can_never_be_taken", |broker| async move {
        let dir = TempDir::new();
        let mut partner = Partner::new(&broker, "mixed", "completed").await;
        let json = Some("application/cloudevents+json");
        let good = |id: &str| {
            format!(r#"{{"specversion":"1.0","id":"{id}","source":"/s","type":"nobody.knows"}}"#)
        };
        partner.raw(json, good("1").as_bytes()).await;
        partner.raw(None, b"hello").await;
        partner.raw(None, b"hello").await;
        partner
            .raw(json, good("x").replace("1.0", "0.3").as_bytes())
            .await;
        partner.raw(json, b"{\"specversion\":\"1.0\",").await;
        partner.raw(json, b"\xff\xfe").await;
        partner
            .raw(Some("application/cloudevents+avro"), b"x")
            .await;
        let large = good("x").replace("}", &format!(r#","data":"{}"}}"#, "x".repeat(5 << 20)));
        partner.raw(json, large.as_bytes()).await;
        partner.raw(json, good("2").as_bytes()).await;
        // More than one batch of the journal holds, because so many processes want it: alone …
        let wanted = |id: &str, bytes: usize| {
            let id = format!(r#""id":"{id}","source":"/s","type":"order.placed","subject":"{id}""#);
            format!(
                r#"{{"specversion":"1.0",{id},"data":{{"order":"{}"}}}}"#,
                "w".repeat(bytes)
            )
        };
        partner.raw(json, wanted("wide", 3 << 20).as_bytes()).await;
        // … or together.
        for number in 0..NARROW {
            partner
                .raw(json, wanted(&format!("narrow-{number}"), 24_000).as_bytes())
                .await;
        }
        partner.raw(json, good("3").as_bytes()).await;
        let server = Server::start_in(dir.path(), "");
        for number in 0..PROCESSES {
            let id = format!("wide-{number}");
            let process = models::message_start(&id, "order.placed");
            http::must_deploy(&server.rest, "wide.bpmn", &process);
        }
        assert!(server.stop().success());
        let server = Server::start_in(dir.path(), &config(&broker, "mixed", 3));
        eventually("all are on record", async || {
            found::events(&server.rest, "&direction=in").len() >= 11 + NARROW
        })
        .await;
        let mut seen = String::new();
        for event in found::events(&server.rest, "&direction=in") {
            let (id, outcome, reason) = (&event["id"], &event["outcome"], &event["reason"]);
            // Large data is in the journal once, so that many processes may have it.
            if id.starts_with("narrow") || id == "wide" {
                assert_eq!(outcome, "STARTED", "{reason}");
                continue;
            }
            // How many bytes that are is nobody's business here.
            let reason = reason.split(" has ").next().unwrap_or_default();
            seen.push_str(&format!("{id} {outcome} {reason}\n"));
        }
        expect![[r#"
            1 NO_MATCH no deployed process
            null REJECTED KAP-CE-002: neither CloudEvents headers nor a CloudEvents content type are present
            null DUPLICATE repeats a record that was kept before
            null REJECTED KAP-CE-005: specversion "0.3" is not supported, expected "1.0"
            null REJECTED KAP-CE-003: malformed JSON at byte 21: expected a member name
            null REJECTED KAP-CE-010: the JSON text at byte 0 is not valid UTF-8
            null REJECTED KAP-CE-001: media type "application/cloudevents+avro" is not a supported CloudEvents format
            null REJECTED KAP-CE-013: size of the CloudEvent is 5242897, the limit is 4194304
            2 NO_MATCH no deployed process
            3 NO_MATCH no deployed process
        "#]].assert_eq(&seen);
        assert_eq!(instances(&server), ((NARROW + 1) * PROCESSES) as u64);
        assert_eq!(metric(&server, "kapelle_source_rejected_total{"), 6);
        assert!(server.stop().success());
        assert_eq!(partner.waiting("mixed").await, 0, "all is acknowledged");
    });
}

#[test]
fn over_tls_events_come_in_and_leave_where_a_private_authority_is_trusted() {
    with_broker("over_tls", |broker| async move {
        let mut partner = Partner::new(&broker, "secret-orders", "completed").await;
        let dir = TempDir::new();
        let hook = Certificates::make(&dir.path().join("hook"));
        let (plain, received) = crate::events::receiver(&[]);
        let address = plain
            .trim_start_matches("http://")
            .trim_end_matches("/hook");
        let port = crate::tls::in_front_of(address, &hook);
        let (url, ca) = (broker.tls_url(), broker.server.ca());
        let (ca, hook_ca) = (ca.display(), hook.ca.display());
        let server = Server::start_in(
            dir.path(),
            &format!(
                "[sources.orders]\nkind = \"rabbitmq\"\nurl = \"{url}\"\nca-file = \"{ca}\"\nqueue = \"secret-orders\"\n\
                 [sinks.partner]\nkind = \"rabbitmq\"\nurl = \"{url}\"\nca-file = \"{ca}\"\nexchange = \"out\"\n\
                 [sinks.hook]\nkind = \"webhook\"\nurl = \"https://localhost:{port}/hook\"\nca-file = \"{hook_ca}\"\n\
                 [sinks.stranger]\nkind = \"webhook\"\nurl = \"https://localhost:{port}/hook\"\n\
                 [outbox]\nbackoff = \"50ms\"\nattempts = 2\n"
            ),
        );
        for target in ["partner", "hook", "stranger"] {
            let process = models::event_to_event(target, target);
            http::must_deploy(&server.rest, "order.bpmn", &process);
        }
        partner.send(&Fact::new(1)).await;
        eventually("the partner has it", async || {
            partner.receive().await;
            partner.completed() == 1
        })
        .await;
        let request = received.recv_timeout(PATIENCE).unwrap();
        assert!(request.contains(r#"{"order":"order-1"}"#), "{request}");
        eventually("the stranger is given up", async || {
            !subjects(&server, "&direction=out&outcome=DEAD").is_empty()
        })
        .await;
        let dead = &found::events(&server.rest, "&direction=out&outcome=DEAD")[0];
        assert_eq!(
            dead["reason"],
            "UNREACHABLE: connect: invalid peer certificate: UnknownIssuer"
        );
        assert!(received.try_recv().is_err(), "the stranger got nothing");
        assert!(server.stop().success());
    });
}

#[test]
fn what_cannot_be_delivered_goes_to_the_dead_letters_after_its_attempts() {
    with_broker("what_cannot_be_delivered", |broker| async move {
        let mut partner = Partner::new(&broker, "dead", "completed").await;
        let server = Server::start_with(&config(&broker, "dead", 3));
        for to in [
            "missing",
            "deaf",
            "unnamed",
            "http://127.0.0.1:9/",
            "partner",
        ] {
            let process = models::event_to_event("order", to);
            http::must_deploy(&server.rest, "order.bpmn", &process);
            partner.send(&Fact::to(to)).await;
            eventually("it is decided", async || {
                let all = found::events(&server.rest, "&direction=out");
                let last = all.last().is_some_and(|event| event["channel"] == to);
                last && all.iter().all(|event| event["outcome"] != "PENDING")
            })
            .await;
        }
        let mut seen = String::new();
        for event in found::events(&server.rest, "&direction=out") {
            let (to, outcome, attempts) =
                (&event["channel"], &event["outcome"], &event["attempts"]);
            seen.push_str(&format!("{to}: {outcome} {attempts} {}\n", event["reason"]));
        }
        expect![[r#"
            missing: DEAD 3 UNREACHABLE: publish: protocol error: AMQP soft error: NOT-FOUND: NOT_FOUND - no exchange 'no-such-exchange' in vhost '/'
            deaf: DEAD 3 UNREACHABLE: connect: Connection refused (os error 111)
            unnamed: DEAD 3 UNROUTABLE: no sink is named "unnamed" in the configuration
            http://127.0.0.1:9/: DEAD 3 UNREACHABLE: connect: Connection refused (os error 111)
            partner: DELIVERED null null
        "#]].assert_eq(&seen);
        let told = Place::new().run_with(
            &["events", "tail", "--outcome", "DEAD", "--output", "json"],
            &[("KAPELLE_ADDRESS", server.rest.as_str())],
            "",
        );
        assert_eq!(told.code, 0, "{}", told.text());
        assert_eq!(
            told.stdout.matches("\"DEAD\"").count(),
            4,
            "{}",
            told.stdout
        );
        assert_eq!(
            metric(
                &server,
                "kapelle_events_total{direction=\"out\",source=\"\",outcome=\"DEAD\"}"
            ),
            4
        );
        assert_eq!(instances(&server), 5, "the processes have ended");
    });
}
