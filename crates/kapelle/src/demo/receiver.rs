//! The shop's webhook: where the CloudEvents that processes publish arrive.

use std::convert::Infallible;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use super::shop::Shop;
use crate::cli::Failure;

/// A bound socket on loopback.
pub(super) struct Receiver(TcpListener);

pub(super) async fn bind() -> Result<Receiver, Failure> {
    TcpListener::bind(("127.0.0.1", 0))
        .await
        .map(Receiver)
        .map_err(failed)
}

fn failed(error: std::io::Error) -> Failure {
    Failure::failed("KAP-2004", "cannot listen for the demo's webhook").why(error.to_string())
}

impl Receiver {
    pub(super) fn url(&self) -> Result<String, Failure> {
        self.0
            .local_addr()
            .map(|address| format!("http://{address}/events"))
            .map_err(failed)
    }

    /// Takes what comes, until the demo ends.
    pub(super) fn serve(self, shop: Shop) {
        tokio::spawn(async move {
            while let Ok((stream, _)) = self.0.accept().await {
                let shop = shop.clone();
                let answer = service_fn(move |request| take(shop.clone(), request));
                tokio::spawn(async move {
                    // A connection that breaks is the sender's to repeat.
                    _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), answer)
                        .await;
                });
            }
        });
    }
}

async fn take(shop: Shop, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let event_type = request
        .headers()
        .get("ce-type")
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned);
    let status = match request.into_body().collect().await {
        Ok(_) => {
            shop.published(event_type.as_deref().unwrap_or("unknown"));
            StatusCode::NO_CONTENT
        }
        Err(_) => StatusCode::BAD_REQUEST,
    };
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    Ok(response)
}
