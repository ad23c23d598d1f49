//! What can be asked for.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

/// Load on a Zeebe gateway.
///
/// Examples:
///   kapelle-load --scenario one-task --in-flight 64 --seconds 20 --server-pid $(pgrep -x kapelle)
///   kapelle-load --scenario one-task --rate 120 --seconds 30
#[derive(Debug, Parser)]
#[command(version, verbatim_doc_comment)]
pub(crate) struct Options {
    /// The gateway.
    #[arg(long, default_value = "http://127.0.0.1:26500")]
    pub(crate) address: String,
    /// What each instance does.
    #[arg(long, value_enum, default_value_t = Scenario::OneTask)]
    pub(crate) scenario: Scenario,
    /// Closed loop: instances between start and end at once.
    #[arg(long, default_value_t = 64)]
    pub(crate) in_flight: usize,
    /// Open loop instead: instances started per second.
    #[arg(long, conflicts_with = "in_flight")]
    pub(crate) rate: Option<f64>,
    /// Measured seconds.
    #[arg(long, default_value_t = 20)]
    pub(crate) seconds: u64,
    /// Ends after so many instances were started, if that is sooner than `--seconds`.
    #[arg(long)]
    pub(crate) instances: Option<u64>,
    /// Seconds before, not measured.
    #[arg(long, default_value_t = 5)]
    pub(crate) warm_up: u64,
    /// Bytes of variables of each instance.
    #[arg(long, default_value_t = 500)]
    pub(crate) payload: usize,
    /// Workers poll instead of holding a stream.
    #[arg(long)]
    pub(crate) polling: bool,
    /// Connections, for commands and streams alike.
    #[arg(long, default_value_t = 1)]
    pub(crate) connections: usize,
    /// Threads of this program.
    #[arg(long, default_value_t = 1)]
    pub(crate) threads: usize,
    /// Reports that process's CPU time and memory.
    #[arg(long)]
    pub(crate) server_pid: Option<u32>,
    /// Where to measure the disk's sync time: a folder on the server's disk.
    #[arg(long, default_value = ".")]
    pub(crate) disk: PathBuf,
    /// One JSON object instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
}

/// What each instance does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scenario {
    /// Start, one job, end.
    OneTask,
    /// Start, ten jobs one after another, end.
    TenTasks,
    /// Start, wait for a message, end; the message is published when the start is answered.
    MessageWait,
    /// Start and end; the caller waits for the result.
    EmptyWithResult,
    /// Start and wait for a message that never comes: fills a server with waiting instances. Done when the start is answered.
    LeaveWaiting,
}

impl Scenario {
    pub(crate) const fn process_id(self) -> &'static str {
        match self {
            Self::OneTask => "load-one-task",
            Self::TenTasks => "load-ten-tasks",
            Self::MessageWait => "load-message-wait",
            Self::EmptyWithResult => "load-empty",
            Self::LeaveWaiting => "load-leave-waiting",
        }
    }

    pub(crate) const fn has_jobs(self) -> bool {
        matches!(self, Self::OneTask | Self::TenTasks)
    }
}
