//! The proof that a run sees something: each defect that the planted target can have is searched for, and has to be found.

use std::time::Duration;

use anyhow::ensure;

use super::libfuzzer::{Binary, clear};

/// As in `fuzz/src/targets/planted.rs`: its name, and a word of the report.
const DEFECTS: [(&str, &str); 6] = [
    ("panic", "planted"),
    ("promise", "an input is what it was"),
    ("hang", "timeout"),
    ("slow", "TIME"),
    ("memory", "MEMORY"),
    ("stack", "deadly signal"),
];

/// Far more than the search for four bytes takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// What hangs is known as that sooner than usually.
const TIMEOUT: Duration = Duration::from_secs(4);

pub(super) fn check(binary: &Binary) -> anyhow::Result<()> {
    binary.describe()?;
    for (defect, word) in DEFECTS {
        let (ended_well, log) = search(binary, Some(defect), PATIENCE)?;
        ensure!(
            !ended_well,
            "the fuzzer does not find the planted defect \"{defect}\": it sees nothing"
        );
        ensure!(
            log.contains(word),
            "the planted defect \"{defect}\" is reported as something else:\n{log}"
        );
        let mut inputs = std::fs::read_dir(binary.work.join("artifacts"))?;
        let input = inputs
            .next()
            .map(|entry| entry.map(|entry| entry.path()))
            .transpose()?;
        let input =
            input.filter(|path| std::fs::read(path).is_ok_and(|bytes| bytes.starts_with(b"weed")));
        ensure!(
            input.is_some(),
            "the input that shows the planted defect \"{defect}\" was not written down"
        );
        println!("self-test: found the planted defect \"{defect}\"");
    }
    // What is healthy is not reported.
    let (ended_well, log) = search(binary, None, Duration::from_secs(2))?;
    ensure!(
        ended_well,
        "the fuzzer finds something where nothing was planted:\n{log}"
    );
    println!("self-test: found nothing where nothing was planted");
    Ok(())
}

/// Searches from nothing but the seeds.
fn search(binary: &Binary, defect: Option<&str>, time: Duration) -> anyhow::Result<(bool, String)> {
    let (corpus, artifacts) = (binary.work.join("corpus"), binary.work.join("artifacts"));
    clear(&corpus)?;
    clear(&artifacts)?;
    let mut command = binary.command(TIMEOUT)?;
    command
        .arg(format!("-artifact_prefix={}/", artifacts.display()))
        .arg(format!("-max_total_time={}", time.as_secs()))
        .args([&corpus, &binary.work.join("seeds")]);
    if let Some(defect) = defect {
        command.env("KAPELLE_FUZZ_PLANTED", defect);
    }
    binary.logged(&mut command)
}
