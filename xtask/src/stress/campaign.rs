//! Hundreds of deaths of a release binary: by `kill -9`, by loss of power, and everything else that machines do to it.
//! The tests are those of `cargo test`; here they run for longer, and against what is shipped.

use std::path::Path;
use std::process::Command;

use super::{Options, server_binary};
use crate::run;

/// Rounds that show something the short runs do not; a round takes a few seconds.
const ROUNDS: u32 = 300;

pub(crate) fn run(root: &Path, options: &Options) -> anyhow::Result<()> {
    options.check(&["rounds", "glances", "seed", "binary"])?;
    let rounds: u32 = options.number("rounds", ROUNDS)?;
    let glances: u32 = options.number("glances", 2)?;
    let binary = std::path::absolute(server_binary(root, options)?)?;
    let mut tests = Command::new("cargo");
    tests
        .args([
            "test",
            "--locked",
            "--package",
            "kapelle",
            "--test",
            "it",
            "--",
        ])
        .args([
            "crash::",
            "hardship::",
            "--nocapture",
            "--test-threads",
            "1",
        ])
        .env("KAPELLE_TEST_BINARY", binary)
        .env("KAPELLE_CRASH_ROUNDS", rounds.to_string())
        .env("KAPELLE_POWER_ROUNDS", rounds.to_string())
        .env("KAPELLE_CRASH_GLANCES", glances.to_string())
        .current_dir(root);
    if let Some(seed) = options.text("seed") {
        tests.env("KAPELLE_CRASH_SEED", seed);
    }
    let tally = run::program(&mut tests)?;
    anyhow::ensure!(tally.passed > 10, "only {} tests ran", tally.passed);
    println!("{} passed", tally.passed);
    Ok(())
}
