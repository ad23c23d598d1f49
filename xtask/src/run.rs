//! Runs other programs, shows their output as it comes, and counts the tests they report.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Context as _;

/// What a program's output said of its tests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    /// One line each, as printed: a skip is never silent.
    pub(crate) skipped: Vec<String>,
}

impl Tally {
    pub(crate) fn add(&mut self, other: &Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped.extend_from_slice(&other.skipped);
    }

    /// Reads cargo's `test result:` lines, our own `N passed, N failed`, and `SKIPPED:` lines.
    fn read(&mut self, line: &str) {
        if let Some(at) = line.find("SKIPPED:") {
            self.skipped.push(line[at..].to_owned());
        }
        let counts = line.strip_prefix("test result:").map_or(line, |rest| {
            rest.split_once(". ").map_or(rest, |(_, counts)| counts)
        });
        let mut parts = counts.split([',', ';']);
        let number = |part: Option<&str>, word: &str| {
            part.and_then(|p| p.trim().strip_suffix(word)?.trim().parse::<u64>().ok())
        };
        if let (Some(passed), Some(failed)) = (
            number(parts.next(), "passed"),
            number(parts.next(), "failed"),
        ) {
            self.passed += passed;
            self.failed += failed;
        }
    }
}

/// Runs to the end; `Err` where the program failed.
pub(crate) fn program(command: &mut Command) -> anyhow::Result<Tally> {
    let shown = format!("{command:?}").replace('"', "");
    println!("$ {shown}");
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("failed to start `{shown}`"))?;
    let stdout = child.stdout.take().context("stdout is piped")?;
    let mut tally = Tally::default();
    for line in BufReader::new(stdout).lines() {
        let line = line.unwrap_or_else(|error| format!("(unreadable output: {error})"));
        tally.read(&line);
        println!("{line}");
    }
    let status = child.wait()?;
    anyhow::ensure!(status.success(), "`{shown}` ended with {status}");
    Ok(tally)
}

/// What cargo knows of the workspace.
pub(crate) fn metadata(root: &Path, arguments: &[&str]) -> anyhow::Result<serde_json::Value> {
    let mut command = Command::new("cargo");
    let output = command
        .args(["metadata", "--format-version", "1"])
        .args(arguments)
        .current_dir(root)
        .output()?;
    anyhow::ensure!(
        output.status.success(),
        "cargo metadata failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Whether a tool is there at all.
pub(crate) fn exists(tool: &str, argument: &str) -> bool {
    Command::new(tool)
        .arg(argument)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|s| s.success())
}

#[cfg(test)]
mod tests {
    use super::Tally;

    #[test]
    fn both_shapes_of_a_closing_line_are_counted() {
        let mut tally = Tally::default();
        tally.read("test result: ok. 12 passed; 0 failed; 0 ignored; 0 measured; 3 filtered out; finished in 0.01s");
        tally.read("7 passed, 2 failed");
        tally.read("SKIPPED: no RabbitMQ here");
        tally.read("a line that says passed, nothing more");
        assert_eq!(
            (tally.passed, tally.failed, tally.skipped.len()),
            (19, 2, 1)
        );
    }
}
