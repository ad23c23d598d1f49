//! NATS with JetStream: a durable pull consumer as a source, subjects of a stream as a sink.
//!
//! **Invariant**: connections are made and remade here. The client library is given one attempt to reconnect, because it
//! can't be given none; whatever it makes of that, the session or publication that used the connection has ended.
//!
//! Deliberately absent: NATS without JetStream, which loses what nobody waits for, and NKeys.

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
