//! Everything `make test` runs, one after another, and a table of what each part cost.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::bail;

use crate::run::{self, Tally};
use crate::{clients, licences, tidy};

/// One part: its name, and what it does.
type Part = (&'static str, fn(&Path) -> anyhow::Result<Tally>);

/// Cheap and telling ones first. Each goes on after a failure of another, so that one run shows all that is broken.
const PARTS: [Part; 6] = [
    ("tidy", |root| tidy::check(root).map(|()| Tally::default())),
    ("licences", |root| {
        licences::check(root).map(|()| Tally::default())
    }),
    ("format", |root| cargo(root, &["fmt", "--all", "--check"])),
    ("clippy", |root| {
        cargo(
            root,
            &[
                "clippy",
                "--workspace",
                "--all-targets",
                "--locked",
                "--",
                "-D",
                "warnings",
            ],
        )
    }),
    ("tests", |root| {
        cargo(root, &["test", "--workspace", "--locked", "--no-fail-fast"])
    }),
    ("clients", |root| clients::run_some(root, &[])),
];

fn cargo(root: &Path, arguments: &[&str]) -> anyhow::Result<Tally> {
    run::program(Command::new("cargo").args(arguments).current_dir(root))
}

pub(crate) fn run_all(root: &Path) -> anyhow::Result<()> {
    let mut rows = Vec::new();
    let mut total = Tally::default();
    let mut broken = Vec::new();
    for (name, part) in PARTS {
        println!("\n=== {name}");
        let begun = Instant::now();
        let (tally, result) = match part(root) {
            Ok(tally) => (tally, "ok"),
            Err(error) => {
                println!("FAILED: {name}: {error:#}");
                broken.push(name);
                (Tally::default(), "FAILED")
            }
        };
        rows.push(row(name, result, &tally, begun.elapsed()));
        total.add(&tally);
    }
    println!(
        "\npart       result    passed  skipped   minutes\n{}",
        rows.join("\n")
    );
    for line in &total.skipped {
        println!("{line}");
    }
    println!(
        "{} passed, {} failed, {} skipped",
        total.passed,
        total.failed,
        total.skipped.len()
    );
    if !broken.is_empty() {
        bail!("these parts failed: {}", broken.join(", "));
    }
    Ok(())
}

fn row(name: &str, result: &str, tally: &Tally, took: Duration) -> String {
    format!(
        "{name:<10} {result:<8} {:>7} {:>8} {:>9.1}",
        tally.passed,
        tally.skipped.len(),
        took.as_secs_f64() / 60.0
    )
}
