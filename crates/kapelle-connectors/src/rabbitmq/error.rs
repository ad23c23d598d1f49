//! Why there is no connection, or it is no more.

use crate::secret;
use crate::sink::{SinkError, SinkErrorKind};

#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error(transparent)]
    Secret(#[from] secret::Error),
    // Without the text: it holds the password.
    #[error("the URL is no AMQP URL like amqp://user:password@host:5672/vhost: {why}")]
    InvalidUrl { why: String },
    #[error("{what} is longer than the 255 bytes that AMQP allows")]
    NameTooLong { what: &'static str },
    #[error("connect to RabbitMQ: {source}")]
    Connect { source: lapin::Error },
    #[error("connect to RabbitMQ: no answer in time")]
    ConnectTimeout,
    #[error("connect to RabbitMQ: not tried again yet after: {last}")]
    TooSoon { last: String },
    #[error("{doing}: {source}")]
    Broker {
        doing: &'static str,
        source: lapin::Error,
    },
    #[error("the broker ended the subscription to queue \"{queue}\"; was it deleted?")]
    SubscriptionEnded { queue: String },
    #[error("the connection broke")]
    ConnectionLost,
}

impl Error {
    /// For `map_err`: what was tried when the broker answered with an error.
    pub(super) fn broker(doing: &'static str) -> impl FnOnce(lapin::Error) -> Self {
        move |source| Self::Broker { doing, source }
    }
}

impl From<Error> for SinkError {
    fn from(error: Error) -> Self {
        let kind = match error {
            Error::ConnectTimeout => SinkErrorKind::Timeout,
            Error::Secret(_) | Error::InvalidUrl { .. } | Error::NameTooLong { .. } => {
                SinkErrorKind::InvalidTarget
            }
            Error::Connect { .. }
            | Error::TooSoon { .. }
            | Error::Broker { .. }
            | Error::SubscriptionEnded { .. }
            | Error::ConnectionLost => SinkErrorKind::Unreachable,
        };
        Self::new(kind, error.to_string())
    }
}
