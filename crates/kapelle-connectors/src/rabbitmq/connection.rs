//! One connection to a broker.

use std::time::Duration;

use lapin::uri::AMQPUri;
use lapin::{Connection, ConnectionProperties};

use super::error::Error;
use crate::secret::Secret;

/// Seconds between heartbeats where the URL does not say: a peer that vanished is noticed within 20 s.
const HEARTBEAT_SECONDS: u16 = 10;
/// How long a polite goodbye may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// `reply-success` of AMQP 0-9-1.
const REPLY_SUCCESS: u16 = 200;

pub(super) async fn connect(url: &Secret, timeout: Duration) -> Result<Connection, Error> {
    let mut uri: AMQPUri = url
        .reveal()?
        .parse()
        .map_err(|why| Error::InvalidUrl { why })?;
    uri.query.heartbeat.get_or_insert(HEARTBEAT_SECONDS);
    let properties = ConnectionProperties::default().with_connection_name("kapelle".into());
    match tokio::time::timeout(timeout, Connection::connect_uri(uri, properties)).await {
        Ok(connected) => connected.map_err(|source| Error::Connect { source }),
        Err(_) => Err(Error::ConnectTimeout),
    }
}

/// Says goodbye, so that the broker gives what is unacknowledged to others at once. It does the same a little later when
/// this fails, so errors do not matter.
pub(super) async fn close(connection: &Connection) {
    drop(tokio::time::timeout(CLOSE_TIMEOUT, connection.close(REPLY_SUCCESS, "bye".into())).await);
}
