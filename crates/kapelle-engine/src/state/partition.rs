//! What a partition has once: counters, its leader, the edges of the dedup window.
//!
//! **Invariant**: it goes with the indexes and shares their cut on disk. Nothing here depends on an instance.

use crate::ids::{FIRST_KEY, Timestamp};

/// The partition object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// The key that is handed out next.
    pub(crate) next_key: u64,
    /// Time of the last event that changed indexes.
    pub(crate) time: Timestamp,
    pub(crate) epoch: u64,
    pub(crate) incarnation: u64,
    pub(crate) dedup: DedupWindow,
}

/// The buckets of the dedup window, oldest first. A bucket ends by time or by count, so that both bounds hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DedupWindow {
    /// Entries of buckets below this number count as absent.
    pub(crate) lower: u64,
    /// Buckets below this number have left nothing in the index.
    pub(crate) swept: u64,
    pub(crate) buckets: Vec<DedupBucket>,
}

/// A bucket of the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DedupBucket {
    pub(crate) number: u64,
    pub(crate) started: Timestamp,
    pub(crate) count: u64,
}

impl Default for Partition {
    fn default() -> Self {
        Self {
            next_key: FIRST_KEY,
            time: Timestamp::default(),
            epoch: 0,
            incarnation: 0,
            dedup: DedupWindow::default(),
        }
    }
}

impl Partition {
    /// The leader epoch of the last `LeaderAnnounced`.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The incarnation that leads.
    #[must_use]
    pub fn incarnation(&self) -> u64 {
        self.incarnation
    }

    /// Time of the last event that changed the partition or an index.
    #[must_use]
    pub fn time(&self) -> Timestamp {
        self.time
    }

    /// `(oldest arrival that still counts, identities kept)`: the effective dedup window, for metrics.
    #[must_use]
    pub fn dedup_window(&self) -> (Option<Timestamp>, u64) {
        (
            self.dedup.buckets.first().map(|bucket| bucket.started),
            self.dedup.buckets.iter().map(|bucket| bucket.count).sum(),
        )
    }
}
