//! Why a request got no answer, in terms that gRPC and REST both map to their own codes.
//!
//! **Invariant**: texts of refusals by the engine pass unchanged, because clients and their tests compare them.

use std::fmt;

use kapelle_engine::rejection::{Rejection, RejectionCode};
use kapelle_engine::response::Response;
use kapelle_runtime::{Overloaded, Refusal};

/// A request without an answer.
#[derive(Clone, Debug)]
pub(crate) enum Failure {
    /// The partition, or a check that stands for it, said no.
    Refused(Refusal),
    /// The request itself is wrong, seen before anything was submitted.
    Invalid(String),
    /// The time that the client gave is over; what was asked may have happened.
    DeadlineExceeded(String),
    /// The engine cannot do that yet; the text says which capability brings it.
    Unimplemented(&'static str),
    /// Our own fault.
    Internal(String),
}

/// The closed set of classes that wire codes are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    InvalidArgument,
    NotFound,
    AlreadyExists,
    InvalidState,
    ResourceExhausted,
    Unavailable,
    DeadlineExceeded,
    Unimplemented,
    Internal,
}

impl Failure {
    /// A refusal in the engine's words, made before the engine had to be asked.
    pub(crate) fn rejected(intent: &'static str, code: RejectionCode, reason: String) -> Self {
        Self::Refused(Refusal::Rejected(Rejection {
            intent,
            code,
            reason,
        }))
    }

    /// The server is going down.
    pub(crate) fn stopped() -> Self {
        Self::Refused(Refusal::Unavailable {
            reason: "the server is stopping".to_owned(),
        })
    }

    /// The engine answered a command with another command's response.
    pub(crate) fn unexpected(response: &Response) -> Self {
        Self::Internal(format!(
            "the engine gave an answer of the wrong kind: {response:?}"
        ))
    }

    pub(crate) fn class(&self) -> Class {
        match self {
            Self::Refused(Refusal::Rejected(rejection)) => match rejection.code {
                RejectionCode::InvalidArgument => Class::InvalidArgument,
                RejectionCode::NotFound => Class::NotFound,
                RejectionCode::AlreadyExists => Class::AlreadyExists,
                RejectionCode::InvalidState => Class::InvalidState,
                RejectionCode::ProcessingError => Class::Internal,
                RejectionCode::ResourceExhausted => Class::ResourceExhausted,
            },
            Self::Refused(Refusal::Overloaded | Refusal::DiskFull) => Class::ResourceExhausted,
            Self::Refused(Refusal::Unavailable { .. }) => Class::Unavailable,
            Self::Invalid(_) => Class::InvalidArgument,
            Self::DeadlineExceeded(_) => Class::DeadlineExceeded,
            Self::Unimplemented(_) => Class::Unimplemented,
            Self::Internal(_) => Class::Internal,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => refusal.fmt(f),
            Self::Invalid(text) | Self::DeadlineExceeded(text) | Self::Internal(text) => {
                f.write_str(text)
            }
            Self::Unimplemented(capability) => {
                write!(f, "not implemented yet: it comes with {capability}")
            }
        }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Overloaded> for Failure {
    fn from(_: Overloaded) -> Self {
        Self::Refused(Refusal::Overloaded)
    }
}
