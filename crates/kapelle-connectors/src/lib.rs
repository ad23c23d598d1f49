//! Brokers and webhooks: how CloudEvents come from and go to the outside.
//!
//! Every connector has the same anatomy (`docs/connector-spec.md`): a folder with `config.rs`, `error.rs`, and `source.rs` or
//! `sink.rs` or both. A [`Source`] hands what it receives to an [`Ingest`] and acknowledges it only after that says it
//! is durable. A [`Sink`] says of one CloudEvent whether it arrived, and if not, whether another try makes sense; the
//! tries themselves, their back-off and dead letters are the runtime's.
//!
//! **Invariant**: nothing is lost. A source never acknowledges what was not accepted; a sink never says "arrived" without
//! the receiver's confirmation. Things may come or go twice.
//!
//! Deliberately absent: configuration files (plain structs come in), logging (the [`Status`] tells), retries of sinks.

#![cfg_attr(
    not(feature = "broker"),
    expect(
        dead_code,
        reason = "sources need what a build with sinks alone does not use"
    )
)]

pub mod backoff;
#[cfg(feature = "broker")]
mod link;
pub mod probe;
#[cfg(feature = "broker")]
mod receive;
pub mod secret;
pub mod sink;
pub mod source;
pub mod status;
#[cfg(feature = "tls")]
pub mod tls;

#[cfg(feature = "mqtt")]
pub mod mqtt;
#[cfg(feature = "nats")]
pub mod nats;
#[cfg(feature = "rabbitmq")]
pub mod rabbitmq;
#[cfg(feature = "webhook")]
pub mod webhook;

pub use probe::Check;
pub use secret::Secret;
pub use sink::{Publication, Sink, SinkError, SinkErrorKind};
pub use source::{Delivery, Ingest, IngestError, Outcome, Rejected, Source};
pub use status::{Handle, State, Status, StatusSnapshot};
pub use tokio_util::sync::CancellationToken;
