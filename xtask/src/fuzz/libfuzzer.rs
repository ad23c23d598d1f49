//! One target's binary, which is libFuzzer's: how it is called, and what its words mean.
//!
//! **Invariant**: whatever ends a run but its time is a finding, with an input that is written down, or an error.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, ensure};

/// An input that says nothing for so long hangs. Long, because others use the machine, too; the targets watch processor time.
const TIMEOUT: Duration = Duration::from_secs(15);

/// How long a finding is made smaller.
const MINIMISING: Duration = Duration::from_secs(20);

/// As much stack as a thread of the server has.
const STACK_KIB: u32 = 2_048;

/// A built target.
#[derive(Debug)]
pub(super) struct Binary {
    pub(super) name: String,
    pub(super) program: PathBuf,
    /// Corpus, seeds and logs: kept from run to run.
    pub(super) work: PathBuf,
    /// What was found once; in the repository.
    pub(super) regressions: PathBuf,
}

/// What a run came to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) executions: u64,
    pub(super) per_second: u64,
    pub(super) edges: u64,
    pub(super) corpus: u64,
    pub(super) peak_mb: u64,
    /// What its seeds should have been taken from.
    pub(super) missing: Vec<String>,
    pub(super) found: Option<Found>,
}

/// A broken promise.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// In a line.
    pub(super) what: String,
    pub(super) input: PathBuf,
}

impl Binary {
    /// Looks for so long. What it finds is made smaller and put with the regressions.
    pub(super) fn fuzz(&self, time: Duration) -> anyhow::Result<Outcome> {
        self.describe()?;
        let (corpus, artifacts) = (self.work.join("corpus"), self.work.join("artifacts"));
        // An artifact of an earlier run is no finding of this one.
        clear(&artifacts)?;
        std::fs::create_dir_all(&corpus)?;
        let mut command = self.command(TIMEOUT)?;
        command
            .arg(format!("-artifact_prefix={}/", artifacts.display()))
            .args(std::fs::read_to_string(self.work.join("options"))?.lines())
            .arg(format!("-max_total_time={}", time.as_secs()))
            .args([
                "-print_final_stats=1",
                "-reload=0",
                "-len_control=100",
                "-report_slow_units=1000",
            ])
            // The first folder is where new inputs go.
            .args([&corpus, &self.work.join("seeds")]);
        let dictionary = self.work.join("dictionary");
        if std::fs::metadata(&dictionary)?.len() > 0 {
            command.arg(format!("-dict={}", dictionary.display()));
        }
        if self.regressions.is_dir() {
            command.arg(&self.regressions);
        }
        let (ended_well, log) = self.logged(&mut command)?;
        let mut outcome = read(&log);
        let missing = std::fs::read_to_string(self.work.join("skipped"))?;
        outcome.missing = missing.lines().map(str::to_owned).collect();
        if !ended_well {
            outcome.found = Some(self.keep(&artifacts, &log)?);
        }
        // Less is no run: the binary was not instrumented, or every input was refused.
        ensure!(
            outcome.found.is_some() || outcome.executions > 0 && outcome.edges > 100,
            "{} ran {} inputs over {} edges: that is no search\n{}",
            self.name,
            outcome.executions,
            outcome.edges,
            tail(&log)
        );
        Ok(outcome)
    }

    /// Runs one input and shows what happens.
    pub(super) fn try_input(&self, input: &Path) -> anyhow::Result<()> {
        let mut command = self.command(TIMEOUT)?;
        let status = command.arg(input).env("RUST_BACKTRACE", "1").status()?;
        ensure!(status.success(), "{} ends with {status}", input.display());
        Ok(())
    }

    /// Whether an input makes it fail, and its last words.
    pub(super) fn fails(&self, input: &Path, timeout: Duration) -> anyhow::Result<(bool, String)> {
        let mut command = self.command(timeout)?;
        let (ended_well, log) = self.logged(command.arg(input))?;
        Ok((!ended_well, log))
    }

    /// The binary with the limits that every run has; temporary files are its own.
    pub(super) fn command(&self, timeout: Duration) -> anyhow::Result<Command> {
        let temporary = self.work.join("tmp");
        clear(&temporary)?;
        // The shell, because the limit has to be there before the program begins.
        let mut command = Command::new("sh");
        command
            .args([
                "-c",
                &format!("ulimit -c 0; ulimit -s {STACK_KIB}; exec \"$0\" \"$@\""),
            ])
            .arg(&self.program)
            .args([
                format!("-timeout={}", timeout.as_secs()),
                "-rss_limit_mb=2048".to_owned(),
            ])
            .current_dir(&self.work)
            .env("TMPDIR", &temporary)
            .stdin(Stdio::null());
        Ok(command)
    }

    /// Lets the target write its seeds, dictionary and options.
    pub(super) fn describe(&self) -> anyhow::Result<()> {
        std::fs::create_dir_all(&self.work)?;
        clear(&self.work.join("seeds"))?;
        let mut command = self.command(TIMEOUT)?;
        let (ended_well, log) = self.logged(command.env("KAPELLE_FUZZ_DESCRIBE", &self.work))?;
        ensure!(
            ended_well,
            "{} cannot make its seeds:\n{}",
            self.name,
            tail(&log)
        );
        Ok(())
    }

    /// Whether it ended well, and what it said, which is also in `log`.
    pub(super) fn logged(&self, command: &mut Command) -> anyhow::Result<(bool, String)> {
        std::fs::create_dir_all(&self.work)?;
        let path = self.work.join("log");
        let file = std::fs::File::create(&path)?;
        let status = command
            .stdout(file.try_clone()?)
            .stderr(file)
            .status()
            .with_context(|| format!("failed to start {}", self.program.display()))?;
        let log = String::from_utf8_lossy(&std::fs::read(&path)?).into_owned();
        Ok((status.success(), log))
    }

    fn keep(&self, artifacts: &Path, log: &str) -> anyhow::Result<Found> {
        let what = last_words(log);
        let artifact = newest(artifacts)?
            .with_context(|| format!("it ended without an input:\n{}", tail(log)))?;
        let smaller = self.minimise(&artifact)?;
        std::fs::create_dir_all(&self.regressions)?;
        let bytes = std::fs::read(&smaller)?;
        let input = self.regressions.join(format!("{:016x}", fnv(&bytes)));
        std::fs::write(&input, bytes)?;
        Ok(Found { what, input })
    }

    /// A smaller input that fails, too; the same one where there is none.
    fn minimise(&self, artifact: &Path) -> anyhow::Result<PathBuf> {
        let name = artifact
            .file_name()
            .map(OsStr::to_string_lossy)
            .unwrap_or_default();
        let smaller = self.work.join("artifacts").join("minimised");
        // libFuzzer calls itself once for each attempt: what hangs would take its time each.
        if name.starts_with("timeout") {
            return Ok(artifact.to_owned());
        }
        let mut command = self.command(TIMEOUT)?;
        command
            .arg("-minimize_crash=1")
            .arg(format!("-max_total_time={}", MINIMISING.as_secs()))
            .arg(format!("-exact_artifact_path={}", smaller.display()))
            .arg(artifact)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()?;
        let works = smaller.is_file() && self.fails(&smaller, TIMEOUT)?.0;
        Ok(if works { smaller } else { artifact.to_owned() })
    }
}

/// Makes the folder anew.
pub(super) fn clear(folder: &Path) -> anyhow::Result<()> {
    if folder.is_dir() {
        std::fs::remove_dir_all(folder)?;
    }
    std::fs::create_dir_all(folder).with_context(|| format!("failed to make {}", folder.display()))
}

fn newest(folder: &Path) -> anyhow::Result<Option<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        files.push((entry.metadata()?.modified()?, entry.path()));
    }
    files.sort();
    Ok(files.pop().map(|(_, path)| path))
}

/// libFuzzer's figures: its last status line and its closing `stat::` lines.
fn read(log: &str) -> Outcome {
    let mut outcome = Outcome::default();
    let number = |text: &str| text.trim().parse().unwrap_or(0);
    for line in log.lines() {
        if let Some((name, value)) = line
            .strip_prefix("stat::")
            .and_then(|line| line.split_once(':'))
        {
            match name {
                "number_of_executed_units" => outcome.executions = number(value),
                "average_exec_per_sec" => outcome.per_second = number(value),
                "peak_rss_mb" => outcome.peak_mb = number(value),
                _ => {}
            }
        } else if line.starts_with('#') {
            let words: Vec<&str> = line.split_whitespace().collect();
            let after = |label: &str| {
                words
                    .iter()
                    .position(|word| *word == label)
                    .and_then(|at| words.get(at + 1))
            };
            if let (Some(edges), Some(corpus)) = (after("cov:"), after("corp:")) {
                outcome.edges = number(edges);
                outcome.corpus = number(corpus.split('/').next().unwrap_or_default());
            }
        }
    }
    outcome
}

/// Why it ended: the panic's message, or what libFuzzer says.
fn last_words(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    let panic = lines.iter().rposition(|line| line.contains("panicked at"));
    let message =
        panic.map(|at| format!("{} {}", lines[at].trim(), lines.get(at + 1).unwrap_or(&"")));
    let other = || {
        lines
            .iter()
            .rfind(|line| line.starts_with("MEMORY:") || line.contains("ERROR: libFuzzer"))
    };
    message
        .or_else(|| other().map(|line| (*line).to_owned()))
        .unwrap_or_else(|| tail(log))
}

pub(super) fn tail(log: &str) -> String {
    const LINES: usize = 30;
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}

/// FNV-1a: a name that depends on the content alone.
fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "\
#2\tINITED cov: 12 ft: 13 corp: 1/1b exec/s: 0 rss: 40Mb
#4096\tpulse  cov: 640 ft: 900 corp: 77/12Kb lim: 40 exec/s: 2048 rss: 41Mb
#9000\tDONE   cov: 655 ft: 910 corp: 80/12Kb lim: 44 exec/s: 2250 rss: 42Mb
stat::number_of_executed_units: 9000
stat::average_exec_per_sec:     2250
stat::new_units_added:          79
stat::slowest_unit_time_sec:    0
stat::peak_rss_mb:              42
";

    #[test]
    fn figures_are_those_of_the_last_line() {
        let outcome = read(LOG);
        let expected = Outcome {
            executions: 9_000,
            per_second: 2_250,
            edges: 655,
            corpus: 80,
            peak_mb: 42,
            missing: Vec::new(),
            found: None,
        };
        assert_eq!(outcome, expected);
    }

    #[test]
    fn the_reason_is_found_among_the_words() {
        let panic = "x\nthread '<unnamed>' panicked at src/a.rs:1:2:\nno such thing\n==1== ERROR: libFuzzer: deadly signal\n";
        assert_eq!(
            last_words(panic),
            "thread '<unnamed>' panicked at src/a.rs:1:2: no such thing"
        );
        assert_eq!(
            last_words("a\n==1== ERROR: libFuzzer: timeout after 3 seconds\nb"),
            "==1== ERROR: libFuzzer: timeout after 3 seconds"
        );
        assert_eq!(last_words("nothing"), "nothing");
    }
}
