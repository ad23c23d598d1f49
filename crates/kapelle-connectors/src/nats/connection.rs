//! One connection to a server.

use std::fmt::Display;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_nats::{
    Client, ConnectErrorKind, ConnectOptions, Event, ServerAddr, ServerError, jetstream,
};
use percent_encoding::percent_decode_str;
use tokio_util::sync::CancellationToken;

use super::error::Error;
use crate::secret::Secret;
use crate::tls;

/// A server that vanished is noticed after two pings without an answer.
const PING_INTERVAL: Duration = Duration::from_secs(10);

/// Clones are the same connection; it ends with the last of them.
#[derive(Debug, Clone)]
pub(super) struct Connection {
    client: Client,
    pub(super) jetstream: jetstream::Context,
    lost: CancellationToken,
    said: Said,
}

/// The last complaint of the server. It comes beside the answers: who lacks a permission just never gets one.
#[derive(Debug, Clone, Default)]
struct Said(Arc<Mutex<Option<String>>>);

impl Connection {
    pub(super) async fn make(
        url: &Secret,
        ca_file: Option<&Path>,
        timeout: Duration,
    ) -> Result<Self, Error> {
        let servers = servers(&url.reveal()?)?;
        let (lost, said) = (CancellationToken::new(), Said::default());
        let options = ConnectOptions::new()
            .name("kapelle")
            // Read anew each time, as the URL is: a certificate is replaced without a restart.
            .tls_client_config(tls::client_config(ca_file)?)
            .connection_timeout(timeout)
            .request_timeout(Some(timeout))
            .ping_interval(PING_INTERVAL)
            .ignore_discovered_servers()
            .max_reconnects(servers.len())
            .event_callback({
                let (lost, said) = (lost.clone(), said.clone());
                move |event| {
                    match event {
                        Event::Disconnected | Event::Closed => lost.cancel(),
                        Event::ServerError(ServerError::Other(complaint)) => said.note(complaint),
                        _ => {}
                    }
                    std::future::ready(())
                }
            });
        let options = log_in(options, &servers);
        let connecting = options.connect(servers);
        let client = match tokio::time::timeout(timeout, connecting).await {
            Ok(Ok(client)) => client,
            Ok(Err(error)) if error.kind() != ConnectErrorKind::TimedOut => {
                return Err(Error::Connect { source: error });
            }
            Ok(Err(_)) | Err(_) => return Err(Error::ConnectTimeout),
        };
        Ok(Self {
            jetstream: jetstream::new(client.clone()),
            client,
            lost,
            said,
        })
    }

    pub(super) fn is_lost(&self) -> bool {
        self.lost.is_cancelled()
    }

    /// Resolves when the connection is no more.
    pub(super) async fn lost(&self) -> Error {
        self.lost.cancelled().await;
        Error::ConnectionLost
    }

    /// What went wrong, and what the server had to say about it.
    pub(super) fn failed(&self, doing: &'static str, why: impl Display) -> Error {
        let said = self.said.take();
        let said = said.map_or_else(String::new, |said| format!(" (the server said: {said})"));
        Error::Broker {
            doing,
            why: format!("{why}{said}"),
        }
    }

    /// Sends what is still to be sent. Where that fails, the server will notice by itself what it lacks.
    pub(super) async fn flush(&self, timeout: Duration) {
        drop(tokio::time::timeout(timeout, self.client.flush()).await);
    }
}

impl Said {
    fn note(&self, complaint: String) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(complaint);
    }

    fn take(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

fn servers(url: &str) -> Result<Vec<ServerAddr>, Error> {
    let server = |url: &str| match url.trim().parse::<ServerAddr>() {
        Ok(server) if !server.is_websocket() && !server.host().is_empty() => Ok(server),
        _ => Err(Error::InvalidUrl),
    };
    url.split(',').map(server).collect()
}

/// Takes name and password, or a token, from the first URL that has some. The library does not look for them there.
fn log_in(options: ConnectOptions, servers: &[ServerAddr]) -> ConnectOptions {
    let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let login = servers
        .iter()
        .find_map(|server| Some((server.username()?, server.password())));
    match login {
        Some((user, Some(password))) => options.user_and_password(decode(user), decode(password)),
        Some((token, None)) => options.token(decode(token)),
        None => options,
    }
}
