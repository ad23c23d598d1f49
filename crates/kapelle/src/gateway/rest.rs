//! Camunda's REST API v2: routes, and what they have in common.
//!
//! A handler checks, builds the command, asks, and builds the answer. JSON is read by [`body`] and written by [`json`],
//! both over `kapelle_feel::json`; errors are [`problem::Problem`]s, whoever makes them.
//!
//! **Invariant**: every response that is no success is `application/problem+json`, also for a route that does not exist,
//! a method that a route does not have, and a body that is too large. Keys travel as strings. Answers have every key of
//! their schema, null where there is nothing, because generated clients fail on a missing one.
//!
//! Deliberately absent: search and get, which read history and not the engine: they are merged in as routes of their own.

pub(crate) mod body;
mod cluster;
pub(crate) mod connectors;
mod deployments;
mod events;
mod incidents;
mod instances;
mod jobs;
pub(crate) mod json;
mod messages;
pub(crate) mod problem;
pub(crate) mod search;
pub(crate) mod subscribers;

use std::sync::Arc;

use axum::Router;
use axum::extract::{FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, patch, post, put};
use kapelle_engine::command::CommandMeta;

use super::Gateway;
use problem::Problem;

/// All routes: those of the engine and `others` (history's searches, the intake of CloudEvents), which share the
/// conventions of this module.
pub(crate) fn router(gateway: Arc<Gateway>, others: Router) -> Router {
    Router::new()
        .route("/status", get(cluster::status))
        .route("/v2/status", get(cluster::status))
        .route("/v2/topology", get(cluster::topology))
        .route("/v2/license", get(cluster::license))
        .route("/v2/authentication/me", get(cluster::me))
        .route("/v2/deployments", post(deployments::create))
        .route("/v2/process-instances", post(instances::create))
        .route(
            "/v2/process-instances/{key}/cancellation",
            post(instances::cancel),
        )
        .route(
            "/v2/element-instances/{key}/variables",
            put(instances::set_variables),
        )
        .route("/v2/incidents/{key}/resolution", post(incidents::resolve))
        .route("/v2/jobs/activation", post(jobs::activate))
        .route("/v2/jobs/{key}/completion", post(jobs::complete))
        .route("/v2/jobs/{key}/failure", post(jobs::fail))
        .route("/v2/jobs/{key}/error", post(jobs::throw_error))
        .route("/v2/jobs/{key}", patch(jobs::update))
        .route("/v2/messages/publication", post(messages::publish))
        .route("/v2/messages/correlation", post(messages::correlate))
        .with_state(gateway)
        .merge(others)
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        .layer(middleware::from_fn(conventions))
}

async fn no_route(method: Method, uri: Uri) -> Problem {
    Problem::http(
        StatusCode::NOT_FOUND,
        format!("No endpoint {method} {}.", uri.path()),
    )
}

async fn no_method(method: Method) -> Problem {
    Problem::http(
        StatusCode::METHOD_NOT_ALLOWED,
        format!("Method '{method}' is not supported."),
    )
}

/// What holds for every request: an answer in JSON must be acceptable, and a problem is written with the path it is about.
async fn conventions(request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let mut response = match refuse_caller(request.headers()) {
        None => next.run(request).await,
        Some(problem) => problem.into_response(),
    };
    match response.extensions_mut().remove::<Problem>() {
        Some(problem) => problem.render(&path, response),
        None => response,
    }
}

/// Callers that get no answer to whatever they ask.
fn refuse_caller(headers: &HeaderMap) -> Option<Problem> {
    if !is_own_origin(headers) {
        let detail = "Web pages of other machines may not call this server.".to_owned();
        return Some(Problem::http(StatusCode::FORBIDDEN, detail));
    }
    if !accepts_json(headers) {
        let detail = "Acceptable representations: [application/json].".to_owned();
        return Some(Problem::http(StatusCode::NOT_ACCEPTABLE, detail));
    }
    None
}

/// Whether the request comes from no web page, or from one of this machine. Without authentication any page that the
/// user visits could deploy and start processes otherwise: a browser sends forms to loopback addresses without asking.
fn is_own_origin(headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else {
        return true;
    };
    let origin = origin.to_str().unwrap_or_default();
    let authority = origin.split_once("://").map_or("", |(_, rest)| rest);
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    };
    matches!(host, "localhost" | "127.0.0.1" | "[::1]")
}

/// Whether the caller can take JSON. The vendor type is how clients of 8.7 ask for keys as strings, which ours always are.
fn accepts_json(headers: &HeaderMap) -> bool {
    const TAKEN: [&str; 5] = [
        "*/*",
        "application/*",
        "application/json",
        "application/problem+json",
        "application/vnd.camunda.api.keys.string+json",
    ];
    let mut accepts = headers.get_all(header::ACCEPT).iter().peekable();
    accepts.peek().is_none()
        || accepts
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .any(|range| {
                let media_type = range.split(';').next().unwrap_or_default().trim();
                // Metrics and XML have types of their own; they are served by routes that say so.
                TAKEN
                    .iter()
                    .any(|taken| media_type.eq_ignore_ascii_case(taken))
                    || media_type.starts_with("text/")
            })
}

/// What travels beside a request: the caller's trace.
pub(crate) struct Meta(pub(crate) CommandMeta);

impl<S: Sync> FromRequestParts<S> for Meta {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let traceparent = parts
            .headers
            .get("traceparent")
            .and_then(|value| value.to_str().ok())
            .map(Arc::from);
        Ok(Self(CommandMeta {
            traceparent,
            ..CommandMeta::default()
        }))
    }
}

/// The `{key}` of a path.
pub(crate) struct Key(pub(crate) i64);

impl<S: Send + Sync> FromRequestParts<S> for Key {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let axum::extract::Path(text) =
            axum::extract::Path::<String>::from_request_parts(parts, state)
                .await
                .map_err(|rejection| {
                    Problem::http(StatusCode::BAD_REQUEST, rejection.body_text())
                })?;
        body::parse_key(&text).map(Self).ok_or_else(|| {
            Problem::http(
                StatusCode::BAD_REQUEST,
                format!("The path has '{text}' where a key is expected: digits."),
            )
        })
    }
}

/// 204 without a body: what a command answers that only happened.
pub(crate) fn no_content() -> Response {
    StatusCode::NO_CONTENT.into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn web_pages_of_other_machines_are_told_apart() {
        let is_own = |origin: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ORIGIN, origin.parse().unwrap());
            is_own_origin(&headers)
        };
        assert!(is_own_origin(&HeaderMap::new()), "no browser");
        for own in [
            "http://localhost:8080",
            "http://127.0.0.1",
            "https://[::1]:3000",
        ] {
            assert!(is_own(own), "{own}");
        }
        for other in [
            "http://evil.example",
            "http://localhost.evil.example:8080",
            "http://127.0.0.1.evil.example",
            "http://evil.example:localhost",
            "null",
            "",
        ] {
            assert!(!is_own(other), "{other}");
        }
    }

    #[test]
    fn json_is_acceptable_unless_the_caller_says_otherwise() {
        let accepts = |value: Option<&str>| {
            let mut headers = HeaderMap::new();
            if let Some(value) = value {
                headers.insert(header::ACCEPT, value.parse().unwrap());
            }
            accepts_json(&headers)
        };
        assert!(accepts(None));
        assert!(accepts(Some("application/json, text/plain, */*")));
        assert!(accepts(Some(
            "application/vnd.camunda.api.keys.string+json"
        )));
        assert!(accepts(Some("application/JSON;q=0.9")));
        assert!(!accepts(Some("image/png")));
        assert!(!accepts(Some("application/xml")));
    }
}
