//! The measuring half of `kapelle-load`: the loop, the counting and the report. What an instance is stands behind
//! [`drive::Target`], so that engines with other protocols are measured by the very same code.
//!
//! Closed loop (`--in-flight N`): a new instance starts when one ends; shows the most a server does.
//! Open loop (`--rate R`): instances start on a schedule, and latency counts from the planned start, so a server that
//! stalls cannot hide it (no coordinated omission).

use std::process::ExitCode;
use std::time::Duration;

pub mod cli;
mod disk;
pub mod drive;
mod histogram;
mod metrics;
pub mod payload;
mod probe;
mod process;
mod report;
pub mod tally;

/// Every fallible step here ends the run with a sentence for a person.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Runs to the end on `options.threads` threads and prints the report.
pub fn run<T, F>(options: &cli::Options, connect: F) -> ExitCode
where
    T: drive::Target,
    F: AsyncFnOnce(&cli::Options, &std::sync::Arc<tally::Tally>) -> Result<T, Failure>,
{
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(options.threads)
        .enable_all()
        .build();
    let result = runtime.map_err(Failure::from).and_then(|runtime| {
        let result = runtime.block_on(drive::run(options, connect));
        // Streams never end by themselves.
        runtime.shutdown_timeout(Duration::from_millis(200));
        result
    });
    match result {
        Ok(report) if options.json => println!("{}", report.json()),
        Ok(report) => println!("{}", report.table()),
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
