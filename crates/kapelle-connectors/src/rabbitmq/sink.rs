//! An exchange as a sink: publisher confirms, mandatory routing, reconnects.
//!
//! **Invariant**: `Ok` means that the broker has routed the message to at least one queue and confirmed it.
//!
//! **One publication on a channel at a time.** lapin hands a returned message to whichever confirm is completed next, and a
//! broker may complete many at once in any order; so with two on the way, the wrong one would learn that it was
//! unroutable. Channels are cheap: they are kept in a pool, and one whose attempt did not end in order is closed.

use std::sync::{Mutex, PoisonError};

use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::ShortString;
use lapin::{BasicProperties, Channel, Confirmation, Connection};
use tokio::sync::Semaphore;

use super::config::SinkConfig;
use super::connection::{ask, close, connect};
use super::error::Error;
use super::message::{outgoing, short};
use crate::link::Link;
use crate::probe::Check;
use crate::sink::{Publication, Sink, SinkError, SinkErrorKind};
use crate::status::{Handle, State};

/// Publishes CloudEvents to an exchange.
#[derive(Debug)]
pub struct Publisher {
    config: SinkConfig,
    handle: Handle,
    /// The exchange as AMQP wants it; `None` where the configured name is too long to exist.
    exchange: Option<ShortString>,
    permits: Semaphore,
    link: tokio::sync::Mutex<Link<Connection>>,
    /// Channels in confirm mode on which nothing is on the way.
    idle: Mutex<Vec<Channel>>,
}

impl Publisher {
    /// Nothing is connected before the first publication.
    pub fn new(config: SinkConfig) -> Self {
        Self {
            handle: Handle::new(),
            exchange: short(&config.exchange),
            permits: Semaphore::new(config.concurrency.into()),
            link: tokio::sync::Mutex::new(Link::new(config.backoff)),
            idle: Mutex::default(),
            config,
        }
    }

    /// Looks for the broker and the exchange, on a connection of its own.
    pub async fn probe(&self) -> Vec<Check> {
        self.config.probe().await
    }

    /// Ends the connection in an orderly way. A later publication makes a new one.
    pub async fn close(&self) {
        let connection = self.link.lock().await.take();
        if let Some(connection) = connection {
            close(&connection).await;
        }
        self.handle.status().set_state(State::Stopped);
    }

    async fn attempt(&self, publication: &Publication<'_>) -> Result<(), SinkError> {
        let invalid = |what: &str| {
            let message = format!("{what} is longer than the 255 bytes that AMQP allows");
            SinkError::new(SinkErrorKind::InvalidTarget, message)
        };
        let exchange = self
            .exchange
            .clone()
            .ok_or_else(|| invalid("the exchange"))?;
        let routing_key = publication.target.or(self.config.routing_key.as_deref());
        let routing_key = routing_key.unwrap_or(publication.event.event_type());
        let routing_key = short(routing_key).ok_or_else(|| invalid("the routing key"))?;
        let (properties, body) = outgoing(publication, self.config.mode);
        let _permit = self
            .permits
            .acquire()
            .await
            .expect("the semaphore is never closed");
        let deadline = tokio::time::timeout(self.config.timeout, async {
            let channel = self.channel().await?;
            // On any error the channel is dropped, and with it whatever may still come back on it.
            confirmed(&channel, exchange, routing_key, properties, &body).await?;
            self.idle
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(channel);
            Ok(())
        });
        deadline.await.unwrap_or_else(|_| {
            Err(SinkError::new(
                SinkErrorKind::Timeout,
                "publish: the broker did not confirm in time",
            ))
        })
    }

    async fn channel(&self) -> Result<Channel, Error> {
        while let Some(channel) = self
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop()
        {
            if channel.status().connected() {
                return Ok(channel);
            }
        }
        let mut link = self.link.lock().await;
        let config = &self.config;
        let connecting = connect(&config.url, config.ca_file.as_deref(), config.timeout);
        let alive = |connection: &Connection| connection.status().connected();
        let connection = link
            .connected(self.handle.status(), alive, connecting)
            .await?;
        let opened = self.open(connection).await;
        if opened.is_err() {
            // A connection that can't even do this is replaced by the next publication.
            link.take();
        }
        opened
    }

    async fn open(&self, connection: &Connection) -> Result<Channel, Error> {
        // Half of the whole, so that this is over before the time of the publication is.
        let timeout = self.config.timeout / 2;
        let channel = ask("open a channel", timeout, connection.create_channel()).await?;
        let confirming = channel.confirm_select(ConfirmSelectOptions::default());
        ask("ask for publisher confirms", timeout, confirming).await?;
        Ok(channel)
    }
}

impl Sink for Publisher {
    fn handle(&self) -> Handle {
        self.handle.clone()
    }

    async fn publish(&self, publication: Publication<'_>) -> Result<(), SinkError> {
        let result = self.attempt(&publication).await;
        self.handle.status().attempted(&result);
        result
    }
}

fn publishing_failed(source: lapin::Error) -> SinkError {
    Error::broker("publish", source).into()
}

async fn confirmed(
    channel: &Channel,
    exchange: ShortString,
    routing_key: ShortString,
    properties: BasicProperties,
    body: &[u8],
) -> Result<(), SinkError> {
    let options = BasicPublishOptions {
        mandatory: true,
        ..BasicPublishOptions::default()
    };
    let publishing =
        channel.basic_publish(exchange, routing_key.clone(), options, body, properties);
    let confirm = publishing.await.map_err(publishing_failed)?;
    match confirm.await.map_err(publishing_failed)? {
        Confirmation::Ack(None) => Ok(()),
        Confirmation::Ack(Some(returned)) | Confirmation::Nack(Some(returned)) => {
            let message = format!(
                "publish: no queue is bound for routing key \"{routing_key}\" ({} {})",
                returned.reply_code, returned.reply_text
            );
            Err(SinkError::new(SinkErrorKind::Unroutable, message))
        }
        Confirmation::Nack(None) => Err(SinkError::new(
            SinkErrorKind::ReceiverFailed,
            "publish: the broker could not store the message",
        )),
        Confirmation::NotRequested => Err(SinkError::new(
            SinkErrorKind::ReceiverFailed,
            "publish: the channel has no publisher confirms",
        )),
    }
}
