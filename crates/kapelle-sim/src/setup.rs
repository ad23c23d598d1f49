//! What differs from run to run before anything happens: limits, sizes, habits.
//!
//! Invariant: everything is small, so that a run of some hundred operations meets every limit: batches, memory, tails,
//! segments, windows. Drawn from the seed's own stream.

use kapelle_engine::Settings;
use kapelle_engine::limits::Limits;
use kapelle_runtime::backbone::READER;
use kapelle_runtime::delivery::{Backoff, Policy};
use kapelle_runtime::{AwaitedReader, Options, TooFarBehind};
use kapelle_storage::dir::RoomLimits;
use kapelle_storage::journal;

use crate::random::Random;
use crate::routes::RoutesSetup;

/// Takes that something is set aside, and hardly more than an element's first step.
const BATCH_BYTES_TINY: usize = 8 * 1024 + 240;

/// How one run is set up.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) seed: u64,
    pub(crate) options: Options,
    pub(crate) journal: journal::Options,
    pub(crate) room: RoomLimits,
    pub(crate) delivery: Policy,
    pub(crate) routes: RoutesSetup,
    /// Of the queue in front of the writer.
    pub(crate) queue: QueueLimits,
    /// The reader lets the journal go; otherwise it keeps it whole.
    pub(crate) releases: bool,
    /// Records that the reader reads again after a start, and holds until then.
    pub(crate) look_back: usize,
    /// How many digits the length of a variable has at most: what one command comes to has to fit into a batch.
    pub(crate) variable_digits: u64,
    /// Now and then batches are so small that what follows from a command may not fit into one: then its instance is set aside.
    pub(crate) sets_aside: bool,
    /// For tests of the simulator: what goes wrong although it must not.
    pub(crate) sabotage: Option<Sabotage>,
}

/// How many requests may wait for the writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct QueueLimits {
    /// The limit adapts, but not below this.
    pub(crate) least: usize,
    pub(crate) most: usize,
}

impl QueueLimits {
    /// Nobody is refused.
    pub(crate) const NONE: Self = Self {
        least: 1 << 20,
        most: 1 << 20,
    };

    fn random(seed: u64) -> Self {
        let mut random = Random::stream(seed, "queue");
        if random.one_in(3) {
            return Self::NONE;
        }
        let least = 1 + random.index(4);
        Self {
            least,
            most: least + random.index(20),
        }
    }
}

/// Lies that an oracle has to find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sabotage {
    /// A crash brings the disk back as it was some time ago.
    DiskForgets,
    /// Receivers confirm what they did not take.
    ReceiversLie,
}

impl Setup {
    pub(crate) fn new(seed: u64, sabotage: Option<Sabotage>) -> Self {
        let mut random = Random::stream(seed, "setup");
        let sets_aside = Random::stream(seed, "set aside").one_in(4);
        let is_roomy = random.one_in(4);
        let segment_bytes = if is_roomy {
            1 << 21
        } else {
            1 << (17 + random.below(2))
        };
        let mut options = options(&mut random);
        if sets_aside {
            // A follow-up of its own is what can fail without anybody being told.
            options.limits.steps_per_command_max = 1 + random.index(2);
            // No command is in the way of the next.
            options.batch_bytes_max = 64;
            // What nobody can mend has to fit, and what waits has to come back while the run lasts.
            options.limits.sweep_max = 1 + random.index(3);
            options.limits.quarantine_pause_ms = 2_000;
            options.limits.failed_work_pause_ms = 5_000;
        }
        Self {
            seed,
            options,
            journal: journal::Options {
                segment_bytes,
                first_segment_bytes: 1 << 15,
                batch_bytes_max: 2 << 20,
                ..journal::Options::default()
            },
            room: RoomLimits {
                low_bytes: 1 << 16,
                reserve_bytes: segment_bytes,
            },
            delivery: Policy {
                window: 2 + random.index(8),
                concurrency: 1 + random.index(3),
                attempt_timeout_ms: 2_000,
                attempts_max: 4,
                backoff: Backoff {
                    first_ms: 100,
                    max_ms: 1_000,
                },
                settle_timeout_ms: 1_000,
                seed,
            },
            routes: RoutesSetup::random(&mut Random::stream(seed, "routes")),
            queue: QueueLimits::random(seed),
            releases: !random.one_in(3),
            // Often so little that the reader never holds what only the store still needs.
            look_back: [3, 3, 30, 300][random.index(4)],
            variable_digits: if is_roomy { 4 } else { 3 },
            sets_aside,
            sabotage,
        }
    }

    /// Whether the process that is started as that one has tiny batches: what fitted into one before no longer does.
    pub(crate) fn is_tight(&self, start: u128) -> bool {
        self.sets_aside && start.is_multiple_of(2)
    }

    /// The journal of the process that is started as that one.
    pub(crate) fn journal_at(&self, start: u128) -> journal::Options {
        let mut options = self.journal;
        if self.is_tight(start) {
            options.batch_bytes_max = BATCH_BYTES_TINY;
        }
        options
    }

    pub(crate) fn settings(&self) -> Settings {
        Settings {
            cluster: self.options.cluster.as_str().into(),
            limits: self.options.limits,
        }
    }

    /// How long a CloudEvent's id must not have a second effect, where that is only a matter of time.
    pub(crate) fn window_ms(&self) -> Option<i64> {
        let limits = &self.options.limits;
        (limits.dedup_ids_max > 1_000).then_some(limits.dedup_window_ms)
    }
}

fn options(random: &mut Random) -> Options {
    Options {
        batch_commands_max: 1 + random.index(16),
        batch_bytes_max: 1 << (10 + random.below(6)),
        due_max: 1 + random.index(8),
        cache_bytes_max: 8_000 + random.index(60_000),
        tail_records_max: 100 + random.below(500),
        overlay_entries_max: 20 + random.index(200),
        base_bytes_min: 10_000,
        accept_clock_jump: random.one_in(3),
        readers: vec![AwaitedReader {
            name: READER.to_owned(),
            too_far_behind: TooFarBehind::SlowIntake,
        }],
        limits: limits(random),
        // What is worth naming rather than repeating is far larger than anything here, unless it is made small.
        repeat_bytes_min: if random.one_in(2) {
            16 + random.index(200)
        } else {
            Options::default().repeat_bytes_min
        },
        ..Options::default()
    }
}

fn limits(random: &mut Random) -> Limits {
    let mut limits = Limits::DEFAULT;
    if random.one_in(3) {
        limits.steps_per_command_max = 1 + random.index(5);
    }
    if random.one_in(4) {
        limits.dedup_ids_max = 5;
    }
    if random.one_in(3) {
        limits.sweep_max = 1 + random.index(3);
    }
    if random.one_in(2) {
        limits.dedup_window_ms = 24_000;
        limits.request_window_ms = 10_000;
    }
    if random.one_in(4) {
        limits.definitions_cached_max = 1;
    }
    limits
}
