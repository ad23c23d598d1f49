//! A partition on disk: data directory, journal, store, recovery, threads, in the order that loses nothing.
//!
//! 1. Lock the directory and check its format.
//! 2. Open the journal to read.
//! 3. Open the store and check that the two belong together.
//! 4. Announce the new leader: what may be in the page cache alone is rewritten and synced.
//! 5. Replay the tail.
//! 6. Start the threads; the first thing decided is `AnnounceLeader`.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::Path;
use std::sync::Arc;
use std::thread::Builder;

use kapelle_storage::dir::{self, DataDir, Room, RoomLimits};
use kapelle_storage::files::OsFiles;
use kapelle_storage::journal::{self, ThreadedJournal};
use kapelle_storage::store::{self, FjallBackend, QueuedStore, Store};

use crate::clock::{ClockJump, SystemClock};
use crate::effects::EffectSink;
use crate::handle::PartitionHandle;
use crate::metrics::Metrics;
use crate::options::Options;
use crate::partition::{Partition, StartError};
use crate::shell::{self, Inbox};
use crate::streams::StreamRegistry;

/// The only partition until there is more than one (design §7).
const PARTITION: u32 = 1;

/// Why a partition did not open. `code` names its page in the manual.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(transparent)]
    Directory(#[from] dir::Error),
    #[error(transparent)]
    Journal(#[from] journal::Error),
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("the system gives no thread: {0}")]
    Thread(std::io::Error),
}

impl OpenError {
    /// Stable for ever.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Directory(error) => error.code(),
            Self::Journal(error) => error.code(),
            Self::Store(error) => error.code(),
            Self::Start(error) => error.code(),
            Self::Thread(_) => "KAP-RUN-01",
        }
    }
}

/// What opening found, for the log.
#[derive(Clone, Debug)]
pub struct OpenReport {
    pub journal: journal::Report,
    pub store: store::OpenReport,
    /// The clock is more than an hour ahead of the last record and was not believed: timers wait until an operator says
    /// that it is right ([`Options::accept_clock_jump`]). To be said loudly.
    pub clock_jump: Option<ClockJump>,
}

/// An open partition. The directory is its own until this and all clones of the handle are gone.
pub struct Open {
    pub handle: PartitionHandle,
    pub report: OpenReport,
    /// Held for its lock.
    pub directory: DataDir,
}

/// A partition over files.
pub type FilePartition = Partition<ThreadedJournal, QueuedStore<FjallBackend>, SystemClock>;

/// A recovered partition that nobody drives yet.
pub struct Recovered {
    pub partition: FilePartition,
    /// What the partition's journal and store wake.
    pub inbox: Arc<Inbox>,
    pub report: OpenReport,
    /// Held for its lock.
    pub directory: DataDir,
}

/// Opens or makes the partition in `path` and starts its threads.
///
/// # Errors
/// [`OpenError`]. Nothing that was there was changed, except that a new leader may have been announced.
pub fn open(
    path: &Path,
    options: Options,
    effects: impl EffectSink + 'static,
) -> Result<Open, OpenError> {
    let Recovered {
        partition,
        inbox,
        report,
        directory,
    } = recover(path, options)?;
    let room = Arc::clone(directory.room());
    keep_reserve(Arc::clone(&room))?;
    let handle = shell::spawn(partition, inbox, effects, Some(room)).map_err(OpenError::Thread)?;
    Ok(Open {
        handle,
        report,
        directory,
    })
}

/// Opens or makes the partition in `path`; the caller steps it. For benchmarks and tools.
///
/// # Errors
/// Like [`open`].
pub fn recover(path: &Path, options: Options) -> Result<Recovered, OpenError> {
    let files = OsFiles::shared();
    let limits = RoomLimits {
        low_bytes: options.disk_soft_limit_bytes,
        ..RoomLimits::default()
    };
    let directory = DataDir::open(Arc::clone(&files), path, limits)?;
    let journal_options = journal::Options {
        partition: PARTITION,
        segment_bytes: options.segment_bytes,
        ..journal::Options::default()
    };
    let (journal_dir, store_dir) = (directory.journal(PARTITION), directory.store(PARTITION));
    let room = Some(Arc::clone(directory.room()));
    let opened = journal::open(Arc::clone(&files), &journal_dir, journal_options, room)?;
    let journal_report = opened.report().clone();

    let inbox = Arc::new(Inbox::new(options.queue_max));
    let store_options = store::Options {
        cache_bytes: options.store_cache_bytes,
        ..store::Options::default()
    };
    let (backend, store_report) = FjallBackend::open(files, &store_dir, store_options)?;
    let store = QueuedStore::start(backend, store::Limits::default(), wake(&inbox))
        .map_err(OpenError::Thread)?;
    let manifest = store.manifest().unwrap_or_default();
    opened.check(manifest.newest())?;
    opened.check_reaches(manifest.replay_from)?;

    let announced = opened.announce(random(), &[])?;
    let journal = ThreadedJournal::start(announced, wake(&inbox)).map_err(OpenError::Thread)?;
    let (streams, metrics) = (
        Arc::new(StreamRegistry::new()),
        Arc::new(Metrics::default()),
    );
    let partition = Partition::start(
        journal,
        store,
        SystemClock::new(),
        options,
        streams,
        metrics,
    )?;
    let report = OpenReport {
        journal: journal_report,
        store: store_report,
        clock_jump: partition.clock_jump(),
    };
    Ok(Recovered {
        partition,
        inbox,
        report,
        directory,
    })
}

fn wake(inbox: &Arc<Inbox>) -> Box<dyn Fn() + Send> {
    let inbox = Arc::clone(inbox);
    Box::new(move || inbox.synced())
}

/// Writing the reserve takes as long as the disk needs for 64 MiB: nobody waits for it.
fn keep_reserve(room: Arc<Room>) -> Result<(), OpenError> {
    let make = move || {
        // Without a reserve a full disk hurts earlier, that is all; the next start tries again.
        room.keep_reserve().ok();
    };
    Builder::new()
        .name("reserve".to_owned())
        .spawn(make)
        .map(drop)
        .map_err(OpenError::Thread)
}

/// 128 bits that no other start has drawn. The standard library seeds its hash maps from the system's source of
/// randomness; that is all that is needed here, and no reason for a dependency.
fn random() -> u128 {
    let half = || u128::from(RandomState::new().build_hasher().finish());
    (half() << 64) | half()
}
