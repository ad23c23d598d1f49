//! REST, gRPC and the intake of CloudEvents in front of a partition without threads, with a clock that stands still.
//!
//! **Invariant**: after [`Door::reset`] the partition knows what it knew at [`Door::keep`]; the answer to a request is a
//! function of that and of the requests since.

use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper::body::Bytes;
use kapelle_engine::Settings;
use kapelle_engine::effect::Effect;
use kapelle_engine::ids::Sequence;
use kapelle_runtime::inline::{self, Inline, Seed};
use kapelle_runtime::reader::{CommandHeader, CommittedRecord};
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tonic::codegen::Service as _;

use crate::config::Config;
use crate::gateway::grpc::{self, proto};
use crate::gateway::{Cluster, Gateway, rest};
use crate::history::History;
use crate::ingest::{self, Ingest};
use crate::telemetry::metrics::Edge;

/// What a client of either door gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Of HTTP, or of gRPC: there 0 is success.
    pub status: u16,
    pub content_type: String,
    /// Without gRPC's framing: the messages, one behind the other.
    pub body: Vec<u8>,
    /// What gRPC says beside the status.
    pub message: String,
}

/// The client's. What is still open then waits as long as it was asked to, or is a stream. Nobody waits for real.
const PATIENCE: Duration = Duration::from_secs(24 * 60 * 60);

/// The largest message either way; small, so that the limit is met.
const MESSAGE_BYTES_MAX: usize = 64 * 1024;

/// See the module.
pub struct Door {
    runtime: Runtime,
    partition: Arc<Inline>,
    kept: Seed,
    router: Router,
    rpc: proto::gateway_server::GatewayServer<grpc::Service>,
    /// Until searches are made of them.
    records: Arc<Mutex<Vec<CommittedRecord>>>,
    gateway: Arc<Gateway>,
    ingest: Arc<Ingest>,
    // The gateway stops when it is gone.
    _stop: watch::Sender<bool>,
}

impl Door {
    /// An empty partition behind doors without searches.
    #[must_use]
    pub fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime needs no more than memory");
        let guard = runtime.enter();
        let records = Arc::new(Mutex::new(Vec::new()));
        let (effects, gateway) = effects();
        let seen = record_to(Arc::clone(&records));
        let (handle, partition) =
            inline::start(Seed::default(), Settings::default(), effects, seen);
        let (stop, stopping) = watch::channel(false);
        let cluster = Cluster {
            id: "fuzz".to_owned(),
            host: "127.0.0.1".to_owned(),
            port: 1,
        };
        let behind = Gateway::new(handle, cluster, MESSAGE_BYTES_MAX, stopping);
        gateway.set(Arc::clone(&behind)).ok();
        let ingest = Arc::new(Ingest::new(
            Arc::clone(&behind),
            &Config::default(),
            Arc::new(Edge::default()),
        ));
        drop(guard);
        Self {
            router: router(&behind, &ingest, rest::search::switched_off()),
            rpc: grpc::service(Arc::clone(&behind)),
            runtime,
            partition,
            kept: Seed::default(),
            records,
            gateway: behind,
            ingest,
            _stop: stop,
        }
    }

    /// This is where inputs begin: [`Self::reset`] comes back here, and searches (their database is made in `dir`) find
    /// what happened until now.
    pub fn keep(&mut self, dir: &Path) {
        self.kept = self.partition.seed();
        let records = std::mem::take(&mut *locked(&self.records));
        let history = History::of_records(dir, self.gateway.partition().clone(), records)
            .expect("a new database is made and filled");
        let searches = rest::search::router(Arc::clone(&self.gateway), history, None);
        self.router = router(&self.gateway, &self.ingest, searches);
    }

    /// Forgets what happened since [`Self::keep`].
    pub fn reset(&self) {
        self.partition.reset(self.kept.clone());
        locked(&self.records).clear();
    }

    /// Time passes for the partition.
    pub fn pass(&self, ms: i64) {
        const DUE_MAX: usize = 100;
        let _guard = self.runtime.enter();
        self.partition.pass(ms, DUE_MAX);
    }

    /// Asks over HTTP. `None` where that is no request of HTTP at all, which the server's library would refuse.
    pub fn rest(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &[u8])],
        body: &[u8],
    ) -> Option<Answer> {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::from(body.to_vec())).ok()?;
        let mut router = self.router.clone();
        let answer = async move {
            let answer = router
                .call(request)
                .await
                .unwrap_or_else(|never| match never {});
            let (head, body) = answer.into_parts();
            let body = body.collect().await.expect("answers are whole").to_bytes();
            let content_type = head.headers.get("content-type");
            Answer {
                status: head.status.as_u16(),
                content_type: content_type
                    .and_then(|value| value.to_str().ok())
                    .unwrap_or_default()
                    .to_owned(),
                body: body.to_vec(),
                message: String::new(),
            }
        };
        let answered = async { tokio::time::timeout(PATIENCE, answer).await };
        let unanswered = |_| Answer {
            status: 504,
            content_type: "application/problem+json".to_owned(),
            body: Vec::new(),
            message: String::new(),
        };
        Some(self.runtime.block_on(answered).unwrap_or_else(unanswered))
    }

    /// Calls a method with a message as it would stand on the wire. What a stream sends until nothing more comes is in
    /// the answer.
    #[must_use]
    pub fn grpc(&self, method: &str, message: &[u8]) -> Answer {
        let mut framed = vec![0];
        let length = u32::try_from(message.len()).expect("inputs are small");
        framed.extend_from_slice(&length.to_be_bytes());
        framed.extend_from_slice(message);
        let request = Request::builder()
            .method("POST")
            .uri(format!("/gateway_protocol.Gateway/{method}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(Full::new(Bytes::from(framed)))
            .expect("the methods' names are plain");
        let mut rpc = self.rpc.clone();
        self.runtime.block_on(async move {
            let answer = grpc::answer_within(Some(PATIENCE), async {
                rpc.call(request)
                    .await
                    .unwrap_or_else(|never| match never {})
            });
            read_answer(answer.await).await
        })
    }
}

impl Default for Door {
    fn default() -> Self {
        Self::new()
    }
}

async fn read_answer(answer: hyper::Response<tonic::body::Body>) -> Answer {
    let (head, mut body) = answer.into_parts();
    let mut headers = head.headers;
    let mut framed = Vec::new();
    // A stream of pushed jobs stays open: what has come by then is all.
    while let Ok(Some(frame)) = tokio::time::timeout(PATIENCE, body.frame()).await {
        match frame.expect("an answer is whole").into_data() {
            Ok(data) => framed.extend_from_slice(&data),
            Err(other) => headers.extend(other.into_trailers().unwrap_or_default()),
        }
    }
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    Answer {
        status: text("grpc-status")
            .and_then(|code| code.parse().ok())
            .unwrap_or(0),
        content_type: text("content-type").unwrap_or_default().to_owned(),
        message: text("grpc-message").unwrap_or_default().to_owned(),
        body: unframed(&framed),
    }
}

/// The messages without the five bytes in front of each.
fn unframed(mut framed: &[u8]) -> Vec<u8> {
    let mut messages = Vec::new();
    while let Some((head, rest)) = framed.split_first_chunk::<5>() {
        let [_, length @ ..] = *head;
        let (message, rest) = rest.split_at(u32::from_be_bytes(length) as usize);
        messages.extend_from_slice(message);
        framed = rest;
    }
    messages
}

fn router(gateway: &Arc<Gateway>, ingest: &Arc<Ingest>, searches: Router) -> Router {
    let others = searches.merge(ingest::http::router(Arc::clone(ingest)));
    rest::router(Arc::clone(gateway), others)
}

/// Where effects go, and the place for the gateway that gets them.
fn effects() -> (
    impl FnMut(Sequence, Effect) + Send,
    Arc<OnceLock<Arc<Gateway>>>,
) {
    let gateway: Arc<OnceLock<Arc<Gateway>>> = Arc::default();
    let place = Arc::clone(&gateway);
    let release = move |_: Sequence, effect: Effect| {
        if let Some(gateway) = place.get() {
            gateway.release(effect);
        }
    };
    (release, gateway)
}

fn record_to(
    records: Arc<Mutex<Vec<CommittedRecord>>>,
) -> impl FnMut(Sequence, kapelle_engine::ids::Timestamp, &kapelle_engine::event::Event) + Send {
    move |sequence, at, event| {
        let command = Arc::new(CommandHeader {
            sequence,
            kind: 0,
            at,
            traceparent: None,
        });
        locked(&records).push(CommittedRecord {
            sequence,
            command,
            event: event.clone(),
        });
    }
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
