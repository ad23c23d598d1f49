//! A durable pull consumer as a source: explicit acknowledgement after durability, as much pulled as may be on the way,
//! reconnects.
//!
//! **Invariant**: a message is acknowledged only after [`Ingest::submit`] returned `Ok` for the batch it was in. Whatever
//! else happens, it stays unacknowledged and the server gives it out again.
//!
//! Batches are submitted one after the other, in the order in which messages come. That is the order of the stream but for
//! what comes again: JetStream delivers that when it has waited for the acknowledgement, or as it happens to find it.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, PullConsumer, pull};
use async_nats::jetstream::stream::ConsumerErrorKind;
use async_nats::jetstream::{AckKind, ErrorCode, Message};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::config::SourceConfig;
use super::connection::Connection;
use super::error::Error;
use super::message::received;
use crate::receive::{Batches, End, Offered, Sessions, Way};
use crate::source::{Delivery, Ingest, Source};
use crate::status::{Handle, State, Status, count};

/// How long the server may take to fill a pull before it says that there is no more.
const PULL_EXPIRES: Duration = Duration::from_secs(30);
/// Within which time something comes, if it is only that.
const PULL_ANSWER: Duration = Duration::from_secs(35);
/// How often in the server's wait for an acknowledgement it is told that one is to come.
const SIGNS_OF_LIFE: u32 = 3;

/// Reads CloudEvents from a stream.
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
        let mut at_once = self.config.prefetch.max(1);
        while sessions.begin().await {
            let session = Session {
                config: &self.config,
                status: self.handle.status(),
                way: Way::new(&self.handle, &ingest, &shutdown, backoff),
                at_once: &mut at_once,
            };
            let ended = session.run().await;
            if ended.is_err() {
                at_once = 1;
            }
            sessions.ended(ended).await;
        }
    }
}

/// One connection from its beginning to its end.
struct Session<'s, I> {
    config: &'s SourceConfig,
    status: &'s Status,
    way: Way<'s, I>,
    /// How many messages a pull asks for: one after a failure, then up to all that may be on the way. The client library
    /// gives up the connection for a message that it can't read, and so such a message takes no others with it.
    at_once: &'s mut u16,
}

/// What one request brought and will bring.
type Pull = Batches<pull::Batch, Message>;

impl<I: Ingest> Session<'_, I> {
    async fn run(mut self) -> Result<End, Error> {
        let SourceConfig {
            url,
            ca_file,
            timeout,
            ..
        } = self.config;
        let opening = async {
            let connection = Connection::make(url, ca_file.as_deref(), *timeout).await?;
            count(&self.status.connects, 1);
            let consumer = self.consumer(&connection).await?;
            Ok::<_, Error>((connection, consumer))
        };
        let (connection, consumer) = tokio::select! {
            () = self.way.shutdown.cancelled() => return Ok(End::Shutdown),
            opened = opening => opened?,
        };
        self.status.set_state(State::Running);
        let lag = watch_lag(&consumer, self.config.lag_interval, self.status);
        // Beside each other, because the lag grows just when a batch has to wait.
        let end = tokio::select! {
            end = self.receive(&connection, &consumer) => end,
            never = lag => match never {},
        };
        connection.flush(*timeout).await;
        end
    }

    /// Looks for the consumer, and makes it if that is wished.
    async fn consumer(&self, connection: &Connection) -> Result<PullConsumer, Error> {
        match find(self.config, connection).await? {
            Some(found) => Ok(found),
            None => self.declare(connection).await,
        }
    }

    async fn declare(&self, connection: &Connection) -> Result<PullConsumer, Error> {
        let config = pull::Config {
            durable_name: Some(self.config.consumer.clone()),
            description: Some("CloudEvents for Kapelle".to_owned()),
            ack_policy: AckPolicy::Explicit,
            ack_wait: self.config.ack_wait,
            max_ack_pending: self.config.prefetch.max(1).into(),
            filter_subject: self.config.subject.clone().unwrap_or_default(),
            ..pull::Config::default()
        };
        connection
            .jetstream
            .create_consumer_on_stream(config, &self.config.stream)
            .await
            .map_err(|error| connection.failed("make the consumer", error))
    }

    async fn receive(
        &mut self,
        connection: &Connection,
        consumer: &PullConsumer,
    ) -> Result<End, Error> {
        loop {
            let mut pull = tokio::select! {
                end = self.way.must_end() => return Ok(end),
                pull = pull(*self.at_once, self.config, connection, consumer) => pull?,
                error = connection.lost() => return Err(error),
            };
            if let Some(end) = self.take_all(&mut pull, connection, consumer).await? {
                // First the end of the pull, or the server would answer it with what is given back.
                give_back(pull.end().await).await;
                return Ok(end);
            }
        }
    }

    /// Takes what a pull brings, until it has brought all.
    async fn take_all(
        &mut self,
        pull: &mut Pull,
        connection: &Connection,
        consumer: &PullConsumer,
    ) -> Result<Option<End>, Error> {
        loop {
            let batch = tokio::select! {
                biased;
                end = self.way.must_end() => return Ok(Some(end)),
                batch = tokio::time::timeout(PULL_ANSWER, pull.next()) => batch,
                error = connection.lost() => return Err(error),
            };
            let Ok(batch) = batch else {
                return Err(Error::NoAnswer { doing: "receive" });
            };
            let batch = batch.map_err(|error| connection.failed("receive", error))?;
            if batch.is_empty() {
                return Ok(None);
            }
            if let Some(end) = self.take(batch, pull, connection, consumer).await? {
                return Ok(Some(end));
            }
        }
    }

    /// Offers a batch until it is taken, then acknowledges it.
    async fn take(
        &mut self,
        batch: Vec<Message>,
        pull: &mut Pull,
        connection: &Connection,
        consumer: &PullConsumer,
    ) -> Result<Option<End>, Error> {
        count(&self.status.received, batch.len());
        count(
            &self.status.received_bytes,
            batch.iter().map(|message| message.payload.len()).sum(),
        );
        let deliveries: Vec<Delivery> = batch
            .iter()
            .map(|message| {
                // Whatever a consumer delivers has it.
                let sequence = message.info().map_or(0, |info| info.stream_sequence);
                received(&self.config.stream, sequence, message, &self.config.limits)
            })
            .collect();
        let ack_wait = consumer.cached_info().config.ack_wait;
        let offered = tokio::select! {
            offered = self.way.offer(deliveries, || !connection.is_lost()) => offered,
            never = hold(&batch, pull, ack_wait) => match never {},
        };
        match offered {
            Offered::Taken => {}
            Offered::End(end) => {
                pull.put_back(batch);
                return Ok(Some(end));
            }
            Offered::Lost => return Err(Error::ConnectionLost),
        }
        let acknowledging = async {
            for message in &batch {
                message.ack().await?;
            }
            Ok::<_, async_nats::Error>(())
        };
        match tokio::time::timeout(self.config.timeout, acknowledging).await {
            Ok(acknowledged) => {
                acknowledged.map_err(|error| connection.failed("acknowledge", error))?;
            }
            Err(_) => {
                return Err(Error::NoAnswer {
                    doing: "acknowledge",
                });
            }
        }
        *self.at_once = self
            .at_once
            .saturating_mul(2)
            .min(self.config.prefetch.max(1));
        self.status.succeeded();
        Ok(None)
    }
}

/// The consumer; `None` where it does not exist and may be made. One that somebody made with other properties is left alone.
pub(super) async fn find(
    config: &SourceConfig,
    connection: &Connection,
) -> Result<Option<PullConsumer>, Error> {
    let (stream, consumer) = (config.stream.clone(), config.consumer.clone());
    let looking = connection
        .jetstream
        .get_consumer_from_stream(&consumer, &stream);
    let found: PullConsumer = match looking.await {
        Ok(found) => found,
        Err(error) => match error.kind() {
            ConsumerErrorKind::JetStream(error)
                if error.error_code() == ErrorCode::STREAM_NOT_FOUND =>
            {
                return Err(Error::NoStream { stream });
            }
            ConsumerErrorKind::JetStream(error)
                if error.error_code() == ErrorCode::CONSUMER_NOT_FOUND =>
            {
                return match config.declare {
                    true => Ok(None),
                    false => Err(Error::NoConsumer { stream, consumer }),
                };
            }
            _ => return Err(connection.failed("look for the consumer", error)),
        },
    };
    match found.cached_info().config.ack_policy {
        AckPolicy::Explicit => Ok(Some(found)),
        _ => Err(Error::NotExplicit { stream, consumer }),
    }
}

/// Asks for messages. Not for bytes: one larger than such a bound would never come.
async fn pull(
    at_once: u16,
    config: &SourceConfig,
    connection: &Connection,
    consumer: &PullConsumer,
) -> Result<Pull, Error> {
    let asking = consumer
        .batch()
        .max_messages(at_once.into())
        .expires(PULL_EXPIRES)
        .messages();
    let messages = asking
        .await
        .map_err(|error| connection.failed("ask for messages", error))?;
    let body_bytes = |message: &Message| message.payload.len();
    Ok(Batches::new(messages, body_bytes, &config.limits))
}

/// Keeps the server from delivering again what only waits to be taken.
async fn hold(batch: &[Message], pull: &mut Pull, ack_wait: Duration) -> Infallible {
    let mut timer = tokio::time::interval(ack_wait / SIGNS_OF_LIFE);
    timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
    timer.tick().await; // The first is at once.
    loop {
        timer.tick().await;
        for message in batch.iter().chain(pull.waiting().await) {
            // On a connection that broke it does not matter.
            message.ack_with(AckKind::Progress).await.ok();
        }
    }
}

/// Has the server deliver again at once, in the same order, what was not taken.
async fn give_back(messages: VecDeque<Message>) {
    for message in messages {
        message.ack_with(AckKind::Nak(None)).await.ok();
    }
}

/// Asks again and again what waits in the stream. When that fails the lag is unknown; whether the connection is of any
/// use is for the deliveries to tell.
async fn watch_lag(consumer: &PullConsumer, interval: Duration, status: &Status) -> Infallible {
    let mut timer = tokio::time::interval(interval);
    timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        timer.tick().await;
        match consumer.get_info().await {
            Ok(info) => status.set_lag(info.num_pending),
            Err(_) => status.forget_lag(),
        }
    }
}
