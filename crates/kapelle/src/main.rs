//! The `kapelle` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    kapelle::run()
}
