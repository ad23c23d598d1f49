//! Which gRPC status a failure is.

use axum::http::{HeaderValue, Response};
use tonic::{Code, Status};

use crate::gateway::failure::{Class, Failure};

impl From<Failure> for Status {
    fn from(failure: Failure) -> Self {
        let code = match failure.class() {
            Class::InvalidArgument => Code::InvalidArgument,
            Class::NotFound => Code::NotFound,
            Class::AlreadyExists => Code::AlreadyExists,
            Class::InvalidState => Code::FailedPrecondition,
            Class::ResourceExhausted => Code::ResourceExhausted,
            Class::Unavailable => Code::Unavailable,
            Class::DeadlineExceeded => Code::DeadlineExceeded,
            Class::Unimplemented => Code::Unimplemented,
            Class::Internal => Code::Internal,
        };
        Self::new(code, failure.to_string())
    }
}

/// OUT_OF_RANGE is tonic's word for a message that is too large, and nothing else here says it. The protocol's word, and
/// that of every server the clients know, is RESOURCE_EXHAUSTED.
pub(crate) fn too_large_is_exhausted<B>(mut response: Response<B>) -> Response<B> {
    if let Some(code) = response.headers_mut().get_mut(Status::GRPC_STATUS)
        && *code == HeaderValue::from(Code::OutOfRange as i32)
    {
        *code = HeaderValue::from(Code::ResourceExhausted as i32);
    }
    response
}
