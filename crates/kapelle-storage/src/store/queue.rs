//! One writer thread, first in first out, in front of a backend; reads look through its queue.
//!
//! Invariants: what was given before a read is seen by it, wherever it is on its way; a blob's position never goes back;
//! the queue is bounded by bytes and jobs, and a full one makes the caller wait, but never for a backend that is dead.

use super::{
    Backend, Blob, BlobKey, BlobWrite, Cut, Entry, Error, Manifest, PayloadKey, Scan, Store, Ticket,
};
use crate::position::Sequence;
use std::{
    collections::VecDeque,
    iter::Peekable,
    ops::Bound,
    sync::{Arc, Condvar, Mutex, MutexGuard},
    thread::{Builder, JoinHandle},
    time::Duration,
};

/// How often a waiting caller looks whether the backend is still alive.
const HEALTH_EVERY: Duration = Duration::from_millis(200);
/// What a job costs beside its bytes, so that many tiny ones are bounded too.
const JOB_BYTES: usize = 64;

/// Called on the writer thread after each job, done or failed.
pub type Notify = Box<dyn Fn() + Send>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// What may be on its way: two or three checkpoints of a few MiB, so that memory stays bounded and the writer of
    /// the partition feels a slow disk early.
    pub bytes_max: usize,
    /// A read looks at every job; this many binary searches take a microsecond or two.
    pub jobs_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes_max: 32 << 20,
            jobs_max: 64,
        }
    }
}

pub struct QueuedStore<B: Backend> {
    backend: Arc<B>,
    queue: Arc<Queue>,
    limits: Limits,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Queue {
    state: Mutex<State>,
    work: Condvar,
    done: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Oldest first; the one being written stays at the front until it is done.
    jobs: VecDeque<Job>,
    bytes: usize,
    submitted: Ticket,
    completed: Ticket,
    stop: bool,
    ended: bool,
    poisoned: Option<String>,
}

#[derive(Debug, Clone)]
struct Job {
    bytes: usize,
    work: Work,
}

#[derive(Debug, Clone)]
enum Work {
    /// Sorted by key, each once.
    Blobs(Arc<Vec<BlobWrite>>),
    /// Sorted by key, each once.
    Payloads(Arc<Vec<(PayloadKey, Option<Vec<u8>>)>>),
    Cut(Cut),
    Persist,
    Manifest(Manifest),
    Base,
}

impl Work {
    fn run<B: Backend>(&self, backend: &B) -> Result<(), Error> {
        match self {
            Self::Blobs(writes) => backend.write_blobs(writes),
            Self::Payloads(writes) => backend.write_payloads(writes),
            Self::Cut(cut) => backend.apply_cut(cut),
            Self::Persist => backend.persist(),
            Self::Manifest(manifest) => backend.write_manifest(manifest),
            Self::Base => backend.keep_base(),
        }
    }
}

impl State {
    fn check(&self) -> Result<(), Error> {
        match &self.poisoned {
            Some(why) => Err(Error::Poisoned { why: why.clone() }),
            None => Ok(()),
        }
    }

    /// What is on its way for a key, newest first.
    fn blob(&self, key: BlobKey) -> Option<&BlobWrite> {
        self.jobs.iter().rev().find_map(|job| match &job.work {
            Work::Blobs(writes) => {
                let index = writes.binary_search_by_key(&key, |write| write.key).ok()?;
                writes.get(index)
            }
            _ => None,
        })
    }

    fn payload(&self, key: PayloadKey) -> Option<&Option<Vec<u8>>> {
        self.jobs.iter().rev().find_map(|job| match &job.work {
            Work::Payloads(writes) => {
                let index = writes.binary_search_by_key(&key, |write| write.0).ok()?;
                writes.get(index).map(|(_, bytes)| bytes)
            }
            _ => None,
        })
    }

    fn cuts(&self) -> impl Iterator<Item = &Cut> {
        self.jobs.iter().rev().filter_map(|job| match &job.work {
            Work::Cut(cut) => Some(cut),
            _ => None,
        })
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .expect("invariant: nobody panics while holding the queue")
    }

    fn poison(&self, why: &str) {
        self.lock().poisoned.get_or_insert_with(|| why.to_owned());
        self.done.notify_all();
    }
}

impl<B: Backend> QueuedStore<B> {
    /// Starts the writer thread.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub fn start(backend: B, limits: Limits, notify: Notify) -> std::io::Result<Self> {
        let backend = Arc::new(backend);
        let queue = Arc::new(Queue::default());
        let thread = Builder::new().name("store".to_owned()).spawn({
            let (backend, queue) = (Arc::clone(&backend), Arc::clone(&queue));
            move || write_loop(&*backend, &queue, &notify)
        })?;
        Ok(Self {
            backend,
            queue,
            limits,
            thread: Some(thread),
        })
    }

    #[must_use]
    pub fn backend(&self) -> &B {
        &self.backend
    }

    fn submit(&mut self, work: Work, bytes: usize) -> Result<Ticket, Error> {
        let bytes = bytes + JOB_BYTES;
        let limits = self.limits;
        let mut state = self.wait_until(|state| {
            // A job over the limit gets in alone.
            state.jobs.is_empty()
                || (state.jobs.len() < limits.jobs_max && state.bytes + bytes <= limits.bytes_max)
        })?;
        state.submitted.0 += 1;
        state.bytes += bytes;
        state.jobs.push_back(Job { bytes, work });
        let ticket = state.submitted;
        drop(state);
        self.queue.work.notify_one();
        Ok(ticket)
    }

    /// Waits as long as the backend lives.
    fn wait_until(&self, ready: impl Fn(&State) -> bool) -> Result<MutexGuard<'_, State>, Error> {
        let mut state = self.queue.lock();
        loop {
            state.check()?;
            if ready(&state) {
                return Ok(state);
            }
            let (woken, timeout) = self
                .queue
                .done
                .wait_timeout(state, HEALTH_EVERY)
                .expect("invariant: nobody panics while holding the queue");
            state = woken;
            if timeout.timed_out() {
                drop(state);
                if let Err(error) = self.backend.health() {
                    self.queue.poison(&error.to_string());
                }
                state = self.queue.lock();
            }
        }
    }

    fn guarded<T>(&self, result: Result<T, Error>) -> Result<T, Error> {
        result.inspect_err(|error| self.queue.poison(&error.to_string()))
    }
}

fn write_loop<B: Backend>(backend: &B, queue: &Queue, notify: &Notify) {
    let _closing = Closing(queue);
    loop {
        let work = {
            let state = queue
                .work
                .wait_while(queue.lock(), |state| state.jobs.is_empty() && !state.stop)
                .expect("invariant: nobody panics while holding the queue");
            if state.poisoned.is_some() {
                return;
            }
            match state.jobs.front() {
                Some(job) => job.work.clone(),
                None => return,
            }
        };
        let result = work.run(backend);
        match result {
            Ok(()) => {
                let mut state = queue.lock();
                if let Some(job) = state.jobs.pop_front() {
                    state.bytes -= job.bytes;
                }
                state.completed.0 += 1;
            }
            // The job stays in the queue: reads must not fall through to what it did not write.
            Err(error) => queue.poison(&error.to_string()),
        }
        queue.done.notify_all();
        notify();
    }
}

/// However the writer thread ends, nobody waits for it for ever.
struct Closing<'a>(&'a Queue);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.lock().ended = true;
        self.0.poison("its writer thread has ended");
    }
}

/// Sorts by key; of several writes to a key the last one counts.
fn last_of_each<T, K: Ord + Copy>(mut writes: Vec<T>, key: impl Fn(&T) -> K) -> Vec<T> {
    writes.sort_by_key(&key);
    writes.reverse();
    writes.dedup_by_key(|write| key(write));
    writes.reverse();
    writes
}

impl<B: Backend> Store for QueuedStore<B> {
    fn blob(&self, key: BlobKey) -> Result<Option<Blob>, Error> {
        let state = self.queue.lock();
        state.check()?;
        if let Some(write) = state.blob(key) {
            return Ok(write.bytes.clone().map(|bytes| Blob {
                position: write.position,
                bytes,
            }));
        }
        drop(state);
        self.guarded(self.backend.blob(key))
    }

    fn payload(&self, key: PayloadKey) -> Result<Option<Vec<u8>>, Error> {
        let state = self.queue.lock();
        state.check()?;
        if let Some(bytes) = state.payload(key) {
            return Ok(bytes.clone());
        }
        drop(state);
        self.guarded(self.backend.payload(key))
    }

    fn index_get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        let state = self.queue.lock();
        state.check()?;
        if let Some(value) = state.cuts().find_map(|cut| cut.get(key)) {
            return Ok(value.map(<[u8]>::to_vec));
        }
        drop(state);
        self.guarded(self.backend.index_get(key))
    }

    fn index_scan(&self, from: Bound<&[u8]>, to: Bound<&[u8]>) -> Result<Scan<'_>, Error> {
        // First the queue, then the backend: what moves over in between is in both, and the queue's value wins.
        let overlays: Vec<Overlay> = {
            let state = self.queue.lock();
            state.check()?;
            state
                .cuts()
                .map(|cut| Overlay::new(cut.clone(), from, to))
                .collect()
        };
        let base = self.guarded(self.backend.index_scan(from, to))?;
        if overlays.is_empty() {
            return Ok(Box::new(base.map(|entry| self.guarded(entry))));
        }
        let merged = Merge {
            overlays,
            base: base.peekable(),
        };
        Ok(Box::new(merged.map(|entry| self.guarded(entry))))
    }

    fn applied(&self) -> Result<Sequence, Error> {
        let state = self.queue.lock();
        state.check()?;
        if let Some(cut) = state.cuts().next() {
            return Ok(cut.applied);
        }
        drop(state);
        self.guarded(self.backend.applied())
    }

    fn write_blobs(&mut self, writes: Vec<BlobWrite>) -> Result<Ticket, Error> {
        let writes = last_of_each(writes, |write| write.key);
        let gone_back = {
            let state = self.queue.lock();
            writes
                .iter()
                .find(|write| {
                    state
                        .blob(write.key)
                        .is_some_and(|before| before.position > write.position)
                })
                .map(|write| write.key)
        };
        assert!(
            gone_back.is_none(),
            "the position of {gone_back:?} went back"
        );
        let bytes = writes
            .iter()
            .map(|write| size_of::<BlobWrite>() + write.bytes.as_ref().map_or(0, Vec::len))
            .sum();
        self.submit(Work::Blobs(Arc::new(writes)), bytes)
    }

    fn write_payloads(
        &mut self,
        writes: Vec<(PayloadKey, Option<Vec<u8>>)>,
    ) -> Result<Ticket, Error> {
        let writes = last_of_each(writes, |write| write.0);
        let bytes = writes
            .iter()
            .map(|(_, bytes)| bytes.as_ref().map_or(0, Vec::len))
            .sum();
        self.submit(Work::Payloads(Arc::new(writes)), bytes)
    }

    fn apply_cut(&mut self, cut: Cut) -> Result<Ticket, Error> {
        let bytes = cut.changes.bytes();
        self.submit(Work::Cut(cut), bytes)
    }

    fn persist(&mut self) -> Result<Ticket, Error> {
        self.submit(Work::Persist, 0)
    }

    fn write_manifest(&mut self, manifest: Manifest) -> Result<Ticket, Error> {
        self.submit(Work::Manifest(manifest), 0)
    }

    fn keep_base(&mut self) -> Result<Ticket, Error> {
        self.submit(Work::Base, 0)
    }

    fn manifest(&self) -> Option<Manifest> {
        self.backend.manifest()
    }

    fn needed_from(&self) -> Sequence {
        self.backend.needed_from()
    }

    fn backlog_bytes(&self) -> usize {
        self.queue.lock().bytes
    }

    fn completed(&self) -> Result<Ticket, Error> {
        let state = self.queue.lock();
        state.check()?;
        Ok(state.completed)
    }

    fn wait(&mut self, ticket: Ticket) -> Result<(), Error> {
        self.wait_until(|state| state.completed >= ticket).map(drop)
    }
}

impl<B: Backend> Drop for QueuedStore<B> {
    fn drop(&mut self) {
        self.queue.lock().stop = true;
        self.queue.work.notify_all();
        let Some(thread) = self.thread.take() else {
            return;
        };
        let mut state = self.queue.lock();
        while !state.ended {
            let (woken, timeout) = self
                .queue
                .done
                .wait_timeout(state, HEALTH_EVERY)
                .expect("invariant: nobody panics while holding the queue");
            state = woken;
            if timeout.timed_out() && self.backend.health().is_err() {
                // It stands in a write that will never end; so does whoever joins it.
                return;
            }
        }
        drop(state);
        // A panic of the thread was told when it happened, and the store is closed either way.
        thread.join().ok();
    }
}

/// A cut on its way, walked in the order of keys.
struct Overlay {
    cut: Cut,
    next: Option<Vec<u8>>,
    to: Bound<Vec<u8>>,
}

impl Overlay {
    fn new(cut: Cut, from: Bound<&[u8]>, to: Bound<&[u8]>) -> Self {
        let mut overlay = Self {
            cut,
            next: None,
            to: to.map(<[u8]>::to_vec),
        };
        overlay.go_to(from);
        overlay
    }

    fn go_to(&mut self, from: Bound<&[u8]>) {
        let to = self.to.as_ref().map(Vec::as_slice);
        self.next = self
            .cut
            .changes
            .first(from, to)
            .map(|(key, _)| key.to_vec());
    }

    fn peek(&self) -> Option<&[u8]> {
        self.next.as_deref()
    }

    /// The value, if the next change is of `key`.
    fn take(&mut self, key: &[u8]) -> Option<Option<Vec<u8>>> {
        if self.peek() != Some(key) {
            return None;
        }
        let value = self.cut.get(key).map(|value| value.map(<[u8]>::to_vec));
        self.go_to(Bound::Excluded(key));
        value
    }
}

/// The backend's entries under the cuts on their way, newest cut first.
struct Merge<'a> {
    overlays: Vec<Overlay>,
    base: Peekable<Scan<'a>>,
}

impl Iterator for Merge<'_> {
    type Item = Result<Entry, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let base = match self.base.peek() {
                Some(Ok((key, _))) => Some(key.as_slice()),
                Some(Err(_)) => return self.base.next(),
                None => None,
            };
            let overlaid = self.overlays.iter().filter_map(Overlay::peek).min();
            let key = match (overlaid, base) {
                (Some(overlaid), Some(base)) if base < overlaid => return self.base.next(),
                (None, _) => return self.base.next(),
                (Some(overlaid), _) => overlaid.to_vec(),
            };
            if base == Some(key.as_slice()) {
                self.base.next();
            }
            let mut value = None;
            for overlay in &mut self.overlays {
                let change = overlay.take(&key);
                value = value.or(change);
            }
            if let Some(Some(value)) = value {
                return Some(Ok((key, value)));
            }
        }
    }
}
