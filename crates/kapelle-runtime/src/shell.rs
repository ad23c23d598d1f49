//! The partition's thread: waits for work, steps, waits again.
//!
//! **Invariants**
//! - Adds nothing to what is decided: everything that matters is in [`Partition::step`].
//! - The queue in front is bounded. Who is not taken is told at once; who is taken is answered exactly once, or, if the
//!   thread dies, his reply is dropped unanswered and the handle says that the partition has stopped.
//! - The writer sleeps in one place only, woken by a request, by the journal's sync thread, or by the next due time.

mod inbox;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use kapelle_engine::command::{Command, CommandMeta};
use kapelle_engine::ids::Sequence;
use kapelle_storage::dir::{Room, RoomState};
use kapelle_storage::journal::Journal;
use kapelle_storage::store::Store;

pub use inbox::Inbox;

use crate::clock::Clock;
use crate::effects::EffectSink;
use crate::handle::{Front, Health, PartitionHandle};
use crate::partition::{Partition, ReadRequest, Request, Step, Stopped};
use crate::reader::Readers;
use crate::reply::{Overloaded, Refusal, ReplyTo};

/// How often the free space of the disk is looked at, and the longest sleep.
const HOUSEKEEPING: Duration = Duration::from_secs(1);

/// How soon to look again whether the store is done; nobody waits for that but the next checkpoint.
const STORE_POLL: Duration = Duration::from_millis(5);

/// Runs a partition on a thread of its own. `inbox` is what the partition's journal wakes ([`Inbox::synced`]).
///
/// # Errors
/// If the system gives no thread.
pub fn spawn<J, S, C>(
    partition: Partition<J, S, C>,
    inbox: Arc<Inbox>,
    effects: impl EffectSink + 'static,
    room: Option<Arc<Room>>,
) -> std::io::Result<PartitionHandle>
where
    J: Journal + 'static,
    S: Store + 'static,
    C: Clock + 'static,
{
    let handle_parts = (
        Arc::clone(partition.streams()),
        Arc::clone(partition.metrics()),
    );
    let readers = Arc::clone(partition.readers());
    let writer = Writer {
        partition,
        inbox: Arc::clone(&inbox),
        room,
        backlog: VecDeque::new(),
        effects,
    };
    let thread = Builder::new()
        .name("partition-1".to_owned())
        .spawn(move || writer.run())?;
    let front = Thread {
        inbox,
        readers,
        thread: Mutex::new(Some(thread)),
    };
    Ok(PartitionHandle {
        front: Arc::new(front),
        streams: handle_parts.0,
        metrics: handle_parts.1,
    })
}

/// The handle's side.
struct Thread {
    inbox: Arc<Inbox>,
    readers: Arc<Readers>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Front for Thread {
    fn submit(
        &self,
        command: Command,
        meta: CommandMeta,
        reply: ReplyTo,
    ) -> Result<(), Overloaded> {
        let request = Request::Command {
            command,
            meta,
            reply,
        };
        self.inbox.push(request, Instant::now())
    }

    fn read(&self, read: ReadRequest) -> Result<(), Overloaded> {
        self.inbox.push(Request::Read(read), Instant::now())
    }

    fn health(&self) -> Health {
        self.inbox.health()
    }

    fn committed(&self) -> Sequence {
        self.readers.committed()
    }

    fn wait_committed(&self, at_least: Sequence, timeout: Duration) -> bool {
        self.readers.wait_committed(at_least, timeout)
    }

    fn readers(&self) -> &Arc<Readers> {
        &self.readers
    }

    fn shutdown(&self) {
        self.inbox.close();
        let thread = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        // The last handle may go with a reply, on the partition's own thread: that ends by itself.
        let others = thread.filter(|thread| thread.thread().id() != std::thread::current().id());
        if let Some(thread) = others {
            // A panic of the thread was told when it happened, and the partition is stopped either way.
            thread.join().ok();
        }
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        self.shutdown();
    }
}

/// The thread's side.
struct Writer<J, S, C, E> {
    partition: Partition<J, S, C>,
    inbox: Arc<Inbox>,
    room: Option<Arc<Room>>,
    /// Taken from the inbox and not yet decided, because the batch is full.
    backlog: VecDeque<Request>,
    effects: E,
}

impl<J: Journal, S: Store, C: Clock, E: EffectSink> Writer<J, S, C, E> {
    fn run(mut self) {
        let _guard = StopGuard {
            inbox: Arc::clone(&self.inbox),
        };
        let reason = match self.work() {
            Ok(()) => "it was shut down".to_owned(),
            Err(stopped) => stopped.reason,
        };
        for request in self.backlog.drain(..) {
            request.refuse(Refusal::Unavailable {
                reason: reason.clone(),
            });
        }
        self.inbox.stop(&reason);
    }

    fn work(&mut self) -> Result<(), Stopped> {
        let mut looked_at_disk: Option<Instant> = None;
        self.partition.finish(&mut self.effects)?;
        self.inbox.leads();
        loop {
            if looked_at_disk.is_none_or(|at| at.elapsed() >= HOUSEKEEPING) {
                looked_at_disk = Some(Instant::now());
                self.look_at_disk();
            }
            let closed =
                self.inbox
                    .take(&mut self.backlog, self.partition.metrics(), Instant::now());
            let step = self.step()?;
            if step.progressed || step.more {
                continue;
            }
            if closed && self.backlog.is_empty() && !step.in_flight {
                return self.finish();
            }
            self.sleep(step);
        }
    }

    fn step(&mut self) -> Result<Step, Stopped> {
        let (backlog, inbox) = (&mut self.backlog, &self.inbox);
        let mut next = || {
            let request = backlog.pop_front()?;
            inbox.decided();
            Some(request)
        };
        self.partition.step(&mut next, &mut self.effects)
    }

    fn sleep(&mut self, step: Step) {
        let now = self.partition.now();
        let due = step.next_due.map_or(HOUSEKEEPING, |due| {
            Duration::from_millis(u64::try_from(due.0.saturating_sub(now.0)).unwrap_or(0))
        });
        let blocked = !self.backlog.is_empty();
        let store = if step.checkpointing || (blocked && !step.in_flight) {
            STORE_POLL
        } else {
            HOUSEKEEPING
        };
        let timeout = due.min(store).min(HOUSEKEEPING);
        let began = Instant::now();
        self.inbox.sleep(timeout, blocked);
        if step.in_flight {
            let waited = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
            self.partition.metrics().disk_wait_ns.add(waited);
        }
    }

    /// The last steps: everything leaves, and the next start has nothing to replay.
    fn finish(&mut self) -> Result<(), Stopped> {
        self.partition.finish(&mut self.effects)?;
        self.partition.checkpoint();
        loop {
            let step = self.partition.step(&mut || None, &mut self.effects)?;
            if self.partition.is_checkpointed() && !step.in_flight {
                return Ok(());
            }
            if !step.progressed {
                self.inbox.sleep(STORE_POLL, true);
            }
        }
    }

    fn look_at_disk(&mut self) {
        let Some(room) = &self.room else { return };
        // A disk that cannot be asked is not known to be full; the journal will tell if it is.
        let low = room.state().is_ok_and(|state| state == RoomState::Low);
        self.partition.set_disk_low(low);
        let figures = self.partition.journal().figures();
        let metrics = self.partition.metrics();
        metrics.syncs.set(figures.syncs);
        metrics
            .sync_ns
            .set(u64::try_from(figures.sync_time.sum.as_nanos()).unwrap_or(u64::MAX));
    }
}

/// However the thread ends, nobody waits for it for ever.
struct StopGuard {
    inbox: Arc<Inbox>,
}

impl Drop for StopGuard {
    fn drop(&mut self) {
        // Does nothing after an orderly end.
        self.inbox.stop("its thread failed");
    }
}
