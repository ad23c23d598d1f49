//! Connectors against the real thing: a RabbitMQ of our own, and a HTTP server on a socket.
#![expect(
    clippy::unwrap_used,
    reason = "clippy knows tests by their attribute, and here the helpers between them are tests too"
)]
#![cfg_attr(
    not(feature = "rabbitmq"),
    expect(dead_code, reason = "helpers that only some connectors' tests need")
)]

#[cfg(feature = "rabbitmq")]
mod broker;
#[cfg(feature = "tls")]
mod certificates;
#[cfg(feature = "rabbitmq")]
mod door;
#[cfg(feature = "rabbitmq")]
mod rabbitmq;
#[cfg(feature = "rabbitmq")]
mod raw;
#[cfg(feature = "rabbitmq")]
mod restart;
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
