//! From disk to memory: at every start, and after a panic.
//!
//! The store gives the state as of its last cut and single instances that are newer; the journal's tail is replayed on top, each
//! target skipping what it has (design §4, *Recovery*).
//!
//! **Invariants**
//! - Only the creating event makes an instance. Events for one that is neither in memory nor in the store are passed over, and
//!   its key is remembered: if it has not ended by the end of the tail, its blob was lost, and the partition does not start.
//! - Nothing is decided, answered or released before the journal has announced the new leader durably; whoever makes a
//!   [`Partition`] gives it such a journal, and the first thing decided is `AnnounceLeader`.
//! - A panic while replaying is not caught: the same record would panic again.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use kapelle_engine::command::Command;
use kapelle_engine::event::{Event, Targets};
use kapelle_engine::ids::{ProcessInstanceKey, Sequence, Timestamp};
use kapelle_engine::keep::Keep;
use kapelle_engine::{Engine, encode};
use kapelle_storage::journal::{BatchKind, Journal};
use kapelle_storage::position::Sequence as StoredSequence;
use kapelle_storage::store::{Manifest, Store};

use super::checkpoint::Checkpoints;
use super::{Leftover, Partition};
use crate::clock::{Clock, PartitionTime};
use crate::keep::StoreKeep;
use crate::metrics::Metrics;
use crate::options::Options;
use crate::reader::Readers;
use crate::record::{self, Header, Record, Source, Whole};
use crate::streams::StreamRegistry;

/// Why a partition does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Journal or store could not be read.
    #[error("failed to recover the partition: {0}")]
    Unreadable(String),
    /// One of the two lost data.
    #[error(
        "checkpoint and journal do not belong together: the checkpoint holds record {stored}, the journal ends at {end}; \
         restore both from the same copy"
    )]
    JournalBehind { stored: u64, end: u64 },
    /// The store lost the blob of an instance that lives.
    #[error("the checkpoint has lost instance {instance}; restore the data directory from a copy")]
    InstanceLost { instance: ProcessInstanceKey },
    /// A record cannot be understood.
    #[error("record {sequence} cannot be replayed: {why}")]
    Record { sequence: u64, why: String },
}

impl StartError {
    /// Stable for ever; the manual has a page for each.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unreadable(_) => "KAP-RUN-02",
            Self::JournalBehind { .. } => "KAP-RUN-03",
            Self::InstanceLost { .. } => "KAP-RUN-04",
            Self::Record { .. } => "KAP-RUN-05",
        }
    }
}

/// What comes out of a recovery beside the state itself.
struct Recovered {
    engine: Engine,
    leftovers: VecDeque<Leftover>,
    manifest: Manifest,
    /// Of the last command; `None` in an empty journal.
    last_record: Option<Timestamp>,
    records: u64,
}

impl<J: Journal, S: Store, C: Clock> Partition<J, S, C> {
    /// Recovers and announces the new leader. Decides nothing else; the first [`Partition::step`] goes on.
    ///
    /// The journal has announced its leader, and whoever opened it has checked that it goes through the store's
    /// [`Manifest::newest`].
    ///
    /// # Errors
    /// [`StartError`]; nothing on disk was changed but the announcement.
    pub fn start(
        journal: J,
        store: S,
        clock: C,
        options: Options,
        streams: Arc<StreamRegistry>,
        metrics: Arc<Metrics>,
    ) -> Result<Self, StartError> {
        let began = clock.monotonic();
        let mut keep = StoreKeep::new(store);
        let recovered = recover(&journal, &mut keep, &options)?;
        let time = PartitionTime::start(clock, recovered.last_record, options.accept_clock_jump);
        metrics.clock_doubted.set(u64::from(time.jump().is_some()));
        metrics.recovery_records.set(recovered.records);
        let spent = time.monotonic().saturating_sub(began);
        metrics
            .recovery_ns
            .set(u64::try_from(spent.as_nanos()).unwrap_or(u64::MAX));
        let leader = journal.leader();
        let readers = Arc::new(Readers::new(journal.reader(), &options.readers));
        let mut partition = Self {
            engine: recovered.engine,
            keep,
            journal,
            time,
            options,
            metrics,
            streams,
            readers,
            open: None,
            open_commands: 0,
            open_due: 0,
            waiting: VecDeque::new(),
            leftovers: recovered.leftovers,
            spoiled: Vec::new(),
            checkpoints: Checkpoints::new(&recovered.manifest, 0),
            disk_low: false,
            reader_behind: false,
            stopped: None,
        };
        let announce = Command::AnnounceLeader {
            epoch: leader.epoch,
            incarnation: incarnation(leader.incarnation),
        };
        partition
            .decide_own(announce)
            .map_err(StartError::Unreadable)?;
        Ok(partition)
    }

    /// The clock was more than an hour ahead of the last record and was not believed.
    #[must_use]
    pub fn clock_jump(&self) -> Option<crate::clock::ClockJump> {
        self.time.jump()
    }

    /// After a panic while deciding: what was decided before it is made durable, then all memory is dropped and read again.
    pub(super) fn reload(&mut self) -> Result<(), String> {
        self.submit_open()?;
        let end = self.journal.end().sequence;
        let durable = self.journal.wait(end).map_err(|error| error.to_string())?;
        // What the store was promised it gets, so that its queue is in order when it is asked for its manifest.
        self.hand_over(Sequence(durable.sequence.0))?;
        let last = self.checkpoints.last_ticket();
        self.keep
            .store()
            .wait(last)
            .map_err(|error| error.to_string())?;
        self.hand_over(Sequence(durable.sequence.0))?;
        let recovered = recover(&self.journal, &mut self.keep, &self.options)
            .map_err(|error| error.to_string())?;
        self.engine = recovered.engine;
        self.leftovers = recovered.leftovers;
        self.checkpoints = Checkpoints::new(&recovered.manifest, self.metrics.journal_bytes.get());
        Ok(())
    }
}

/// Drops all memory and makes it again of store and journal.
fn recover<S: Store>(
    journal: &impl Journal,
    keep: &mut StoreKeep<S>,
    options: &Options,
) -> Result<Recovered, StartError> {
    let end = Sequence(journal.end().sequence.0);
    let manifest = keep.store().manifest().unwrap_or_default();
    if manifest.max_position.0 > end.0 {
        return Err(StartError::JournalBehind {
            stored: manifest.max_position.0,
            end: end.0,
        });
    }
    keep.reset(end).map_err(StartError::Unreadable)?;
    let applied = keep
        .store()
        .applied()
        .map_err(|error| StartError::Unreadable(error.to_string()))?;
    let mut replay = Replay {
        engine: Engine::new(super::decide::settings(options)),
        keep,
        from: Sequence(manifest.replay_from.0.max(1)),
        cut: Sequence(applied.0),
        command: None,
        absent: BTreeSet::new(),
        ended: BTreeSet::new(),
        leftovers: BTreeMap::new(),
        last_record: None,
        records: 0,
    };
    replay.run(journal)?;
    if let Some(instance) = replay.absent.first() {
        return Err(StartError::InstanceLost {
            instance: *instance,
        });
    }
    for leftover in replay.leftovers.values() {
        replay.engine.resume(&leftover.command);
    }
    let last_record = replay.last_record.max(replay.keep.last_record());
    Ok(Recovered {
        engine: replay.engine,
        leftovers: replay.leftovers.into_values().collect(),
        manifest,
        last_record,
        records: replay.records,
    })
}

/// Reads the tail and applies what its targets do not have.
struct Replay<'a, S> {
    engine: Engine,
    keep: &'a mut StoreKeep<S>,
    from: Sequence,
    /// What the indexes reflect.
    cut: Sequence,
    /// The header that the records belong to, and where it is.
    command: Option<(Sequence, Header)>,
    /// Instances that events were passed over for.
    absent: BTreeSet<ProcessInstanceKey>,
    /// … and those that ended in the tail.
    ended: BTreeSet<ProcessInstanceKey>,
    /// Not yet decided, as far as has been read.
    leftovers: BTreeMap<Sequence, Leftover>,
    last_record: Option<Timestamp>,
    records: u64,
}

impl<S: Store> Replay<'_, S> {
    fn run(&mut self, journal: &impl Journal) -> Result<(), StartError> {
        let unreadable =
            |error: kapelle_storage::journal::Error| StartError::Unreadable(error.to_string());
        let mut cursor = journal
            .reader()
            .read_from(StoredSequence(self.from.0))
            .map_err(unreadable)?;
        while let Some(batch) = cursor.next_batch().map_err(unreadable)? {
            if batch.kind == BatchKind::LeaderAnnounced {
                continue;
            }
            let mut whole = Whole::default();
            for (sequence, bytes) in batch.records() {
                let done = match whole.next(bytes) {
                    Ok(bytes) => self.record(Sequence(sequence.0), bytes),
                    Err(error) => Err(error.to_string()),
                };
                done.map_err(|why| StartError::Record {
                    sequence: sequence.0,
                    why,
                })?;
            }
        }
        Ok(())
    }

    fn record(&mut self, sequence: Sequence, bytes: &[u8]) -> Result<(), String> {
        match record::read(bytes).map_err(|error| error.to_string())? {
            Record::Header(header) => {
                if let Source::Leftover(done) = header.source {
                    self.leftovers.remove(&done);
                }
                self.last_record = self.last_record.max(Some(header.at));
                self.keep.begin(sequence);
                self.command = Some((sequence, header));
                Ok(())
            }
            // The tail may begin with a follow-up, in the middle of its command, whose header is in the same batch.
            _ if sequence < self.from => Ok(()),
            Record::Event(bytes) => {
                self.records += 1;
                let event = encode::decode_event(bytes).map_err(|error| error.to_string())?;
                self.event(sequence, &event)
            }
            Record::Leftover(bytes) => {
                let command = encode::decode_command(bytes).map_err(|error| error.to_string())?;
                let (_, header) = self.command.as_ref().ok_or("it follows no header")?;
                let traceparent = header.traceparent.clone();
                self.leftovers.insert(
                    sequence,
                    Leftover {
                        sequence,
                        command,
                        traceparent,
                    },
                );
                Ok(())
            }
        }
    }

    fn event(&mut self, sequence: Sequence, event: &Event) -> Result<(), String> {
        let at = self.command.as_ref().ok_or("it follows no header")?.1.at;
        let all = event.targets();
        let instance = all
            .instance
            .filter(|key| self.is_behind(*key, sequence, event));
        let targets = Targets {
            instance,
            indexes: all.indexes && sequence > self.cut,
        };
        if targets.instance.is_some() || targets.indexes {
            self.engine.replay(self.keep, event, sequence, at, targets);
            self.keep.settle();
        }
        self.keep.failure().map_or(Ok(()), Err)
    }

    /// Whether the instance is to see this event.
    fn is_behind(&mut self, key: ProcessInstanceKey, sequence: Sequence, event: &Event) -> bool {
        let there = self.keep.pin(key);
        match event {
            Event::InstanceCreated(_) if !there => return true,
            Event::InstanceEnded(_) => {
                self.absent.remove(&key);
                self.ended.insert(key);
            }
            _ if !there && !self.ended.contains(&key) => {
                self.absent.insert(key);
            }
            _ => {}
        }
        there && self.keep.stored(key).is_none_or(|stored| sequence > stored)
    }
}

/// The engine tells incarnations apart by 64 bits, the journal by 128.
const fn incarnation(of_journal: u128) -> u64 {
    (of_journal as u64) ^ ((of_journal >> 64) as u64)
}
