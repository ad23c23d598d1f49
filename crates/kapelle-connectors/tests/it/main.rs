//! Connectors against the real thing: brokers of our own, and a HTTP server on a socket.
#![expect(
    clippy::unwrap_used,
    reason = "clippy knows tests by their attribute, and here the helpers between them are tests too"
)]
#![cfg_attr(
    not(feature = "broker"),
    expect(dead_code, reason = "helpers that only some connectors' tests need")
)]

#[cfg(feature = "rabbitmq")]
mod broker;
#[cfg(feature = "tls")]
mod certificates;
#[cfg(feature = "broker")]
mod door;
#[cfg(feature = "mqtt")]
mod fake_mqtt;
#[cfg(feature = "mqtt")]
mod mosquitto;
#[cfg(feature = "mqtt")]
mod mqtt;
#[cfg(feature = "nats")]
mod nats;
#[cfg(feature = "nats")]
mod nats_server;
#[cfg(feature = "broker")]
mod outage;
#[cfg(feature = "rabbitmq")]
mod rabbitmq;
#[cfg(feature = "rabbitmq")]
mod raw;
#[cfg(feature = "broker")]
mod script;
#[cfg(feature = "webhook")]
mod webhook;

use std::time::{Duration, Instant};

use kapelle_events::CloudEvent;

/// How long anything may take on a loaded machine before a test gives up.
const PATIENCE: Duration = Duration::from_secs(60);

fn event(id: &str) -> CloudEvent {
    CloudEvent::builder(id, "/test", "order.placed")
        .data("application/json", "{ \"a\": 1.0 }")
        .build()
        .unwrap()
}

fn numbers(count: usize) -> Vec<String> {
    (0..count).map(|id| id.to_string()).collect()
}

/// Looks again and again until something holds.
async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(
            began.elapsed() < PATIENCE,
            "not within {PATIENCE:?}: {what}"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
