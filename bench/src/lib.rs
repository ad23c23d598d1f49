//! What the benchmarks share: arguments, sizes, times.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

/// `--name value` arguments; unknown ones end the program.
pub struct Arguments {
    given: Vec<(String, String)>,
}

impl Arguments {
    /// Of this process. Prints `usage` and ends on `--help` and on anything that is no `--name value`.
    #[must_use]
    pub fn read(usage: &str, known: &[&str]) -> Self {
        let mut given = Vec::new();
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            let name = word.strip_prefix("--").filter(|name| known.contains(name));
            match (name, words.next()) {
                (Some(name), Some(value)) => given.push((name.to_owned(), value)),
                _ => {
                    eprintln!("{usage}");
                    std::process::exit(2);
                }
            }
        }
        Self { given }
    }

    /// The value of a name, or what it is without.
    #[must_use]
    pub fn get<T: FromStr>(&self, name: &str, default: T) -> T {
        let Some((_, value)) = self.given.iter().find(|(other, _)| other == name) else {
            return default;
        };
        value.parse().unwrap_or_else(|_| {
            eprintln!("--{name}: {value} cannot be used");
            std::process::exit(2)
        })
    }

    /// A directory of our own in `--dir`, else in the system's place for temporary files; emptied first.
    #[must_use]
    pub fn directory(&self, name: &str) -> PathBuf {
        let parent: PathBuf = self.get("dir", std::env::temp_dir());
        let path = parent.join(format!("kapelle-bench-{name}"));
        std::fs::remove_dir_all(&path).ok();
        path
    }
}

/// One line of the report.
pub fn say(what: &str, value: impl Display) {
    println!("{what:<44} {value}");
}

/// Resident memory of this process in MiB.
#[must_use]
pub fn resident_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok())
        .unwrap_or(0)
        / 1024
}

/// Time that this thread has spent on a core: what it costs, however busy the machine is otherwise.
#[must_use]
pub fn thread_cpu() -> Duration {
    on_core("/proc/thread-self/schedstat".as_ref())
}

/// The same of all threads that live now.
#[must_use]
pub fn process_cpu() -> Duration {
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten();
    tasks
        .flatten()
        .map(|task| on_core(&task.path().join("schedstat")))
        .sum()
}

fn on_core(path: &Path) -> Duration {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    Duration::from_nanos(
        text.split_whitespace()
            .next()
            .and_then(|word| word.parse().ok())
            .unwrap_or(0),
    )
}

/// In microseconds or milliseconds, whichever reads better.
#[must_use]
pub fn time(duration: Duration) -> String {
    let micros = duration.as_secs_f64() * 1e6;
    if micros < 10_000.0 {
        format!("{micros:.0} µs")
    } else {
        format!("{:.1} ms", micros / 1e3)
    }
}
