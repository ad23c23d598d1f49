//! A backend in memory that can lose power: for tests and the simulator.
//!
//! Invariant: what was persisted survives [`MemBackend::crash`]; of the rest each keyspace keeps a beginning of its
//! writes, whole batches only, and each another one, as fjall does (tried: `reference/storage.md` §3).

use super::{Backend, Blob, BlobKey, BlobWrite, Cut, Error, Manifest, PayloadKey, Scan};
use crate::position::Sequence;
use std::{
    collections::BTreeMap,
    ops::Bound,
    sync::{Arc, Mutex, MutexGuard},
};

/// Clones are the same store, as a directory is the same for the process before and the one after.
#[derive(Debug, Clone, Default)]
pub struct MemBackend(Arc<Mutex<Inner>>);

/// How many of the batches since the last persist each keyspace keeps through a loss of power.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Loss {
    pub blobs_kept: usize,
    pub payloads_kept: usize,
    pub cuts_kept: usize,
}

#[derive(Debug, Default)]
struct Inner {
    blobs: Keyspace<BlobKey, Blob>,
    payloads: Keyspace<PayloadKey, Vec<u8>>,
    index: Keyspace<IndexKey, Vec<u8>>,
    manifest: Option<Manifest>,
    previous: Option<Manifest>,
    /// Fails after this many more writes.
    fails_in: Option<u64>,
    failed: bool,
}

/// The applied position lies in the index's keyspace, as on disk.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum IndexKey {
    Applied,
    Entry(Vec<u8>),
}

#[derive(Debug)]
struct Keyspace<K, V> {
    entries: BTreeMap<K, V>,
    /// For each batch since the last persist: what its keys held before.
    undo: Vec<Vec<(K, Option<V>)>>,
}

impl<K, V> Default for Keyspace<K, V> {
    fn default() -> Self {
        Self {
            entries: BTreeMap::new(),
            undo: Vec::new(),
        }
    }
}

impl<K: Ord + Clone, V> Keyspace<K, V> {
    fn write(&mut self, changes: impl Iterator<Item = (K, Option<V>)>) {
        let undo = changes
            .map(|(key, value)| {
                let before = match value {
                    Some(value) => self.entries.insert(key.clone(), value),
                    None => self.entries.remove(&key),
                };
                (key, before)
            })
            .collect();
        self.undo.push(undo);
    }

    fn fork(&self) -> Self
    where
        V: Clone,
    {
        Self {
            entries: self.entries.clone(),
            undo: Vec::new(),
        }
    }

    fn crash(&mut self, kept: usize) {
        while self.undo.len() > kept {
            for (key, before) in self.undo.pop().into_iter().flatten().rev() {
                match before {
                    Some(value) => self.entries.insert(key, value),
                    None => self.entries.remove(&key),
                };
            }
        }
        self.undo.clear();
    }
}

impl MemBackend {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Cuts the power.
    pub fn crash(&self, loss: Loss) {
        let mut inner = self.inner();
        inner.blobs.crash(loss.blobs_kept);
        inner.payloads.crash(loss.payloads_kept);
        inner.index.crash(loss.cuts_kept);
        inner.fails_in = None;
        inner.failed = false;
    }

    /// Another store with the same content, all of it persistent.
    #[must_use]
    pub fn fork(&self) -> Self {
        let inner = self.inner();
        Self(Arc::new(Mutex::new(Inner {
            blobs: inner.blobs.fork(),
            payloads: inner.payloads.fork(),
            index: inner.index.fork(),
            manifest: inner.manifest,
            previous: inner.previous,
            ..Inner::default()
        })))
    }

    /// Lets the `n`th write from now fail, and every one after it (1 = the next one).
    pub fn fail_write(&self, n: u64) {
        self.inner().fails_in = Some(n);
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0
            .lock()
            .expect("invariant: nobody panics while holding the store in memory")
    }

    fn writing(&self) -> Result<MutexGuard<'_, Inner>, Error> {
        let mut inner = self.inner();
        if let Some(n) = &mut inner.fails_in {
            *n = n.saturating_sub(1);
            if *n == 0 {
                inner.failed = true;
            }
        }
        inner.check()?;
        Ok(inner)
    }
}

impl Inner {
    fn persist(&mut self) {
        self.blobs.undo.clear();
        self.payloads.undo.clear();
        self.index.undo.clear();
    }

    fn check(&self) -> Result<(), Error> {
        if self.failed {
            return Err(Error::Poisoned {
                why: "simulated failure of a write".to_owned(),
            });
        }
        Ok(())
    }
}

impl Backend for MemBackend {
    fn blob(&self, key: BlobKey) -> Result<Option<Blob>, Error> {
        Ok(self.inner().blobs.entries.get(&key).cloned())
    }

    fn payload(&self, key: PayloadKey) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.inner().payloads.entries.get(&key).cloned())
    }

    fn index_get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        Ok(self
            .inner()
            .index
            .entries
            .get(&IndexKey::Entry(key.to_vec()))
            .cloned())
    }

    fn index_scan(&self, from: Bound<&[u8]>, to: Bound<&[u8]>) -> Result<Scan<'_>, Error> {
        let owned = |bound: Bound<&[u8]>| bound.map(|key| IndexKey::Entry(key.to_vec()));
        let mut from = match owned(from) {
            Bound::Unbounded => Bound::Excluded(IndexKey::Applied),
            bound => bound,
        };
        let to = owned(to);
        // Looks the place up anew for each entry: nothing is held while the caller thinks.
        Ok(Box::new(std::iter::from_fn(move || {
            let range = (from.clone(), to.clone());
            if is_empty_range(&range) {
                return None;
            }
            let inner = self.inner();
            let (key, value) = inner.index.entries.range(range).next()?;
            from = Bound::Excluded(key.clone());
            match key {
                IndexKey::Entry(key) => Some(Ok((key.clone(), value.clone()))),
                IndexKey::Applied => None,
            }
        })))
    }

    fn applied(&self) -> Result<Sequence, Error> {
        let inner = self.inner();
        let Some(bytes) = inner.index.entries.get(&IndexKey::Applied) else {
            return Ok(Sequence::START);
        };
        let bytes = bytes.as_slice().try_into().map_err(|_| Error::Malformed {
            what: "applied position",
        })?;
        Ok(Sequence(u64::from_le_bytes(bytes)))
    }

    fn write_blobs(&self, writes: &[BlobWrite]) -> Result<(), Error> {
        self.writing()?.blobs.write(writes.iter().map(|write| {
            let blob = write.bytes.clone().map(|bytes| Blob {
                position: write.position,
                bytes,
            });
            (write.key, blob)
        }));
        Ok(())
    }

    fn write_payloads(&self, writes: &[(PayloadKey, Option<Vec<u8>>)]) -> Result<(), Error> {
        self.writing()?.payloads.write(writes.iter().cloned());
        Ok(())
    }

    fn apply_cut(&self, cut: &Cut) -> Result<(), Error> {
        let applied = (
            IndexKey::Applied,
            Some(cut.applied.0.to_le_bytes().to_vec()),
        );
        let mut entries = Vec::with_capacity(cut.len() + 1);
        cut.changes.each(&mut |(key, value)| {
            entries.push((IndexKey::Entry(key.to_vec()), value.map(<[u8]>::to_vec)));
        });
        entries.push(applied);
        self.writing()?.index.write(entries.into_iter());
        Ok(())
    }

    fn persist(&self) -> Result<(), Error> {
        let mut inner = self.writing()?;
        inner.persist();
        Ok(())
    }

    fn write_manifest(&self, manifest: &Manifest) -> Result<(), Error> {
        let mut inner = self.writing()?;
        inner.persist();
        inner.previous = inner.manifest.replace(*manifest);
        Ok(())
    }

    /// Memory does not rot: there is nothing to go back to, and nothing is kept.
    fn keep_base(&self) -> Result<(), Error> {
        self.writing().map(drop)
    }

    fn manifest(&self) -> Option<Manifest> {
        self.inner().manifest
    }

    fn needed_from(&self) -> Sequence {
        let inner = self.inner();
        match (inner.manifest, inner.previous) {
            (Some(manifest), Some(previous)) => manifest.replay_from.min(previous.replay_from),
            _ => Sequence(1),
        }
    }

    fn health(&self) -> Result<(), Error> {
        self.inner().check()
    }
}

/// `BTreeMap::range` panics where the others only find nothing.
fn is_empty_range((from, to): &(Bound<IndexKey>, Bound<IndexKey>)) -> bool {
    match (from, to) {
        (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
        (Bound::Included(from), Bound::Included(to)) => from > to,
        (
            Bound::Included(from) | Bound::Excluded(from),
            Bound::Included(to) | Bound::Excluded(to),
        ) => from >= to,
    }
}
