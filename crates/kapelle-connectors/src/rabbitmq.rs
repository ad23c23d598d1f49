//! RabbitMQ over AMQP 0-9-1: a queue as a source, an exchange as a sink.
//!
//! **Invariant**: connections are made and remade here; lapin's own recovery is off, because it would replay a topology
//! that others own and would hide from us which deliveries are still ours to acknowledge.

mod config;
mod connection;
mod error;
mod message;
mod probe;
mod sink;
mod source;

#[cfg(test)]
mod tests;

pub use config::{Mode, SinkConfig, SourceConfig};
pub use message::PLACE;
pub use sink::Publisher;
pub use source::Consumer;
