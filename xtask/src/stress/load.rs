//! `kapelle-load` as a child, and what its report says.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::Context as _;

use super::figures::Spread;

/// What is added to the niceness of this program.
const NICENESS: &str = "5";

/// A run that is under way.
pub(crate) struct Run {
    child: Child,
}

/// What a run reported.
#[derive(Clone, Debug, Default)]
pub(crate) struct Report {
    pub(crate) completed: u64,
    pub(crate) per_second: f64,
    pub(crate) spread: Spread,
    pub(crate) refused: u64,
    /// Starts that were refused and not tried again, in the measured seconds.
    pub(crate) turned_away: u64,
    pub(crate) seconds: f64,
    /// Started and not ended when the run ended.
    pub(crate) on_the_way: u64,
    /// How long it waited for those.
    pub(crate) drain: Duration,
    pub(crate) failed: u64,
    pub(crate) first_failure: String,
    pub(crate) sync_ms: f64,
}

/// Starts it. `arguments` say what it does; address and form of the report are added.
pub(crate) fn begin(
    binary: &Path,
    grpc: &str,
    disk: &Path,
    arguments: &[&str],
) -> anyhow::Result<Run> {
    // Behind the server: on one machine the generator would else take the processor that the server needs to answer, or to
    // refuse. Users' clients are elsewhere.
    let child = Command::new("nice")
        .arg("-n")
        .arg(NICENESS)
        .arg(binary)
        .args(["--json", "--address", &format!("http://{grpc}"), "--disk"])
        .arg(disk)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("failed to start {}", binary.display()))?;
    Ok(Run { child })
}

impl Run {
    /// Waits for its end.
    pub(crate) fn report(self) -> anyhow::Result<Report> {
        let output = self.child.wait_with_output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        anyhow::ensure!(
            output.status.success(),
            "kapelle-load ended with {}",
            output.status
        );
        read(&text).with_context(|| format!("kapelle-load reported {text:?}"))
    }
}

fn read(text: &str) -> anyhow::Result<Report> {
    let report: serde_json::Value = serde_json::from_str(text)?;
    let number = |name: &str| {
        report[name]
            .as_f64()
            .with_context(|| format!("no number `{name}`"))
    };
    let count = |name: &str| {
        report[name]
            .as_u64()
            .with_context(|| format!("no count `{name}`"))
    };
    Ok(Report {
        completed: count("completed")?,
        per_second: number("perSecond")?,
        spread: Spread {
            p50_ms: number("p50Ms")?,
            p99_ms: number("p99Ms")?,
        },
        refused: count("refused")?,
        turned_away: count("turnedAway")?,
        seconds: number("seconds")?,
        on_the_way: count("onTheWay")?,
        drain: Duration::from_secs_f64(number("drainSeconds")?),
        failed: count("failed")?,
        first_failure: report["firstFailure"]
            .as_str()
            .unwrap_or_default()
            .to_owned(),
        sync_ms: number("syncP50Ms")?,
    })
}
