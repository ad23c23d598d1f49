//! A topic filter as a source: a session that the broker keeps, acknowledgement after durability, as many deliveries as
//! may be on the way, reconnects.
//!
//! **Invariant**: PUBACK (QoS 1) or PUBREC (QoS 2) goes out only after [`Ingest::submit`] returned `Ok` for the batch the
//! message was in. Whatever else happens, the broker keeps it and gives it out again when the session is taken up.
//!
//! Batches are submitted one after the other, so the order of the broker is the order in the journal.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::config::SourceConfig;
use super::connection::{Connection, Purpose};
use super::error::Error;
use super::message::received;
use super::packet::{Incoming, Outgoing, Publish, Subscribe};
use crate::receive::{Batches, End, Offered, Sessions, Way};
use crate::source::{Delivery, Ingest, Source};
use crate::status::{Handle, State, Status, count};

/// The only packet of ours that is numbered.
const SUBSCRIPTION: u16 = 1;

/// Reads CloudEvents from topics.
#[derive(Debug)]
pub struct Consumer {
    config: SourceConfig,
    handle: Handle,
}

impl Consumer {
    /// Nothing is connected before [`run`](Source::run).
    pub fn new(config: SourceConfig) -> Self {
        Self {
            config,
            handle: Handle::new(),
        }
    }
}

impl Source for Consumer {
    fn handle(&self) -> Handle {
        self.handle.clone()
    }

    async fn run<I: Ingest>(self, ingest: I, shutdown: CancellationToken) {
        let backoff = self.config.backoff;
        let mut sessions = Sessions::new(&self.handle, backoff, &shutdown);
        while sessions.begin().await {
            let session = Session {
                config: &self.config,
                status: self.handle.status(),
                way: Way::new(&self.handle, &ingest, &shutdown, backoff),
            };
            sessions.ended(session.run().await).await;
        }
    }
}

/// One connection from its beginning to its end.
struct Session<'s, I> {
    config: &'s SourceConfig,
    status: &'s Status,
    way: Way<'s, I>,
}

impl<I: Ingest> Session<'_, I> {
    async fn run(mut self) -> Result<End, Error> {
        let config = self.config;
        let purpose = Purpose {
            version: config.version,
            client_id: &config.client_id,
            persistent: true,
            receive_max: config.prefetch.max(1),
        };
        let connecting = Connection::make(
            &config.url,
            config.ca_file.as_deref(),
            config.timeout,
            &purpose,
        );
        let mut connection = tokio::select! {
            () = self.way.shutdown.cancelled() => return Ok(End::Shutdown),
            connection = connecting => connection?,
        };
        count(&self.status.connects, 1);
        let (deliver, deliveries) = mpsc::unbounded_channel();
        let (acknowledge, mut acknowledgements) = mpsc::unbounded_channel();
        let driven = drive(
            config,
            self.status,
            &mut connection,
            &deliver,
            &mut acknowledgements,
        );
        // Beside each other: the broker wants to hear from us also while a batch waits.
        let end = tokio::select! {
            end = self.receive(Deliveries(deliveries), &acknowledge) => end,
            error = driven => return Err(error),
        };
        while let Ok(acknowledgement) = acknowledgements.try_recv() {
            connection.put(acknowledgement);
        }
        connection.close().await;
        Ok(end)
    }

    async fn receive(
        &mut self,
        deliveries: Deliveries,
        acknowledge: &mpsc::UnboundedSender<Outgoing>,
    ) -> End {
        let body_bytes = |publish: &Publish| publish.payload.len();
        let mut batches = Batches::new(deliveries, body_bytes, &self.config.limits);
        loop {
            let batch = tokio::select! {
                biased;
                end = self.way.must_end() => return end,
                batch = batches.next() => batch.unwrap_or_else(|never| match never {}),
            };
            if let Some(end) = self.take(batch, acknowledge).await {
                return end;
            }
        }
    }

    /// Offers a batch until it is taken, then acknowledges it.
    async fn take(
        &mut self,
        batch: Vec<Publish>,
        acknowledge: &mpsc::UnboundedSender<Outgoing>,
    ) -> Option<End> {
        count(&self.status.received, batch.len());
        count(
            &self.status.received_bytes,
            batch.iter().map(|publish| publish.payload.len()).sum(),
        );
        let deliveries: Vec<Delivery> = batch
            .iter()
            .map(|publish| received(&self.config.topic, publish, &self.config.limits))
            .collect();
        // A connection that breaks ends this future.
        if let Offered::End(end) = self.way.offer(deliveries, || true).await {
            return Some(end);
        }
        for publish in &batch {
            if let Some(acknowledgement) = acknowledgement(publish) {
                acknowledge.send(acknowledgement).ok();
            }
        }
        self.status.succeeded();
        None
    }
}

/// Subscribes, and passes on what the broker sends and what we answer, until the connection ends.
async fn drive(
    config: &SourceConfig,
    status: &Status,
    connection: &mut Connection,
    deliver: &mpsc::UnboundedSender<Publish>,
    acknowledgements: &mut mpsc::UnboundedReceiver<Outgoing>,
) -> Error {
    connection.put(Outgoing::Subscribe(Subscribe {
        id: SUBSCRIPTION,
        topic: config.topic.clone(),
        quality: config.quality,
        retained: config.retained,
    }));
    let answer = tokio::time::sleep(config.timeout);
    tokio::pin!(answer);
    let mut subscribed = false;
    // Delivered and not acknowledged. MQTT 5 has a bound for it, which the broker keeps; with 3.1.1 we have to stop reading.
    let mut open = 0;
    loop {
        let turn = async {
            // The answer to the subscription is behind what an earlier session left.
            if subscribed && open > usize::from(config.prefetch.max(1)) {
                return connection.stay().await.map(|()| None);
            }
            connection.next().await.map(Some)
        };
        let incoming = tokio::select! {
            incoming = turn => incoming,
            Some(acknowledgement) = acknowledgements.recv() => {
                open -= 1;
                connection.put(acknowledgement);
                continue;
            }
            () = &mut answer, if !subscribed => return Error::NoAnswer { doing: "subscribe" },
        };
        match incoming {
            Err(error) => return error,
            Ok(Some(Incoming::Subscribed { refused: None })) => {
                subscribed = true;
                status.set_state(State::Running);
            }
            Ok(Some(Incoming::Subscribed {
                refused: Some(reason),
            })) => {
                let topic = config.topic.clone();
                return Error::NotSubscribed { topic, reason };
            }
            Ok(Some(Incoming::Publish(publish))) => {
                let answer = acknowledgement(&publish);
                if publish.retain && !config.retained {
                    answer.into_iter().for_each(|answer| connection.put(answer));
                    continue;
                }
                open += usize::from(answer.is_some());
                deliver.send(publish).ok();
            }
            // Also one that an earlier connection had received: the broker asks until it is answered.
            Ok(Some(Incoming::Release(id))) => connection.put(Outgoing::Complete(id)),
            Ok(_) => {}
        }
    }
}

/// How a message is acknowledged; QoS 0 is not.
fn acknowledgement(publish: &Publish) -> Option<Outgoing> {
    match publish.qos {
        1 => Some(Outgoing::Acknowledge(publish.id)),
        2 => Some(Outgoing::Received(publish.id)),
        _ => None,
    }
}

/// What has arrived. Bounded by what may be without acknowledgement.
struct Deliveries(mpsc::UnboundedReceiver<Publish>);

impl Stream for Deliveries {
    type Item = Result<Publish, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(cx).map(|publish| publish.map(Ok))
    }
}
