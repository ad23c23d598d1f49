//! A store that takes its time: reads see every write at once, the disk gets them one by one when the script says so.
//!
//! Invariant: like the queued store of production (first in first out, reads look through the queue, `manifest` is what is
//! on disk), but when a write is done is decided by the simulator. A crash loses what is in the queue.

use std::collections::VecDeque;
use std::ops::Bound;
use std::sync::{Arc, Mutex};

use kapelle_storage::position::Sequence;
use kapelle_storage::store::{
    Backend, Blob, BlobKey, BlobWrite, Cut, Error, Manifest, MemBackend, PayloadKey, Scan, Store,
    Ticket,
};

enum Write {
    Blobs(Vec<BlobWrite>),
    Payloads(Vec<(PayloadKey, Option<Vec<u8>>)>),
    Cut(Cut),
    Persist,
    Manifest(Manifest),
    Base,
}

/// The queue, shared with the simulator.
#[derive(Default)]
pub(crate) struct Queue {
    writes: VecDeque<Write>,
    given: u64,
    done: u64,
    failed: Option<String>,
}

impl Queue {
    /// Lets the disk do the next writes.
    pub(crate) fn work(queue: &Mutex<Self>, disk: &MemBackend, writes: usize) {
        let mut queue = lock(queue);
        for _ in 0..writes {
            if queue.failed.is_some() {
                return;
            }
            let Some(write) = queue.writes.pop_front() else {
                return;
            };
            let written = match write {
                Write::Blobs(writes) => disk.write_blobs(&writes),
                Write::Payloads(writes) => disk.write_payloads(&writes),
                Write::Cut(cut) => disk.apply_cut(&cut),
                Write::Persist => disk.persist(),
                Write::Manifest(manifest) => disk.write_manifest(&manifest),
                Write::Base => disk.keep_base(),
            };
            match written {
                Ok(()) => queue.done += 1,
                Err(error) => queue.failed = Some(error.to_string()),
            }
        }
    }
}

fn lock(queue: &Mutex<Queue>) -> std::sync::MutexGuard<'_, Queue> {
    queue
        .lock()
        .expect("invariant: nobody panics while holding the queue")
}

/// The store of one process.
pub(crate) struct LaggingStore {
    /// What the disk held at the start, with every write since.
    front: MemBackend,
    disk: MemBackend,
    queue: Arc<Mutex<Queue>>,
}

impl LaggingStore {
    pub(crate) fn new(disk: MemBackend) -> Self {
        Self {
            front: disk.fork(),
            disk,
            queue: Arc::default(),
        }
    }

    pub(crate) fn queue(&self) -> Arc<Mutex<Queue>> {
        Arc::clone(&self.queue)
    }

    fn check(&self) -> Result<(), Error> {
        match &lock(&self.queue).failed {
            Some(why) => Err(Error::Poisoned { why: why.clone() }),
            None => Ok(()),
        }
    }

    fn give(&mut self, write: Write) -> Result<Ticket, Error> {
        self.check()?;
        match &write {
            Write::Blobs(writes) => self.front.write_blobs(writes)?,
            Write::Payloads(writes) => self.front.write_payloads(writes)?,
            Write::Cut(cut) => self.front.apply_cut(cut)?,
            Write::Persist | Write::Manifest(_) | Write::Base => {}
        }
        let mut queue = lock(&self.queue);
        queue.writes.push_back(write);
        queue.given += 1;
        Ok(Ticket(queue.given))
    }
}

impl Store for LaggingStore {
    fn blob(&self, key: BlobKey) -> Result<Option<Blob>, Error> {
        self.check()?;
        self.front.blob(key)
    }

    fn payload(&self, key: PayloadKey) -> Result<Option<Vec<u8>>, Error> {
        self.check()?;
        self.front.payload(key)
    }

    fn index_get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.check()?;
        self.front.index_get(key)
    }

    fn index_scan(&self, from: Bound<&[u8]>, to: Bound<&[u8]>) -> Result<Scan<'_>, Error> {
        self.check()?;
        self.front.index_scan(from, to)
    }

    fn applied(&self) -> Result<Sequence, Error> {
        self.check()?;
        self.front.applied()
    }

    fn write_blobs(&mut self, writes: Vec<BlobWrite>) -> Result<Ticket, Error> {
        self.give(Write::Blobs(writes))
    }

    fn write_payloads(
        &mut self,
        writes: Vec<(PayloadKey, Option<Vec<u8>>)>,
    ) -> Result<Ticket, Error> {
        self.give(Write::Payloads(writes))
    }

    fn apply_cut(&mut self, cut: Cut) -> Result<Ticket, Error> {
        self.give(Write::Cut(cut))
    }

    fn persist(&mut self) -> Result<Ticket, Error> {
        self.give(Write::Persist)
    }

    fn write_manifest(&mut self, manifest: Manifest) -> Result<Ticket, Error> {
        self.give(Write::Manifest(manifest))
    }

    fn keep_base(&mut self) -> Result<Ticket, Error> {
        self.give(Write::Base)
    }

    fn manifest(&self) -> Option<Manifest> {
        self.disk.manifest()
    }

    fn needed_from(&self) -> Sequence {
        self.disk.needed_from()
    }

    fn backlog_bytes(&self) -> usize {
        0
    }

    fn completed(&self) -> Result<Ticket, Error> {
        self.check()?;
        Ok(Ticket(lock(&self.queue).done))
    }

    fn wait(&mut self, ticket: Ticket) -> Result<(), Error> {
        while lock(&self.queue).done < ticket.0 {
            self.check()?;
            Queue::work(&self.queue, &self.disk, 1);
        }
        self.check()
    }
}
