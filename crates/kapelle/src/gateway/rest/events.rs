//! `/v2/kapelle/events`: what became of every CloudEvent (`docs/reference/events-api.md`).

use axum::Router;
use axum::extract::{Query, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use tokio::sync::oneshot;

use super::Key;
use super::body::parse_key;
use super::json;
use super::problem::Problem;
use super::search::{Searching, ask};
use crate::backbone::{Ask, Backbone};
use crate::gateway::failure::Failure;
use crate::history::explain;
use crate::history::query::events::{self, EventQuery};
use crate::history::query::words::{DeliveryState, OUTCOMES};
use crate::history::trace::{Followers, Trace};

const LIMIT_DEFAULT: i64 = 100;
const LIMIT_MAX: i64 = 1_000;

/// List, one, explain, trace, what came.
pub(super) const PATHS: [&str; 5] = [
    "/v2/kapelle/events",
    "/v2/kapelle/events/{key}",
    "/v2/kapelle/events/{key}/explain",
    "/v2/kapelle/events/{key}/trace",
    "/v2/kapelle/events/{key}/raw",
];

pub(super) fn routes() -> Router<Searching> {
    let [all, one, explanation, tree, came] = PATHS;
    Router::new()
        .route(all, get(list))
        .route(one, get(show))
        .route(explanation, get(explain_one))
        .route(tree, get(trace_one))
        .route(came, get(raw))
}

async fn list(
    State(state): State<Searching>,
    Query(parameters): Query<Vec<(String, String)>>,
) -> Result<Response, Problem> {
    let query = read(parameters)?;
    Ok(json::ok(
        ask(&state.history, move |connection| {
            events::list(connection, &query)
        })
        .await?,
    ))
}

fn read(parameters: Vec<(String, String)>) -> Result<EventQuery, Problem> {
    let mut query = EventQuery {
        limit: LIMIT_DEFAULT,
        ..EventQuery::default()
    };
    for (name, value) in parameters {
        let key = || {
            parse_key(&value).ok_or_else(|| {
                Problem::invalid(format!(
                    "The value for {name} is '{value}' but must be digits."
                ))
            })
        };
        match &*name {
            "after" => query.after = Some(key()?),
            "limit" => {
                query.limit = key()?;
                if !(1..=LIMIT_MAX).contains(&query.limit) {
                    return Err(Problem::invalid(format!(
                        "The value for limit is '{value}' but must be between 1 and {LIMIT_MAX}."
                    )));
                }
            }
            "direction" => {
                query.out = match &*value {
                    "in" => Some(false),
                    "out" => Some(true),
                    _ => {
                        return Err(Problem::invalid(format!(
                            "The value for direction is '{value}' but must be in or out."
                        )));
                    }
                }
            }
            "processInstanceKey" => query.instance = Some(key()?),
            "outcome" => query.outcomes = outcomes(&value)?,
            "type" => query.event_type = Some(value),
            "source" => query.source = Some(value),
            "subject" => query.subject = Some(value),
            "id" => query.id = Some(value),
            unknown => {
                return Err(Problem::invalid(format!(
                    "There is no parameter '{unknown}'; there are after, limit, direction, type, source, subject, id, outcome, processInstanceKey."
                )));
            }
        }
    }
    Ok(query)
}

fn outcomes(list: &str) -> Result<Vec<String>, Problem> {
    let known = || {
        OUTCOMES
            .iter()
            .chain(DeliveryState::WORDS)
            .map(|(_, word)| *word)
    };
    list.split(',')
        .map(|wanted| {
            let wanted = wanted.trim().to_uppercase();
            if known().any(|word| word == wanted) {
                return Ok(wanted);
            }
            let words = known().collect::<Vec<_>>().join(", ");
            Err(Problem::invalid(format!(
                "The value for outcome is '{wanted}' but must be one of {words}."
            )))
        })
        .collect()
}

fn no_event(position: i64) -> Problem {
    Problem::not_found(format!(
        "There is no event at position '{position}', or no longer: see history.retention."
    ))
}

async fn show(State(state): State<Searching>, Key(position): Key) -> Result<Response, Problem> {
    let found = ask(&state.history, move |connection| {
        events::find(connection, position)
    })
    .await?;
    found
        .map(|event| json::ok(event.json_with_data()))
        .ok_or_else(|| no_event(position))
}

async fn explain_one(
    State(state): State<Searching>,
    Key(position): Key,
) -> Result<Response, Problem> {
    let found = ask(&state.history, move |connection| {
        explain::explain(connection, position)
    })
    .await?;
    found.map(json::ok).ok_or_else(|| no_event(position))
}

async fn trace_one(
    State(state): State<Searching>,
    Key(position): Key,
) -> Result<Response, Problem> {
    let found = ask(&state.history, move |connection| {
        Trace::around(connection, position)
    })
    .await?;
    let trace = found.ok_or_else(|| no_event(position))?;
    let followers = match &state.backbone {
        Some(backbone) => followers(backbone, &trace).await?,
        None => Followers::new(),
    };
    Ok(json::ok(trace.json(&followers)))
}

async fn followers(backbone: &Backbone, trace: &Trace) -> Result<Followers, Problem> {
    let (reply, answer) = oneshot::channel();
    let positions = trace.positions();
    backbone.inbox().put(Ask::Followers { positions, reply });
    answer.await.map_err(|_| Failure::stopped().into())
}

async fn raw(State(state): State<Searching>, Key(position): Key) -> Result<Response, Problem> {
    let found = ask(&state.history, move |connection| {
        events::came(connection, position)
    })
    .await?;
    let came = found.ok_or_else(|| no_event(position))?;
    let content_type = came.content_type;
    let content_type = content_type.and_then(|text| HeaderValue::try_from(text).ok());
    let unknown = HeaderValue::from_static("application/octet-stream");
    let mut response = came.bytes.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, content_type.unwrap_or(unknown));
    // What a producer sent must not run in somebody's browser.
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    headers.insert(
        header::CONTENT_DISPOSITION,
        HeaderValue::from_static("attachment"),
    );
    Ok(response)
}
