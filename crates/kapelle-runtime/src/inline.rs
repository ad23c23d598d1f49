//! A partition without threads, disk and clock: each command is decided where it is submitted, and is gone with the process.
//!
//! For fuzzers, which want a fresh world for every input and the same answer for the same one. Everything in front of a
//! partition runs against it unchanged; everything behind it (journal, store, recovery) is absent.
//!
//! **Invariant**: what a command leads to (left-over work, effects, the reply) happens before [`PartitionHandle::submit`]
//! returns, in the order in which a partition releases it. A submission from inside of a reply or effect waits its turn.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use kapelle_engine::command::{Command, CommandMeta};
use kapelle_engine::event::Event;
use kapelle_engine::ids::{Sequence, Timestamp};
use kapelle_engine::memory::Memory;
use kapelle_engine::{Decision, Engine, Settings};
use kapelle_storage::journal::{self, Cursor};
use kapelle_storage::position::{Point, Sequence as StoredSequence};

use crate::effects::EffectSink;
use crate::handle::{Front, Health, PartitionHandle};
use crate::metrics::Metrics;
use crate::partition::{ReadRequest, Request};
use crate::reader::Readers;
use crate::reply::{Overloaded, Refusal, ReplyTo};
use crate::streams::StreamRegistry;

/// More than this many left-over commands of one command are a loop that nothing ends.
const LEFTOVERS_MAX: usize = 10_000;

/// What a partition knows: to be copied, so that a world need not be made again for every input.
#[derive(Clone, Debug, Default)]
pub struct Seed {
    pub state: Memory,
    pub sequence: u64,
    pub now_ms: i64,
}

/// A partition that starts with what `seed` knows. `seen` gets every event that is decided.
pub fn start(
    seed: Seed,
    settings: Settings,
    effects: impl EffectSink + 'static,
    seen: impl FnMut(Sequence, Timestamp, &Event) + Send + 'static,
) -> (PartitionHandle, Arc<Inline>) {
    let streams = Arc::new(StreamRegistry::new());
    let inline = Arc::new(Inline {
        queue: Mutex::default(),
        writer: Mutex::new(Writer {
            engine: Engine::new(settings.clone()),
            settings,
            seed,
            effects: Box::new(effects),
            seen: Box::new(seen),
        }),
        streams: Arc::clone(&streams),
        readers: Arc::new(Readers::new(Arc::new(NoJournal), &[])),
    });
    let handle = PartitionHandle {
        front: Arc::clone(&inline) as Arc<dyn Front>,
        streams,
        metrics: Arc::new(Metrics::default()),
    };
    (handle, inline)
}

/// See [`start`].
pub struct Inline {
    queue: Mutex<VecDeque<Request>>,
    writer: Mutex<Writer>,
    streams: Arc<StreamRegistry>,
    readers: Arc<Readers>,
}

struct Writer {
    engine: Engine,
    settings: Settings,
    seed: Seed,
    effects: Box<dyn EffectSink>,
    seen: Seen,
}

/// Looks at each event as it is decided.
type Seen = Box<dyn FnMut(Sequence, Timestamp, &Event) + Send>;

impl Inline {
    /// What the partition knows now.
    #[must_use]
    pub fn seed(&self) -> Seed {
        locked(&self.writer).seed.clone()
    }

    /// Goes back to what was known once.
    pub fn reset(&self, seed: Seed) {
        let mut writer = locked(&self.writer);
        writer.engine = Engine::new(writer.settings.clone());
        writer.seed = seed;
    }

    /// Time passes; what becomes due meanwhile is done, up to `commands_max` commands.
    pub fn pass(&self, ms: i64, commands_max: usize) {
        let mut writer = locked(&self.writer);
        writer.seed.now_ms += ms;
        let now = Timestamp(writer.seed.now_ms);
        let Writer { engine, seed, .. } = &mut *writer;
        let due = engine.due(&seed.state, now, commands_max);
        for command in due {
            writer.decide(command, CommandMeta::default(), None, &self.streams);
        }
        drop(writer);
        self.work();
    }

    fn push(&self, request: Request) {
        locked(&self.queue).push_back(request);
        self.work();
    }

    /// Does what is queued, unless somebody further down this very stack is at it.
    fn work(&self) {
        let mut writer = match self.writer.try_lock() {
            Ok(writer) => writer,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        loop {
            let Some(request) = locked(&self.queue).pop_front() else {
                return;
            };
            match request {
                Request::Command {
                    command,
                    meta,
                    reply,
                } => writer.decide(command, meta, Some(reply), &self.streams),
                Request::Read(read) => read(&writer.seed.state)(true),
            }
        }
    }
}

impl Writer {
    fn decide(
        &mut self,
        command: Command,
        meta: CommandMeta,
        mut reply: Option<ReplyTo>,
        streams: &StreamRegistry,
    ) {
        let mut commands = VecDeque::from([command]);
        let mut decided = 0;
        while let Some(command) = commands.pop_front() {
            decided += 1;
            assert!(
                decided < LEFTOVERS_MAX,
                "a command leaves over work without end"
            );
            self.seed.now_ms += 1;
            let now = Timestamp(self.seed.now_ms);
            let meta = CommandMeta {
                now,
                ..meta.clone()
            };
            let first = Sequence(self.seed.sequence + 2);
            let Decision {
                answer,
                events,
                effects,
                leftover,
            } = self
                .engine
                .process(&mut self.seed.state, command, &meta, first, &mut {
                    streams
                });
            self.seed.sequence += 1;
            for event in &events {
                self.seed.sequence += 1;
                (self.seen)(Sequence(self.seed.sequence), now, event);
            }
            commands.extend(leftover);
            if let Some(reply) = reply.take() {
                reply(answer.map_err(Refusal::Rejected));
            }
            for effect in effects {
                self.effects.release(Sequence(self.seed.sequence), effect);
            }
        }
    }
}

impl Front for Inline {
    fn submit(
        &self,
        command: Command,
        meta: CommandMeta,
        reply: ReplyTo,
    ) -> Result<(), Overloaded> {
        self.push(Request::Command {
            command,
            meta,
            reply,
        });
        Ok(())
    }

    fn health(&self) -> Health {
        Health::Ready
    }

    fn committed(&self) -> Sequence {
        self.readers.committed()
    }

    fn wait_committed(&self, at_least: Sequence, timeout: Duration) -> bool {
        self.readers.wait_committed(at_least, timeout)
    }

    fn read(&self, read: ReadRequest) -> Result<(), Overloaded> {
        self.push(Request::Read(read));
        Ok(())
    }

    fn readers(&self) -> &Arc<Readers> {
        &self.readers
    }

    fn shutdown(&self) {}
}

/// Nothing was ever written.
#[derive(Debug)]
struct NoJournal;

impl journal::Read for NoJournal {
    fn read_from(&self, from: StoredSequence) -> Result<Box<dyn Cursor>, journal::Error> {
        Err(journal::Error::Trimmed {
            wanted: from,
            oldest: StoredSequence::START,
        })
    }

    fn first(&self) -> StoredSequence {
        StoredSequence::START
    }

    fn durable(&self) -> Point {
        Point::default()
    }

    fn wait_past(&self, _: StoredSequence, _: Duration) -> Result<Point, journal::Error> {
        Ok(Point::default())
    }
}

/// A panic is a finding, and ends the process that looks for it.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
