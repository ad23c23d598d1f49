//! A queue as a source: manual acknowledgement after durability, prefetch as back-pressure, reconnects.
//!
//! **Invariant**: a delivery is acknowledged only after [`Ingest::submit`] returned `Ok` for the batch it was in, on the
//! channel it came from. Whatever else happens, it stays unacknowledged and the broker gives it out again.
//!
//! Batches are submitted one after the other, so the order of the queue is the order in the journal.

use std::convert::Infallible;
use std::time::Duration;

use lapin::message::Delivery as Message;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions, QueueDeclareOptions};
use lapin::protocol::{AMQPErrorKind, AMQPSoftError};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{Channel, Connection, ErrorKind};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::config::SourceConfig;
use super::connection::{ask, broken, close, connect};
use super::error::Error;
use super::message::{Place, received, short};
use crate::receive::{Batches, End, Offered, Sessions, Way};
use crate::source::{Delivery, Ingest, Source};
use crate::status::{Handle, State, Status, count};

/// Reads CloudEvents from a queue.
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
        let connection = tokio::select! {
            () = self.way.shutdown.cancelled() => return Ok(End::Shutdown),
            connection = connect(&self.config.url, self.config.ca_file.as_deref(), self.config.timeout) => connection?,
        };
        count(&self.status.connects, 1);
        let end = self.consume(&connection).await;
        close(&connection).await;
        end
    }

    async fn consume(&mut self, connection: &Connection) -> Result<End, Error> {
        let queue = short(&self.config.queue).ok_or(Error::NameTooLong {
            what: "the name of the queue",
        })?;
        let subscribing = async {
            self.ensure_queue(connection, &queue).await?;
            // The length is asked for on a channel of its own: an error there must not take the deliveries with it.
            let side_channel = self.open(connection).await?;
            let (channel, deliveries) = self.subscribe(connection, &queue).await?;
            Ok::<_, Error>((channel, deliveries, side_channel))
        };
        let (channel, deliveries, side_channel) = tokio::select! {
            () = self.way.shutdown.cancelled() => return Ok(End::Shutdown),
            subscribed = subscribing => subscribed?,
        };
        self.status.set_state(State::Running);
        let lag = watch_lag(side_channel, &queue, self.config.lag_interval, self.status);
        // Beside each other, because the lag grows just when a batch has to wait.
        tokio::select! {
            end = self.receive(connection, &channel, deliveries) => end,
            never = lag => match never {},
        }
    }

    async fn receive(
        &mut self,
        connection: &Connection,
        channel: &Channel,
        deliveries: lapin::Consumer,
    ) -> Result<End, Error> {
        let body_bytes = |message: &Message| message.data.len();
        let mut batches = Batches::new(deliveries, body_bytes, &self.config.limits);
        loop {
            let batch = tokio::select! {
                biased;
                end = self.way.must_end() => return Ok(end),
                batch = batches.next() => batch,
                error = broken(connection) => return Err(error),
            };
            let batch = batch.map_err(|source| Error::broker("receive", source))?;
            if batch.is_empty() {
                return Err(Error::SubscriptionEnded {
                    queue: self.config.queue.clone(),
                });
            }
            if let Some(end) = self.take(batch, channel).await? {
                return Ok(end);
            }
        }
    }

    async fn subscribe(
        &self,
        connection: &Connection,
        queue: &ShortString,
    ) -> Result<(Channel, lapin::Consumer), Error> {
        let channel = self.open(connection).await?;
        let prefetch = self.config.prefetch.max(1);
        let limiting = channel.basic_qos(prefetch, BasicQosOptions::default());
        ask("set the prefetch", self.config.timeout, limiting).await?;
        let options = BasicConsumeOptions::default();
        let consuming =
            channel.basic_consume(queue.clone(), "".into(), options, FieldTable::default());
        let deliveries = ask("subscribe to the queue", self.config.timeout, consuming).await?;
        Ok((channel, deliveries))
    }

    /// Looks whether the queue is there, and makes it if that is wished. Looking first leaves a queue alone that somebody
    /// made with other arguments; on a channel of its own, because a missing queue closes the channel.
    async fn ensure_queue(
        &self,
        connection: &Connection,
        queue: &ShortString,
    ) -> Result<(), Error> {
        let timeout = self.config.timeout;
        let channel = self.open(connection).await?;
        match ask(
            "look for the queue",
            timeout,
            declare_passively(&channel, queue),
        )
        .await
        {
            Err(Error::Broker { source, .. }) if self.config.declare && is_not_found(&source) => {}
            Err(error) => return Err(error),
            Ok(_) => return Ok(()),
        }
        let mut arguments = FieldTable::default();
        arguments.insert(
            "x-queue-type".into(),
            AMQPValue::LongString("quorum".into()),
        );
        let channel = self.open(connection).await?;
        let declaring =
            channel.queue_declare(queue.clone(), QueueDeclareOptions::durable(), arguments);
        ask("declare the queue", timeout, declaring).await?;
        Ok(())
    }

    async fn open(&self, connection: &Connection) -> Result<Channel, Error> {
        ask(
            "open a channel",
            self.config.timeout,
            connection.create_channel(),
        )
        .await
    }

    /// Offers a batch until it is taken, then acknowledges it.
    async fn take(&mut self, batch: Vec<Message>, channel: &Channel) -> Result<Option<End>, Error> {
        count(&self.status.received, batch.len());
        count(
            &self.status.received_bytes,
            batch.iter().map(|message| message.data.len()).sum(),
        );
        let last_tag = batch
            .last()
            .map(|message| message.delivery_tag)
            .expect("an empty batch ended the session");
        let decode = |message: Message| {
            let place = Place {
                queue: &self.config.queue,
                exchange: message.exchange.as_str(),
                routing_key: message.routing_key.as_str(),
            };
            received(
                &place,
                &message.properties,
                message.data,
                &self.config.limits,
            )
        };
        let batch: Vec<Delivery> = batch.into_iter().map(decode).collect();
        // A channel that is gone has taken our deliveries back to the queue.
        let still_ours = || channel.status().connected();
        match self.way.offer(batch, still_ours).await {
            Offered::Taken => {}
            Offered::End(end) => return Ok(Some(end)),
            Offered::Lost => return Err(Error::ConnectionLost),
        }
        let acknowledging = channel.basic_ack(last_tag, BasicAckOptions { multiple: true });
        ask("acknowledge", self.config.timeout, acknowledging).await?;
        self.status.succeeded();
        Ok(None)
    }
}

/// Asks for the length of the queue again and again. When that fails the lag is unknown; whether the connection is of any
/// use is for the deliveries to tell.
async fn watch_lag(
    channel: Channel,
    queue: &ShortString,
    interval: Duration,
    status: &Status,
) -> Infallible {
    let mut timer = tokio::time::interval(interval);
    timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        timer.tick().await;
        match declare_passively(&channel, queue).await {
            Ok(declared) => status.set_lag(declared.message_count().into()),
            Err(_) => {
                status.forget_lag();
                std::future::pending::<Infallible>().await;
            }
        }
    }
}

pub(super) async fn declare_passively(
    channel: &Channel,
    queue: &ShortString,
) -> lapin::Result<lapin::Queue> {
    let options = QueueDeclareOptions {
        passive: true,
        ..QueueDeclareOptions::default()
    };
    channel
        .queue_declare(queue.clone(), options, FieldTable::default())
        .await
}

pub(super) fn is_not_found(error: &lapin::Error) -> bool {
    match error.kind() {
        ErrorKind::ProtocolError(error) => {
            *error.kind() == AMQPErrorKind::Soft(AMQPSoftError::NOTFOUND)
        }
        _ => false,
    }
}
