//! Everything about a partition that can be chosen, with the reason for each default.

use kapelle_engine::limits::Limits;

/// A reader that is known to come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwaitedReader {
    pub name: String,
    pub too_far_behind: TooFarBehind,
}

/// What happens when a reader is further behind than it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TooFarBehind {
    /// The journal goes on without it: what it makes is incomplete from then on.
    CutLoose,
    /// Commands from outside wait, and are refused as overload, until it has caught up: nothing may be missing in what it
    /// makes.
    SlowIntake,
}

/// Options of a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Most commands in one journal batch. Batches only grow while the one before is being synced: this is what a slow
    /// disk (3 ms) lets pile up, and more would not fit into a megabyte.
    pub batch_commands_max: usize,
    /// Most bytes in one journal batch before it is closed; one command may go over it.
    pub batch_bytes_max: usize,
    /// Data from this size on stands in the journal once for each command, however many of its records hold it. Below, looking
    /// for repeats would cost more than writing them.
    pub repeat_bytes_min: usize,
    /// Most due commands (timers, time-outs, …) put between others in one batch.
    pub due_max: usize,
    /// Most commands waiting for the writer. At 10,000 commands a second 4,096 are 0.4 s of work: who waits longer gets a
    /// time-out anyway.
    pub queue_max: usize,
    /// Budget for instances in memory.
    pub cache_bytes_max: usize,
    /// Memory for what the store has read lately.
    pub store_cache_bytes: u64,
    /// A restart replays at most about this many records: a second's work.
    pub tail_records_max: u64,
    /// … and at most about this many bytes of journal.
    pub tail_bytes_max: u64,
    /// A cut is made at the latest when this many index entries are in memory: 250,000 are about 40 MiB.
    pub overlay_entries_max: usize,
    /// Journal between two base copies of the store. The journal is kept back to the older of two, so it takes up to
    /// three times as much disk; a copy costs a flush of the store.
    pub base_bytes_min: u64,
    /// Below this much free disk space, commands from outside are refused.
    pub disk_soft_limit_bytes: u64,
    /// How far a reader may be behind before the trim, or the intake, no longer goes on as if it were not.
    pub reader_lag_records_max: u64,
    /// Readers that subscribe after the start; until all of them have, nothing is trimmed.
    pub readers: Vec<AwaitedReader>,
    /// The operator says that a wall clock more than an hour ahead of the last record is right.
    pub accept_clock_jump: bool,
    /// Size of a journal segment; a change takes effect with the next new file.
    pub segment_bytes: u64,
    /// Goes into the `source` of published CloudEvents.
    pub cluster: String,
    /// What the engine allows.
    pub limits: Limits,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            batch_commands_max: 1_024,
            batch_bytes_max: 1024 * 1024,
            repeat_bytes_min: 16 * 1024,
            due_max: 64,
            queue_max: 4_096,
            cache_bytes_max: 256 * 1024 * 1024,
            store_cache_bytes: 64 * 1024 * 1024,
            tail_records_max: 4_000_000,
            tail_bytes_max: 256 * 1024 * 1024,
            overlay_entries_max: 250_000,
            base_bytes_min: 256 * 1024 * 1024,
            disk_soft_limit_bytes: 512 * 1024 * 1024,
            reader_lag_records_max: 20_000_000,
            readers: Vec::new(),
            accept_clock_jump: false,
            segment_bytes: 64 * 1024 * 1024,
            cluster: "default".to_owned(),
            limits: Limits::DEFAULT,
        }
    }
}
