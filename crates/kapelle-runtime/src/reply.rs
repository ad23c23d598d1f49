//! What the caller of a command gets back.
//!
//! **Invariant**: a reply leaves only when everything it rests on is durable; so does a refusal by the engine, which may
//! rest on a fact that was not yet safe when it was decided (design §5).

use std::fmt;

use kapelle_engine::rejection::Rejection;
use kapelle_engine::response::Response;

/// The answer to one command.
pub type Reply = Result<Response, Refusal>;

/// Called exactly once with the reply, on the writer's thread: it must not block (send on a channel, wake a task).
pub type ReplyTo = Box<dyn FnOnce(Reply) + Send>;

/// Why a command got no response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The engine said no: the caller's mistake. Final.
    Rejected(Rejection),
    /// The partition has more than it can do in time. Nothing happened; try again later.
    Overloaded,
    /// The partition stopped before it knew the outcome: the command may or may not have had its effect. Retryable by
    /// whoever can tell the difference (an idempotency key, a key that exists only once).
    Unavailable {
        /// What happened, for the log and the caller.
        reason: String,
    },
    /// The disk is filling up: nothing new is taken in, what runs goes on. Nothing happened; try again later.
    DiskFull,
}

impl Refusal {
    /// Whether the same command may succeed later without the caller changing anything.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        !matches!(self, Self::Rejected(_))
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rejected(rejection) => rejection.fmt(f),
            Self::Overloaded => f.write_str("the partition is overloaded; try again later"),
            Self::Unavailable { reason } => write!(
                f,
                "the partition is unavailable and the outcome unknown: {reason}"
            ),
            Self::DiskFull => {
                f.write_str("the disk is almost full; new work is refused until there is room")
            }
        }
    }
}

/// The queue is full: the command was not taken and its reply will not be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the partition is overloaded; try again later")]
pub struct Overloaded;
