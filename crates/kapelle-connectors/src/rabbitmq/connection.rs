//! One connection to a broker.

use std::path::Path;
use std::time::Duration;

use lapin::tcp::OwnedTLSConfig;
use lapin::uri::AMQPUri;
use lapin::{Connection, ConnectionProperties};

use super::error::Error;
use crate::secret::Secret;
use crate::tls;

/// Seconds between heartbeats where the URL does not say: a peer that vanished is noticed within 20 s.
const HEARTBEAT_SECONDS: u16 = 10;
/// How late a broken connection is noticed at worst, where nothing else tells.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// How long a polite goodbye may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// `reply-success` of AMQP 0-9-1.
const REPLY_SUCCESS: u16 = 200;

/// Waits for the broker's answer, but not for ever: when a connection breaks at a bad moment, lapin was seen to leave
/// futures unanswered, and a source that waits for one of them would never reconnect.
pub(super) async fn ask<T>(
    doing: &'static str,
    timeout: Duration,
    answer: impl Future<Output = lapin::Result<T>>,
) -> Result<T, Error> {
    match tokio::time::timeout(timeout, answer).await {
        Ok(answered) => answered.map_err(|source| Error::broker(doing, source)),
        Err(_) => Err(Error::NoAnswer { doing }),
    }
}

/// Resolves when the connection is no more. Looks instead of listening, for the same reason.
pub(super) async fn broken(connection: &Connection) -> Error {
    while connection.status().connected() {
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
    Error::ConnectionLost
}

pub(super) async fn connect(
    url: &Secret,
    ca_file: Option<&Path>,
    timeout: Duration,
) -> Result<Connection, Error> {
    let mut uri: AMQPUri = url
        .reveal()?
        .parse()
        .map_err(|why| Error::InvalidUrl { why })?;
    uri.query.heartbeat.get_or_insert(HEARTBEAT_SECONDS);
    let properties = ConnectionProperties::default().with_connection_name("kapelle".into());
    // Read anew each time, as the URL is: a certificate is replaced without a restart.
    let tls = OwnedTLSConfig {
        identity: None,
        cert_chain: ca_file.map(tls::read).transpose()?,
    };
    let runtime = lapin::runtime::default_runtime().map_err(|source| Error::Connect { source })?;
    let connecting = Connection::connect_uri_with_config(uri, properties, tls, runtime);
    match tokio::time::timeout(timeout, connecting).await {
        Ok(connected) => connected.map_err(|source| Error::Connect { source }),
        Err(_) => Err(Error::ConnectTimeout),
    }
}

/// Says goodbye, so that the broker gives what is unacknowledged to others at once. It does the same a little later when
/// this fails, so errors do not matter.
pub(super) async fn close(connection: &Connection) {
    drop(tokio::time::timeout(CLOSE_TIMEOUT, connection.close(REPLY_SUCCESS, "bye".into())).await);
}
