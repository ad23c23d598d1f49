//! Why a command was refused: the caller's mistake, said in Zeebe's grammar (reference `camunda8.md`, appendix E).

use std::fmt;

/// The class of a refusal; decides the gRPC status and the HTTP code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum RejectionCode {
    InvalidArgument = 1,
    NotFound = 2,
    AlreadyExists = 3,
    InvalidState = 4,
    /// Deciding failed by our own fault; the instance is quarantined.
    ProcessingError = 5,
    /// Over a limit that later room may lift.
    ResourceExhausted = 6,
}

impl RejectionCode {
    /// As Zeebe spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidArgument => "INVALID_ARGUMENT",
            Self::NotFound => "NOT_FOUND",
            Self::AlreadyExists => "ALREADY_EXISTS",
            Self::InvalidState => "INVALID_STATE",
            Self::ProcessingError => "PROCESSING_ERROR",
            Self::ResourceExhausted => "RESOURCE_EXHAUSTED",
        }
    }
}

/// A refusal: which intent, which class, why.
///
/// A struct rather than an enum of reasons: clients see intent, code and text, and every text is made in the one
/// handler that refuses, beside the check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// As in Zeebe's records: `CREATE`, `COMPLETE`, `FAIL`, …
    pub intent: &'static str,
    pub code: RejectionCode,
    pub reason: String,
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Command '{}' rejected with code '{}': {}",
            self.intent,
            self.code.as_str(),
            self.reason
        )
    }
}

impl Rejection {
    pub(crate) fn new(
        intent: &'static str,
        code: RejectionCode,
        reason: impl Into<String>,
    ) -> Self {
        Self {
            intent,
            code,
            reason: reason.into(),
        }
    }

    pub(crate) fn invalid_argument(intent: &'static str, reason: impl Into<String>) -> Self {
        Self::new(intent, RejectionCode::InvalidArgument, reason)
    }

    pub(crate) fn not_found(intent: &'static str, reason: impl Into<String>) -> Self {
        Self::new(intent, RejectionCode::NotFound, reason)
    }

    pub(crate) fn invalid_state(intent: &'static str, reason: impl Into<String>) -> Self {
        Self::new(intent, RejectionCode::InvalidState, reason)
    }

    pub(crate) fn exhausted(intent: &'static str, reason: impl Into<String>) -> Self {
        Self::new(intent, RejectionCode::ResourceExhausted, reason)
    }
}
