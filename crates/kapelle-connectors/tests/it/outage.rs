//! The broker ends in the middle of traffic in both directions, politely and by `kill -9`: nothing is lost.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use kapelle_connectors::backoff::{Backoff, Bounds};
use kapelle_connectors::{Publication, Sink, Source};

use crate::door::{Door, Running};
use crate::script::Server;
use crate::{event, eventually};

/// Waits of both sides that suit a test.
pub(crate) const QUICK: Bounds = Bounds {
    first: Duration::from_millis(20),
    max: Duration::from_millis(500),
};
/// How long a sink of these tests waits for its confirmation.
pub(crate) const SINK_TIMEOUT: Duration = Duration::from_secs(3);

/// Our sink publishes, our source reads, and in the middle `end` has the broker go away. What was taken is in the door.
pub(crate) async fn traffic_over_an_outage(
    server: &Server,
    source: impl Source + 'static,
    sink: impl Sink + 'static,
    end: fn(&Server),
) -> Door {
    let door = Door::open();
    let running = Running::start(source, &door);
    let traffic = Arc::new(Traffic {
        sink,
        stop: AtomicBool::new(false),
        next: AtomicUsize::new(0),
    });
    let senders: Vec<_> = (0..8)
        .map(|_| tokio::spawn(traffic.clone().send()))
        .collect();

    eventually("traffic flows", || door.distinct().len() > 200).await;
    away(server, end).await;
    let before = door.distinct().len();
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
    away(server, Server::start).await;
    eventually("traffic flows again", || {
        door.distinct().len() > before + 200
    })
    .await;

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
    door
}

/// Scripts take their time, and a test's own tasks go on meanwhile.
async fn away(server: &Server, change: fn(&Server)) {
    let server = server.clone();
    let changing = tokio::task::spawn_blocking(move || change(&server));
    changing.await.unwrap();
}

struct Traffic<S> {
    sink: S,
    stop: AtomicBool,
    next: AtomicUsize,
}

impl<S: Sink> Traffic<S> {
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
