//! CloudEvents 1.0: the type, its codecs, its identity.
//!
//! **Invariant**: a [`CloudEvent`] that exists is valid. It has the required attributes, every name and value keeps the
//! rules of the specification and the [`Limits`] it was built with. There is no way around [`Builder::build`].
//!
//! **Invariant**: data is never re-serialised. What a producer sent as `data` leaves with the same bytes; only the
//! wrapping that a transport needs (base64, a JSON string) is taken off and put on.
//!
//! | module | what |
//! |---|---|
//! | [`event`](CloudEvent) | the type and its builder |
//! | [`attribute`] | names, typed values, the known extensions |
//! | [`timestamp`] | RFC 3339 times that keep their spelling |
//! | [`http`] | binary, structured and batch mode over HTTP |
//! | [`amqp`] | binary and structured mode over AMQP properties |
//! | [`kafka`] | binary and structured mode over Kafka records |
//! | [`mqtt`] | binary and structured mode over MQTT user properties |
//! | [`nats`] | binary and structured mode over NATS headers |
//! | [`json`] | the JSON event format and batch format |
//! | [`encode`] | the compact form in the journal |
//! | [`identity`] | hashes of identity and content |
//! | [`context`] | a CloudEvent as the variables of a FEEL expression |
//! | [`payload`] | a CloudEvent as Camunda's inbound connectors would show it |
//! | [`filter`] | CloudEvents dialects, CESQL, EventBridge patterns, FEEL; an index over many filters |
//! | [`rule`] | a record that is no CloudEvent becomes one |
//! | [`subscriber`] | who wants which CloudEvents, as what, where |
//!
//! Deliberately absent: transports and clocks.

pub mod amqp;
pub mod attribute;
pub mod base64;
pub mod context;
mod document;
pub mod encode;
mod error;
mod event;
pub mod filter;
pub mod http;
pub mod identity;
pub mod json;
pub mod kafka;
mod limits;
pub mod mqtt;
pub mod nats;
pub mod payload;
pub mod rule;
pub mod subscriber;
pub mod timestamp;

pub use attribute::{Name, Value};
pub use document::DocumentError;
pub use error::{Error, Kind, Limit};
pub use event::{Builder, CloudEvent, Data, SPEC_VERSION};
pub use identity::{ContentHash, IdentityHash};
pub use limits::Limits;
pub use timestamp::Timestamp;
