//! Requests that say how they ended: that is what a client knows after a crash.
//!
//! No request has a time-out: a dead server ends its connections, and a time-out would make requests that are decided
//! after their client has given up.

use std::error::Error;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tonic::transport::Endpoint;
use tonic::{Code, Response, Status};

use super::victim::Addresses;
use crate::grpc::Client;
use crate::grpc::proto::gateway_client::GatewayClient;

/// Between two attempts to reach a server that is dead.
const PAUSE: Duration = Duration::from_millis(10);

/// What a client knows about its request afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Acknowledged,
    Refused(Reason),
    /// The connection broke, or the server said that it does not know.
    InDoubt,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    NotFound,
    AlreadyExists,
    InvalidState,
    /// Come again: nothing happened.
    Exhausted,
    /// Nothing that a correct client gets.
    Other,
}

/// The answer, or why there is none.
pub(crate) type Answer<T> = Result<T, Ending>;

/// For the notes.
pub(crate) fn ending<T>(answer: &Answer<T>) -> Ending {
    answer
        .as_ref()
        .err()
        .copied()
        .unwrap_or(Ending::Acknowledged)
}

/// A gRPC connection that is made again after each life of the server.
pub(crate) struct Line {
    pub(crate) addresses: Addresses,
    client: Option<Client>,
}

impl Line {
    pub(crate) fn new(addresses: &Addresses) -> Self {
        Self {
            addresses: addresses.clone(),
            client: None,
        }
    }

    /// Waits until there is a server.
    pub(crate) async fn client(&mut self) -> Client {
        loop {
            if let Some(client) = &self.client {
                return client.clone();
            }
            let endpoint =
                Endpoint::from_shared(format!("http://{}", self.addresses.grpc)).unwrap();
            match endpoint.tcp_nodelay(true).connect().await {
                Ok(channel) => self.client = Some(GatewayClient::new(channel)),
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    }

    /// Sorts an answer; a broken connection is not used again.
    pub(crate) fn ended<T>(&mut self, result: Result<Response<T>, Status>) -> Answer<T> {
        let answer = sort(result);
        if matches!(answer, Err(Ending::InDoubt)) {
            self.client = None;
        }
        answer
    }
}

pub(crate) fn sort<T>(result: Result<Response<T>, Status>) -> Answer<T> {
    result
        .map(Response::into_inner)
        .map_err(|status| match status.code() {
            Code::NotFound => Ending::Refused(Reason::NotFound),
            Code::AlreadyExists => Ending::Refused(Reason::AlreadyExists),
            Code::FailedPrecondition => Ending::Refused(Reason::InvalidState),
            Code::ResourceExhausted => Ending::Refused(Reason::Exhausted),
            Code::InvalidArgument
            | Code::PermissionDenied
            | Code::Unimplemented
            | Code::OutOfRange => Ending::Refused(Reason::Other),
            _ => Ending::InDoubt,
        })
}

/// One REST request; waits until there is a server to send it to.
pub(crate) async fn rest(
    addresses: &Addresses,
    method: &str,
    path: &str,
    media: &str,
    body: &str,
) -> Answer<String> {
    let stream = loop {
        match TcpStream::connect(&addresses.rest).await {
            Ok(stream) => break stream,
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    };
    let Ok((status, body)) = exchange(stream, method, path, media, body.to_owned()).await else {
        return Err(Ending::InDoubt);
    };
    match status {
        200..300 => Ok(body),
        404 => Err(Ending::Refused(Reason::NotFound)),
        409 if body.contains("ALREADY_EXISTS") => Err(Ending::Refused(Reason::AlreadyExists)),
        409 => Err(Ending::Refused(Reason::InvalidState)),
        503 if body.contains("RESOURCE_EXHAUSTED") => Err(Ending::Refused(Reason::Exhausted)),
        400..500 => Err(Ending::Refused(Reason::Other)),
        _ => Err(Ending::InDoubt),
    }
}

async fn exchange(
    stream: TcpStream,
    method: &str,
    path: &str,
    media: &str,
    body: String,
) -> Result<(u16, String), Box<dyn Error + Send + Sync>> {
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "kapelle")
        .header("content-type", media)
        .body(Full::new(Bytes::from(body)))?;
    let response = sender.send_request(request).await?;
    let status = response.status().as_u16();
    let body = response.into_body().collect().await?.to_bytes();
    connection.abort();
    Ok((status, String::from_utf8(body.to_vec())?))
}

/// A REST request with JSON.
pub(crate) async fn json(addresses: &Addresses, path: &str, body: &str) -> Answer<String> {
    rest(addresses, "POST", path, "application/json", body).await
}
