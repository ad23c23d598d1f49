//! The load of `kapelle-load` as Restate does it. `serve` is the worker's side, `load` the client's; both are apart from the
//! server, so that its CPU time is its own.

use std::net::SocketAddr;
use std::process::ExitCode;

use clap::Parser;
use kapelle_load::cli::Options;

mod ingress;
mod services;

#[derive(Debug, Parser)]
enum Command {
    /// Serves the handlers.
    Serve { address: SocketAddr },
    /// Calls them by way of a Restate ingress (`--address`).
    Load(Box<Options>),
}

fn main() -> ExitCode {
    match Command::parse() {
        Command::Serve { address } => services::serve(address),
        Command::Load(options) => kapelle_load::run(&options, ingress::connect),
    }
}
