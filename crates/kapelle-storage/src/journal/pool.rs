//! Segment files that are ready to be used: really written with zeros once, then recycled.
//!
//! Invariants: a file is free only after its free header is synced, and files become free in the order of their
//! generations, so the live ones on disk are contiguous whenever power is lost. All of this happens off the writer's
//! path, except when no file is ready.

use super::{
    Error, Options,
    error::Attempt,
    segment::{Segment, SegmentFile, locked},
};
use crate::{
    dir::{Room, fill_with_zeros},
    files::{self, Files},
    format::{BLOCK, SegmentHeader, SegmentState, padded},
    position::{Chain, Leader, Sequence},
};
use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

/// Free files kept beyond the one that is needed next: what a checkpoint trims at once under load. More are removed.
const FREE_MAX: usize = 4;
const SUFFIX: &str = ".segment";

#[derive(Debug)]
pub(super) struct Pool {
    files: Arc<dyn Files>,
    dir: PathBuf,
    options: Options,
    /// Gives up the reserve when a file cannot be created; none in tests.
    room: Option<Arc<Room>>,
    free: Mutex<Vec<SegmentFile>>,
    next_number: AtomicU64,
    pub(super) created: AtomicU64,
    pub(super) recycled: AtomicU64,
}

impl Pool {
    pub(super) fn new(
        files: Arc<dyn Files>,
        dir: &Path,
        options: Options,
        room: Option<Arc<Room>>,
        next_number: u64,
    ) -> Self {
        Self {
            files,
            dir: dir.to_owned(),
            options,
            room,
            free: Mutex::default(),
            next_number: AtomicU64::new(next_number),
            created: AtomicU64::new(0),
            recycled: AtomicU64::new(0),
        }
    }

    /// The number in a segment's name; `None` for files that are none of ours.
    pub(super) fn number_of(name: &str) -> Option<u64> {
        name.strip_suffix(SUFFIX)?.parse().ok()
    }

    pub(super) fn is_empty(&self) -> bool {
        locked(&self.free).is_empty()
    }

    /// A file whose free header was found, or synced just now.
    pub(super) fn add(&self, file: SegmentFile) {
        locked(&self.free).push(file);
    }

    /// A file of at least `bytes`; created if none is ready.
    pub(super) fn take(&self, bytes: u64) -> Result<SegmentFile, Error> {
        let ready = {
            let mut free = locked(&self.free);
            let index = free.iter().position(|file| file.capacity >= bytes);
            index.map(|index| free.swap_remove(index))
        };
        match ready {
            Some(file) => {
                self.recycled.fetch_add(1, Ordering::Relaxed);
                Ok(file)
            }
            // The writer waits for this one: as small as will do.
            None => self.create(bytes.max(self.options.first_segment_bytes)),
        }
    }

    /// Creates the file that will be needed next, unless one is ready.
    pub(super) fn prepare(&self, capacity_now: u64) -> Result<(), Error> {
        if !self.is_empty() {
            return Ok(());
        }
        let bytes = capacity_now
            .saturating_mul(2)
            .min(self.options.segment_bytes);
        // Not from the reserve: that is for the segment without which nothing goes on.
        let file = self.try_create(bytes)?;
        self.add(file);
        Ok(())
    }

    /// Makes a trimmed segment free. A small one is removed: larger ones have taken its place.
    pub(super) fn retire(&self, segment: &Segment) -> Result<(), Error> {
        let header = self.free_header(segment.generation);
        segment.at.write_header(&header)?;
        segment.at.sync()?;
        let keep = segment.at.capacity >= self.options.segment_bytes
            && locked(&self.free).len() < FREE_MAX;
        if keep {
            self.add(segment.at.clone());
            Ok(())
        } else {
            self.remove(&segment.at.path)
        }
    }

    /// Makes a file free that recovery has found to hold nothing of value.
    pub(super) fn reclaim(&self, file: SegmentFile) -> Result<(), Error> {
        file.write_header(&self.free_header(0))?;
        file.sync()?;
        if file.capacity < self.options.first_segment_bytes {
            return self.remove(&file.path);
        }
        self.add(file);
        Ok(())
    }

    /// Makes the names of all files that are there durable.
    pub(super) fn sync_names(&self) -> Result<(), Error> {
        self.files
            .sync_dir(&self.dir)
            .attempt("sync directory", &self.dir)
    }

    fn remove(&self, path: &Path) -> Result<(), Error> {
        // Not synced: a free file that comes back after a loss of power is a free file.
        self.files.remove(path).attempt("remove", path)
    }

    fn free_header(&self, generation: u64) -> SegmentHeader {
        SegmentHeader {
            state: SegmentState::Free,
            partition: self.options.partition,
            generation,
            first: Sequence::START,
            chain_before: Chain::default(),
            durable: Sequence::START,
            leader_before: Leader::default(),
        }
    }

    fn create(&self, bytes: u64) -> Result<SegmentFile, Error> {
        match self.try_create(bytes) {
            Err(Error::Io { source, .. }) if files::is_full(&source) => {
                if let Some(room) = &self.room {
                    // Whether there was a reserve or not, the second attempt's error is the one to tell.
                    room.release_reserve().ok();
                }
                self.try_create(bytes)
            }
            result => result,
        }
    }

    fn try_create(&self, bytes: u64) -> Result<SegmentFile, Error> {
        let capacity = padded(bytes.max(2 * BLOCK));
        let number = self.next_number.fetch_add(1, Ordering::Relaxed);
        let path = self.dir.join(format!("{number:08}{SUFFIX}"));
        let file = self.files.create(&path).attempt("create", &path)?;
        let segment = SegmentFile {
            file,
            path,
            capacity,
        };
        let made = fill_with_zeros(&*segment.file, capacity)
            .attempt("fill with zeros", &segment.path)
            .and_then(|()| segment.write_header(&self.free_header(0)))
            .and_then(|()| segment.sync())
            .and_then(|()| self.sync_names());
        match made {
            Ok(()) => {
                self.created.fetch_add(1, Ordering::Relaxed);
                Ok(segment)
            }
            Err(error) => {
                // Half a file on a full disk helps nobody; the first error is the one to tell.
                self.files.remove(&segment.path).ok();
                Err(error)
            }
        }
    }
}
