//! One POST for one CloudEvent.
//!
//! **Invariant**: `Ok` means a 2xx answer. No redirect is followed, and the whole exchange has one time limit.

use std::sync::OnceLock;
use std::time::SystemTime;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, HeaderName, HeaderValue, RETRY_AFTER, USER_AGENT};
use hyper::{Request, Response, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use kapelle_events::http;

use super::config::{Config, Mode};
use super::error::{class_of, retry_after, unanswered};
use crate::probe::Check;
use crate::secret::Secret;
use crate::sink::{ATTEMPT_HEADER, Publication, Sink, SinkError, SinkErrorKind};
use crate::status::{Handle, State};
use crate::tls;

/// How much of an answer is read: enough for an error text, and so that small answers leave the connection usable.
const ANSWER_BYTES_MAX: usize = 16 * 1024;
/// How much of it goes into an error message.
const MESSAGE_CHARS_MAX: usize = 300;

/// Posts CloudEvents to a URL.
#[derive(Debug)]
pub struct Poster {
    config: Config,
    handle: Handle,
    /// Made for the first publication: it reads certificates.
    client: OnceLock<HttpsClient>,
}

type HttpsClient = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

impl Poster {
    /// Nothing is connected before the first publication.
    pub fn new(config: Config) -> Self {
        Self {
            config,
            handle: Handle::new(),
            client: OnceLock::new(),
        }
    }

    /// Asks the receiver what it would take. Any answer is a good one: many know no `OPTIONS`.
    pub async fn probe(&self) -> Vec<Check> {
        let asking = async {
            let request = Request::options(self.url(None)?)
                .body(Full::default())
                .map_err(|_| invalid("the request can't be built"))?;
            let answer = self.client()?.request(request).await;
            let answer = answer.map_err(|error| unanswered(&error))?;
            Ok(format!(
                "the receiver answered OPTIONS with {}",
                answer.status()
            ))
        };
        let late = |_| {
            let message = "no answer in time".to_owned();
            Err(SinkError::new(SinkErrorKind::Timeout, message))
        };
        let answered = tokio::time::timeout(self.config.timeout, asking).await;
        vec![Check::new("connection", answered.unwrap_or_else(late))]
    }

    async fn attempt(&self, publication: &Publication<'_>) -> Result<(), SinkError> {
        let request = self.request(publication)?;
        let client = self.client()?;
        let exchange = async {
            let response = client
                .request(request)
                .await
                .map_err(|error| unanswered(&error))?;
            judge(response).await
        };
        let late = |_| {
            let message = format!(
                "post: no complete answer within {} ms",
                self.config.timeout.as_millis()
            );
            Err(SinkError::new(SinkErrorKind::Timeout, message))
        };
        tokio::time::timeout(self.config.timeout, exchange)
            .await
            .unwrap_or_else(late)
    }

    /// Certificates that can't be read are tried again: giving up at once would bury everything for a missing file.
    fn client(&self) -> Result<&HttpsClient, SinkError> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let config = tls::client_config(self.config.ca_file.as_deref())
            .map_err(|error| SinkError::new(SinkErrorKind::Unreachable, error.to_string()))?;
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(config)
            .https_or_http()
            .enable_http1()
            .build();
        let made = Client::builder(TokioExecutor::new()).build(connector);
        Ok(self.client.get_or_init(|| made))
    }

    fn request(&self, publication: &Publication<'_>) -> Result<Request<Full<Bytes>>, SinkError> {
        let message = match self.config.mode {
            Mode::Binary => http::encode_binary(publication.event),
            Mode::Structured => http::encode_structured(publication.event),
        };
        let mut request = Request::post(self.url(publication.target)?);
        let headers = request
            .headers_mut()
            .ok_or_else(|| invalid("the URL can't be used"))?;
        headers.insert(
            USER_AGENT,
            HeaderValue::from_static(concat!("kapelle/", env!("CARGO_PKG_VERSION"))),
        );
        for (name, value) in &message.headers {
            let name = HeaderName::from_bytes(name.as_bytes())
                .map_err(|_| invalid("an attribute is no header"))?;
            let value = HeaderValue::from_bytes(value.as_bytes())
                .map_err(|_| invalid("an attribute is no header"))?;
            headers.insert(name, value);
        }
        if publication.attempt > 1 {
            headers.insert(
                HeaderName::from_static(ATTEMPT_HEADER),
                publication.attempt.into(),
            );
        }
        if let Some(authorization) = &self.config.authorization {
            let value = HeaderValue::from_str(&reveal(authorization)?).ok();
            let mut value = value
                .ok_or_else(|| invalid("the authorization holds characters that no header can"))?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        request
            .body(Full::new(message.body.into()))
            .map_err(|_| invalid("the request can't be built"))
    }

    fn url(&self, target: Option<&str>) -> Result<Uri, SinkError> {
        let url = match (target, &self.config.url) {
            (Some(target), _) => target.to_owned(),
            (None, Some(url)) => reveal(url)?,
            (None, None) => return Err(invalid("no URL is given")),
        };
        let uri: Uri = url.parse().map_err(|_| invalid("the URL is broken"))?;
        match uri.scheme_str() {
            Some("http" | "https") if uri.host().is_some() => Ok(uri),
            _ => Err(invalid("the URL is not http:// or https:// with a host")),
        }
    }
}

impl Sink for Poster {
    fn handle(&self) -> Handle {
        self.handle.clone()
    }

    async fn publish(&self, publication: Publication<'_>) -> Result<(), SinkError> {
        let status = self.handle.status();
        let result = self.attempt(&publication).await;
        status.set_state(match &result {
            Ok(()) => State::Running,
            Err(_) => State::BackingOff,
        });
        status.attempted(&result);
        result
    }
}

async fn judge(response: Response<Incoming>) -> Result<(), SinkError> {
    let (head, body) = response.into_parts();
    // Read also after success: a connection with an unread answer can't be used again. What it says does not matter then.
    let answer = Limited::new(body, ANSWER_BYTES_MAX)
        .collect()
        .await
        .map(|body| body.to_bytes())
        .unwrap_or_default();
    let Some(kind) = class_of(head.status) else {
        return Ok(());
    };
    let text: String = String::from_utf8_lossy(&answer)
        .chars()
        .take(MESSAGE_CHARS_MAX)
        .collect();
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let wait = head
        .headers
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok());
    Err(SinkError {
        kind,
        message: format!(
            "post: the receiver answered {}{}{text}",
            head.status,
            if text.is_empty() { "" } else { ": " }
        ),
        retry_after: wait
            .and_then(|value| retry_after(value, SystemTime::now()))
            .filter(|_| kind.retryable()),
    })
}

fn reveal(secret: &Secret) -> Result<String, SinkError> {
    secret.reveal().map_err(|error| invalid(&error.to_string()))
}

fn invalid(what: &str) -> SinkError {
    SinkError::new(SinkErrorKind::InvalidTarget, format!("post: {what}"))
}
