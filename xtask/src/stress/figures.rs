//! What a process takes of the machine, and the spread of a measured time.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;

const MIB: f64 = 1024.0 * 1024.0;

/// What a process has now.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    pub(crate) memory_mib: f64,
    pub(crate) files: u64,
    pub(crate) threads: u64,
    pub(crate) cpu: Duration,
}

/// From `/proc`, so on Linux only.
pub(crate) fn usage(pid: u32) -> anyhow::Result<Usage> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))
        .with_context(|| format!("process {pid} is gone"))?;
    let of_status = |name: &str| -> anyhow::Result<u64> {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|rest| rest.split_whitespace().next()?.parse().ok())
            .with_context(|| format!("no {name} in /proc/{pid}/status"))
    };
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The command's name may hold spaces and parentheses; the fields are counted behind the last one.
    let fields: Vec<&str> = stat
        .rsplit_once(')')
        .context("a stat line names its command")?
        .1
        .split_whitespace()
        .collect();
    // `sysconf(_SC_CLK_TCK)` is 100 on every Linux that matters.
    let ticks: u64 = [11, 12]
        .iter()
        .filter_map(|at| fields.get(*at)?.parse::<u64>().ok())
        .sum();
    Ok(Usage {
        memory_mib: of_status("VmRSS:")? as f64 / 1024.0,
        threads: of_status("Threads:")?,
        files: std::fs::read_dir(format!("/proc/{pid}/fd"))?.count() as u64,
        cpu: Duration::from_millis(ticks * 10),
    })
}

/// Bytes on disk below a file or folder, in MiB. What vanishes meanwhile counts nothing.
pub(crate) fn disk_mib(path: &Path) -> f64 {
    blocks(path) as f64 * 512.0 / MIB
}

fn blocks(path: &Path) -> u64 {
    let Ok(metadata) = path.symlink_metadata() else {
        return 0;
    };
    let Ok(entries) = std::fs::read_dir(path) else {
        return metadata.blocks();
    };
    entries
        .map_while(Result::ok)
        .map(|entry| blocks(&entry.path()))
        .sum::<u64>()
        + metadata.blocks()
}

/// How busy the machine was lately.
pub(crate) fn load_average() -> f64 {
    std::fs::read_to_string("/proc/loadavg")
        .ok()
        .and_then(|text| text.split(' ').next()?.parse().ok())
        .unwrap_or(0.0)
}

/// Measured times.
#[derive(Clone, Debug, Default)]
pub(crate) struct Times(Vec<f64>);

impl Times {
    pub(crate) fn add(&mut self, time: Duration) {
        self.0.push(time.as_secs_f64() * 1_000.0);
    }

    /// The 50th and the 99th percentile in milliseconds; 0 where nothing was measured.
    pub(crate) fn spread(&self) -> Spread {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let index = (sorted.len() as f64 * share) as usize;
            sorted
                .get(index.min(sorted.len().saturating_sub(1)))
                .copied()
                .unwrap_or(0.0)
        };
        Spread {
            p50_ms: at(0.5),
            p99_ms: at(0.99),
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Spread {
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_what_was_measured() {
        let mut times = Times::default();
        assert_eq!(times.spread(), Spread::default());
        (1..=200).for_each(|ms| times.add(Duration::from_millis(ms)));
        let spread = times.spread();
        assert!((spread.p50_ms - 101.0).abs() < 1e-6, "{spread:?}");
        assert!((spread.p99_ms - 199.0).abs() < 1e-6, "{spread:?}");
    }

    #[test]
    fn this_process_has_memory_and_files() {
        let usage = usage(std::process::id()).unwrap();
        assert!(usage.memory_mib > 0.1 && usage.files > 2 && usage.threads > 0);
    }
}
