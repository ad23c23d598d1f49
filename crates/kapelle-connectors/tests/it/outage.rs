//! The broker ends in the middle of traffic in both directions, politely and by `kill -9`: nothing is lost.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use kapelle_connectors::backoff::{Backoff, Bounds};
use kapelle_connectors::rabbitmq::{Publisher, SinkConfig, SourceConfig};
use kapelle_connectors::{Publication, Sink};

use crate::broker::{Broker, with_broker};
use crate::door::{Door, Running};
use crate::{event, eventually};

/// A quorum queue that is younger than this may be lost by `kill -9` (seen with 3.10).
const QUEUE_SETTLES: Duration = Duration::from_secs(8);
const QUICK: Bounds = Bounds {
    first: Duration::from_millis(20),
    max: Duration::from_millis(500),
};

#[test]
fn nothing_is_lost_when_the_broker_is_stopped_and_started() {
    with_broker(
        "nothing_is_lost_when_the_broker_is_stopped",
        |broker| async move {
            traffic_over_an_outage(&broker, "stopped", |broker| broker.stop()).await;
        },
    );
}

#[test]
fn nothing_is_lost_when_the_broker_is_killed() {
    with_broker(
        "nothing_is_lost_when_the_broker_is_killed",
        |broker| async move {
            traffic_over_an_outage(&broker, "killed", |broker| broker.kill9()).await;
        },
    );
}

/// Our sink publishes to an exchange, our source reads what is bound to it, and in the middle the broker is away.
async fn traffic_over_an_outage(broker: &Broker, name: &str, end: fn(&Broker)) {
    {
        let peer = broker.connect().await;
        peer.quorum_queue(name).await;
        peer.exchange(&format!("{name}-exchange"), name, "order.placed")
            .await;
        tokio::time::sleep(QUEUE_SETTLES).await;
    }
    let door = Door::open();
    let running = Running::start(
        SourceConfig {
            backoff: QUICK,
            ..SourceConfig::new(broker.url(), name)
        },
        &door,
    );
    let config = SinkConfig {
        backoff: QUICK,
        timeout: Duration::from_secs(3),
        ..SinkConfig::new(broker.url(), format!("{name}-exchange"))
    };
    let traffic = Arc::new(Traffic {
        sink: Publisher::new(config),
        stop: AtomicBool::new(false),
        next: AtomicUsize::new(0),
    });
    let senders: Vec<_> = (0..8)
        .map(|_| tokio::spawn(traffic.clone().send()))
        .collect();

    eventually("traffic flows", || door.count() > 200).await;
    let broker_of_task = broker.clone();
    let before = tokio::task::spawn_blocking(move || {
        end(&broker_of_task);
        broker_of_task
    });
    let broker_of_task = before.await.unwrap();
    let before = door.count();
    // Both sides notice.
    eventually("the source backs off", || {
        !running.handle.snapshot().healthy()
    })
    .await;
    let failures = traffic.sink.handle().snapshot().publish_failures;
    eventually("attempts fail", || {
        traffic.sink.handle().snapshot().publish_failures > failures
    })
    .await;
    tokio::task::spawn_blocking(move || broker_of_task.start())
        .await
        .unwrap();
    eventually("traffic flows again", || door.count() > before + 200).await;

    traffic.stop.store(true, SeqCst);
    let mut confirmed = BTreeSet::new();
    for sender in senders {
        confirmed.extend(sender.await.unwrap());
    }
    let missing = || confirmed.difference(&door.distinct()).count();
    eventually("every confirmed CloudEvent has come back", || {
        missing() == 0
    })
    .await;
    let (source, sink) = (running.handle.snapshot(), traffic.sink.handle().snapshot());
    assert!(
        source.connects >= 2 && sink.connects >= 2,
        "it did not reconnect: {source:?} {sink:?}"
    );
    assert!(
        confirmed.len() > 400,
        "only {} CloudEvents were sent",
        confirmed.len()
    );
    running.stop().await;
    assert_eq!(broker.connect().await.ready(name).await, 0);
}

struct Traffic {
    sink: Publisher,
    stop: AtomicBool,
    next: AtomicUsize,
}

impl Traffic {
    /// Sends one CloudEvent after the other, each until it is confirmed, and returns their ids.
    async fn send(self: Arc<Self>) -> Vec<String> {
        let mut confirmed = Vec::new();
        while !self.stop.load(SeqCst) {
            let id = self.next.fetch_add(1, SeqCst).to_string();
            let event = event(&id);
            let mut backoff = Backoff::new(QUICK);
            for attempt in 1.. {
                match self
                    .sink
                    .publish(Publication {
                        event: &event,
                        target: None,
                        attempt,
                    })
                    .await
                {
                    Ok(()) => break,
                    Err(error) => assert!(error.retryable(), "{error}"),
                }
                tokio::time::sleep(backoff.next_wait()).await;
            }
            confirmed.push(id);
        }
        confirmed
    }
}
