//! The data directory: one owner at a time, a format number, and room on the disk.
//!
//! Invariant: while a [`DataDir`] lives, no other process works in the directory, and what lies in it was written by
//! this or an older format. Deliberately absent: what is inside `journal/` and `store/`.

use crate::files::{self, Files, Lock};
use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

/// The newest layout of a data directory that this program reads and writes.
pub const FORMAT: u32 = 1;

const LOCK_FILE: &str = "LOCK";
const FORMAT_FILE: &str = "FORMAT";
const FORMAT_PREFIX: &str = "kapelle data directory, format ";
const RESERVE_FILE: &str = "reserve";
/// Our own text files are a line or two.
const TEXT_BYTES_MAX: u64 = 4096;
/// Zeros are written in pieces of this size: few calls, little memory.
pub(crate) const CHUNK: usize = 1 << 20;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{attempt} {}: {source}", path.display())]
    Io {
        attempt: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error(
        "data directory {} is in use by process {pid}; stop it, or choose another directory", dir.display()
    )]
    InUse { dir: PathBuf, pid: String },
    #[error(
        "data directory {} was written by a newer version (format {found}, this program knows up to {supported}); \
         start the newer version", dir.display()
    )]
    NewerFormat {
        dir: PathBuf,
        found: u32,
        supported: u32,
    },
    #[error(
        "{} {why}; if the rest of the directory is in order, restore this file from a copy", file.display()
    )]
    Damaged { file: PathBuf, why: String },
}

impl Error {
    /// Stable for ever; the manual has a page for each.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Io { .. } => "KAP-STO-01",
            Self::InUse { .. } => "KAP-STO-02",
            Self::NewerFormat { .. } => "KAP-STO-03",
            Self::Damaged { .. } => "KAP-STO-04",
        }
    }
}

fn attempt<T>(result: io::Result<T>, attempt: &'static str, path: &Path) -> Result<T, Error> {
    result.map_err(|source| Error::Io {
        attempt,
        path: path.to_owned(),
        source,
    })
}

/// An open data directory; the lock ends with it.
#[derive(Debug)]
pub struct DataDir {
    files: Arc<dyn Files>,
    path: PathBuf,
    room: Arc<Room>,
    _lock: Lock,
}

impl DataDir {
    /// Opens or creates the directory at `path`.
    pub fn open(files: Arc<dyn Files>, path: &Path, limits: RoomLimits) -> Result<Self, Error> {
        attempt(files.create_dir(path), "create directory", path)?;
        let lock = take_lock(&*files, path)?;
        check_format(&*files, path)?;
        let room = Arc::new(Room {
            files: Arc::clone(&files),
            dir: path.to_owned(),
            limits,
        });
        Ok(Self {
            files,
            path: path.to_owned(),
            room,
            _lock: lock,
        })
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    #[must_use]
    pub fn files(&self) -> &Arc<dyn Files> {
        &self.files
    }

    /// Where the journal of a partition lives.
    #[must_use]
    pub fn journal(&self, partition: u32) -> PathBuf {
        self.path
            .join(format!("partition-{partition}"))
            .join("journal")
    }

    /// Where the checkpoints of a partition live.
    #[must_use]
    pub fn store(&self, partition: u32) -> PathBuf {
        self.path
            .join(format!("partition-{partition}"))
            .join("store")
    }

    #[must_use]
    pub fn room(&self) -> &Arc<Room> {
        &self.room
    }
}

fn take_lock(files: &dyn Files, dir: &Path) -> Result<Lock, Error> {
    let path = dir.join(LOCK_FILE);
    let Some(lock) = attempt(files.lock(&path), "lock", &path)? else {
        let pid = files::read_small(files, &path, TEXT_BYTES_MAX)
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .map(|text| text.trim().to_owned())
            .filter(|text| !text.is_empty())
            .unwrap_or_else(|| "(unknown)".to_owned());
        return Err(Error::InUse {
            dir: dir.to_owned(),
            pid,
        });
    };
    let owner = format!("{}\n", std::process::id());
    let written = lock
        .file
        .set_len(0)
        .and_then(|()| lock.file.write_at(0, owner.as_bytes()));
    // Only the message to a second process needs the pid: on a full disk the lock alone must do.
    match written {
        Err(error) if !files::is_full(&error) => attempt(Err(error), "write", &path)?,
        _ => {}
    }
    Ok(lock)
}

fn check_format(files: &dyn Files, dir: &Path) -> Result<(), Error> {
    let path = dir.join(FORMAT_FILE);
    let damaged = |why: String| Error::Damaged {
        file: path.clone(),
        why,
    };
    match files::read_small(files, &path, TEXT_BYTES_MAX) {
        Ok(bytes) => {
            let found = std::str::from_utf8(&bytes)
                .ok()
                .and_then(|text| text.strip_prefix(FORMAT_PREFIX)?.trim_end().parse().ok())
                .ok_or_else(|| damaged(format!("does not say \"{FORMAT_PREFIX}N\"")))?;
            if found > FORMAT {
                return Err(Error::NewerFormat {
                    dir: dir.to_owned(),
                    found,
                    supported: FORMAT,
                });
            }
            Ok(())
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            // The format file is written before anything else, so its absence beside data is damage, not youth.
            let journal = dir.join("partition-1").join("journal");
            if files.list(&journal).is_ok_and(|names| !names.is_empty()) {
                return Err(damaged("is missing although there is a journal".to_owned()));
            }
            let text = format!("{FORMAT_PREFIX}{FORMAT}\n");
            attempt(
                files::replace(files, dir, FORMAT_FILE, text.as_bytes()),
                "write",
                &path,
            )
        }
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Err(damaged(error.to_string())),
        Err(error) => attempt(Err(error), "read", &path),
    }
}

/// When the disk counts as nearly full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RoomLimits {
    /// Below this many free bytes external commands are to be refused, so that completions, timers and checkpoints can
    /// go on: they free memory and, after the next checkpoint, journal.
    pub low_bytes: u64,
    /// Size of the reserve file, given up when a journal segment cannot be created. One large segment.
    pub reserve_bytes: u64,
}

impl Default for RoomLimits {
    fn default() -> Self {
        Self {
            low_bytes: 512 << 20,
            reserve_bytes: 64 << 20,
        }
    }
}

/// How much the disk can still take.
#[derive(Debug)]
pub struct Room {
    files: Arc<dyn Files>,
    dir: PathBuf,
    limits: RoomLimits,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoomState {
    Ample,
    /// Refuse what makes state grow.
    Low,
}

impl Room {
    /// Free bytes for this process.
    pub fn free_bytes(&self) -> Result<u64, Error> {
        attempt(
            self.files.free_space(&self.dir),
            "ask for free space of",
            &self.dir,
        )
    }

    pub fn state(&self) -> Result<RoomState, Error> {
        Ok(if self.free_bytes()? < self.limits.low_bytes {
            RoomState::Low
        } else {
            RoomState::Ample
        })
    }

    /// Gives up the reserve. Says whether there was one.
    pub fn release_reserve(&self) -> Result<bool, Error> {
        let path = self.dir.join(RESERVE_FILE);
        match self.files.remove(&path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => attempt(Err(error), "remove", &path),
        }
    }

    /// Makes the reserve if it is not there and there is ample room beside it. Slow: not for the writer's thread.
    /// Says whether there is a reserve now.
    pub fn keep_reserve(&self) -> Result<bool, Error> {
        let path = self.dir.join(RESERVE_FILE);
        let wanted = self.limits.reserve_bytes;
        if let Ok(file) = self.files.open(&path) {
            if attempt(file.len(), "read the length of", &path)? >= wanted {
                return Ok(true);
            }
            // Half made when the process died.
            self.release_reserve()?;
        }
        if self.free_bytes()? < self.limits.low_bytes.saturating_add(wanted) {
            return Ok(false);
        }
        let file = attempt(self.files.create(&path), "create", &path)?;
        attempt(fill_with_zeros(&*file, wanted), "write", &path)?;
        Ok(true)
    }
}

/// Writes zeros for real: `fallocate` leaves unwritten extents, whose first sync journals metadata at half the speed.
pub(crate) fn fill_with_zeros(file: &dyn files::File, bytes: u64) -> io::Result<()> {
    let zeros = vec![0; CHUNK];
    let mut offset = 0;
    while offset < bytes {
        let count = (bytes - offset).min(CHUNK as u64);
        let piece = zeros
            .get(..count as usize)
            .expect("invariant: count is at most the chunk");
        file.write_at(offset, piece)?;
        offset += count;
    }
    Ok(())
}
