//! Accepting connections and serving HTTP on them, until the server stops.
//!
//! **Invariant**: connections are bounded; when there are too many, accepting waits and the system's backlog fills. A
//! stopping server accepts nothing new, lets requests in flight finish, and closes idle connections at once.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, watch};
use tonic::codegen::Service as _;
use tonic::codegen::http::Request;

use crate::gateway::grpc::{self, proto};

/// How long a client may take for the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// Streams at once on one HTTP/2 connection: clients multiplex all their calls over one, and every long poll is a stream.
const STREAMS_MAX: u32 = 4_096;

/// Flow-control windows for what clients send: whole messages without waiting for an update, many at once.
const STREAM_WINDOW_BYTES: u32 = 1 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 8 << 20;

/// A client that is silent this long is asked whether it still lives, and this long is waited for its answer.
const PING_INTERVAL: Duration = Duration::from_secs(60);
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// Pause after a failed accept (usually: no file descriptors left), instead of a busy loop.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// `true` when the server is stopping.
pub(super) type Stopping = watch::Receiver<bool>;

/// Held by whatever must end before the server may.
pub(super) type Alive = mpsc::Sender<()>;

async fn stopped(stopping: &mut Stopping) {
    // A sender that is gone means the same.
    stopping.wait_for(|stopping| *stopping).await.ok();
}

/// Accepts until the server stops; `serve` gets each connection.
async fn accept<F>(
    listener: TcpListener,
    connections_max: usize,
    mut stopping: Stopping,
    alive: Alive,
    serve: impl Fn(TcpStream, Stopping) -> F,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let permits = Arc::new(Semaphore::new(connections_max));
    loop {
        // Cancel-safe: neither a permit nor a connection is lost that was not handed out.
        let accepted = tokio::select! {
            accepted = async {
                let permit = Arc::clone(&permits).acquire_owned().await.expect("the semaphore is never closed");
                (permit, listener.accept().await)
            } => accepted,
            () = stopped(&mut stopping) => return,
        };
        let (permit, Ok((stream, _))) = accepted else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        // Small answers must not wait for the acknowledgement of the one before.
        stream.set_nodelay(true).ok();
        let connection = serve(stream, stopping.clone());
        let alive = alive.clone();
        tokio::spawn(async move {
            connection.await;
            drop((permit, alive));
        });
    }
}

/// HTTP/1.1: REST, CloudEvents, management.
pub(super) async fn serve_http(
    listener: TcpListener,
    router: Router,
    connections_max: usize,
    stopping: Stopping,
    alive: Alive,
) {
    accept(
        listener,
        connections_max,
        stopping,
        alive,
        |stream, mut stopping| {
            let service = TowerToHyperService::new(router.clone());
            async move {
                let mut builder = http1::Builder::new();
                builder
                    .timer(TokioTimer::new())
                    .header_read_timeout(HEAD_TIMEOUT);
                let mut connection =
                    std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
                // A connection that ends with an error is the client's affair: it hung up or sent no HTTP.
                tokio::select! {
                    _ = connection.as_mut() => return,
                    () = stopped(&mut stopping) => connection.as_mut().graceful_shutdown(),
                }
                connection.await.ok();
            }
        },
    )
    .await;
}

type Rpc = proto::gateway_server::GatewayServer<grpc::Service>;

/// HTTP/2 with prior knowledge: gRPC.
pub(super) async fn serve_grpc(
    listener: TcpListener,
    rpc: Rpc,
    message_bytes_max: usize,
    connections_max: usize,
    stopping: Stopping,
    alive: Alive,
) {
    let connection_window = u32::try_from(2 * message_bytes_max)
        .unwrap_or(u32::MAX >> 1)
        .max(CONNECTION_WINDOW_BYTES);
    accept(
        listener,
        connections_max,
        stopping,
        alive,
        |stream, mut stopping| {
            let rpc = rpc.clone();
            async move {
                let mut builder = http2::Builder::new(TokioExecutor::new());
                builder
                    .timer(TokioTimer::new())
                    .initial_stream_window_size(STREAM_WINDOW_BYTES)
                    .initial_connection_window_size(connection_window)
                    .max_concurrent_streams(STREAMS_MAX)
                    .keep_alive_interval(PING_INTERVAL)
                    .keep_alive_timeout(PING_TIMEOUT);
                let service = service_fn(move |request: Request<Incoming>| {
                    let timeout = grpc::client_timeout(request.headers());
                    let answer = rpc.clone().call(request);
                    let answer = async move { answer.await.unwrap_or_else(|never| match never {}) };
                    async move {
                        let answer = grpc::answer_within(timeout, answer).await;
                        Ok::<_, std::convert::Infallible>(grpc::too_large_is_exhausted(answer))
                    }
                });
                let mut connection =
                    std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
                tokio::select! {
                    _ = connection.as_mut() => return,
                    () = stopped(&mut stopping) => connection.as_mut().graceful_shutdown(),
                }
                connection.await.ok();
            }
        },
    )
    .await;
}
