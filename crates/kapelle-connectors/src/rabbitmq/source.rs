//! A queue as a source: manual acknowledgement after durability, prefetch as back-pressure, reconnects.
//!
//! **Invariant**: a delivery is acknowledged only after [`Ingest::submit`] returned `Ok` for the batch it was in, on the
//! channel it came from. Whatever else happens, it stays unacknowledged and the broker gives it out again.
//!
//! Batches are submitted one after the other, so the order of the queue is the order in the journal.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use futures_core::Stream;
use lapin::message::Delivery as Message;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions, QueueDeclareOptions};
use lapin::protocol::{AMQPErrorKind, AMQPSoftError};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{Channel, Connection, ErrorKind};
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::config::SourceConfig;
use super::connection::{ask, broken, close, connect};
use super::error::Error;
use super::message::{Place, received, short};
use crate::backoff::Backoff;
use crate::source::{Delivery, Ingest, IngestError, Outcome, Source};
use crate::status::{Handle, State, Status, count, paused_is};

/// Bytes of bodies in a batch of more than one: enough for any throughput, and attributes still fit the 4 MiB of a batch
/// of the journal.
const BATCH_BYTES_MAX: usize = 1024 * 1024;
/// A connection that held this long was a good one: the next failure begins with the first wait again.
const GOOD_SESSION: Duration = Duration::from_secs(10);

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
        let status = self.handle.status().as_ref();
        let mut paused = self.handle.paused();
        let mut backoff = Backoff::new(self.config.backoff);
        while !shutdown.is_cancelled() {
            if *paused.borrow() {
                status.set_state(State::Paused);
                tokio::select! {
                    () = shutdown.cancelled() => break,
                    () = paused_is(false, &mut paused) => {}
                }
            }
            let session = Session {
                config: &self.config,
                status,
                ingest: &ingest,
                shutdown: &shutdown,
                paused: paused.clone(),
            };
            let began = Instant::now();
            let ended = session.run().await;
            status.forget_lag();
            match ended {
                Ok(End::Shutdown) => break,
                Ok(End::Paused) => continue,
                Err(error) => status.failed(error.to_string()),
            }
            if began.elapsed() >= GOOD_SESSION {
                backoff.reset();
            }
            status.set_state(State::BackingOff);
            tokio::select! {
                () = shutdown.cancelled() => break,
                () = paused_is(true, &mut paused) => {}
                () = tokio::time::sleep(backoff.next_wait()) => {}
            }
        }
        status.set_state(State::Stopped);
    }
}

/// One connection from its beginning to its end.
struct Session<'s, I> {
    config: &'s SourceConfig,
    status: &'s Status,
    ingest: &'s I,
    shutdown: &'s CancellationToken,
    paused: watch::Receiver<bool>,
}

/// Why a session ended without an error.
enum End {
    Shutdown,
    Paused,
}

impl<I: Ingest> Session<'_, I> {
    async fn run(mut self) -> Result<End, Error> {
        self.status.set_state(State::Connecting);
        let connection = tokio::select! {
            () = self.shutdown.cancelled() => return Ok(End::Shutdown),
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
            () = self.shutdown.cancelled() => return Ok(End::Shutdown),
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
        let mut batches = Batches::new(deliveries, self.config);
        loop {
            let batch = tokio::select! {
                biased;
                () = self.shutdown.cancelled() => return Ok(End::Shutdown),
                () = paused_is(true, &mut self.paused) => return Ok(End::Paused),
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
        let mut backoff = Backoff::new(self.config.backoff);
        let outcomes = loop {
            let error = match self.ingest.submit(batch.clone()).await {
                Ok(outcomes) => break outcomes,
                Err(error) => error,
            };
            self.status.failed(error.to_string());
            count(&self.status.ingest_retries, 1);
            let wait = wait_after(&error, &mut backoff);
            tokio::select! {
                () = self.shutdown.cancelled() => return Ok(Some(End::Shutdown)),
                () = paused_is(true, &mut self.paused) => return Ok(Some(End::Paused)),
                () = tokio::time::sleep(wait) => {}
            }
            // A channel that is gone has taken our deliveries back to the queue: they are no longer ours to submit.
            if !channel.status().connected() {
                return Err(Error::ConnectionLost);
            }
        };
        count_outcomes(self.status, &outcomes);
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

fn wait_after(error: &IngestError, backoff: &mut Backoff) -> Duration {
    let wait = backoff.next_wait();
    match error {
        IngestError::Overloaded {
            retry_after: Some(at_least),
        } => wait.max(*at_least),
        IngestError::Overloaded { retry_after: None } | IngestError::Unavailable { .. } => wait,
    }
}

fn count_outcomes(status: &Status, outcomes: &[Outcome]) {
    let with = |wanted| {
        outcomes
            .iter()
            .filter(|outcome| **outcome == wanted)
            .count()
    };
    count(&status.accepted, with(Outcome::Accepted));
    count(&status.duplicates, with(Outcome::Duplicate));
    count(&status.rejected, with(Outcome::Rejected));
}

pub(super) fn is_not_found(error: &lapin::Error) -> bool {
    match error.kind() {
        ErrorKind::ProtocolError(error) => {
            *error.kind() == AMQPErrorKind::Soft(AMQPSoftError::NOTFOUND)
        }
        _ => false,
    }
}

/// Deliveries by the batch. Bounded, because a batch becomes one batch of the journal.
struct Batches {
    deliveries: lapin::Consumer,
    /// What no longer went into the last batch.
    carried: Option<Message>,
    count_max: usize,
    bytes_max: usize,
}

impl Batches {
    fn new(deliveries: lapin::Consumer, config: &SourceConfig) -> Self {
        Self {
            deliveries,
            carried: None,
            count_max: config.limits.batch_events_max.max(1),
            bytes_max: config.limits.batch_bytes_max.min(BATCH_BYTES_MAX),
        }
    }

    /// Waits for a delivery and takes with it what else has arrived. Empty when the subscription has ended. An error
    /// after deliveries is found again by the next call, or by the acknowledgement. Can be dropped without loss.
    async fn next(&mut self) -> lapin::Result<Vec<Message>> {
        poll_fn(|cx| {
            let mut batch: Vec<Message> = self.carried.take().into_iter().collect();
            let mut bytes: usize = batch.iter().map(|message| message.data.len()).sum();
            while batch.len() < self.count_max {
                match Pin::new(&mut self.deliveries).poll_next(cx) {
                    Poll::Ready(Some(Ok(message))) => {
                        bytes += message.data.len();
                        if bytes > self.bytes_max && !batch.is_empty() {
                            self.carried = Some(message);
                            break;
                        }
                        batch.push(message);
                    }
                    Poll::Ready(Some(Err(error))) if batch.is_empty() => {
                        return Poll::Ready(Err(error));
                    }
                    Poll::Pending if batch.is_empty() => return Poll::Pending,
                    Poll::Ready(_) | Poll::Pending => break,
                }
            }
            Poll::Ready(Ok(batch))
        })
        .await
    }
}
