//! The `kapelle` binary.

mod cli;
mod client;
mod config;
mod delivery;
mod demo;
mod gateway;
mod history;
mod ingest;
mod management;
mod server;
mod telemetry;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}
