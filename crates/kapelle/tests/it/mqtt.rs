//! A real Mosquitto on both sides of the real binary: CloudEvents come from topics, start processes, and leave to topics,
//! while the broker is stopped and the server killed in the middle.

#[expect(
    dead_code,
    reason = "the connectors' tests use more of the broker than these"
)]
#[path = "../../../kapelle-connectors/tests/it/mosquitto.rs"]
mod mosquitto;

use std::collections::BTreeSet;
use std::time::Duration;

use rumqttc::v5::mqttbytes::QoS;

use self::mosquitto::{Message, Mosquitto, Peer, with_mosquitto};
use crate::found;
use crate::http;
use crate::models;
use crate::script;
use crate::server::{Server, TempDir};

/// How long anything may take on a loaded machine before a test gives up.
const PATIENCE: Duration = Duration::from_secs(120);
/// Enough that each fault meets some on their way.
const ORDERS: usize = 300;

fn config(mosquitto: &Mosquitto) -> String {
    let url = mosquitto.url_of("guest", "guest");
    format!(
        "[sources.orders]\nkind = \"mqtt\"\nurl = \"{url}\"\ntopic = \"orders/+\"\nclient-id = \"kapelle\"\nqos = 2\n\
         [sinks.partner]\nkind = \"mqtt\"\nurl = \"{url}\"\ntopic = \"out/completed\"\n\
         [sinks.old]\nkind = \"mqtt\"\nurl = \"{url}\"\nversion = \"3.1.1\"\n\
         [outbox]\nbackoff = \"50ms\"\nbackoff-limit = \"500ms\"\nattempts = 1000\n"
    )
}

async fn reached(mosquitto: &Mosquitto, client_id: &str) -> Peer {
    loop {
        if let Some(peer) = mosquitto.try_connect(client_id).await {
            return peer;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Publishes until the broker has confirmed it.
async fn send(mosquitto: &Mosquitto, peer: &mut Peer, qos: QoS, message: &Message<'_>) {
    while !peer.try_publish(qos, message).await {
        *peer = reached(mosquitto, "").await;
    }
}

async fn send_order(mosquitto: &Mosquitto, peer: &mut Peer, number: usize) {
    let (id, subject) = (format!("id-{number}"), format!("order-{number}"));
    let data = format!(r#"{{"order":"{subject}"}}"#);
    let properties = [
        ("specversion", "1.0"),
        ("id", id.as_str()),
        ("source", "/shop"),
        ("type", "order.placed"),
        ("subject", subject.as_str()),
    ];
    let message = Message {
        topic: "orders/north",
        content_type: Some("application/json"),
        properties: &properties,
        body: data.as_bytes(),
        ..Message::default()
    };
    send(mosquitto, peer, QoS::ExactlyOnce, &message).await;
}

#[test]
fn nothing_is_lost_while_broker_and_server_go_away() {
    with_mosquitto("nothing_is_lost_while_broker", |mosquitto| async move {
        let dir = TempDir::new();
        let mut server = Server::start_in(dir.path(), &config(&mosquitto));
        let process = models::event_to_event("order", "partner");
        http::must_deploy(&server.rest, "order.bpmn", &process);
        // What came in also leaves, over the other version.
        let target = r#"{"filter":{"exact":{"type":"order.placed"}},"target":{"sink":{"name":"old","to":"out/copied"}}}"#;
        let path = "/v2/kapelle/subscribers/copies";
        let made = http::json(&server.rest, "PUT", path, target);
        assert!((200..300).contains(&made.status), "{}", made.body);
        let up = "kapelle_source_up{source=\"orders\"} 1";
        while !http::get(&server.management, "/metrics").body.contains(up) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        {
            let mut collector = mosquitto.connect("collector").await;
            collector.subscribe("out/+").await;
        }
        let mut peer = mosquitto.connect("").await;
        for number in 0..ORDERS {
            send_order(&mosquitto, &mut peer, number).await;
            if number % 20 == 7 {
                // A producer that is not sure sends again, and one sends what is no CloudEvent.
                send_order(&mosquitto, &mut peer, number).await;
                let text = format!("no CloudEvent {number}");
                let message = Message {
                    topic: "orders/south",
                    body: text.as_bytes(),
                    ..Message::default()
                };
                send(&mosquitto, &mut peer, QoS::AtLeastOnce, &message).await;
            }
            if number == ORDERS / 3 {
                let broker = mosquitto.server.clone();
                let stopping = tokio::task::spawn_blocking(move || {
                    broker.stop();
                    broker.start();
                });
                stopping.await.unwrap();
            }
            if number == ORDERS * 2 / 3 {
                server.kill();
                server = Server::start_in(dir.path(), &config(&mosquitto));
            }
        }
        let expected: BTreeSet<String> = (0..ORDERS).map(|n| format!("order-{n}")).collect();
        let (mut completed, mut copied) = (BTreeSet::new(), BTreeSet::new());
        let collecting = async {
            let mut collector = reached(&mosquitto, "collector").await;
            while completed != expected || copied != expected {
                let Some(arrived) = collector.try_receive().await else {
                    collector = reached(&mosquitto, "collector").await;
                    continue;
                };
                if &arrived.topic[..] == b"out/completed" {
                    let properties = arrived.properties.unwrap().user_properties;
                    let subject = properties.into_iter().find(|(name, _)| name == "subject");
                    completed.insert(subject.unwrap().1);
                } else {
                    let limits = kapelle_events::Limits::DEFAULT;
                    let event = kapelle_events::json::decode(&arrived.payload, &limits).unwrap();
                    copied.insert(event.subject().unwrap().to_owned());
                }
            }
        };
        tokio::time::timeout(PATIENCE, collecting)
            .await
            .expect("all arrive");
        let rejected = || found::events(&server.rest, "&direction=in&outcome=REJECTED").len();
        let began = std::time::Instant::now();
        // Also what is no CloudEvent is on record once, however often it was delivered.
        while rejected() < ORDERS / 20 {
            assert!(began.elapsed() < PATIENCE, "{} rejected", rejected());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(rejected(), ORDERS / 20);
        let started = found::events(&server.rest, "&direction=in&outcome=STARTED");
        assert_eq!(started.len(), ORDERS, "some twice");
        assert!(server.stop().success());
    });
}
