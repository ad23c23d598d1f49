//! One connection to a broker: packets in, packets out, and the pings between them.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use percent_encoding::percent_decode_str;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, Interval, MissedTickBehavior};
use tokio_rustls::TlsConnector;
use url::Url;

use super::config::Version;
use super::error::Error;
use super::packet::{self, Connect, Incoming, Outgoing, Terms, TooLarge};
use crate::secret::Secret;
use crate::tls;

/// A broker that vanished is noticed within twice this time.
const KEEP_ALIVE_SECONDS: u16 = 10;
/// How long a polite goodbye may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

pub(super) struct Connection {
    stream: Box<dyn Stream>,
    version: Version,
    pub(super) terms: Terms,
    read: BytesMut,
    /// What is still to be written. In a buffer of ours, because a write may be dropped in the middle.
    write: BytesMut,
    pings: Interval,
    /// Whether an answer to a ping is missing.
    asked: bool,
    /// Whether TLS may hold back something of what was written.
    unflushed: bool,
}

trait Stream: AsyncRead + AsyncWrite + Send + Sync + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Sync + Unpin> Stream for S {}

/// Where a broker is, and who wants to know.
struct Address {
    host: String,
    port: u16,
    over_tls: bool,
    login: Option<(String, String)>,
}

/// What a connection is for.
pub(super) struct Purpose<'p> {
    pub(super) version: Version,
    pub(super) client_id: &'p str,
    pub(super) persistent: bool,
    pub(super) receive_max: u16,
}

impl Connection {
    pub(super) async fn make(
        url: &Secret,
        ca_file: Option<&Path>,
        timeout: Duration,
        purpose: &Purpose<'_>,
    ) -> Result<Self, Error> {
        let address = Address::of(&url.reveal()?)?;
        let connecting = Self::connect(address, ca_file, purpose);
        tokio::time::timeout(timeout, connecting)
            .await
            .unwrap_or(Err(Error::ConnectTimeout))
    }

    async fn connect(
        address: Address,
        ca_file: Option<&Path>,
        purpose: &Purpose<'_>,
    ) -> Result<Self, Error> {
        let stream = address.reach(ca_file).await?;
        let mut connection = Self {
            stream,
            version: purpose.version,
            terms: Terms {
                receive_max: u16::MAX,
                packet_bytes_max: usize::MAX,
                keep_alive_seconds: None,
            },
            read: BytesMut::new(),
            write: BytesMut::new(),
            pings: pings(KEEP_ALIVE_SECONDS),
            asked: false,
            unflushed: false,
        };
        connection.put(Outgoing::Connect(Connect {
            client_id: purpose.client_id.to_owned(),
            persistent: purpose.persistent,
            keep_alive_seconds: KEEP_ALIVE_SECONDS,
            login: address.login,
            receive_max: purpose.receive_max,
        }));
        match connection.next().await? {
            Incoming::Connected(terms) => {
                connection.terms = terms;
                if let Some(seconds) = terms.keep_alive_seconds.filter(|seconds| *seconds > 0) {
                    connection.pings = pings(seconds);
                }
                Ok(connection)
            }
            Incoming::Refused { reason } => Err(Error::Refused { reason }),
            other => Err(Error::Malformed {
                why: format!("{other:?} instead of an answer to CONNECT"),
            }),
        }
    }

    /// Puts a packet behind those that are still to be sent. [`next`](Self::next) and [`flush`](Self::flush) send.
    pub(super) fn put(&mut self, packet: Outgoing) {
        // Those that can be too large go through `try_put`.
        drop(self.try_put(packet));
    }

    pub(super) fn try_put(&mut self, packet: Outgoing) -> Result<(), TooLarge> {
        let bytes_max = self.terms.packet_bytes_max;
        packet::write(self.version, packet, bytes_max, &mut self.write)
    }

    /// The next packet, while all that was put is sent and the broker is asked whether it is still there. Can be dropped
    /// without loss.
    pub(super) async fn next(&mut self) -> Result<Incoming, Error> {
        loop {
            if let Some(packet) = packet::read(self.version, &mut self.read)? {
                match packet {
                    Incoming::Pong => self.asked = false,
                    Incoming::Disconnect { reason } => return Err(Error::Disconnected { reason }),
                    packet => return Ok(packet),
                }
                continue;
            }
            let (mut reading, mut writing) = tokio::io::split(&mut self.stream);
            let tick = tokio::select! {
                read = reading.read_buf(&mut self.read) => {
                    if read.map_err(broken)? == 0 {
                        return Err(broken(std::io::ErrorKind::UnexpectedEof.into()));
                    }
                    false
                }
                sent = send(&mut writing, &mut self.write, &mut self.unflushed) => {
                    sent.map_err(broken)?;
                    false
                }
                _ = self.pings.tick() => true,
            };
            if tick {
                self.ping()?;
            }
        }
    }

    /// Sends all that was put, and nothing is read meanwhile.
    pub(super) async fn flush(&mut self) -> Result<(), Error> {
        while self.write.has_remaining() || self.unflushed {
            let sending = send(&mut self.stream, &mut self.write, &mut self.unflushed);
            sending.await.map_err(broken)?;
        }
        Ok(())
    }

    /// For as long as nothing may be read: keeps the broker from thinking that we are gone.
    pub(super) async fn stay(&mut self) -> Result<(), Error> {
        self.flush().await?;
        self.pings.tick().await;
        self.put(Outgoing::Ping);
        // The answer is behind what may not be read.
        self.asked = false;
        self.flush().await
    }

    /// Says goodbye, and waits until the broker has: it has heard then what was said before. Where that fails, the broker
    /// will notice by itself.
    pub(super) async fn close(mut self) {
        self.put(Outgoing::Disconnect);
        let closing = async {
            self.flush().await.ok();
            while self
                .stream
                .read_buf(&mut self.read)
                .await
                .is_ok_and(|read| read > 0)
            {
                self.read.clear();
            }
        };
        drop(tokio::time::timeout(CLOSE_TIMEOUT, closing).await);
    }

    fn ping(&mut self) -> Result<(), Error> {
        if self.asked {
            return Err(Error::NoAnswer { doing: "ping" });
        }
        self.asked = true;
        self.put(Outgoing::Ping);
        Ok(())
    }
}

/// One step of sending; without anything to send it waits for ever. Can be dropped without loss.
async fn send(
    stream: &mut (impl AsyncWrite + Unpin),
    bytes: &mut BytesMut,
    unflushed: &mut bool,
) -> std::io::Result<()> {
    if bytes.has_remaining() {
        stream.write_buf(bytes).await?;
        *unflushed = true;
    } else if *unflushed {
        stream.flush().await?;
        *unflushed = false;
    } else {
        std::future::pending::<()>().await;
    }
    Ok(())
}

fn pings(seconds: u16) -> Interval {
    let period = Duration::from_secs(seconds.into());
    let mut pings = tokio::time::interval_at(Instant::now() + period, period);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pings
}

fn broken(source: std::io::Error) -> Error {
    Error::Broken { source }
}

impl Address {
    fn of(url: &str) -> Result<Self, Error> {
        let url: Url = url.parse().map_err(|_| Error::InvalidUrl)?;
        let (over_tls, default_port) = match url.scheme() {
            "mqtt" => (false, 1883),
            "mqtts" => (true, 8883),
            _ => return Err(Error::InvalidUrl),
        };
        let host = url
            .host_str()
            .filter(|host| !host.is_empty())
            .ok_or(Error::InvalidUrl)?;
        let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let login = !url.username().is_empty() || url.password().is_some();
        Ok(Self {
            host: host.trim_matches(['[', ']']).to_owned(),
            port: url.port().unwrap_or(default_port),
            over_tls,
            login: login.then(|| {
                let password = url.password().unwrap_or_default();
                (decode(url.username()), decode(password))
            }),
        })
    }

    async fn reach(&self, ca_file: Option<&Path>) -> Result<Box<dyn Stream>, Error> {
        let unreached = |source| Error::Connect { source };
        // Read anew each time, as the URL is: a certificate is replaced without a restart.
        let tls = if self.over_tls {
            Some(tls::client_config(ca_file)?)
        } else {
            None
        };
        let stream = TcpStream::connect((self.host.as_str(), self.port))
            .await
            .map_err(unreached)?;
        stream.set_nodelay(true).map_err(unreached)?;
        let Some(tls) = tls else {
            return Ok(Box::new(stream));
        };
        let name = ServerName::try_from(self.host.clone()).map_err(|_| Error::InvalidUrl)?;
        let connector = TlsConnector::from(Arc::new(tls));
        let stream = connector.connect(name, stream).await.map_err(unreached)?;
        Ok(Box::new(stream))
    }
}
