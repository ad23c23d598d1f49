//! What a subscriber is: which CloudEvents it wants, as what, where, in which order, and what happens when that fails.
//!
//! A subscriber is declared in the configuration or by the API and kept in the journal as the document it was written as;
//! this is the document, read and checked. Everything has a default but the target:
//!
//! ```json
//! {"filter": {"exact": {"type": "order.placed"}},
//!  "transform": {"type": "\"invoice.due\"", "data": "{amount: data.total}"},
//!  "target": {"webhook": {"url": "https://billing.example/hook"}},
//!  "order": "key",
//!  "start": {"time": "2026-01-01T00:00:00Z"},
//!  "retry": {"attempts": 20, "age": "P1D", "first": "PT1S", "limit": "PT1H"},
//!  "paused": false}
//! ```
//!
//! **Invariant**: secrets are never part of a subscriber: what needs one (a broker, a webhook with authorization) is a sink of
//! the configuration, which says where they are found.
//!
//! Deliberately absent: cursors, attempts and dead letters, which are the runtime's, and any I/O.

mod read;
mod transform;

use crate::Timestamp;
use crate::filter::Filter;

pub use transform::{Transform, TransformError};

/// Somebody who wants CloudEvents.
#[derive(Debug, Clone, PartialEq)]
pub struct Subscriber {
    /// Which ones.
    pub filter: Filter,
    /// As what; absent: as they are.
    pub transform: Option<Transform>,
    /// Where to.
    pub target: Target,
    /// What has to wait for what.
    pub order: Order,
    /// Which one is the first.
    pub start: Start,
    /// Which one is the last; absent: it goes on.
    pub end: Option<Edge>,
    /// What happens when a delivery fails.
    pub retry: Retry,
    /// Declared, but nothing is delivered until it is resumed.
    pub paused: bool,
}

/// Where CloudEvents of a subscriber go.
#[derive(Debug, Clone, PartialEq)]
pub enum Target {
    /// `POST` to a URL.
    Webhook {
        /// `http` or `https`.
        url: Box<str>,
    },
    /// A sink of the configuration (a broker), and where to within it.
    Sink {
        /// Its name.
        name: Box<str>,
        /// A topic, routing key or subject; absent: where the sink's configuration says.
        to: Option<Box<str>>,
    },
    /// A message for waiting or starting processes.
    Message(Message),
    /// They wait until a consumer fetches them.
    Pull {
        /// How long a consumer may keep one before others get it, in milliseconds.
        lock_ms: i64,
    },
}

/// A message that is published for each CloudEvent; its id is the CloudEvent's, so that a repeat has no effect.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// The message's name.
    pub name: Box<str>,
    /// FEEL over the CloudEvent; absent: `subject`, else none.
    pub key: Option<kapelle_feel::Expr>,
    /// FEEL over the CloudEvent that gives an object; absent: the data.
    pub variables: Option<kapelle_feel::Expr>,
    /// How long it waits for a receiver, in milliseconds.
    pub time_to_live_ms: i64,
}

/// What has to wait for what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// CloudEvents of one key (`partitionkey`, else `subject`, else `source`) one after the other.
    Key,
    /// None for any other.
    Parallel,
}

/// Where a subscriber begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// With what arrives after it was created.
    Latest,
    /// With the oldest that is stored.
    Earliest,
    /// In the middle.
    At(Edge),
}

/// A place in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edge {
    /// Where what was received at that time lies.
    Time(Timestamp),
    /// A position.
    Position(u64),
}

/// What happens when a delivery fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// Attempts, the first included, before it is dead.
    pub attempts: u32,
    /// It is dead when it was received so long ago, in milliseconds.
    pub age_ms: i64,
    /// The wait after the first failure, in milliseconds; it doubles each time, with jitter.
    pub first_ms: i64,
    /// No wait is longer, in milliseconds.
    pub limit_ms: i64,
}

impl Default for Retry {
    /// An outage of a night is survived: 20 attempts end after about 15 hours.
    fn default() -> Self {
        Self {
            attempts: 20,
            age_ms: 24 * 60 * 60 * 1_000,
            first_ms: 1_000,
            limit_ms: 60 * 60 * 1_000,
        }
    }
}
