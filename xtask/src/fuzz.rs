//! `cargo xtask fuzz`: bytes that nobody meant, given to everything that reads bytes of others.
//!
//! The targets are in `fuzz/`; this builds them with instrumentation, which needs no nightly compiler, and runs libFuzzer over
//! them, one after another. What is found is minimised and written to `fuzz/regressions/`, where every later run tries it
//! first.
//!
//! That a run could have found something is shown by `--self-test`, which gives the fuzzer planted defects.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};

use crate::clients::target;
use crate::run;

mod libfuzzer;
mod planted;

use libfuzzer::{Binary, Outcome};

/// Usually so long for each target.
const SECONDS: u64 = 60;

/// The target that must fail.
const PLANTED: &str = "planted";

#[derive(Debug, Default, PartialEq, Eq)]
struct Options {
    seconds: Option<u64>,
    targets: Vec<String>,
    input: Option<PathBuf>,
    self_test: bool,
}

impl Options {
    fn read(arguments: &[String]) -> anyhow::Result<Self> {
        let mut options = Self::default();
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            let mut value = || {
                rest.next()
                    .with_context(|| format!("{argument} wants a value"))
            };
            match argument.as_str() {
                "--seconds" => {
                    options.seconds = Some(value()?.parse().context("--seconds wants a number")?)
                }
                "--target" => options.targets.push(value()?.clone()),
                "--input" => options.input = Some(PathBuf::from(value()?)),
                "--self-test" => options.self_test = true,
                other => bail!(
                    "there is no {other}; there are --seconds, --target, --input and --self-test"
                ),
            }
        }
        Ok(options)
    }
}

pub(crate) fn run(root: &Path, arguments: &[String]) -> anyhow::Result<()> {
    let options = Options::read(arguments)?;
    ensure!(
        run::exists("c++", "--version"),
        "libFuzzer is built by a C++ compiler, and there is none (`c++`)"
    );
    if options.self_test {
        return planted::check(&build(root, &[PLANTED.to_owned()])?[0]);
    }
    let known = targets(root)?;
    let wanted = match options.targets.is_empty() {
        true => known.clone(),
        false => options.targets,
    };
    if let Some(unknown) = wanted.iter().find(|name| !known.contains(name)) {
        bail!(
            "there is no target {unknown}; there are {}",
            known.join(", ")
        );
    }
    let binaries = build(root, &wanted)?;
    match options.input {
        Some(input) => {
            ensure!(binaries.len() == 1, "--input wants one --target");
            // The target runs in a folder of its own.
            let input = std::fs::canonicalize(&input)
                .with_context(|| format!("failed to find {}", input.display()))?;
            binaries[0].try_input(&input)
        }
        None => all(root, &binaries, options.seconds.unwrap_or(SECONDS)),
    }
}

/// All targets but the one that must fail: the binaries of `fuzz/`.
fn targets(root: &Path) -> anyhow::Result<Vec<String>> {
    let folder = root.join("fuzz/src/bin");
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&folder)
        .with_context(|| format!("failed to list {}", folder.display()))?
    {
        let path = entry?.path();
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        if name != PLANTED {
            names.push(name.into_owned());
        }
    }
    names.sort();
    ensure!(!names.is_empty(), "{} has no targets", folder.display());
    Ok(names)
}

/// Builds them in `fuzz/`, sharing what the workspace has built.
fn build(root: &Path, names: &[String]) -> anyhow::Result<Vec<Binary>> {
    let output = target(root);
    let mut command = Command::new("cargo");
    command
        .args(["build", "--locked", "--manifest-path"])
        .arg(root.join("fuzz/Cargo.toml"))
        .env("CARGO_TARGET_DIR", &output)
        .env("RUSTC_WRAPPER", root.join("fuzz/instrument"))
        .current_dir(root);
    for name in names {
        command.args(["--bin", name]);
    }
    run::program(&mut command)?;
    Ok(names
        .iter()
        .map(|name| Binary {
            name: name.clone(),
            program: output.join("debug").join(name),
            work: output.join("fuzzing").join(name),
            regressions: root.join("fuzz/regressions").join(name),
        })
        .collect())
}

/// Runs every target, prints a table, and fails if anything was found.
fn all(root: &Path, binaries: &[Binary], seconds: u64) -> anyhow::Result<()> {
    let mut rows = Vec::new();
    let mut failed = 0;
    for binary in binaries {
        println!("\n--- {}", binary.name);
        let outcome = binary.fuzz(Duration::from_secs(seconds))?;
        if let Some(found) = &outcome.found {
            println!("FOUND: {}: {}", binary.name, found.what);
            println!(
                "again: cargo xtask fuzz --target {} --input {}",
                binary.name,
                shown(root, &found.input)
            );
            failed += 1;
        }
        for missing in &outcome.missing {
            println!("SKIPPED: seeds of fuzz target {}: {missing}", binary.name);
        }
        rows.push(row(&binary.name, &outcome));
    }
    println!("\ntarget        inputs run   per second    edges   inputs kept   memory MB   result");
    println!("{}", rows.join("\n"));
    println!("{} passed, {failed} failed", binaries.len() - failed);
    ensure!(
        failed == 0,
        "{failed} of {} targets found something: see CONTRIBUTING.md",
        binaries.len()
    );
    Ok(())
}

fn shown(root: &Path, path: &Path) -> String {
    path.strip_prefix(root)
        .unwrap_or(path)
        .display()
        .to_string()
}

fn row(name: &str, outcome: &Outcome) -> String {
    let result = if outcome.found.is_some() {
        "FOUND"
    } else {
        "ok"
    };
    let Outcome {
        executions,
        per_second,
        edges,
        corpus,
        peak_mb,
        ..
    } = outcome;
    format!(
        "{name:<12} {executions:>11} {per_second:>12} {edges:>8} {corpus:>13} {peak_mb:>11}   {result}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(arguments: &[&str]) -> anyhow::Result<Options> {
        Options::read(
            &arguments
                .iter()
                .map(|argument| (*argument).to_owned())
                .collect::<Vec<_>>(),
        )
    }

    #[test]
    fn arguments_are_read_and_unknown_ones_refused() {
        let options = read(&["--seconds", "5", "--target", "a", "--target", "b"]).unwrap();
        assert_eq!((options.seconds, options.targets.len()), (Some(5), 2));
        assert!(read(&["--self-test"]).unwrap().self_test);
        for wrong in [
            &["--seconds"][..],
            &["--seconds", "x"],
            &["--minutes", "1"],
            &["a"],
        ] {
            assert!(read(wrong).is_err(), "{wrong:?}");
        }
    }
}
