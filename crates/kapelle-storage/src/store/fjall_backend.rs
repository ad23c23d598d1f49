//! Checkpoints in fjall.
//!
//! Layout of a store's directory: `live/` is the fjall directory and holds the manifests too, so that both are replaced
//! together; `base-N/` are copies to go back to ([`super::base`]); `broken-N/` is what did not open.
//!
//! Keys: blobs by instance (8 bytes, big endian) and part (4); payloads by sequence (8) and index (4); the index has
//! one byte before each key: 0 the applied position, 1 an entry. A blob's value begins with its position (8, little
//! endian). Each keyspace holds a mark with the number of the manifest that counts on it: a directory whose meta tree is
//! lost opens without an error, as an empty store (tried).
//!
//! Invariants: one batch writes to one keyspace; no error of fjall is survived; a store that does not open is moved
//! aside, never deleted; before there are two bases the journal is needed whole, so that beginning anew is the way back.

use super::{
    Backend, Blob, BlobKey, BlobWrite, Cut, Error, Manifest, PayloadKey, Scan, base,
    manifest::Manifests,
};
use crate::{files::Files, position::Sequence};
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};
use std::{
    io,
    ops::Bound,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

const APPLIED_KEY: [u8; 1] = [0];
/// In each keyspace: the number of the newest manifest that counts on its content. No other key has this length.
const MARK_KEY: [u8; 2] = [0, 0];
const NAMES: [&str; 3] = ["blobs", "index", "payloads"];
const ENTRY_PREFIX: u8 = 1;
/// The least that fjall allows. What its log holds is read at every start.
const LOG_BYTES_MAX: u64 = 64 << 20;
/// One flushes while another compacts; more would take the two cores from the writer.
const WORKERS: usize = 2;
/// Tables kept open. fjall's own 900 leave nothing to anybody else under the usual limit of 1,024 handles.
const OPEN_TABLES_MAX: usize = 128;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Memory for blocks of tables.
    pub cache_bytes: u64,
    /// Memory for what is not flushed yet, for each of the three keyspaces.
    pub memtable_bytes: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            cache_bytes: 64 << 20,
            memtable_bytes: 16 << 20,
        }
    }
}

/// What opening had to do, for the log of the server.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OpenReport {
    /// The live store did not open.
    pub restored: Option<Restored>,
    /// A manifest that could not be read; the older one is used.
    pub damaged_manifest: Option<PathBuf>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    pub why: String,
    /// Where the broken store lies now.
    pub set_aside: Option<PathBuf>,
    /// The base it goes on from; `None`: from nothing, with the whole journal.
    pub base: Option<PathBuf>,
}

pub struct FjallBackend {
    files: Arc<dyn Files>,
    dir: PathBuf,
    live: PathBuf,
    trees: Trees,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    manifests: Manifests,
    /// What each kept base needs of the journal, oldest first.
    bases: Vec<Sequence>,
}

/// An opened fjall directory.
struct Trees {
    db: Database,
    blobs: Keyspace,
    index: Keyspace,
    payloads: Keyspace,
}

impl FjallBackend {
    /// Opens or creates the store in `dir`. If it does not open, goes back to the newest base that does, or, if there
    /// was never one, begins anew: the journal is complete then ([`Backend::needed_from`]).
    pub fn open(
        files: Arc<dyn Files>,
        dir: &Path,
        options: Options,
    ) -> Result<(Self, OpenReport), Error> {
        files
            .create_dir(dir)
            .map_err(|source| at("create directory", dir, source))?;
        let live = dir.join("live");
        let mut report = OpenReport::default();
        let way = Way {
            files: &*files,
            dir,
            live: &live,
            options,
        };
        let (trees, manifests) = way.open_or_go_back(&mut report)?;
        report.damaged_manifest.clone_from(&manifests.damaged);
        let bases = bases_needed_from(&*files, dir)?;
        let backend = Self {
            files,
            dir: dir.to_owned(),
            live,
            trees,
            state: Mutex::new(State { manifests, bases }),
        };
        Ok((backend, report))
    }

    /// Bytes on disk, bases not counted (their tables are mostly the same).
    pub fn disk_bytes(&self) -> Result<u64, Error> {
        self.trees
            .db
            .disk_space()
            .map_err(|source| self.failed("measure", source))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .expect("invariant: nobody panics while holding the manifests")
    }

    fn failed(&self, attempt: &'static str, source: fjall::Error) -> Error {
        Error::Backend {
            attempt,
            dir: self.live.clone(),
            source: Box::new(source),
        }
    }

    /// Brings all that is in memory into tables.
    fn flush(&self) -> Result<(), Error> {
        let all = self.trees.all();
        for keyspace in all {
            keyspace
                .rotate_memtable()
                .map_err(|source| self.failed("flush", source))?;
        }
        // Not fjall's own wait: it does not end if a worker dies.
        while all
            .iter()
            .any(|keyspace| keyspace.sealed_memtable_count() > 0)
        {
            self.health()?;
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }
}

fn at(attempt: &'static str, path: &Path, source: io::Error) -> Error {
    Error::Io {
        attempt,
        path: path.to_owned(),
        source,
    }
}

/// Opening, with everything that decides how.
struct Way<'a> {
    files: &'a dyn Files,
    dir: &'a Path,
    live: &'a Path,
    options: Options,
}

/// Damage, for which there is a way back, told from everything else, which the operator can mend without it.
type Attempted<T> = Result<Result<T, String>, Error>;

impl Way<'_> {
    fn open_or_go_back(&self, report: &mut OpenReport) -> Result<(Trees, Manifests), Error> {
        let bases = base::list(self.dir).map_err(|source| at("list", self.dir, source))?;
        let why = if self.live.exists() || bases.is_empty() {
            match self.open()? {
                Ok(opened) => return Ok(opened),
                Err(why) => why,
            }
        } else {
            // The process died between moving the broken one aside and putting the base in its place.
            "the live store is missing".to_owned()
        };
        let mut all_why = why.clone();
        let mut set_aside = self.set_aside()?;
        for (_, base) in bases.iter().rev() {
            match self.open_copy_of(base)? {
                Ok(opened) => {
                    report.restored = Some(Restored {
                        why,
                        set_aside,
                        base: Some(base.clone()),
                    });
                    return Ok(opened);
                }
                Err(again) => {
                    all_why = format!("{all_why}; {} does not either: {again}", base.display());
                    let aside = self.set_aside()?;
                    set_aside = set_aside.or(aside);
                }
            }
        }
        // As long as there are fewer, the journal is kept whole.
        if bases.len() < base::BASES_KEPT
            && let Ok(opened) = self.open()?
        {
            report.restored = Some(Restored {
                why: all_why,
                set_aside,
                base: None,
            });
            return Ok(opened);
        }
        Err(Error::Unreadable {
            dir: self.live.to_owned(),
            why: all_why,
        })
    }

    fn set_aside(&self) -> Result<Option<PathBuf>, Error> {
        base::set_aside(self.dir, self.live).map_err(|source| at("move aside", self.live, source))
    }

    fn open_copy_of(&self, base: &Path) -> Attempted<(Trees, Manifests)> {
        match base::restore(self.dir, base, self.live) {
            Ok(()) => self.open(),
            Err(source) if io_is_damage(&source) => Ok(Err(source.to_string())),
            Err(source) => Err(at("restore", base, source)),
        }
    }

    fn open(&self) -> Attempted<(Trees, Manifests)> {
        // fjall has `expect`s on what it reads. A panic here is damage like any other, and nothing of the attempt is
        // kept.
        let opened = catch_unwind(AssertUnwindSafe(|| Trees::open(self.live, self.options)));
        let trees = match opened {
            Ok(Ok(trees)) => trees,
            Ok(Err(error)) if is_damage(&error) => return Ok(Err(error.to_string())),
            Ok(Err(source)) => {
                return Err(Error::Backend {
                    attempt: "open",
                    dir: self.live.to_owned(),
                    source: Box::new(source),
                });
            }
            Err(_) => return Ok(Err("it panics while opening".to_owned())),
        };
        let manifests = match Manifests::open(self.files, self.live) {
            Ok(manifests) => manifests,
            Err(error @ Error::Manifest { .. }) => return Ok(Err(error.to_string())),
            Err(error) => return Err(error),
        };
        let marks = match trees.marks() {
            Ok(marks) => marks,
            Err(error) => return Ok(Err(error.to_string())),
        };
        // Marks are persistent before the manifest is written, so the first manifest may be missing, no later one.
        let number = manifests.number();
        let missing = marks.iter().position(|mark| *mark < number);
        Ok(match missing {
            Some(index) => Err(format!(
                "keyspace {} lost what the manifest counts on",
                NAMES[index]
            )),
            None if number == 0 && marks.iter().any(|mark| *mark > 1) => {
                Err("its manifest is missing".to_owned())
            }
            None => Ok((trees, manifests)),
        })
    }
}

fn io_is_damage(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData
    )
}

fn is_damage(error: &fjall::Error) -> bool {
    match error {
        fjall::Error::Io(error) | fjall::Error::Storage(fjall::LsmError::Io(error)) => {
            io_is_damage(error)
        }
        // Somebody else's, or a newer program's: not ours to replace.
        fjall::Error::Locked
        | fjall::Error::InvalidVersion(_)
        | fjall::Error::Storage(fjall::LsmError::InvalidVersion(_)) => false,
        _ => true,
    }
}

impl Trees {
    fn open(live: &Path, options: Options) -> fjall::Result<Self> {
        let db = Database::builder(live)
            .cache_size(options.cache_bytes)
            .max_journaling_size(LOG_BYTES_MAX)
            .worker_threads(WORKERS)
            .max_cached_files(Some(OPEN_TABLES_MAX))
            .open()?;
        let with = || KeyspaceCreateOptions::default().max_memtable_size(options.memtable_bytes);
        let [blobs, index, payloads] = NAMES;
        Ok(Self {
            // Asked for by keys that mostly exist: no filters for the last level, which holds most of them.
            blobs: db.keyspace(blobs, || with().expect_point_read_hits(true))?,
            index: db.keyspace(index, with)?,
            payloads: db.keyspace(payloads, || with().expect_point_read_hits(true))?,
            db,
        })
    }

    fn all(&self) -> [&Keyspace; 3] {
        [&self.blobs, &self.index, &self.payloads]
    }

    /// The numbers in the marks, 0 where there is none.
    fn marks(&self) -> fjall::Result<[u64; 3]> {
        let mut marks = [0; 3];
        for (mark, keyspace) in marks.iter_mut().zip(self.all()) {
            if let Some(value) = keyspace.get(MARK_KEY)? {
                *mark = value
                    .first_chunk::<8>()
                    .map_or(0, |bytes| u64::from_le_bytes(*bytes));
            }
        }
        Ok(marks)
    }
}

fn bases_needed_from(files: &dyn Files, dir: &Path) -> Result<Vec<Sequence>, Error> {
    let bases = base::list(dir).map_err(|source| at("list", dir, source))?;
    bases
        .iter()
        .map(|(_, base)| {
            let manifest = Manifests::open(files, base)?.current();
            Ok(manifest.map_or(Sequence(1), |manifest| manifest.replay_from))
        })
        .collect()
}

fn blob_key(key: BlobKey) -> [u8; 12] {
    number_pair(key.instance, key.part)
}

fn payload_key(key: PayloadKey) -> [u8; 12] {
    number_pair(key.sequence.0, key.index)
}

/// Big endian, so that the order of keys is the order of numbers.
fn number_pair(high: u64, low: u32) -> [u8; 12] {
    let mut out = [0; 12];
    crate::format::put(&mut out, 0, high.to_be_bytes());
    crate::format::put(&mut out, 8, low.to_be_bytes());
    out
}

fn entry_key(key: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(1 + key.len());
    out.push(ENTRY_PREFIX);
    out.extend_from_slice(key);
    out
}

impl Backend for FjallBackend {
    fn blob(&self, key: BlobKey) -> Result<Option<Blob>, Error> {
        let value = self
            .trees
            .blobs
            .get(blob_key(key))
            .map_err(|source| self.failed("read", source))?;
        let Some(value) = value else {
            return Ok(None);
        };
        let (position, bytes) = value
            .split_first_chunk::<8>()
            .ok_or(Error::Malformed { what: "blob" })?;
        Ok(Some(Blob {
            position: Sequence(u64::from_le_bytes(*position)),
            bytes: bytes.to_vec(),
        }))
    }

    fn payload(&self, key: PayloadKey) -> Result<Option<Vec<u8>>, Error> {
        let value = self
            .trees
            .payloads
            .get(payload_key(key))
            .map_err(|source| self.failed("read", source))?;
        Ok(value.map(|value| value.to_vec()))
    }

    fn index_get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        let value = self
            .trees
            .index
            .get(entry_key(key))
            .map_err(|source| self.failed("read", source))?;
        Ok(value.map(|value| value.to_vec()))
    }

    fn index_scan(&self, from: Bound<&[u8]>, to: Bound<&[u8]>) -> Result<Scan<'_>, Error> {
        let from = match from.map(entry_key) {
            Bound::Unbounded => Bound::Included(vec![ENTRY_PREFIX]),
            bound => bound,
        };
        let to = match to.map(entry_key) {
            Bound::Unbounded => Bound::Excluded(vec![ENTRY_PREFIX + 1]),
            bound => bound,
        };
        let entries = self.trees.index.range::<Vec<u8>, _>((from, to));
        Ok(Box::new(entries.map(|entry| {
            let (key, value) = entry
                .into_inner()
                .map_err(|source| self.failed("read", source))?;
            let (_prefix, key) = key
                .split_first()
                .ok_or(Error::Malformed { what: "index key" })?;
            Ok((key.to_vec(), value.to_vec()))
        })))
    }

    fn applied(&self) -> Result<Sequence, Error> {
        let value = self
            .trees
            .index
            .get(APPLIED_KEY)
            .map_err(|source| self.failed("read", source))?;
        let Some(value) = value else {
            return Ok(Sequence::START);
        };
        let bytes = value.first_chunk::<8>().ok_or(Error::Malformed {
            what: "applied position",
        })?;
        Ok(Sequence(u64::from_le_bytes(*bytes)))
    }

    fn write_blobs(&self, writes: &[BlobWrite]) -> Result<(), Error> {
        let mut batch = self.trees.db.batch();
        for write in writes {
            match &write.bytes {
                Some(bytes) => {
                    let mut value = Vec::with_capacity(8 + bytes.len());
                    value.extend_from_slice(&write.position.0.to_le_bytes());
                    value.extend_from_slice(bytes);
                    batch.insert(&self.trees.blobs, blob_key(write.key), value);
                }
                None => batch.remove(&self.trees.blobs, blob_key(write.key)),
            }
        }
        batch
            .commit()
            .map_err(|source| self.failed("write", source))
    }

    fn write_payloads(&self, writes: &[(PayloadKey, Option<Vec<u8>>)]) -> Result<(), Error> {
        let mut batch = self.trees.db.batch();
        for (key, bytes) in writes {
            match bytes {
                Some(bytes) => {
                    batch.insert(&self.trees.payloads, payload_key(*key), bytes.as_slice())
                }
                None => batch.remove(&self.trees.payloads, payload_key(*key)),
            }
        }
        batch
            .commit()
            .map_err(|source| self.failed("write", source))
    }

    fn apply_cut(&self, cut: &Cut) -> Result<(), Error> {
        let mut batch = self.trees.db.batch();
        cut.changes.each(&mut |(key, value)| match value {
            Some(value) => batch.insert(&self.trees.index, entry_key(key), value),
            None => batch.remove(&self.trees.index, entry_key(key)),
        });
        batch.insert(&self.trees.index, APPLIED_KEY, cut.applied.0.to_le_bytes());
        batch
            .commit()
            .map_err(|source| self.failed("write", source))
    }

    fn persist(&self) -> Result<(), Error> {
        self.trees
            .db
            .persist(PersistMode::SyncAll)
            .map_err(|source| self.failed("sync", source))
    }

    fn write_manifest(&self, manifest: &Manifest) -> Result<(), Error> {
        let next = self.state().manifests.next(*manifest);
        let mark = next.number.to_le_bytes();
        for keyspace in self.trees.all() {
            keyspace
                .insert(MARK_KEY, mark)
                .map_err(|source| self.failed("write", source))?;
        }
        self.persist()?;
        // Not under the lock: the writer of the partition asks for the manifest meanwhile.
        next.write(&*self.files)?;
        self.state().manifests.replace(next);
        Ok(())
    }

    fn keep_base(&self) -> Result<(), Error> {
        let Some(manifest) = self.manifest() else {
            // Nothing is known to be safe yet, so there is nothing to go back to.
            return Ok(());
        };
        self.flush()?;
        let kept =
            base::keep(&self.dir, &self.live).map_err(|source| at("copy", &self.live, source))?;
        if !kept {
            return Ok(());
        }
        let mut state = self.state();
        state.bases.push(manifest.replay_from);
        let too_many = state.bases.len().saturating_sub(base::BASES_KEPT);
        state.bases.drain(..too_many);
        Ok(())
    }

    fn manifest(&self) -> Option<Manifest> {
        self.state().manifests.current()
    }

    fn needed_from(&self) -> Sequence {
        let state = self.state();
        let (Some(oldest_base), Some(current)) = (state.bases.first(), state.manifests.current())
        else {
            return Sequence(1);
        };
        if state.bases.len() < base::BASES_KEPT {
            return Sequence(1);
        }
        let previous = state.manifests.previous().unwrap_or(current);
        current
            .replay_from
            .min(previous.replay_from)
            .min(*oldest_base)
    }

    fn health(&self) -> Result<(), Error> {
        // Writes nothing but tells whether a worker died.
        self.trees
            .db
            .persist(PersistMode::Buffer)
            .map_err(|source| self.failed("use", source))
    }
}
