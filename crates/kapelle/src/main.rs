//! The `kapelle` binary.

mod cli;
mod client;
mod config;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}
