//! A small HTTP client for our own API: what the CLI and the demo's simulators use, as any client would.
//!
//! **Invariant:** a request that may have reached the server is never sent twice; only one that hyper gave back unsent,
//! because the kept connection had just gone, is tried again on a new one.
//! Deliberately absent: redirects, proxies, certificates of our own.

mod access;
mod address;
mod document;

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Method, Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls;
use tokio_rustls::rustls::pki_types::ServerName;

pub(crate) use access::Access;
pub(crate) use address::Address;
pub(crate) use document::{Document, Object};

/// Why there is no answer, or a bad one.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("{address:?} is no address of a server: {reason}")]
    Address {
        address: String,
        reason: &'static str,
    },
    #[error("cannot reach {address}")]
    Unreachable {
        address: String,
        source: std::io::Error,
    },
    #[error("cannot use the certificate of {address}: {why}")]
    Certificate { address: String, why: String },
    #[error(transparent)]
    Trust(#[from] kapelle_connectors::tls::Error),
    #[error("no answer from {address} within {} s", limit.as_secs_f32())]
    Timeout { address: String, limit: Duration },
    #[error("{address} answered something that is not JSON: {reason}")]
    NotJson { address: String, reason: String },
    #[error("{}", problem_text(*status, title, detail))]
    Problem {
        status: u16,
        title: String,
        detail: String,
    },
}

fn problem_text(status: u16, title: &str, detail: &str) -> String {
    if detail.is_empty() {
        format!("{status} {title}")
    } else {
        detail.to_owned()
    }
}

impl Error {
    /// What the system said.
    pub(crate) fn why(&self) -> String {
        match self {
            Self::Unreachable { source, .. } => source.to_string(),
            _ => String::new(),
        }
    }

    pub(crate) const fn is_unreachable(&self) -> bool {
        matches!(self, Self::Unreachable { .. })
    }

    /// The server's word for "not now".
    pub(crate) const fn is_overload(&self) -> bool {
        matches!(
            self,
            Self::Problem {
                status: 429 | 503,
                ..
            }
        )
    }
}

/// A body and what it is.
#[derive(Clone, Debug)]
pub(crate) struct Body {
    pub(crate) content_type: String,
    pub(crate) bytes: Bytes,
}

impl Body {
    pub(crate) fn json(text: impl Into<String>) -> Self {
        Self {
            content_type: "application/json".to_owned(),
            bytes: Bytes::from(text.into()),
        }
    }
}

type Connection = SendRequest<Full<Bytes>>;

/// Cheap to clone: clones share the kept connections.
#[derive(Clone)]
pub(crate) struct Client {
    address: Arc<Address>,
    access: Access,
    /// Where the address wants TLS.
    tls: Option<TlsConnector>,
    idle: Arc<Mutex<Vec<Connection>>>,
    limit: Duration,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

/// Connections kept for the next request: more than the demo's simulators use at once.
const IDLE_MAX: usize = 32;
/// Long enough for a server that is busy, short enough for a person who waits.
const LIMIT: Duration = Duration::from_secs(30);
/// An unroutable address would otherwise take minutes to fail.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

impl Client {
    /// A client without credentials.
    ///
    /// # Errors
    /// When the address is none.
    pub(crate) fn new(address: &str) -> Result<Self, Error> {
        Self::with(address, Access::default())
    }

    /// # Errors
    /// When the address is none, or the certificates to trust cannot be read.
    pub(crate) fn with(address: &str, access: Access) -> Result<Self, Error> {
        let address: Address = address.parse()?;
        let tls = if address.is_secure() {
            let config = kapelle_connectors::tls::client_config(access.ca_file())?;
            Some(TlsConnector::from(Arc::new(config)))
        } else {
            None
        };
        Ok(Self {
            address: Arc::new(address),
            access,
            tls,
            idle: Arc::default(),
            limit: LIMIT,
        })
    }

    /// The same client, waiting longer or shorter for an answer.
    #[must_use]
    pub(crate) fn within(&self, limit: Duration) -> Self {
        Self {
            limit,
            ..self.clone()
        }
    }

    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    pub(crate) async fn get(&self, path: &str) -> Result<Document, Error> {
        self.call(Method::GET, path, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: Object) -> Result<Document, Error> {
        self.call(Method::POST, path, Some(Body::json(body.into_text())))
            .await
    }

    /// # Errors
    /// When there is no answer, a refusal, or a success that is no JSON.
    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<Body>,
    ) -> Result<Document, Error> {
        let exchange = self.send(self.request(method, path, body));
        let timeout = || Error::Timeout {
            address: self.address.to_string(),
            limit: self.limit,
        };
        let (status, bytes) = tokio::time::timeout(self.limit, exchange)
            .await
            .map_err(|_| timeout())??;
        if status.is_success() {
            return if bytes.is_empty() {
                Ok(Document::null())
            } else {
                self.document(&bytes)
            };
        }
        let document = self.document(&bytes).unwrap_or_else(|_| Document::null());
        let title = document
            .text("title")
            .unwrap_or_else(|| status.canonical_reason().unwrap_or_default());
        let detail = document.text("detail").unwrap_or_default();
        Err(Error::Problem {
            status: status.as_u16(),
            title: title.to_owned(),
            detail: detail.to_owned(),
        })
    }

    fn document(&self, bytes: &[u8]) -> Result<Document, Error> {
        Document::parse(bytes).map_err(|reason| Error::NotJson {
            address: self.address.to_string(),
            reason: reason.to_string(),
        })
    }

    fn request(&self, method: Method, path: &str, body: Option<Body>) -> Request<Full<Bytes>> {
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.address.prefix()))
            .header(header::HOST, self.address.authority())
            .header(header::ACCEPT, "application/json, application/problem+json")
            .header(
                header::USER_AGENT,
                concat!("kapelle/", env!("CARGO_PKG_VERSION")),
            );
        let request = match self.access.authorization() {
            Some(value) => request.header(header::AUTHORIZATION, value),
            None => request,
        };
        let request = match body {
            Some(body) => request
                .header(header::CONTENT_TYPE, body.content_type)
                .body(Full::new(body.bytes)),
            None => request.body(Full::default()),
        };
        request.expect("invariant: paths are encoded and content types are ASCII")
    }

    async fn send(&self, mut request: Request<Full<Bytes>>) -> Result<(StatusCode, Bytes), Error> {
        loop {
            let kept = self
                .idle
                .lock()
                .expect("invariant: nothing panics while holding the list")
                .pop();
            let is_kept = kept.is_some();
            let mut connection = match kept {
                Some(connection) => connection,
                None => self.connect().await?,
            };
            if let Err(error) = connection.ready().await {
                if is_kept {
                    continue;
                }
                return Err(self.unreachable(error));
            }
            match connection.try_send_request(request).await {
                Ok(response) => {
                    let status = response.status();
                    let body = response
                        .into_body()
                        .collect()
                        .await
                        .map_err(|error| self.unreachable(error))?;
                    self.keep(connection);
                    return Ok((status, body.to_bytes()));
                }
                Err(mut error) => match error.take_message().filter(|_| is_kept) {
                    Some(unsent) => request = unsent,
                    None => return Err(self.unreachable(error.into_error())),
                },
            }
        }
    }

    async fn connect(&self) -> Result<Connection, Error> {
        let failed = |source| Error::Unreachable {
            address: self.address.to_string(),
            source,
        };
        let stream =
            tokio::time::timeout(CONNECT_LIMIT, TcpStream::connect(self.address.authority()))
                .await
                .map_err(|_| failed(std::io::ErrorKind::TimedOut.into()))?
                .map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        let Some(tls) = &self.tls else {
            return self.handshake(stream).await;
        };
        let name = ServerName::try_from(self.address.host().to_owned())
            .map_err(|error| self.certificate(&error))?;
        let meeting = tokio::time::timeout(CONNECT_LIMIT, tls.connect(name, stream));
        let stream = meeting
            .await
            .map_err(|_| failed(std::io::ErrorKind::TimedOut.into()))?
            .map_err(|error| {
                let inner = error.get_ref();
                match inner.and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
                    Some(rustls::Error::InvalidCertificate(why)) => self.certificate(why),
                    _ => failed(error),
                }
            })?;
        self.handshake(stream).await
    }

    async fn handshake(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    ) -> Result<Connection, Error> {
        let (sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| self.unreachable(error))?;
        // It ends with the last sender; what it says on the way is said to the sender too.
        tokio::spawn(async move { _ = connection.await });
        Ok(sender)
    }

    fn certificate(&self, why: &impl fmt::Display) -> Error {
        Error::Certificate {
            address: self.address.to_string(),
            why: why.to_string(),
        }
    }

    fn keep(&self, connection: Connection) {
        let mut idle = self
            .idle
            .lock()
            .expect("invariant: nothing panics while holding the list");
        if idle.len() < IDLE_MAX {
            idle.push(connection);
        }
    }

    fn unreachable(&self, error: hyper::Error) -> Error {
        let kind = if error.is_timeout() {
            std::io::ErrorKind::TimedOut
        } else {
            std::io::ErrorKind::ConnectionAborted
        };
        Error::Unreachable {
            address: self.address.to_string(),
            source: std::io::Error::new(kind, error),
        }
    }
}

#[cfg(test)]
mod tests;
