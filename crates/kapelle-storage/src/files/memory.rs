//! A disk in memory that can lose power, tear, refuse and rot: for tests and the simulator.
//!
//! Invariant: what was synced (content by [`File::sync`], names by [`Files::sync_dir`]) survives [`MemFiles::crash`];
//! of everything else each sector and each name survives or not, as the caller's [`Crash`] says. After a failed sync
//! the unsynced sectors stay readable but no later sync makes them durable, as on Linux.

use super::{File, Files, Lock};
use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard},
};

/// Disks promise no more than to write one of these whole.
const SECTOR: usize = 512;

/// What a loss of power does to what was not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crash {
    /// All of it is gone.
    Lose,
    /// Only the process died (`kill -9`): all of it can still be read, and a later loss of power still takes it.
    Keep,
    /// Each sector and name by the bits of a generator with this seed.
    Tear(u64),
}

impl Crash {
    fn keeps(&mut self) -> bool {
        match self {
            Self::Lose => false,
            Self::Keep => true,
            Self::Tear(state) => {
                // splitmix64: the state is the seed of the next draw.
                *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
                let mut z = *state;
                z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
                (z ^ (z >> 31)) & 1 == 1
            }
        }
    }
}

/// The disk. Clones are the same disk.
#[derive(Debug, Clone, Default)]
pub struct MemFiles(Arc<Mutex<Disk>>);

#[derive(Debug, Default)]
struct Disk {
    names: BTreeMap<PathBuf, Arc<Mutex<Inode>>>,
    durable_names: BTreeMap<PathBuf, Arc<Mutex<Inode>>>,
    locks: BTreeSet<PathBuf>,
    space: Option<u64>,
    /// Syncs and writes until one fails; `None`: never.
    sync_fails_in: Option<u64>,
    write_fails_in: Option<u64>,
    syncs: u64,
    writes: u64,
}

#[derive(Debug, Default)]
struct Inode {
    bytes: Vec<u8>,
    durable_len: usize,
    /// The durable content of each sector written since the last sync.
    dirty: BTreeMap<usize, Vec<u8>>,
    /// Like `dirty`, for sectors whose sync failed.
    lost: BTreeMap<usize, Vec<u8>>,
}

impl MemFiles {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    #[must_use]
    pub fn shared(&self) -> Arc<dyn Files> {
        Arc::new(self.clone())
    }

    /// Ends all processes on it. After a loss of power files that were open are no longer of this disk.
    pub fn crash(&self, mut crash: Crash) {
        let mut disk = self.disk();
        disk.locks.clear();
        disk.sync_fails_in = None;
        disk.write_fails_in = None;
        if crash == Crash::Keep {
            return;
        }
        let mut names = BTreeMap::new();
        let all: BTreeSet<PathBuf> = disk
            .names
            .keys()
            .chain(disk.durable_names.keys())
            .cloned()
            .collect();
        for path in all {
            let (now, durable) = (disk.names.get(&path), disk.durable_names.get(&path));
            let same = match (now, durable) {
                (Some(a), Some(b)) => Arc::ptr_eq(a, b),
                _ => false,
            };
            let inode = if same || crash.keeps() { now } else { durable };
            if let Some(inode) = inode {
                names.insert(path, locked(inode).crashed(&mut crash));
            }
        }
        disk.durable_names = names.clone();
        disk.names = names;
    }

    /// Another disk with the same content, all of it durable and nothing locked.
    #[must_use]
    pub fn fork(&self) -> Self {
        let disk = self.disk();
        let names: BTreeMap<_, _> = disk
            .names
            .iter()
            .map(|(path, inode)| (path.clone(), Inode::durable(locked(inode).bytes.clone())))
            .collect();
        Self(Arc::new(Mutex::new(Disk {
            durable_names: names.clone(),
            names,
            ..Disk::default()
        })))
    }

    /// Changes the durable content of a file behind everybody's back.
    ///
    /// # Panics
    /// If there is no such file.
    pub fn tamper(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        let disk = self.disk();
        let inode = disk
            .names
            .get(path)
            .expect("the file to tamper with exists");
        let mut inode = locked(inode);
        change(&mut inode.bytes);
        inode.durable_len = inode.bytes.len();
    }

    /// Lets the `n`th sync from now fail (1 = the next one).
    pub fn fail_sync(&self, n: u64) {
        self.disk().sync_fails_in = Some(n);
    }

    /// Lets the `n`th write from now fail half way.
    pub fn fail_write(&self, n: u64) {
        self.disk().write_fails_in = Some(n);
    }

    /// Limits what can still be written; `None`: without limit.
    pub fn limit_space(&self, bytes: Option<u64>) {
        self.disk().space = bytes;
    }

    /// How many syncs and writes this disk has seen: a simulator that exercised nothing must fail.
    #[must_use]
    pub fn operations(&self) -> (u64, u64) {
        let disk = self.disk();
        (disk.syncs, disk.writes)
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        locked(&self.0)
    }

    fn handle(&self, inode: &Arc<Mutex<Inode>>) -> Arc<dyn File> {
        Arc::new(MemFile {
            disk: self.clone(),
            inode: Arc::clone(inode),
        })
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex
        .lock()
        .expect("invariant: nobody panics while holding the simulated disk")
}

fn not_found(path: &Path) -> io::Error {
    io::Error::new(
        io::ErrorKind::NotFound,
        format!("no file {}", path.display()),
    )
}

/// Counts down and says whether this call is the one to fail.
fn due(countdown: &mut Option<u64>) -> bool {
    match countdown {
        Some(1) => {
            *countdown = None;
            true
        }
        Some(n) => {
            *n -= 1;
            false
        }
        None => false,
    }
}

impl Files for MemFiles {
    fn create_dir(&self, _dir: &Path) -> io::Result<()> {
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let disk = self.disk();
        Ok(disk
            .names
            .keys()
            .filter(|path| path.parent() == Some(dir))
            .filter_map(|path| path.file_name()?.to_str().map(str::to_owned))
            .collect())
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        let mut disk = self.disk();
        if disk.names.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let inode = Arc::new(Mutex::new(Inode::default()));
        disk.names.insert(path.to_owned(), Arc::clone(&inode));
        drop(disk);
        Ok(self.handle(&inode))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        let inode = self
            .disk()
            .names
            .get(path)
            .cloned()
            .ok_or_else(|| not_found(path))?;
        Ok(self.handle(&inode))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut disk = self.disk();
        let inode = disk.names.remove(from).ok_or_else(|| not_found(from))?;
        disk.names.insert(to.to_owned(), inode);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut disk = self.disk();
        let inode = disk.names.remove(path).ok_or_else(|| not_found(path))?;
        let freed = locked(&inode).bytes.len() as u64;
        if let Some(space) = &mut disk.space {
            *space += freed;
        }
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut disk = self.disk();
        if due(&mut disk.sync_fails_in) {
            return Err(io::Error::other("simulated failure of a directory sync"));
        }
        let mut durable = std::mem::take(&mut disk.durable_names);
        durable.retain(|path, _| path.parent() != Some(dir));
        durable.extend(
            disk.names
                .iter()
                .filter(|(path, _)| path.parent() == Some(dir))
                .map(|(path, inode)| (path.clone(), Arc::clone(inode))),
        );
        disk.durable_names = durable;
        Ok(())
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Lock>> {
        let mut disk = self.disk();
        let inode = Arc::clone(disk.names.entry(path.to_owned()).or_default());
        if !disk.locks.insert(path.to_owned()) {
            return Ok(None);
        }
        drop(disk);
        let guard = MemLock {
            disk: self.clone(),
            path: path.to_owned(),
        };
        Ok(Some(Lock::new(self.handle(&inode), guard)))
    }

    fn free_space(&self, _dir: &Path) -> io::Result<u64> {
        Ok(self.disk().space.unwrap_or(u64::MAX))
    }
}

#[derive(Debug)]
struct MemLock {
    disk: MemFiles,
    path: PathBuf,
}

impl Drop for MemLock {
    fn drop(&mut self) {
        self.disk.disk().locks.remove(&self.path);
    }
}

#[derive(Debug)]
struct MemFile {
    disk: MemFiles,
    inode: Arc<Mutex<Inode>>,
}

impl Inode {
    /// This file as the next start finds it.
    fn crashed(&self, crash: &mut Crash) -> Arc<Mutex<Self>> {
        let mut bytes = self.bytes.clone();
        let mut len = self.durable_len;
        for (sector, old) in self.lost.iter().chain(&self.dirty) {
            let start = sector * SECTOR;
            let lost_for_sure = self.lost.contains_key(sector) && !self.dirty.contains_key(sector);
            if !lost_for_sure && crash.keeps() {
                len = len.max((start + SECTOR).min(bytes.len()));
            } else {
                for (at, slot) in bytes.iter_mut().skip(start).take(SECTOR).enumerate() {
                    *slot = old.get(at).copied().unwrap_or(0);
                }
            }
        }
        bytes.truncate(len);
        Self::durable(bytes)
    }

    fn durable(bytes: Vec<u8>) -> Arc<Mutex<Self>> {
        Arc::new(Mutex::new(Self {
            durable_len: bytes.len(),
            bytes,
            ..Self::default()
        }))
    }

    fn write(&mut self, offset: usize, bytes: &[u8]) {
        let end = offset + bytes.len();
        for sector in offset / SECTOR..end.div_ceil(SECTOR) {
            let start = sector * SECTOR;
            let old = self.lost.remove(&sector).unwrap_or_else(|| {
                let stop = (start + SECTOR).min(self.bytes.len());
                self.bytes.get(start..stop).unwrap_or_default().to_vec()
            });
            self.dirty.entry(sector).or_insert(old);
        }
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        self.bytes
            .get_mut(offset..end)
            .expect("invariant: just resized to the end of the write")
            .copy_from_slice(bytes);
    }
}

impl File for MemFile {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let inode = locked(&self.inode);
        let start = usize::try_from(offset).map_err(io::Error::other)?;
        let there = inode.bytes.get(start..).unwrap_or_default();
        let count = there.len().min(buf.len());
        for (to, from) in buf.iter_mut().zip(there) {
            *to = *from;
        }
        Ok(count)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut disk = self.disk.disk();
        disk.writes += 1;
        let start = usize::try_from(offset).map_err(io::Error::other)?;
        let mut inode = locked(&self.inode);
        if due(&mut disk.write_fails_in) {
            let (half, _) = bytes.split_at(bytes.len() / 2);
            inode.write(start, half);
            return Err(io::Error::other("simulated failure of a write"));
        }
        let grows = (start + bytes.len()).saturating_sub(inode.bytes.len()) as u64;
        if let Some(space) = &mut disk.space {
            *space = space.checked_sub(grows).ok_or(io::ErrorKind::StorageFull)?;
        }
        inode.write(start, bytes);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut disk = self.disk.disk();
        disk.syncs += 1;
        let mut inode = locked(&self.inode);
        let dirty = std::mem::take(&mut inode.dirty);
        if due(&mut disk.sync_fails_in) {
            inode.lost.extend(dirty);
            return Err(io::Error::other("simulated failure of a sync"));
        }
        inode.durable_len = inode.bytes.len();
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(locked(&self.inode).bytes.len() as u64)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let len = usize::try_from(len).map_err(io::Error::other)?;
        let mut inode = locked(&self.inode);
        inode.bytes.resize(len, 0);
        Ok(())
    }
}
