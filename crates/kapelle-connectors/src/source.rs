//! Where CloudEvents come from: the contract between a source and the engine's door.

use std::future::Future;
use std::time::Duration;

use kapelle_events::CloudEvent;
use tokio_util::sync::CancellationToken;

use crate::status::Handle;

/// Receives from a broker until it is told to stop.
pub trait Source: Send {
    /// What can be seen and done from outside while it runs.
    fn handle(&self) -> Handle;

    /// Runs until `shutdown` is cancelled. The broker being away is no reason to end: it reconnects for ever.
    fn run<I: Ingest>(
        self,
        ingest: I,
        shutdown: CancellationToken,
    ) -> impl Future<Output = ()> + Send;
}

/// The engine's door.
pub trait Ingest: Send + Sync + 'static {
    /// Takes a batch in the order of arrival and resolves when all of it is durable; then the source acknowledges it.
    /// The outcomes are in the order of the batch. An error means that nothing was taken; the source keeps the batch
    /// unacknowledged and tries again. What can never be taken must not be an error but [`Outcome::Rejected`].
    fn submit(
        &self,
        batch: Vec<Delivery>,
    ) -> impl Future<Output = Result<Vec<Outcome>, IngestError>> + Send;
}

/// What a broker delivered.
#[derive(Debug, Clone, PartialEq)]
pub enum Delivery {
    /// A CloudEvent.
    Event(CloudEvent),
    /// Something that is none; it is kept raw and goes to the dead letters.
    Rejected(Rejected),
}

/// A record that can't become a CloudEvent, as it came.
#[derive(Debug, Clone, PartialEq)]
pub struct Rejected {
    /// Where it lay, under the names that rules know, such as `queue` and `routingKey`.
    pub place: Vec<(&'static str, String)>,
    /// The body, cut off behind the size that a CloudEvent may have.
    pub body: Vec<u8>,
    /// How long the body was.
    pub body_bytes: usize,
    /// Headers and properties as text, in an order that does not change, without those that the broker itself writes when it
    /// delivers again: with the body they tell whether two records are one.
    pub headers: Vec<(String, String)>,
    /// Why it is no CloudEvent.
    pub why: kapelle_events::Error,
}

/// What became of one delivery. All of them are acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Taken and on record.
    Accepted,
    /// Seen before; no effect.
    Duplicate,
    /// On record as rejected.
    Rejected,
}

/// Why a batch was not taken for now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IngestError {
    /// Too much is in progress.
    #[error("the engine is overloaded")]
    Overloaded {
        /// How long to wait at least.
        retry_after: Option<Duration>,
    },
    /// The engine can't take anything at the moment.
    #[error("the engine can't take events: {why}")]
    Unavailable {
        /// The reason for people.
        why: String,
    },
}
