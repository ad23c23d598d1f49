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
    #[error("the URL is no MQTT URL like mqtt://user:password@host:1883 or mqtts://host:8883")]
    InvalidUrl,
    #[error("connect to MQTT: {source}")]
    Connect { source: std::io::Error },
    #[error("connect to MQTT: no answer in time")]
    ConnectTimeout,
    #[error("connect to MQTT: {0}")]
    TooSoon(#[from] TooSoon),
    #[error("connect to MQTT: the broker refused: {reason}")]
    Refused { reason: String },
    #[error("subscribe to \"{topic}\": the broker refused: {reason}")]
    NotSubscribed { topic: String, reason: String },
    #[error("{doing}: the broker does not answer")]
    NoAnswer { doing: &'static str },
    #[error("the broker sent what is not MQTT: {why}")]
    Malformed { why: String },
    #[error("the broker ended the connection: {reason}")]
    Disconnected { reason: String },
    #[error("the connection broke: {source}")]
    Broken { source: std::io::Error },
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
            | Error::Refused { .. }
            | Error::NotSubscribed { .. }
            | Error::Malformed { .. }
            | Error::Disconnected { .. }
            | Error::Broken { .. } => SinkErrorKind::Unreachable,
        };
        Self::new(kind, error.to_string())
    }
}
