//! A real NATS on both sides of the real binary: CloudEvents come from a stream, start processes, and leave to subjects,
//! while both servers are killed in the middle.

#[expect(
    dead_code,
    reason = "the connectors' tests use more of the server than these"
)]
#[path = "../../../kapelle-connectors/tests/it/nats_server.rs"]
mod nats_server;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use self::nats_server::{Nats, Peer, with_nats};
use crate::found;
use crate::http;
use crate::models;
use crate::program::Place;
use crate::script;
use crate::server::{Server, TempDir};

/// How long anything may take on a loaded machine before a test gives up.
const PATIENCE: Duration = Duration::from_secs(120);
/// Enough that each fault meets some on their way.
const ORDERS: usize = 300;

fn config(nats: &Nats) -> String {
    let url = nats.url_of("guest", "guest");
    format!(
        "[sources.orders]\nkind = \"nats\"\nurl = \"{url}\"\nstream = \"orders\"\ndeclare = true\nack-wait = \"2s\"\nprefetch = 64\n\
         [sinks.partner]\nkind = \"nats\"\nurl = \"{url}\"\nsubject = \"out.completed\"\n\
         [outbox]\nbackoff = \"50ms\"\nbackoff-limit = \"500ms\"\nattempts = 1000\n"
    )
}

/// Publishes an order until the server has confirmed it.
async fn send(nats: &Nats, peer: &mut Peer, number: usize) {
    let id = format!("id-{number}");
    let subject = format!("order-{number}");
    let headers = [
        ("ce-specversion", "1.0"),
        ("ce-id", id.as_str()),
        ("ce-source", "/shop"),
        ("ce-type", "order.placed"),
        ("ce-subject", subject.as_str()),
        ("ce-datacontenttype", "application/json"),
    ];
    let data = format!(r#"{{"order":"{subject}"}}"#);
    while !peer
        .try_publish("orders.north", &headers, data.as_bytes())
        .await
    {
        *peer = reached(nats).await;
    }
}

async fn reached(nats: &Nats) -> Peer {
    loop {
        if let Some(peer) = nats.try_connect().await {
            return peer;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Subjects of the CloudEvents in that stream, by the subject they went to.
async fn arrived(peer: &Peer, stream: &str, to: &str) -> Vec<String> {
    let stream = peer.jetstream.get_stream(stream).await.unwrap();
    let mut subjects = Vec::new();
    for sequence in 1..=stream.cached_info().state.last_sequence {
        let message = stream.get_raw_message(sequence).await.unwrap();
        if message.subject.as_str() == to {
            subjects.push(message.headers.get("ce-subject").unwrap().to_string());
        }
    }
    subjects
}

#[test]
fn nothing_is_lost_while_both_servers_are_killed() {
    with_nats("nothing_is_lost_while_both", |nats| async move {
        let mut peer = nats.connect().await;
        peer.stream("orders").await;
        peer.stream("out").await;
        let dir = TempDir::new();
        let mut server = Server::start_in(dir.path(), &config(&nats));
        let process = models::event_to_event("order", "partner");
        http::must_deploy(&server.rest, "order.bpmn", &process);
        // What came in also leaves as it is.
        let target = r#"{"filter":{"exact":{"type":"order.placed"}},"target":{"sink":{"name":"partner","to":"out.copied"}}}"#;
        let path = "/v2/kapelle/subscribers/copies";
        let made = http::json(&server.rest, "PUT", path, target);
        assert!((200..300).contains(&made.status), "{}", made.body);
        for number in 0..ORDERS {
            send(&nats, &mut peer, number).await;
            if number % 20 == 7 {
                // A producer that is not sure sends again, and one sends what is no CloudEvent.
                send(&nats, &mut peer, number).await;
                let text = format!("no CloudEvent {number}");
                peer.publish("orders.south", &[], text.as_bytes()).await;
            }
            if number == ORDERS / 3 {
                let server = nats.server.clone();
                let killing = tokio::task::spawn_blocking(move || {
                    server.kill9();
                    server.start();
                });
                killing.await.unwrap();
            }
            if number == ORDERS * 2 / 3 {
                server.kill();
                server = Server::start_in(dir.path(), &config(&nats));
            }
        }
        let expected: BTreeSet<String> = (0..ORDERS).map(|n| format!("order-{n}")).collect();
        let began = Instant::now();
        for to in ["out.completed", "out.copied"] {
            loop {
                let peer = reached(&nats).await;
                let arrived: BTreeSet<String> =
                    arrived(&peer, "out", to).await.into_iter().collect();
                if arrived == expected && peer.left("orders").await == 0 {
                    break;
                }
                let missing = expected.difference(&arrived).count();
                assert!(began.elapsed() < PATIENCE, "{to}: {missing} are missing");
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
        let subjects = |filter: &str| -> Vec<String> {
            let events = found::events(&server.rest, filter);
            let subject = |mut event: found::Item| event.remove("subject").unwrap();
            events.into_iter().map(subject).collect()
        };
        let started = subjects("&direction=in&outcome=STARTED");
        assert_eq!(started.len(), ORDERS, "some twice");
        assert_eq!(started.into_iter().collect::<BTreeSet<_>>(), expected);
        assert!(subjects("&direction=in&outcome=DUPLICATE").len() >= ORDERS / 20);
        // Also what is no CloudEvent is on record once, however often it was delivered.
        let rejected = subjects("&direction=in&outcome=REJECTED").len();
        assert_eq!(rejected, ORDERS / 20);
        assert!(server.stop().success());
    });
}

#[test]
fn a_rule_makes_events_of_records_and_source_and_sink_can_be_tested() {
    with_nats("a_rule_makes_events", |nats| async move {
        let peer = nats.connect().await;
        let rule = "[sources.orders.rule]\ntype = '\"order.\" + payload.kind'\nsubject = 'subject'\nkey = 'headers.shop'\n";
        let server = Server::start_with(&(config(&nats) + rule));
        let kapelle = |arguments: &[&str]| {
            let address = [("KAPELLE_ADDRESS", server.rest.as_str())];
            Place::new().run_with(arguments, &address, "")
        };
        let told = kapelle(&["sources", "test", "orders"]);
        assert_ne!(told.code, 0, "{}", told.text());
        assert!(told.text().contains("\"orders\""), "{}", told.text());
        let told = kapelle(&["sinks", "test", "partner"]);
        assert_ne!(told.code, 0, "{}", told.text());
        assert!(told.text().contains("out.completed"), "{}", told.text());

        peer.stream("orders").await;
        peer.stream("out").await;
        let headers = [("shop", "north")];
        peer.publish("orders.north", &headers, br#"{"kind":"placed"}"#)
            .await;
        let began = Instant::now();
        let event = loop {
            match found::events(&server.rest, "&direction=in").pop() {
                Some(event) => break event,
                None => assert!(began.elapsed() < PATIENCE, "nothing comes in"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        assert_eq!(
            (&event["type"][..], &event["subject"][..]),
            ("order.placed", "orders.north"),
            "{event:?}"
        );
        for (of, name) in [("sources", "orders"), ("sinks", "partner")] {
            let told = kapelle(&[of, "test", name]);
            assert_eq!(told.code, 0, "{}", told.text());
        }
        assert!(server.stop().success());
    });
}
