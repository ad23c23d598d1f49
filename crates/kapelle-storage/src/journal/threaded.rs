//! The journal of production: one thread writes and syncs, one prepares and retires segment files, the writer of the
//! partition decides meanwhile.
//!
//! Invariant: the hand-over holds one batch; whoever comes second waits, so what is decided but not durable is bounded
//! by two batches. Both threads end with the journal; a batch that was handed over is written before that.

use super::{
    Announced, Batch, Capabilities, Error, Figures, Journal, Read,
    pool::Pool,
    reader::Reader,
    segment::{Segment, Shared, locked},
    writer::{Front, Sealed, SegmentWriter},
};
use crate::position::{Leader, Point, Sequence};
use std::{
    sync::{Arc, Condvar, Mutex, mpsc},
    thread::{Builder, JoinHandle},
    time::{Duration, Instant},
};

/// Called on the sync thread after each batch, done or failed: wakes a writer that sleeps at its own queue.
pub type Notify = Box<dyn Fn() + Send>;

#[derive(Debug)]
pub struct ThreadedJournal {
    front: Front,
    partition: u32,
    batch_bytes_max: usize,
    shared: Arc<Shared>,
    exchange: Arc<Exchange>,
    housework: Option<mpsc::Sender<Housework>>,
    threads: Vec<JoinHandle<()>>,
    waited: Duration,
}

/// The hand-over between the deciding and the syncing thread.
#[derive(Debug, Default)]
struct Exchange {
    slot: Mutex<Slot>,
    work: Condvar,
    done: Condvar,
}

#[derive(Debug, Default)]
struct Slot {
    next: Option<Sealed>,
    busy: bool,
    stop: bool,
    buffer: Option<Vec<u8>>,
    figures: Figures,
}

#[derive(Debug)]
enum Housework {
    Prepare(u64),
    Retire(Arc<Segment>),
}

impl ThreadedJournal {
    /// Starts the threads.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub fn start(announced: Announced, notify: Notify) -> std::io::Result<Self> {
        let Announced {
            front,
            writer,
            partition,
        } = announced;
        let shared = Arc::clone(writer.shared());
        let pool = Arc::clone(writer.pool());
        let exchange = Arc::new(Exchange::default());
        locked(&exchange.slot).figures = writer.figures();
        let (housework, jobs) = mpsc::channel();
        let mut journal = Self {
            batch_bytes_max: front.batch_bytes_max(),
            front,
            partition,
            shared: Arc::clone(&shared),
            exchange: Arc::clone(&exchange),
            housework: Some(housework.clone()),
            threads: Vec::new(),
            waited: Duration::ZERO,
        };
        let keeper = Builder::new()
            .name(format!("segments-{partition}"))
            .spawn({
                let shared = Arc::clone(&shared);
                move || keep_house(&pool, &shared, &jobs)
            })?;
        journal.threads.push(keeper);
        let syncer = Builder::new()
            .name(format!("journal-{partition}"))
            .spawn(move || sync_loop(writer, &exchange, &housework, &notify))?;
        journal.threads.push(syncer);
        Ok(journal)
    }

    /// Waits until nothing is in flight.
    fn idle(&mut self) -> Result<(), Error> {
        let slot = locked(&self.exchange.slot);
        if slot.next.is_some() || slot.busy {
            let started = Instant::now();
            let mut slot = self
                .exchange
                .done
                .wait_while(slot, |slot| slot.next.is_some() || slot.busy)
                .expect("invariant: nobody panics while holding the hand-over");
            self.waited += started.elapsed();
            if let Some(buffer) = slot.buffer.take() {
                self.front.give_back(buffer);
            }
        }
        self.shared.check()
    }
}

fn sync_loop(
    mut writer: SegmentWriter,
    exchange: &Exchange,
    housework: &mpsc::Sender<Housework>,
    notify: &Notify,
) {
    let _closing = Closing {
        shared: Arc::clone(writer.shared()),
        exchange,
    };
    loop {
        let sealed = {
            let mut slot = exchange
                .work
                .wait_while(locked(&exchange.slot), |slot| {
                    slot.next.is_none() && !slot.stop
                })
                .expect("invariant: nobody panics while holding the hand-over");
            match slot.next.take() {
                Some(sealed) => {
                    slot.busy = true;
                    sealed
                }
                None => return,
            }
        };
        // An error has poisoned the journal: the writer learns of it with its next call.
        let buffer = writer.commit(sealed).ok();
        {
            let mut slot = locked(&exchange.slot);
            slot.busy = false;
            slot.buffer = buffer;
            slot.figures = writer.figures();
        }
        exchange.done.notify_all();
        notify();
        if let Some(capacity) = writer.wants_spare() {
            // The keeper ends after this thread only.
            housework.send(Housework::Prepare(capacity)).ok();
        }
    }
}

/// However the sync thread ends, nobody waits for it for ever.
struct Closing<'a> {
    shared: Arc<Shared>,
    exchange: &'a Exchange,
}

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.shared.poison("its sync thread has ended");
        if let Ok(mut slot) = self.exchange.slot.lock() {
            slot.next = None;
            slot.busy = false;
        }
        self.exchange.done.notify_all();
    }
}

fn keep_house(pool: &Pool, shared: &Shared, jobs: &mpsc::Receiver<Housework>) {
    while let Ok(job) = jobs.recv() {
        match job {
            // Without a spare the sync thread creates what it needs; if that fails too it is its error.
            Housework::Prepare(capacity) => pool.prepare(capacity).unwrap_or(()),
            Housework::Retire(segment) => {
                if let Err(error) = pool.retire(&segment) {
                    shared.poison(&error.to_string());
                    return;
                }
            }
        }
    }
}

impl Journal for ThreadedJournal {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            batch_bytes_max: self.batch_bytes_max,
            shared: false,
        }
    }

    fn batch(&mut self) -> Batch {
        self.front.batch()
    }

    fn submit(&mut self, batch: Batch) -> Result<Point, Error> {
        self.shared.check()?;
        self.front.check(&batch)?;
        self.idle()?;
        let sealed = self.front.seal(batch);
        let mut slot = locked(&self.exchange.slot);
        if let Some(buffer) = slot.buffer.take() {
            self.front.give_back(buffer);
        }
        slot.next = Some(sealed);
        drop(slot);
        self.exchange.work.notify_one();
        Ok(self.front.end())
    }

    fn end(&self) -> Point {
        self.front.end()
    }

    fn durable(&mut self) -> Result<Point, Error> {
        self.shared.check()?;
        Ok(self.shared.durable())
    }

    fn in_flight(&mut self) -> bool {
        let slot = locked(&self.exchange.slot);
        slot.next.is_some() || slot.busy
    }

    fn wait(&mut self, until: Sequence) -> Result<Point, Error> {
        if until > self.front.end().sequence {
            return Err(Error::BeyondEnd {
                wanted: until,
                end: self.front.end().sequence,
            });
        }
        if self.shared.durable().sequence < until {
            self.idle()?;
        }
        self.durable()
    }

    fn leader(&self) -> Leader {
        self.front.leader()
    }

    fn reader(&self) -> Arc<dyn Read> {
        Arc::new(Reader::new(Arc::clone(&self.shared), self.partition))
    }

    fn trim(&mut self, before: Sequence) -> Result<Sequence, Error> {
        self.shared.check()?;
        for segment in self.shared.trim(before) {
            if let Some(housework) = &self.housework {
                // The keeper ends early only after poisoning the journal, which the next call tells.
                housework.send(Housework::Retire(segment)).ok();
            }
        }
        Ok(self.shared.first())
    }

    fn figures(&self) -> Figures {
        let mut figures = locked(&self.exchange.slot).figures;
        figures.waited = self.waited;
        figures.segments_live = self.shared.len() as u64;
        figures
    }
}

impl Drop for ThreadedJournal {
    fn drop(&mut self) {
        locked(&self.exchange.slot).stop = true;
        self.exchange.work.notify_all();
        self.housework = None;
        for thread in self.threads.drain(..) {
            // A panic of the thread was told when it happened, and the journal is closed either way.
            thread.join().ok();
        }
    }
}
