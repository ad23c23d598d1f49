//! The simulated machine: two disks that lose, tear and refuse, and clocks that jump.
//!
//! Invariant: the disks outlive every process on them; the monotonic clock never goes back, the wall clock goes where it
//! likes between two processes.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use kapelle_runtime::clock::Clock;
use kapelle_storage::files::{Crash, Files as _, MemFiles};
use kapelle_storage::format::{SEGMENT_HEADER_BYTES, SegmentHeader, SegmentState};
use kapelle_storage::store::{Loss, MemBackend};

use crate::random::Random;

pub(crate) const DATA: &str = "/data";
pub(crate) const JOURNAL: &str = "/data/partition-1/journal";

/// What stays when a process dies.
#[derive(Clone)]
pub(crate) struct Disks {
    pub(crate) files: MemFiles,
    pub(crate) store: MemBackend,
}

impl Disks {
    pub(crate) fn new() -> Self {
        Self {
            files: MemFiles::new(),
            store: MemBackend::new(),
        }
    }

    /// The process is gone, perhaps with the power. Says whether power was lost.
    pub(crate) fn crash(&self, random: &mut Random) -> bool {
        let crash = match random.below(4) {
            0 => Crash::Keep,
            1 => Crash::Lose,
            _ => Crash::Tear(random.draw()),
        };
        self.files.crash(crash);
        self.files.limit_space(None);
        let loss = if crash == Crash::Keep {
            Loss {
                blobs_kept: usize::MAX,
                payloads_kept: usize::MAX,
                cuts_kept: usize::MAX,
            }
        } else {
            Loss {
                blobs_kept: random.index(5),
                payloads_kept: random.index(2),
                cuts_kept: random.index(3),
            }
        };
        self.store.crash(loss);
        crash != Crash::Keep
    }

    /// Copies of both, whole and durable.
    pub(crate) fn fork(&self) -> Self {
        Self {
            files: self.files.fork(),
            store: self.store.fork(),
        }
    }

    /// The files of the journal with the headers of their segments, where they hold a part of it; oldest first.
    pub(crate) fn segments(&self) -> Vec<(String, u64, SegmentHeader)> {
        let names = self.files.list(Path::new(JOURNAL)).unwrap_or_default();
        let mut found: Vec<_> = names
            .into_iter()
            .filter_map(|name| {
                let file = self.files.open(&Path::new(JOURNAL).join(&name)).ok()?;
                let mut bytes = [0; SEGMENT_HEADER_BYTES];
                file.read_at(0, &mut bytes).ok()?;
                let header = SegmentHeader::decode(&bytes).ok()?;
                (header.state == SegmentState::Live).then_some((name, file.len().ok()?, header))
            })
            .collect();
        found.sort_by_key(|(_, _, header)| header.generation);
        found
    }
}

/// The machine's clocks.
#[derive(Clone, Default)]
pub(crate) struct SimClock {
    wall_ms: Arc<AtomicI64>,
    monotonic_ms: Arc<AtomicI64>,
}

impl SimClock {
    pub(crate) fn at(wall_ms: i64) -> Self {
        let clock = Self::default();
        clock.wall_ms.store(wall_ms, Ordering::Relaxed);
        clock
    }

    /// Time passes.
    pub(crate) fn pass(&self, ms: i64) {
        self.wall_ms.fetch_add(ms, Ordering::Relaxed);
        self.monotonic_ms.fetch_add(ms, Ordering::Relaxed);
    }

    /// Somebody sets the wall clock.
    pub(crate) fn jump(&self, ms: i64) {
        self.wall_ms.fetch_add(ms, Ordering::Relaxed);
    }

    pub(crate) fn monotonic_ms(&self) -> i64 {
        self.monotonic_ms.load(Ordering::Relaxed)
    }
}

impl Clock for SimClock {
    fn wall_ms(&self) -> i64 {
        self.wall_ms.load(Ordering::Relaxed)
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.monotonic_ms().unsigned_abs())
    }
}
