//! A reader behind the writer that remembers all it has seen, and a second engine that is fed with it.
//!
//! **Invariants**
//! - What a reader has seen is there after every crash: the same records, at the same places ([`History::resume`]).
//! - Plain memory fed with the committed events holds the same bytes as the partition ([`compare`]).

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hasher};
use std::ops::ControlFlow;

use kapelle_engine::event::Event;
use kapelle_engine::ids::{ProcessInstanceKey, Sequence, Timestamp};
use kapelle_engine::keep::Keep;
use kapelle_engine::memory::Memory;
use kapelle_engine::trace::Trace;
use kapelle_engine::{Engine, Settings, encode};
use kapelle_runtime::reader::{CommittedRecord, ReadError, RecordReader};

use crate::facts::Facts;

/// All that was ever committed.
pub(crate) struct History {
    pub(crate) facts: Facts,
    pub(crate) memory: Memory,
    engine: Engine,
    settings: Settings,
    /// The last record seen.
    pub(crate) last: Sequence,
    last_at: Timestamp,
    /// The last records, for the look back after a start.
    recent: VecDeque<(Sequence, u64)>,
    /// Records that are read again after each start, to see that they are the same.
    look_back: usize,
    pub(crate) records: u64,
    /// Events as text since somebody looked, if anybody does.
    trace: Option<(Trace, Vec<String>)>,
}

impl History {
    pub(crate) fn new(settings: Settings, facts: Facts, look_back: usize) -> Self {
        Self {
            facts,
            memory: Memory::new(),
            engine: Engine::new(settings.clone()),
            settings,
            last: Sequence(0),
            last_at: Timestamp(i64::MIN),
            recent: VecDeque::new(),
            look_back,
            records: 0,
            trace: None,
        }
    }

    /// Where a reader has to begin so that it can look back.
    pub(crate) fn resume(&self) -> Sequence {
        self.recent.front().map_or(Sequence(1), |(first, _)| *first)
    }

    /// From now on events are told.
    pub(crate) fn tell(&mut self) {
        self.trace = Some((Trace::new(), Vec::new()));
    }

    /// What was told since the last call.
    pub(crate) fn told(&mut self) -> Vec<String> {
        self.trace
            .as_mut()
            .map(|(_, lines)| std::mem::take(lines))
            .unwrap_or_default()
    }

    /// Looks back no further than the last few records from now on, so that the journal can let go of the others.
    pub(crate) fn look_back_less(&mut self) {
        self.look_back = 3;
        let gone = self.recent.len().saturating_sub(self.look_back);
        self.recent.drain(..gone);
    }

    /// Takes in everything that is durable by now; returns how many records were new.
    ///
    /// # Errors
    /// What was seen before is gone or different, or the events are impossible.
    pub(crate) fn poll(&mut self, reader: &mut RecordReader) -> Result<u64, String> {
        let mut new = 0;
        loop {
            let records = match reader.poll(1_000) {
                Ok(records) => records,
                // The partition has stopped; the next start reads on.
                Err(ReadError::Stopped { .. }) => return Ok(new),
                Err(error) => return Err(format!("what was committed cannot be read: {error}")),
            };
            if records.is_empty() {
                return Ok(new);
            }
            for record in records {
                new += u64::from(self.take(&record)?);
            }
        }
    }

    /// `true` if it was not seen before.
    pub(crate) fn take(&mut self, record: &CommittedRecord) -> Result<bool, String> {
        let mut bytes = Vec::new();
        encode::encode_event(&record.event, &mut bytes);
        let mut hasher = DefaultHasher::new();
        hasher.write(&bytes);
        hasher.write_i64(record.command.at.0);
        let hash = hasher.finish();
        if record.sequence <= self.last {
            let same = self
                .recent
                .iter()
                .find(|(sequence, _)| *sequence == record.sequence)
                .is_some_and(|(_, seen)| *seen == hash);
            return if same {
                Ok(false)
            } else {
                Err(format!(
                    "record {} was committed and is another one now",
                    record.sequence.0
                ))
            };
        }
        if record.command.at < self.last_at {
            return Err(format!(
                "record {} is older than the one before",
                record.sequence.0
            ));
        }
        self.last = record.sequence;
        self.last_at = record.command.at;
        self.recent.push_back((record.sequence, hash));
        if self.recent.len() > self.look_back {
            self.recent.pop_front();
        }
        self.records += 1;
        if let Some((trace, lines)) = &mut self.trace {
            lines.push(format!(
                "    {} {}",
                record.sequence.0,
                trace.line(&record.event)
            ));
        }
        self.facts
            .note(&record.event, record.sequence, record.command.at)
            .map_err(|why| format!("{why} (at record {})", record.sequence.0))?;
        replay(&mut self.engine, &mut self.memory, &record.event, record);
        Ok(true)
    }

    /// Another memory with the same content and what was committed since on another disk: for copies.
    pub(crate) fn fork(&self) -> Self {
        Self {
            facts: self.facts.clone(),
            memory: self.memory.clone(),
            engine: Engine::new(self.settings.clone()),
            settings: self.settings.clone(),
            last: self.last,
            last_at: self.last_at,
            recent: self.recent.clone(),
            look_back: self.look_back,
            records: self.records,
            trace: None,
        }
    }

    /// Whether something is due at that time and not yet done.
    pub(crate) fn overdue(&self, now: Timestamp) -> Option<String> {
        let due = Engine::new(self.settings.clone()).due(&self.memory, now, 1);
        due.first().map(|command| format!("{command:?}"))
    }
}

fn replay(engine: &mut Engine, memory: &mut Memory, event: &Event, record: &CommittedRecord) {
    engine.replay(
        memory,
        event,
        record.sequence,
        record.command.at,
        event.targets(),
    );
}

/// The partition's state against what the committed events make of nothing, as both would lie on disk.
///
/// # Errors
/// Where they differ first.
pub(crate) fn compare(state: &mut dyn Keep, history: &History) -> Result<(), String> {
    for key in history.facts.ended.keys() {
        if state.pin(*key) {
            return Err(format!("instance {key} has ended and is there"));
        }
    }
    for instance in history.memory.instances() {
        let there = state.pin(instance.key());
        let found = there.then(|| state.instance(instance.key())).flatten();
        if found != Some(instance) {
            return Err(format!(
                "instance {} differs from its events:\n  is     {found:?}\n  should {instance:?}",
                instance.key()
            ));
        }
    }
    if state.partition() != history.memory.partition() {
        return Err(format!(
            "the partition object differs from its events:\n  is     {:?}\n  should {:?}",
            state.partition(),
            history.memory.partition()
        ));
    }
    compare_entries(state, history)
}

fn compare_entries(state: &mut dyn Keep, history: &History) -> Result<(), String> {
    let mut expected = history.memory.entries();
    let mut difference = None;
    state.scan(&[1], &[u8::MAX], &mut |key, value| {
        match expected.next() {
            Some((own, is)) if own == key && is == value => return ControlFlow::Continue(()),
            Some((own, _)) => {
                difference = Some(format!(
                    "index entry {} where {} is expected",
                    key.escape_ascii(),
                    own.escape_ascii()
                ));
            }
            None => difference = Some(format!("index entry {} too many", key.escape_ascii())),
        }
        ControlFlow::Break(())
    });
    if difference.is_none()
        && let Some((key, _)) = expected.next()
    {
        difference = Some(format!("index entry {} is missing", key.escape_ascii()));
    }
    difference.map_or(Ok(()), Err)
}

/// Tables whose entries belong to instances, messages or windows of time: empty when all are over.
const OF_THE_LIVING: [u8; 15] = [10, 11, 20, 21, 30, 31, 32, 33, 34, 36, 40, 41, 50, 51, 70];

/// What is left of the dead.
pub(crate) fn left_behind(memory: &Memory) -> Option<String> {
    memory
        .entries()
        .find(|(key, _)| {
            key.first()
                .is_some_and(|table| OF_THE_LIVING.contains(table))
        })
        .map(|(key, _)| key.escape_ascii().to_string())
}

/// Living instances, by key.
pub(crate) fn living(history: &History) -> Vec<ProcessInstanceKey> {
    history.facts.instances.keys().copied().collect()
}
