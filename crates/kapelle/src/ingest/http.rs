//! `POST /events`: CloudEvents 1.0 over HTTP in binary, structured and batch mode.
//!
//! Answers 200 with one result for each CloudEvent in the order of the request, after the sync; that nothing waits for it
//! is no error. A request that cannot be read changes nothing: its problem has the stable code of what is wrong and, for
//! a batch, the index of the entry.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::post;
use kapelle_engine::command::Arrival;
use kapelle_engine::response::{EventResult, Match};
use kapelle_events::{CloudEvent, Error, Kind, Limit};

use super::Ingest;
use crate::gateway::rest::json::{self, Object, array, quote};
use crate::gateway::rest::problem::Problem;
use crate::gateway::rest::{Meta, body};

/// The source's name in records and metrics.
const SOURCE_NAME: &str = "http";

/// The code of a body that is larger than a request may be.
const TOO_LARGE: &str = "KAP-CE-013";

pub(crate) fn router(ingest: Arc<Ingest>) -> Router {
    Router::new()
        .route("/events", post(take))
        .with_state(ingest)
}

async fn take(
    State(ingest): State<Arc<Ingest>>,
    Meta(meta): Meta,
    request: Request,
) -> Result<Response, Problem> {
    let headers = request.headers().clone();
    let bytes = body::read(request.into_body(), ingest.limits.batch_bytes_max)
        .await
        .map_err(|problem| {
            if problem.status() == StatusCode::PAYLOAD_TOO_LARGE {
                problem.with("code", quote(TOO_LARGE))
            } else {
                problem
            }
        })?;
    let events =
        decode(&headers, &bytes, &ingest).inspect_err(|_| ingest.edge.count_event_unreadable())?;
    let arrivals = events
        .into_iter()
        .map(|event| Arrival::Event(Arc::new(event)))
        .collect();
    let results = ingest
        .submit(&Arc::from(SOURCE_NAME), arrivals, meta)
        .await?;
    let mut answer = Object::new();
    answer.raw("results", &array(results.iter().map(render_result)));
    Ok(json::ok(answer.end()))
}

fn decode(headers: &HeaderMap, bytes: &[u8], ingest: &Ingest) -> Result<Vec<CloudEvent>, Problem> {
    let headers: Vec<(&str, &[u8])> = headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_bytes()))
        .collect();
    kapelle_events::http::decode(headers.iter().copied(), bytes, &ingest.limits)
        .map(|(_, events)| events)
        .map_err(refuse)
}

fn refuse(error: Error) -> Problem {
    let status = match error.kind {
        Kind::UnsupportedMediaType { .. } | Kind::NotACloudEvent => {
            StatusCode::UNSUPPORTED_MEDIA_TYPE
        }
        Kind::TooLarge {
            limit: Limit::EventBytes | Limit::BatchBytes | Limit::BatchEvents,
            ..
        } => StatusCode::PAYLOAD_TOO_LARGE,
        _ => StatusCode::BAD_REQUEST,
    };
    let problem = Problem::http(status, error.to_string()).with("code", quote(error.code()));
    match error.batch_entry {
        Some(index) => problem.with("index", index.to_string()),
        None => problem,
    }
}

fn render_result(result: &EventResult) -> String {
    let mut answer = Object::new();
    answer
        .text("source", &result.source)
        .text("id", &result.id)
        .key("position", result.position.0)
        .text("outcome", result.outcome.as_str())
        .raw("matches", &array(result.matches.iter().map(render_match)));
    match result.duplicate_of {
        Some(first) => answer.key("duplicateOf", first.0),
        None => answer.null("duplicateOf"),
    };
    answer.text("reason", &result.reason);
    answer.end()
}

fn render_match(matched: &Match) -> String {
    let mut answer = Object::new();
    answer
        .text("message", &matched.message)
        .text("processDefinitionId", &matched.process_id)
        .text("correlationKey", &matched.correlation_key)
        .text("outcome", matched.outcome.as_str());
    match matched.instance {
        Some(instance) => answer.key("processInstanceKey", instance.get()),
        None => answer.null("processInstanceKey"),
    };
    answer.text("reason", &matched.reason);
    answer.end()
}
