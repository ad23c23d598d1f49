//! HTTP POST as a sink, by the CloudEvents HTTP binding and the rules of its webhook document.
//!
//! Deliberately absent: the OPTIONS handshake and signatures (a later issue), redirects (the document forbids them).

mod config;
mod error;
mod sink;

pub use config::{Config, Mode};
pub use sink::Poster;
