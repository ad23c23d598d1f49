//! Tests of the real binary, each in a data directory of its own. One test binary, because linking is what takes time.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests may fail loudly, like tests"
)]

mod bad_input;
mod client_commands;
mod command_line;
mod crash;
mod demo;
mod events;
mod found;
mod grpc;
mod hardship;
mod history;
mod http;
mod inbound;
mod jobs;
mod metrics;
mod models;
mod mqtt;
mod nats;
mod near_misses;
mod overload;
mod payloads;
mod program;
mod rabbitmq;
mod rest;
mod retention;
#[path = "../../../kapelle-connectors/tests/it/script.rs"]
mod script;
mod secure;
mod server;
mod start;
mod subscribers;
mod tls;
mod trace;

// As the files that are shared with the connectors' tests want it.
use tls::certificates;
