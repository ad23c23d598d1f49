//! Where CloudEvents go: the contract between a sink and the runtime's delivery.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use kapelle_events::CloudEvent;

use crate::status::Handle;

/// Delivers CloudEvents, many at a time. It does not try again: the caller does, with what the error tells.
pub trait Sink: Send + Sync {
    /// What can be seen from outside.
    fn handle(&self) -> Handle;

    /// Resolves when the receiver has confirmed, or with the reason why it did not. An attempt that ended in a time-out
    /// may have arrived all the same. The future may be dropped at any time.
    fn publish(
        &self,
        publication: Publication<'_>,
    ) -> impl Future<Output = Result<(), SinkError>> + Send;
}

/// One attempt to deliver one CloudEvent.
#[derive(Debug, Clone, Copy)]
pub struct Publication<'e> {
    /// The CloudEvent; its id is the same in every attempt.
    pub event: &'e CloudEvent,
    /// Where to within the sink: a routing key, a URL. Absent: where the configuration says.
    pub target: Option<&'e str>,
    /// Counts from 1. Receivers see it in a header of ours, never in an attribute.
    pub attempt: u32,
}

/// The header that carries [`Publication::attempt`].
pub const ATTEMPT_HEADER: &str = "kapelle-attempt";

/// Why a CloudEvent did not arrive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SinkError {
    /// The class, for grouping and for the decision to try again.
    pub kind: SinkErrorKind,
    /// What happened, without secrets.
    pub message: String,
    /// How long the receiver wants us to wait.
    pub retry_after: Option<Duration>,
}

/// Classes of failed deliveries. The texts of [`as_str`](Self::as_str) are stable: dead letters are grouped by them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum SinkErrorKind {
    /// No connection, or it broke.
    Unreachable,
    /// No answer in time.
    Timeout,
    /// The receiver wants less.
    Throttled,
    /// The receiver failed (5xx, negative confirm).
    ReceiverFailed,
    /// The broker knows nowhere to put it.
    Unroutable,
    /// The receiver does not want this CloudEvent (4xx).
    Refused,
    /// The receiver wants no more CloudEvents (410).
    Gone,
    /// The target can't be used, such as a broken URL.
    InvalidTarget,
}

impl SinkError {
    pub(crate) fn new(kind: SinkErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            retry_after: None,
        }
    }

    /// Whether another attempt can succeed without anybody changing the CloudEvent or the configuration.
    pub fn retryable(&self) -> bool {
        self.kind.retryable()
    }
}

impl SinkErrorKind {
    /// Whether another attempt can succeed. Unroutable counts, because queues and bindings are made by others and late.
    pub fn retryable(self) -> bool {
        match self {
            Self::Unreachable
            | Self::Timeout
            | Self::Throttled
            | Self::ReceiverFailed
            | Self::Unroutable => true,
            Self::Refused | Self::Gone | Self::InvalidTarget => false,
        }
    }

    /// The stable name of the class.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unreachable => "UNREACHABLE",
            Self::Timeout => "TIMEOUT",
            Self::Throttled => "THROTTLED",
            Self::ReceiverFailed => "RECEIVER_FAILED",
            Self::Unroutable => "UNROUTABLE",
            Self::Refused => "REFUSED",
            Self::Gone => "GONE",
            Self::InvalidTarget => "INVALID_TARGET",
        }
    }
}

impl std::error::Error for SinkError {}

impl fmt::Display for SinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
