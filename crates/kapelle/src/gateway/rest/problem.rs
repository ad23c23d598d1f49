//! Errors as `application/problem+json` (RFC 9457).
//!
//! `title` is the machine-readable code: the rejection's name for refusals, the reason phrase for what HTTP itself
//! refuses. Clients of Camunda look at exactly that.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::json::Object;
use crate::gateway::failure::{Class, Failure};

/// Seconds after which a refusal for overload may be tried again: one is the least that `Retry-After` can say, and
/// queues of a fraction of a second have drained by then.
const RETRY_AFTER: &str = "1";

/// An error on its way out; its body is written last, when the path is at hand.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    title: &'static str,
    detail: String,
    /// Members beyond the standard ones: name and JSON text.
    extra: Vec<(&'static str, String)>,
}

impl Problem {
    /// An error of HTTP itself or of a request's form.
    pub(crate) fn http(status: StatusCode, detail: String) -> Self {
        Self {
            status,
            title: status.canonical_reason().unwrap_or("Error"),
            detail,
            extra: Vec::new(),
        }
    }

    /// A request that was understood and has wrong or missing values.
    pub(crate) fn invalid(detail: String) -> Self {
        Failure::Invalid(detail).into()
    }

    /// What does not exist.
    pub(crate) fn not_found(detail: String) -> Self {
        Self {
            status: StatusCode::NOT_FOUND,
            title: "NOT_FOUND",
            detail,
            extra: Vec::new(),
        }
    }

    /// Adds a member of our own.
    #[must_use]
    pub(crate) fn with(mut self, name: &'static str, json: String) -> Self {
        self.extra.push((name, json));
        self
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    #[cfg(test)]
    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }

    /// The whole response for a request to that path.
    pub(super) fn render(self, path: &str, response: Response) -> Response {
        let mut object = Object::new();
        object
            .text("type", "about:blank")
            .text("title", self.title)
            .number("status", self.status.as_u16().into())
            .text("detail", &self.detail)
            .text("instance", path);
        for (name, json) in &self.extra {
            object.raw(name, json);
        }
        let (mut parts, _) = response.into_parts();
        let headers = &mut parts.headers;
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        headers.remove(header::CONTENT_LENGTH);
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER));
        }
        Response::from_parts(parts, Body::from(object.end()))
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        let (status, title) = match failure.class() {
            Class::InvalidArgument => (StatusCode::BAD_REQUEST, "INVALID_ARGUMENT"),
            Class::NotFound => (StatusCode::NOT_FOUND, "NOT_FOUND"),
            Class::AlreadyExists => (StatusCode::CONFLICT, "ALREADY_EXISTS"),
            Class::InvalidState => (StatusCode::CONFLICT, "INVALID_STATE"),
            Class::ResourceExhausted => (StatusCode::SERVICE_UNAVAILABLE, "RESOURCE_EXHAUSTED"),
            Class::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE"),
            Class::DeadlineExceeded => (StatusCode::GATEWAY_TIMEOUT, "DEADLINE_EXCEEDED"),
            Class::Unimplemented => (StatusCode::NOT_IMPLEMENTED, "UNIMPLEMENTED"),
            Class::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL"),
        };
        Self {
            status,
            title,
            detail: failure.to_string(),
            extra: Vec::new(),
        }
    }
}

impl IntoResponse for Problem {
    /// Carries the problem to `super::conventions`, which writes it.
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

#[cfg(test)]
mod tests {
    use kapelle_runtime::Refusal;

    use super::*;

    #[test]
    fn overload_is_told_as_such_with_the_time_to_come_again() {
        for refusal in [Refusal::Overloaded, Refusal::DiskFull] {
            let problem = Problem::from(Failure::Refused(refusal));
            let response = problem.clone().into_response();
            let response = problem.render("/v2/messages/publication", response);
            assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
            assert_eq!(response.headers()[header::RETRY_AFTER], RETRY_AFTER);
            assert_eq!(
                response.headers()[header::CONTENT_TYPE],
                "application/problem+json"
            );
        }
        assert_eq!(
            Problem::from(Failure::Refused(Refusal::Overloaded)).title,
            "RESOURCE_EXHAUSTED"
        );
        let stopped = Problem::from(Failure::stopped());
        assert_eq!(
            (stopped.status.as_u16(), stopped.title),
            (503, "UNAVAILABLE")
        );
    }
}
