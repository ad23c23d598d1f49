//! `/v2/kapelle/sources`, `/v2/kapelle/sinks`: what connectors do, whether they could, and pauses
//! (`docs/reference/connectors-api.md`).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};
use kapelle_connectors::{Check, StatusSnapshot};

use super::json::{self, Object, array};
use super::problem::Problem;
use crate::config::Config;
use crate::delivery::Sinks;
use crate::history::query::time;
use crate::ingest::control::Control;
use crate::telemetry::metrics::Edge;

/// What these routes need.
#[derive(Clone)]
struct Connectors {
    control: Arc<Control>,
    sinks: Arc<Sinks>,
    /// The kinds of sinks by their names.
    kinds: Arc<BTreeMap<String, String>>,
    edge: Arc<Edge>,
}

pub(crate) fn router(
    config: &Config,
    control: Arc<Control>,
    sinks: Arc<Sinks>,
    edge: Arc<Edge>,
) -> Router {
    let kinds = config.sinks.iter();
    let kinds = kinds.map(|(name, sink)| (name.clone(), sink.kind().to_owned()));
    Router::new()
        .route("/v2/kapelle/sources", get(sources))
        .route("/v2/kapelle/sources/{name}", get(source))
        .route("/v2/kapelle/sources/{name}/test", post(test_source))
        .route("/v2/kapelle/sources/{name}/pause", post(pause))
        .route("/v2/kapelle/sources/{name}/resume", post(resume))
        .route("/v2/kapelle/sinks", get(list_sinks))
        .route("/v2/kapelle/sinks/{name}", get(sink))
        .route("/v2/kapelle/sinks/{name}/test", post(test_sink))
        .with_state(Connectors {
            control,
            sinks,
            kinds: Arc::new(kinds.collect()),
            edge,
        })
}

fn none(what: &str, name: &str) -> Problem {
    Problem::not_found(format!(
        "Expected to find {what} with name '{name}' in the configuration, but there is none"
    ))
}

fn items(items: impl Iterator<Item = String>) -> Response {
    let mut answer = Object::new();
    answer.raw("items", &array(items));
    json::ok(answer.end())
}

async fn sources(State(state): State<Connectors>) -> Response {
    let sources = state.edge.sources();
    let rendered = sources
        .iter()
        .map(|(name, handle)| state.render_source(name, &handle.snapshot()));
    items(rendered)
}

async fn source(
    State(state): State<Connectors>,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    state.shown_source(&name)
}

async fn pause(
    State(state): State<Connectors>,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    state.set_paused(&name, true).await?;
    state.control.settled(&name).await;
    state.shown_source(&name)
}

async fn resume(
    State(state): State<Connectors>,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    state.set_paused(&name, false).await?;
    state.shown_source(&name)
}

async fn test_source(
    State(state): State<Connectors>,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    let checks = state.control.probe(&name).await;
    checks
        .map(|checks| json::ok(render_checks(&name, &checks)))
        .ok_or_else(|| none("a source", &name))
}

async fn list_sinks(State(state): State<Connectors>) -> Response {
    let sinks = state.edge.sinks();
    let rendered = sinks
        .iter()
        .map(|(name, handle)| state.render_sink(name, &handle.snapshot()));
    items(rendered)
}

async fn sink(
    State(state): State<Connectors>,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    match state.edge.sinks().get(&name) {
        Some(handle) => Ok(json::ok(state.render_sink(&name, &handle.snapshot()))),
        None => Err(none("a sink", &name)),
    }
}

async fn test_sink(
    State(state): State<Connectors>,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    let checks = state.sinks.probe(&name).await;
    checks
        .map(|checks| json::ok(render_checks(&name, &checks)))
        .ok_or_else(|| none("a sink", &name))
}

impl Connectors {
    async fn set_paused(&self, name: &str, paused: bool) -> Result<(), Problem> {
        if self.control.kind(name).is_none() {
            return Err(none("a source", name));
        }
        let (control, name) = (Arc::clone(&self.control), name.to_owned());
        let writing = tokio::task::spawn_blocking(move || control.set_paused(&name, paused)).await;
        let written = writing.unwrap_or_else(|panic| Err(std::io::Error::other(panic)));
        written.map_err(|error| {
            Problem::http(
                StatusCode::INTERNAL_SERVER_ERROR,
                format!("which sources are paused cannot be kept: {error}"),
            )
        })
    }

    fn shown_source(&self, name: &str) -> Result<Response, Problem> {
        match self.edge.sources().get(name) {
            Some(handle) => Ok(json::ok(self.render_source(name, &handle.snapshot()))),
            None => Err(none("a source", name)),
        }
    }

    fn render_source(&self, name: &str, status: &StatusSnapshot) -> String {
        let mut source = head(name, self.control.kind(name).unwrap_or_default(), status);
        source.bool("paused", self.control.is_paused(name));
        match status.lag {
            Some(lag) => source.number("lag", count(lag)),
            None => source.null("lag"),
        };
        rate(&mut source, self.edge.rate_of_source(name));
        source
            .number("received", count(status.received))
            .number("receivedBytes", count(status.received_bytes))
            .number("accepted", count(status.accepted))
            .number("duplicates", count(status.duplicates))
            .number("rejected", count(status.rejected))
            .number("retries", count(status.ingest_retries))
            .number("connects", count(status.connects));
        tail(source, status)
    }

    fn render_sink(&self, name: &str, status: &StatusSnapshot) -> String {
        let kind = self.kinds.get(name).map_or("", String::as_str);
        let mut sink = head(name, kind, status);
        rate(&mut sink, self.edge.rate_of_sink(name));
        sink.number("published", count(status.published))
            .number("failed", count(status.publish_failures));
        tail(sink, status)
    }
}

fn count(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn head(name: &str, kind: &str, status: &StatusSnapshot) -> Object {
    let mut object = Object::new();
    object
        .text("name", name)
        .text("kind", kind)
        .text("state", status.state.as_str())
        .bool("healthy", status.healthy());
    object
}

/// One digit behind the point: more would only dance.
fn rate(object: &mut Object, rate: Option<f64>) {
    match rate {
        Some(rate) => object.raw("perSecond", &format!("{rate:.1}")),
        None => object.null("perSecond"),
    };
}

fn tail(mut object: Object, status: &StatusSnapshot) -> String {
    let error = status.last_error.as_ref();
    object
        .text_or_null("lastError", error.map(|error| error.message.as_str()))
        .text_or_null(
            "lastErrorTime",
            error.and_then(|error| moment(error.at)).as_deref(),
        )
        .text_or_null(
            "lastSuccessTime",
            status.last_success.and_then(moment).as_deref(),
        );
    object.end()
}

fn moment(at: SystemTime) -> Option<String> {
    let since_1970 = at.duration_since(UNIX_EPOCH).ok()?;
    time(i64::try_from(since_1970.as_millis()).ok()?)
}

fn render_checks(name: &str, checks: &[Check]) -> String {
    let rendered = checks.iter().map(|check| {
        let (Ok(text) | Err(text)) = &check.found;
        let mut object = Object::new();
        object
            .text("check", check.what)
            .bool("good", check.is_good())
            .text("text", text);
        object.end()
    });
    let mut answer = Object::new();
    answer
        .text("name", name)
        .bool("good", checks.iter().all(Check::is_good))
        .raw("checks", &array(rendered));
    answer.end()
}
