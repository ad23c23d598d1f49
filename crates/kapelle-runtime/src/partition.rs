//! The durable partition: one writer, synchronous.
//!
//! ```text
//! step:  decide ─► append ─► commit ─► release_effects
//! ```
//!
//! **Invariants**
//! - Whatever leaves stands in `waiting`, in the order of deciding, with the record up to which everything must be durable.
//! - One batch is in flight at most; the next one is decided meanwhile on state that is not yet durable.
//! - Any error of journal or store, whatever its kind, stops the partition: its memory may rest on what was lost. Whoever
//!   waits gets a retryable answer that says that the outcome is unknown.
//!
//! Deliberately absent: threads, waiting for time, wake-ups. `shell` adds them for production; tests and the simulator
//! call [`Partition::step`] themselves.

mod checkpoint;
mod decide;
mod recover;

use std::collections::VecDeque;
use std::sync::Arc;

use kapelle_engine::Engine;
use kapelle_engine::command::{Command, CommandMeta, Due};
use kapelle_engine::effect::Effect;
use kapelle_engine::ids::{Sequence, Timestamp};
use kapelle_engine::keep::Keep;
use kapelle_storage::journal::{Batch, Journal};
use kapelle_storage::store::Store;

use crate::clock::{Clock, PartitionTime};
use crate::effects::EffectSink;
use crate::keep::StoreKeep;
use crate::metrics::Metrics;
use crate::options::Options;
use crate::reader::Readers;
use crate::reply::{Refusal, Reply, ReplyTo};
use crate::streams::StreamRegistry;

use checkpoint::Checkpoints;
pub use recover::StartError;

/// What the writer is asked to do.
pub enum Request {
    /// Decide; answer when it may leave.
    Command {
        command: Command,
        meta: CommandMeta,
        reply: ReplyTo,
    },
    /// Look at state; what was seen may leave when it is durable.
    Read(ReadRequest),
}

/// Looks at state on the writer's thread and returns what to do with it once it is durable (`false`: it never will be).
pub type ReadRequest = Box<dyn FnOnce(&dyn Keep) -> Box<dyn FnOnce(bool) + Send> + Send>;

impl Request {
    /// Answers without having done anything.
    pub fn refuse(self, refusal: Refusal) {
        match self {
            Self::Command { reply, .. } => reply(Err(refusal)),
            // A read that is not even begun has nothing to tell; dropping it tells its caller.
            Self::Read(_) => {}
        }
    }
}

/// What waits to leave.
enum Outgoing {
    Reply(ReplyTo, Reply),
    Effect(Effect),
    Read(Box<dyn FnOnce(bool) + Send>),
}

/// Why a partition does nothing any more.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the partition has stopped: {reason}")]
pub struct Stopped {
    pub reason: String,
}

/// What a step did and what there is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Something was decided, became durable or was written back.
    pub progressed: bool,
    /// There is more to do at once, without any new request.
    pub more: bool,
    /// A batch is being synced.
    pub in_flight: bool,
    /// The store is writing a checkpoint: worth another step in a while, if nothing else happens.
    pub checkpointing: bool,
    /// When something becomes due, if nothing else happens.
    pub next_due: Option<Timestamp>,
}

/// A partition over a journal, a store and a clock.
pub struct Partition<J, S, C> {
    engine: Engine,
    keep: StoreKeep<S>,
    journal: J,
    time: PartitionTime<C>,
    options: Options,
    metrics: Arc<Metrics>,
    streams: Arc<StreamRegistry>,
    readers: Arc<Readers>,
    /// Decided and not yet handed to the journal.
    open: Option<Batch>,
    /// Commands decided since the last batch was handed over.
    open_commands: usize,
    /// Due commands among them.
    open_due: usize,
    /// What leaves when the journal is durable up to there.
    waiting: VecDeque<(Sequence, Outgoing)>,
    /// Follow-ups that are commands of their own, by the record that holds them.
    leftovers: VecDeque<Leftover>,
    /// Due commands that failed. Those in the index of what is due are put off and so never met again under this name; the
    /// others, which are about the dedup window, rest until the next start.
    spoiled: Vec<Due>,
    checkpoints: Checkpoints,
    disk_low: bool,
    /// A reader is too far behind, and nothing may be missing in what it makes.
    reader_behind: bool,
    stopped: Option<Stopped>,
}

struct Leftover {
    sequence: Sequence,
    command: Command,
    traceparent: Option<Arc<str>>,
}

impl<J: Journal, S: Store, C: Clock> Partition<J, S, C> {
    /// One turn of the writer: everything it ever does, in this order. Never waits for the disk.
    ///
    /// `requests` is asked for as many as fit into the open batch.
    ///
    /// # Errors
    /// [`Stopped`]: now or earlier; everything that waited has been answered.
    pub fn step(
        &mut self,
        requests: &mut dyn FnMut() -> Option<Request>,
        effects: &mut dyn EffectSink,
    ) -> Result<Step, Stopped> {
        if let Some(stopped) = &self.stopped {
            return Err(stopped.clone());
        }
        self.turn(requests, effects)
            .map_err(|reason| self.stop(reason))
    }

    fn turn(
        &mut self,
        requests: &mut dyn FnMut() -> Option<Request>,
        effects: &mut dyn EffectSink,
    ) -> Result<Step, String> {
        let decided = self.decide(requests)?;
        let appended = self.append()?;
        let committed = self.commit()?;
        let released = self.release_effects(effects);
        Ok(Step {
            progressed: decided || appended || committed || released,
            more: self.has_more(),
            in_flight: self.journal.in_flight(),
            checkpointing: self.checkpoints.is_busy(),
            next_due: self.engine.next_due(&self.keep),
        })
    }

    /// Hands the open batch to the journal unless one is in flight: then the open one goes on growing.
    fn append(&mut self) -> Result<bool, String> {
        if self.open.is_none() {
            // What was decided wrote nothing: it counts for no batch.
            self.open_commands = 0;
            self.open_due = 0;
            return Ok(false);
        }
        if self.journal.in_flight() {
            return Ok(false);
        }
        self.submit_open()?;
        Ok(true)
    }

    fn submit_open(&mut self) -> Result<(), String> {
        let Some(batch) = self.open.take() else {
            return Ok(());
        };
        self.metrics.batches.add(1);
        self.metrics.records.add(u64::from(batch.len()));
        self.metrics.journal_bytes.add(batch.bytes() as u64);
        self.open_commands = 0;
        self.open_due = 0;
        self.journal
            .submit(batch)
            .map_err(|error| error.to_string())?;
        Ok(())
    }

    /// Sees how far the journal is durable; the store gets what it may have by now. Between two batches memory is encoded
    /// for it, also when nothing was appended: write-back must catch up while intake waits for it.
    fn commit(&mut self) -> Result<bool, String> {
        if self.open.is_none() {
            self.write_back()?;
        }
        let durable = self.journal.durable().map_err(|error| error.to_string())?;
        self.hand_over(Sequence(durable.sequence.0))
    }

    /// Lets go of everything whose records are durable.
    fn release_effects(&mut self, effects: &mut dyn EffectSink) -> bool {
        let durable = match self.journal.durable() {
            Ok(durable) => Sequence(durable.sequence.0),
            Err(_) => return false,
        };
        let mut released = false;
        while let Some((needs, _)) = self.waiting.front()
            && *needs <= durable
        {
            let (needs, outgoing) = self
                .waiting
                .pop_front()
                .expect("invariant: it was in front");
            released = true;
            match outgoing {
                Outgoing::Reply(to, reply) => to(reply),
                Outgoing::Effect(effect) => effects.release(needs, effect),
                Outgoing::Read(then) => then(true),
            }
        }
        released
    }

    fn has_more(&self) -> bool {
        !self.leftovers.is_empty() || self.checkpoints.hurry()
    }

    /// Whether commands from outside are welcome: not while memory, the tail or a reader's lag is over its limit.
    fn takes_more(&self) -> bool {
        let open_bytes = self.open.as_ref().map_or(0, Batch::bytes);
        self.open_commands < self.options.batch_commands_max
            && open_bytes < self.options.batch_bytes_max
            && !self.reader_behind
            && !self.is_pressed()
    }

    fn stop(&mut self, reason: String) -> Stopped {
        let stopped = Stopped { reason };
        self.stopped = Some(stopped.clone());
        self.open = None;
        for (_, outgoing) in self.waiting.drain(..) {
            match outgoing {
                Outgoing::Reply(to, _) => to(Err(Refusal::Unavailable {
                    reason: stopped.reason.clone(),
                })),
                Outgoing::Read(then) => then(false),
                Outgoing::Effect(_) => {}
            }
        }
        stopped
    }

    /// The disk has little room left: work that makes state grow is refused.
    pub fn set_disk_low(&mut self, low: bool) {
        self.disk_low = low;
    }

    /// Steps until everything that was taken is durable and has left. For one thread without pipelining: tests, tools.
    ///
    /// # Errors
    /// [`Stopped`].
    pub fn finish(&mut self, effects: &mut dyn EffectSink) -> Result<(), Stopped> {
        loop {
            let step = self.step(&mut || None, effects)?;
            let end = self.journal.end().sequence;
            let waited = self
                .journal
                .wait(end)
                .map(|_| ())
                .map_err(|error| error.to_string());
            waited.map_err(|reason| self.stop(reason))?;
            if !step.progressed && !step.more && self.open.is_none() && self.waiting.is_empty() {
                return Ok(());
            }
        }
    }

    /// For whoever completes its writes by hand.
    pub fn journal(&mut self) -> &mut J {
        &mut self.journal
    }

    /// The partition's time now.
    pub fn now(&mut self) -> Timestamp {
        self.time.now()
    }

    /// Where committed records are read.
    #[must_use]
    pub fn readers(&self) -> &Arc<Readers> {
        &self.readers
    }

    /// Counters.
    #[must_use]
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// Open job streams.
    #[must_use]
    pub fn streams(&self) -> &Arc<StreamRegistry> {
        &self.streams
    }

    /// State as decided so far, durable or not: for tests and tools.
    #[must_use]
    pub fn state(&mut self) -> &mut dyn Keep {
        &mut self.keep
    }
}
