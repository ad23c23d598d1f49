//! MQTT 5 and 3.1.1: a topic filter as a source, topics as a sink.
//!
//! **Invariant**: an acknowledgement of ours goes out when we say so, and one of the broker's is known to belong to which
//! publication. Clients that run the protocol by themselves keep one or the other from us, so here only the packets are
//! a library's; the protocol is in `connection.rs`, `source.rs` and `sink.rs`.
//!
//! Deliberately absent: wills, enhanced authentication, websockets, topic aliases.

mod config;
mod connection;
mod error;
mod message;
mod packet;
mod probe;
mod sink;
mod source;

#[cfg(test)]
mod tests;

pub use config::{Mode, Quality, SinkConfig, SourceConfig, Version};
pub use message::PLACE;
pub use sink::Publisher;
pub use source::Consumer;
