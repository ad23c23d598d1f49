//! Probes and metrics, on a port of their own so that neither a full gateway nor a proxy in front hides them.
//!
//! Live = the process answers. Ready = commands are decided. Started = recovery is over. The paths of Camunda's charts
//! are aliases.

use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::body::Body;
use axum::extract::State as Shared;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use axum::routing::get;
use kapelle_runtime::{Health, PartitionHandle};
use tokio::sync::watch;

use crate::gateway::rest::json::Object;
use crate::history::History;
use crate::telemetry::metrics::{self, Edge};

/// How far the server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Starting,
    Ready,
    Stopping,
}

/// What the probes look at.
#[derive(Clone)]
pub(crate) struct State {
    phase: watch::Receiver<Phase>,
    partition: Arc<OnceLock<PartitionHandle>>,
    history: Arc<OnceLock<Arc<History>>>,
    edge: Arc<Edge>,
}

impl State {
    pub(crate) fn new(phase: watch::Receiver<Phase>, edge: Arc<Edge>) -> Self {
        Self {
            phase,
            partition: Arc::default(),
            history: Arc::default(),
            edge,
        }
    }

    /// The partition is there now.
    pub(crate) fn attach(&self, partition: PartitionHandle) {
        // Set once in a server's life.
        self.partition.set(partition).ok();
    }

    /// Searches are answered from now on.
    pub(crate) fn attach_history(&self, history: Arc<History>) {
        self.history.set(history).ok();
    }

    fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    /// What the partition says, in a word, and whether it decides.
    fn partition(&self) -> (bool, String) {
        match self.partition.get().map(PartitionHandle::health) {
            Some(Health::Ready) => (true, "ready".to_owned()),
            Some(Health::Recovering) | None => (false, "recovering".to_owned()),
            Some(Health::Stopped { reason }) => (false, format!("stopped: {reason}")),
        }
    }
}

pub(crate) fn router(state: State) -> Router {
    Router::new()
        .route("/livez", get(live))
        .route("/health", get(ready))
        .route("/readyz", get(ready))
        .route("/ready", get(ready))
        .route("/startupz", get(started))
        .route("/startup", get(started))
        .route("/actuator/health", get(ready))
        .route("/actuator/health/liveness", get(live))
        .route("/actuator/health/readiness", get(ready))
        .route("/actuator/health/startup", get(started))
        .route("/metrics", get(prometheus))
        .route("/actuator/prometheus", get(prometheus))
        .with_state(state)
}

/// A server whose partition has stopped ends by itself; until then it is alive enough to be asked why.
async fn live(Shared(state): Shared<State>) -> Response {
    probe(true, &state)
}

async fn ready(Shared(state): Shared<State>) -> Response {
    probe(state.phase() == Phase::Ready && state.partition().0, &state)
}

async fn started(Shared(state): Shared<State>) -> Response {
    probe(state.phase() != Phase::Starting, &state)
}

/// `UP` and `DOWN` are what Spring's health endpoints say, which the charts' probes were written for.
fn probe(is_up: bool, state: &State) -> Response {
    let phase = match state.phase() {
        Phase::Starting => "starting",
        Phase::Ready => "ready",
        Phase::Stopping => "stopping",
    };
    let mut checks = Object::new();
    checks
        .text("server", phase)
        .text("partition", &state.partition().1);
    let mut answer = Object::new();
    answer
        .text("status", if is_up { "UP" } else { "DOWN" })
        .raw("checks", &checks.end());
    let status = if is_up {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    respond(status, "application/json", answer.end())
}

async fn prometheus(Shared(state): Shared<State>) -> Response {
    let text = metrics::render(
        state.partition.get(),
        state.history.get().map(|history| metrics::Search {
            lag: history.lag(),
            tallies: history.tallies(),
        }),
        &state.edge,
    );
    respond(
        StatusCode::OK,
        "text/plain; version=0.0.4; charset=utf-8",
        text,
    )
}

fn respond(status: StatusCode, content_type: &'static str, text: String) -> Response {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
