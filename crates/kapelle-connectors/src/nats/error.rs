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
    #[error("the URL is no NATS URL like nats://user:password@host:4222")]
    InvalidUrl,
    #[error("connect to NATS: {source}")]
    Connect { source: async_nats::ConnectError },
    #[error("connect to NATS: no answer in time")]
    ConnectTimeout,
    #[error("connect to NATS: {0}")]
    TooSoon(#[from] TooSoon),
    #[error("{doing}: {why}")]
    Broker { doing: &'static str, why: String },
    #[error("{doing}: the server does not answer")]
    NoAnswer { doing: &'static str },
    #[error("stream \"{stream}\" does not exist")]
    NoStream { stream: String },
    #[error("stream \"{stream}\" has no consumer \"{consumer}\", and `declare` is off")]
    NoConsumer { stream: String, consumer: String },
    #[error(
        "consumer \"{consumer}\" of stream \"{stream}\" does not wait for each message's acknowledgement (`AckExplicit`), \
         so messages could be lost"
    )]
    NotExplicit { stream: String, consumer: String },
    #[error("the connection broke")]
    ConnectionLost,
}

impl From<Error> for SinkError {
    fn from(error: Error) -> Self {
        let kind = match error {
            Error::ConnectTimeout | Error::NoAnswer { .. } => SinkErrorKind::Timeout,
            Error::Secret(_) | Error::InvalidUrl => SinkErrorKind::InvalidTarget,
            // Retried: the file may come back, and giving up at once would bury everything for it.
            Error::Tls(_)
            | Error::Connect { .. }
            | Error::TooSoon(_)
            | Error::Broker { .. }
            | Error::NoStream { .. }
            | Error::NoConsumer { .. }
            | Error::NotExplicit { .. }
            | Error::ConnectionLost => SinkErrorKind::Unreachable,
        };
        Self::new(kind, error.to_string())
    }
}
