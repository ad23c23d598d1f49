//! Search and get of REST v2: thin routes over `crate::history`.

use std::sync::Arc;

use axum::Router;
use axum::extract::{FromRef, Query, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use rusqlite::Connection;

use super::Key;
use super::body::JsonText;
use super::json;
use super::problem::Problem;
use crate::backbone::Backbone;
use crate::gateway::Gateway;
use crate::history::query::definitions::{self, DEFINITIONS};
use crate::history::query::elements::ELEMENTS;
use crate::history::query::incidents::INCIDENTS;
use crate::history::query::instances::INSTANCES;
use crate::history::query::jobs::JOBS;
use crate::history::query::variables::VARIABLES;
use crate::history::query::{self, Entity, Search};
use crate::history::{Error, History};

/// What these routes need.
#[derive(Clone)]
pub(super) struct Searching {
    pub(super) gateway: Arc<Gateway>,
    pub(super) history: Arc<History>,
    /// Not there in a partition without threads.
    pub(super) backbone: Option<Arc<Backbone>>,
}

impl FromRef<Searching> for Arc<Gateway> {
    fn from_ref(searching: &Searching) -> Self {
        Self::clone(&searching.gateway)
    }
}

/// What can be searched by path; Camunda has no get of a single job.
const SEARCHED: [(&str, &Entity); 6] = [
    ("process-definitions", &DEFINITIONS),
    ("process-instances", &INSTANCES),
    ("element-instances", &ELEMENTS),
    ("jobs", &JOBS),
    ("incidents", &INCIDENTS),
    ("variables", &VARIABLES),
];

/// The routes, to be merged with those of the commands.
pub(crate) fn router(
    gateway: Arc<Gateway>,
    history: Arc<History>,
    backbone: Option<Arc<Backbone>>,
) -> Router {
    let mut router = Router::new()
        .route("/v2/process-definitions/{key}/xml", get(definition_xml))
        .route("/v2/variables/search", post(search_variables));
    for (path, entity) in SEARCHED {
        if path != "variables" {
            router = router.route(
                &format!("/v2/{path}/search"),
                post(move |state, text| search(entity, state, text, false)),
            );
        }
        if path != "jobs" {
            router = router.route(
                &format!("/v2/{path}/{{key}}"),
                get(move |state, key| get_one(entity, state, key)),
            );
        }
    }
    router.merge(super::events::routes()).with_state(Searching {
        gateway,
        history,
        backbone,
    })
}

/// The same routes where history is switched off. Not 503: that a client would try again, and it helps nobody.
pub(crate) fn switched_off() -> Router {
    let mut router = Router::new().route("/v2/process-definitions/{key}/xml", get(off));
    for (path, _) in SEARCHED {
        router = router.route(&format!("/v2/{path}/search"), post(off));
        if path != "jobs" {
            router = router.route(&format!("/v2/{path}/{{key}}"), get(off));
        }
    }
    for path in super::events::PATHS {
        router = router.route(path, get(off));
    }
    router
}

async fn off() -> Problem {
    Problem::not_found(
        "Search is switched off: start the server with history.enabled = true.".to_owned(),
    )
}

/// Runs a query where it may block, after history has caught up.
pub(super) async fn ask<T: Send + 'static>(
    history: &Arc<History>,
    query: impl FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
) -> Result<T, Problem> {
    let history = Arc::clone(history);
    let joined = tokio::task::spawn_blocking(move || history.read(query)).await;
    let result = joined.map_err(|error| {
        Problem::http(
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("the search failed: {error}"),
        )
    })?;
    result.map_err(|error| {
        let status = match &error {
            Error::Behind { .. } | Error::Stopped { .. } | Error::Damaged | Error::Busy { .. } => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Error::TooLong { .. } => StatusCode::GATEWAY_TIMEOUT,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Problem::http(status, error.to_string())
    })
}

async fn search(
    entity: &'static Entity,
    State(state): State<Searching>,
    text: JsonText,
    truncate: bool,
) -> Result<Response, Problem> {
    let search = Search::read(entity, &text, truncate)?;
    Ok(json::ok(
        ask(&state.history, move |connection| {
            query::search(entity, search, connection)
        })
        .await?,
    ))
}

async fn get_one(
    entity: &'static Entity,
    State(state): State<Searching>,
    Key(key): Key,
) -> Result<Response, Problem> {
    let found = ask(&state.history, move |connection| {
        query::get(entity, key, connection)
    })
    .await?;
    found.map(json::ok).ok_or_else(|| no_such(entity, key))
}

fn no_such(entity: &Entity, key: i64) -> Problem {
    Problem::not_found(format!("{} with key '{key}' not found", entity.title))
}

/// `truncateValues`, true unless said otherwise.
async fn search_variables(
    state: State<Searching>,
    Query(parameters): Query<Vec<(String, String)>>,
    text: JsonText,
) -> Result<Response, Problem> {
    let mut truncate = true;
    for (name, value) in parameters {
        truncate = match (&*name, &*value) {
            ("truncateValues", "true") => true,
            ("truncateValues", "false") => false,
            ("truncateValues", other) => {
                return Err(Problem::invalid(format!(
                    "The value for truncateValues is '{other}' but must be true or false."
                )));
            }
            (unknown, _) => {
                return Err(Problem::invalid(format!(
                    "There is no parameter '{unknown}'; there is truncateValues."
                )));
            }
        };
    }
    search(&VARIABLES, state, text, truncate).await
}

async fn definition_xml(
    State(state): State<Searching>,
    Key(key): Key,
) -> Result<Response, Problem> {
    let found = ask(&state.history, move |connection| {
        definitions::xml(connection, key)
    })
    .await?;
    let bytes = found.ok_or_else(|| no_such(&DEFINITIONS, key))?;
    let mut response = bytes.into_response();
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/xml;charset=UTF-8"),
    );
    Ok(response)
}
