//! Tests of the real binary, each in a data directory of its own. One test binary, because linking is what takes time.

mod client_commands;
mod command_line;
mod crash;
mod demo;
mod events;
mod grpc;
mod http;
mod jobs;
mod models;
mod program;
mod rest;
mod server;
mod start;
