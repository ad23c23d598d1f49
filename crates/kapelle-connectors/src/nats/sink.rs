//! Subjects as a sink: publications that a stream confirms, a window against repeats, reconnects.
//!
//! **Invariant**: `Ok` means that a stream has stored the message, now or, by the message's id, in an attempt before.

use std::error::Error as _;

use async_nats::jetstream::context::{PublishError, PublishErrorKind};
use async_nats::jetstream::{self, ErrorCode};
use tokio::sync::Semaphore;

use super::config::SinkConfig;
use super::connection::Connection;
use super::error::Error;
use super::message::outgoing;
use crate::link::Link;
use crate::probe::Check;
use crate::sink::{Publication, Sink, SinkError, SinkErrorKind};
use crate::status::{Handle, State};

/// Publishes CloudEvents to subjects of streams.
#[derive(Debug)]
pub struct Publisher {
    config: SinkConfig,
    handle: Handle,
    permits: Semaphore,
    link: tokio::sync::Mutex<Link<Connection>>,
}

impl Publisher {
    /// Nothing is connected before the first publication.
    pub fn new(config: SinkConfig) -> Self {
        Self {
            handle: Handle::new(),
            permits: Semaphore::new(config.concurrency.into()),
            link: tokio::sync::Mutex::new(Link::new(config.backoff)),
            config,
        }
    }

    /// Looks for the server and a stream, on a connection of its own.
    pub async fn probe(&self) -> Vec<Check> {
        self.config.probe().await
    }

    /// Ends the connection in an orderly way. A later publication makes a new one.
    pub async fn close(&self) {
        let connection = self.link.lock().await.take();
        if let Some(connection) = connection {
            connection.flush(self.config.timeout).await;
        }
        self.handle.status().set_state(State::Stopped);
    }

    async fn attempt(&self, publication: &Publication<'_>) -> Result<(), SinkError> {
        let subject = publication.target.or(self.config.subject.as_deref());
        let subject = subject.unwrap_or(publication.event.event_type());
        if !is_publishable(subject) {
            let message = format!("\"{subject}\" is no NATS subject to publish to");
            return Err(SinkError::new(SinkErrorKind::InvalidTarget, message));
        }
        let _permit = self
            .permits
            .acquire()
            .await
            .expect("the semaphore is never closed");
        let mut connection = None;
        let attempt = async {
            let connection = connection.insert(self.connection().await?);
            tokio::select! {
                confirmed = self.confirmed(connection, publication, subject) => confirmed,
                error = connection.lost() => Err(error.into()),
            }
        };
        let attempted = tokio::time::timeout(self.config.timeout, attempt).await;
        attempted.unwrap_or_else(|_| {
            let late = "the server did not confirm in time";
            let message = match connection {
                Some(connection) => connection.failed("publish", late).to_string(),
                None => format!("publish: {late}"),
            };
            Err(SinkError::new(SinkErrorKind::Timeout, message))
        })
    }

    async fn connection(&self) -> Result<Connection, Error> {
        let config = &self.config;
        let connecting = Connection::make(&config.url, config.ca_file.as_deref(), config.timeout);
        let mut link = self.link.lock().await;
        let alive = |connection: &Connection| !connection.is_lost();
        let connection = link.connected(self.handle.status(), alive, connecting);
        Ok(connection.await?.clone())
    }

    async fn confirmed(
        &self,
        connection: &Connection,
        publication: &Publication<'_>,
        subject: &str,
    ) -> Result<(), SinkError> {
        let failed = |error| publishing_failed(connection, subject, error);
        let (headers, body) = outgoing(publication, subject, self.config.mode);
        let publishing =
            connection
                .jetstream
                .publish_with_headers(subject.to_owned(), headers, body);
        publishing.await.map_err(failed)?.await.map_err(failed)?;
        Ok(())
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

/// Whether a message can have that subject: words between dots, without the wildcards that only subscriptions have.
fn is_publishable(subject: &str) -> bool {
    let is_word = |word: &str| {
        let allowed = |c: char| !c.is_whitespace() && !c.is_control() && !matches!(c, '*' | '>');
        !word.is_empty() && word.chars().all(allowed)
    };
    subject.split('.').all(is_word)
}

fn publishing_failed(connection: &Connection, subject: &str, error: PublishError) -> SinkError {
    let kind = match error.kind() {
        PublishErrorKind::StreamNotFound => {
            let message = format!("publish: no stream takes the subject \"{subject}\"");
            return SinkError::new(SinkErrorKind::Unroutable, message);
        }
        PublishErrorKind::TimedOut => SinkErrorKind::Timeout,
        PublishErrorKind::BrokenPipe => SinkErrorKind::Unreachable,
        PublishErrorKind::MaxPayloadExceeded => SinkErrorKind::Refused,
        _ if is_too_large(&error) => SinkErrorKind::Refused,
        _ => SinkErrorKind::ReceiverFailed,
    };
    let message = connection.failed("publish", error).to_string();
    SinkError::new(kind, message)
}

fn is_too_large(error: &PublishError) -> bool {
    error
        .source()
        .and_then(|source| source.downcast_ref::<jetstream::Error>())
        .is_some_and(|error| {
            [
                ErrorCode::STREAM_MESSAGE_EXCEEDS_MAXIMUM,
                ErrorCode::STREAM_HEADER_EXCEEDS_MAXIMUM,
            ]
            .contains(&error.error_code())
        })
}
