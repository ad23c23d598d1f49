//! All automation of the repository, in Rust: `cargo xtask help`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};

mod ci;
mod clients;
mod fuzz;
mod licences;
mod run;
mod server;
mod sim;
mod stress;
mod tidy;

const HELP: &str = "\
cargo xtask tidy              check the rules that no compiler checks (dependency directions, docs, sizes)
cargo xtask licences          check the licences of all dependencies
cargo xtask clients [NAME…]   run the tests with real Camunda clients: python, node, java, rust
cargo xtask sim [--seconds N | --minutes N] [--seed S] [--runs N]
                              try to make a partition lose or double something, under a seeded simulator
cargo xtask sim --mutants [NAME…]
                              break the code in known ways, each of which the simulator has to find
cargo xtask fuzz [--seconds N] [--target NAME]… [--input FILE]
                              give bytes that nobody meant to all that reads bytes of others; with a file, run that alone
cargo xtask fuzz --self-test  break a target in known ways, each of which the fuzzer has to find
cargo xtask stress [--rounds N] [--glances N] [--seed S] [--binary FILE]
                              kill a release binary hundreds of times, cut its power, take its disk, handles and clock
cargo xtask stress overload [--scenario NAME] [--seconds N] [--connections N] [--binary FILE] [--load FILE]
                              ten times the load that it can carry: who is refused, how fast are the others, what is left
cargo xtask stress soak [--minutes N] [--rate R] [--binary FILE] [--load FILE]
                              hours of mixed load on a release binary; fails if anything grows, is lost or doubled
cargo xtask ci                everything `make test` runs, with a summary of what ran and what was skipped
";

fn main() -> ExitCode {
    match dispatch(&std::env::args().skip(1).collect::<Vec<_>>()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(arguments: &[String]) -> anyhow::Result<()> {
    let root = root()?;
    let (command, rest) = arguments
        .split_first()
        .map_or(("help", &[][..]), |(c, r)| (c.as_str(), r));
    match command {
        "tidy" => tidy::check(&root),
        "licences" => licences::check(&root),
        "clients" => clients::run_named(&root, rest),
        "sim" => sim::run(&root, rest),
        "fuzz" => fuzz::run(&root, rest),
        "stress" => stress::run(&root, rest),
        "ci" => ci::run_all(&root),
        "help" | "--help" | "-h" => {
            print!("{HELP}");
            Ok(())
        }
        other => bail!("there is no `cargo xtask {other}`\n{HELP}"),
    }
}

/// The repository's root: the parent of this package's folder.
fn root() -> anyhow::Result<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    Ok(here
        .parent()
        .context("xtask lies in the repository")?
        .to_path_buf())
}
