//! What a partition counts.
//!
//! **Invariant**: written by the writer with relaxed atomics and read by anyone at any time; no lock, no string, no
//! histogram library. Names and units for the outside are given by `kapelle`.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! metrics {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {
        /// Counters and gauges of a partition.
        #[derive(Debug, Default)]
        pub struct Metrics {
            $($(#[$doc])* pub $name: Value,)+
        }

        impl Metrics {
            /// Every value with its name, in the order of declaration.
            #[must_use]
            pub fn snapshot(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name.get())),+]
            }
        }
    };
}

metrics! {
    /// Commands decided, whoever asked.
    commands,
    /// Of these, refused by the engine.
    rejections,
    /// Events decided.
    events,
    /// Records appended to the journal.
    records,
    /// Batches appended to the journal.
    batches,
    /// Bytes appended to the journal.
    journal_bytes,
    /// Records that name an earlier one instead of repeating what it holds.
    shortened,
    /// Syncs of the journal.
    syncs,
    /// Time the disk took for them.
    sync_ns,
    /// Time the writer had nothing to do but wait for the disk while commands were waiting or in flight.
    disk_wait_ns,
    /// Time the writer spent deciding.
    decide_ns,
    /// Commands refused because the queue was full.
    overloaded,
    /// Commands refused because the disk was filling up.
    disk_full,
    /// Commands waiting in the queue now.
    queue_length,
    /// How many commands the queue takes now; adapts to how long they wait.
    queue_limit,
    /// Whether due work is left over for the next batch (0 or 1).
    due_backlog,
    /// Internal commands waiting to be decided.
    leftovers,
    /// Instances in memory.
    hot_instances,
    /// Their approximate bytes.
    hot_bytes,
    /// Of these instances, not yet written back.
    dirty_instances,
    /// Instances that left memory.
    evictions,
    /// Instances that came back from disk.
    loads,
    /// Index entries in memory that the store does not have yet.
    overlay_entries,
    /// Checkpoints completed.
    checkpoints,
    /// Records since the last checkpoint's `replay_from`: what a restart would replay.
    tail_records,
    /// How long the last recovery took.
    recovery_ns,
    /// Records it replayed.
    recovery_records,
    /// Panics while deciding.
    panics,
    /// A clock more than an hour ahead was not believed (0 or 1).
    clock_doubted,
}

/// One counter or gauge.
#[derive(Debug, Default)]
pub struct Value(AtomicU64);

impl Value {
    /// Now.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn add(&self, amount: u64) {
        self.0.fetch_add(amount, Ordering::Relaxed);
    }

    pub(crate) fn set(&self, amount: u64) {
        self.0.store(amount, Ordering::Relaxed);
    }
}
