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
pub struct Options {
    /// The gateway.
    #[arg(long, default_value = "http://127.0.0.1:26500")]
    pub address: String,
    /// What each instance does.
    #[arg(long, value_enum, default_value_t = Scenario::OneTask)]
    pub scenario: Scenario,
    /// Closed loop: instances between start and end at once.
    #[arg(long, default_value_t = 64)]
    pub in_flight: usize,
    /// Open loop instead: instances started per second.
    #[arg(long, conflicts_with = "in_flight")]
    pub rate: Option<f64>,
    /// Open loop: a start that is refused is not tried again, and times count from when it was sent. For more than a server
    /// can carry, where whoever is refused would else come again and again.
    #[arg(long, requires = "rate")]
    pub give_up: bool,
    /// Waits after the measured seconds for what is on the way, at most so many seconds.
    #[arg(long, default_value_t = 0)]
    pub drain: u64,
    /// Measured seconds.
    #[arg(long, default_value_t = 20)]
    pub seconds: u64,
    /// Ends after so many instances were started, if that is sooner than `--seconds`.
    #[arg(long)]
    pub instances: Option<u64>,
    /// Seconds before, not measured.
    #[arg(long, default_value_t = 5)]
    pub warm_up: u64,
    /// Bytes of variables of each instance.
    #[arg(long, default_value_t = 500)]
    pub payload: usize,
    /// Workers poll instead of holding a stream.
    #[arg(long)]
    pub polling: bool,
    /// Connections, for commands and streams alike.
    #[arg(long, default_value_t = 1)]
    pub connections: usize,
    /// Threads of this program.
    #[arg(long, default_value_t = 1)]
    pub threads: usize,
    /// Reports that process's CPU time and memory.
    #[arg(long)]
    pub server_pid: Option<u32>,
    /// First waits up to so many seconds until the gateway's topology names a leader for every partition.
    #[arg(long)]
    pub wait_ready: Option<u64>,
    /// A page of metrics in Prometheus' text format, for `--counter`.
    #[arg(long, requires = "counter")]
    pub metrics: Option<String>,
    /// A counter of that page whose growth is reported per instance; may be repeated.
    #[arg(long, requires = "metrics")]
    pub counter: Vec<String>,
    /// Reports what was written to the disk of `--disk`, by whomever: on a quiet machine that is the server.
    #[arg(long)]
    pub disk_writes: bool,
    /// Where to measure the disk's sync time: a folder on the server's disk.
    #[arg(long, default_value = ".")]
    pub disk: PathBuf,
    /// One JSON object instead of a table.
    #[arg(long)]
    pub json: bool,
}

/// What each instance does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Scenario {
    /// Start, one job, end.
    OneTask,
    /// Start, ten jobs one after another, end.
    TenTasks,
    /// Start, wait for a message, end; the message is published when the start is answered. Done when that is answered.
    MessageWait,
    /// Start, wait for a message, end; the message is published at the same time, and the caller waits for the result. Done
    /// when the instance has ended, so a server that answers before it correlates gains nothing.
    MessageResult,
    /// Start and end; the caller waits for the result.
    EmptyWithResult,
    /// Start, ten mappings that compute for a while, end; the caller waits for the result. No worker takes part, so
    /// what it costs is the server's alone: for overload by clients that have less of the processor than the server.
    ComputeWithResult,
    /// Start and wait for a message that never comes: fills a server with waiting instances. Done when the start is answered.
    LeaveWaiting,
    /// No instance at all: asks for the topology. What a round trip costs without any work.
    Topology,
}

impl Scenario {
    pub const fn process_id(self) -> &'static str {
        match self {
            Self::OneTask => "load-one-task",
            Self::TenTasks => "load-ten-tasks",
            Self::MessageWait => "load-message-wait",
            Self::MessageResult => "load-message-result",
            Self::EmptyWithResult => "load-empty",
            Self::ComputeWithResult => "load-compute",
            Self::LeaveWaiting => "load-leave-waiting",
            Self::Topology => "load-topology",
        }
    }

    pub const fn has_jobs(self) -> bool {
        matches!(self, Self::OneTask | Self::TenTasks)
    }
}
