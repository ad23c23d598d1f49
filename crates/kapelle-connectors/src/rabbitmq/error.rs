//! Why there is no connection, or it is no more.

use crate::link::TooSoon;
use crate::secret;
use crate::sink::{SinkError, SinkErrorKind};
use crate::tls;

#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error(transparent)]
    Secret(#[from] secret::Error),
    #[error(transparent)]
    Tls(#[from] tls::Error),
    // Without the text: it holds the password.
    #[error("the URL is no AMQP URL like amqp://user:password@host:5672/vhost: {why}")]
    InvalidUrl { why: String },
    #[error("{what} is longer than the 255 bytes that AMQP allows")]
    NameTooLong { what: &'static str },
    #[error("connect to RabbitMQ: {source}")]
    Connect { source: lapin::Error },
    #[error("connect to RabbitMQ: no answer in time")]
    ConnectTimeout,
    #[error("connect to RabbitMQ: {0}")]
    TooSoon(#[from] TooSoon),
    #[error("{doing}: {source}")]
    Broker {
        doing: &'static str,
        source: lapin::Error,
    },
    #[error(
        "a message can't be read, because a short text in it is not UTF-8 as AMQP demands; it ends every connection that \
         receives it until it is removed from the queue, or goes to a dead-letter exchange by a delivery limit"
    )]
    Unreadable,
    #[error("{doing}: the broker does not answer")]
    NoAnswer { doing: &'static str },
    #[error("the broker ended the subscription to queue \"{queue}\"; was it deleted?")]
    SubscriptionEnded { queue: String },
    #[error("the connection broke")]
    ConnectionLost,
}

impl Error {
    /// What it means that the broker, or lapin, answered `doing` with an error.
    pub(super) fn broker(doing: &'static str, source: lapin::Error) -> Self {
        match source.kind() {
            // Everything else that comes from a broker is well formed, whatever a producer puts into a message.
            lapin::ErrorKind::ParsingError(_) => Self::Unreadable,
            _ => Self::Broker { doing, source },
        }
    }
}

impl From<Error> for SinkError {
    fn from(error: Error) -> Self {
        let kind = match error {
            Error::ConnectTimeout | Error::NoAnswer { .. } => SinkErrorKind::Timeout,
            Error::Secret(_) | Error::InvalidUrl { .. } | Error::NameTooLong { .. } => {
                SinkErrorKind::InvalidTarget
            }
            // Retried: the file may come back, and giving up at once would bury everything for it.
            Error::Tls(_)
            | Error::Connect { .. }
            | Error::TooSoon(_)
            | Error::Broker { .. }
            | Error::Unreadable
            | Error::SubscriptionEnded { .. }
            | Error::ConnectionLost => SinkErrorKind::Unreachable,
        };
        Self::new(kind, error.to_string())
    }
}
