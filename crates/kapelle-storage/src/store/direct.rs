//! A store that writes at once, on the caller's thread: for tests, the simulator and tools.

use super::{
    Backend, Blob, BlobKey, BlobWrite, Cut, Error, Manifest, PayloadKey, Scan, Store, Ticket,
};
use crate::position::Sequence;
use std::{
    ops::Bound,
    sync::{Arc, OnceLock},
};

#[derive(Debug)]
pub struct DirectStore<B> {
    backend: Arc<B>,
    last: Ticket,
    /// The first error. Behind a shared reference, because a failed read closes the store too.
    poisoned: OnceLock<String>,
}

impl<B: Backend> DirectStore<B> {
    #[must_use]
    pub fn new(backend: B) -> Self {
        Self {
            backend: Arc::new(backend),
            last: Ticket(0),
            poisoned: OnceLock::new(),
        }
    }

    #[must_use]
    pub fn backend(&self) -> &B {
        &self.backend
    }

    fn check(&self) -> Result<(), Error> {
        match self.poisoned.get() {
            Some(why) => Err(Error::Poisoned { why: why.clone() }),
            None => Ok(()),
        }
    }

    fn guarded<T>(&self, result: Result<T, Error>) -> Result<T, Error> {
        result.inspect_err(|error| {
            self.poisoned.get_or_init(|| error.to_string());
        })
    }

    fn read<'a, T>(&'a self, read: impl FnOnce(&'a B) -> Result<T, Error>) -> Result<T, Error> {
        self.check()?;
        self.guarded(read(&self.backend))
    }

    fn write(&mut self, write: impl FnOnce(&B) -> Result<(), Error>) -> Result<Ticket, Error> {
        self.check()?;
        self.guarded(write(&self.backend))?;
        self.last.0 += 1;
        Ok(self.last)
    }
}

impl<B: Backend> Store for DirectStore<B> {
    fn blob(&self, key: BlobKey) -> Result<Option<Blob>, Error> {
        self.read(|backend| backend.blob(key))
    }

    fn payload(&self, key: PayloadKey) -> Result<Option<Vec<u8>>, Error> {
        self.read(|backend| backend.payload(key))
    }

    fn index_get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.read(|backend| backend.index_get(key))
    }

    fn index_scan(&self, from: Bound<&[u8]>, to: Bound<&[u8]>) -> Result<Scan<'_>, Error> {
        let scan = self.read(|backend| backend.index_scan(from, to))?;
        Ok(Box::new(scan.map(|entry| self.guarded(entry))))
    }

    fn applied(&self) -> Result<Sequence, Error> {
        self.read(Backend::applied)
    }

    fn write_blobs(&mut self, writes: Vec<BlobWrite>) -> Result<Ticket, Error> {
        self.write(|backend| backend.write_blobs(&writes))
    }

    fn write_payloads(
        &mut self,
        writes: Vec<(PayloadKey, Option<Vec<u8>>)>,
    ) -> Result<Ticket, Error> {
        self.write(|backend| backend.write_payloads(&writes))
    }

    fn apply_cut(&mut self, cut: Cut) -> Result<Ticket, Error> {
        self.write(|backend| backend.apply_cut(&cut))
    }

    fn persist(&mut self) -> Result<Ticket, Error> {
        self.write(Backend::persist)
    }

    fn write_manifest(&mut self, manifest: Manifest) -> Result<Ticket, Error> {
        self.write(|backend| backend.write_manifest(&manifest))
    }

    fn keep_base(&mut self) -> Result<Ticket, Error> {
        self.write(Backend::keep_base)
    }

    fn manifest(&self) -> Option<Manifest> {
        self.backend.manifest()
    }

    fn needed_from(&self) -> Sequence {
        self.backend.needed_from()
    }

    fn backlog_bytes(&self) -> usize {
        0
    }

    fn completed(&self) -> Result<Ticket, Error> {
        self.check()?;
        Ok(self.last)
    }

    fn wait(&mut self, _ticket: Ticket) -> Result<(), Error> {
        self.check()
    }
}
