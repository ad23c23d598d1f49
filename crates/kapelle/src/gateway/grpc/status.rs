//! Which gRPC status a failure is.

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
