//! The first step: commands become events, in memory and in the open batch.
//!
//! Order inside a step: left-over follow-ups, then what is due, then requests, so that what began earlier ends earlier; each
//! has a bound per batch, so none starves the others.
//!
//! **Invariant**: the one place in the product that catches a panic is [`Partition::process`]. After one, nothing in
//! memory is trusted: it is dropped and read again from journal and store before anything else is decided. A decision
//! that is larger than a batch of the journal may be is taken back in the same way.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use kapelle_engine::command::{Command, CommandMeta, Due, FollowUp, Interrupted, SetAside};
use kapelle_engine::ids::Sequence;
use kapelle_engine::rejection::{Rejection, RejectionCode};
use kapelle_engine::{Decision, Settings, encode};
use kapelle_storage::journal::{Batch, Journal};
use kapelle_storage::store::Store;

use super::{Leftover, Outgoing, Partition, Request};
use crate::clock::Clock;
use crate::record::{self, Copies, Header, Source};
use crate::reply::{Refusal, ReplyTo};
use crate::streams::Taking;

/// Follow-ups decided in one step: a process with ten thousand paths must not keep the batch from being synced.
const LEFTOVERS_PER_STEP_MAX: usize = 64;

/// Requests decided before the journal is looked at again: an idle disk must not wait until a long queue is decided.
const REQUESTS_PER_STEP_MAX: usize = 64;

/// What is kept of a panic's message.
const PANIC_TEXT_CHARS_MAX: usize = 500;

/// Room in a batch for what nobody may refuse. A follow-up that fitted into a batch without it fits into one with it
/// together with the reason, twice, why it is set aside.
const VITAL_BYTES_MAX: usize = 8 * 1024;

impl<J: Journal, S: Store, C: Clock> Partition<J, S, C> {
    pub(super) fn decide(
        &mut self,
        requests: &mut dyn FnMut() -> Option<Request>,
    ) -> Result<bool, String> {
        let started = self.time.monotonic();
        let before = self.metrics.commands.get();
        self.decide_leftovers()?;
        self.decide_due()?;
        let lag_max = self.options.reader_lag_records_max;
        self.reader_behind = self.readers.slow_intake(self.position(), lag_max);
        let asked = self.decide_requests(requests)?;
        let decided = self.metrics.commands.get() != before;
        if decided {
            let spent = self.time.monotonic().saturating_sub(started);
            self.metrics
                .decide_ns
                .add(u64::try_from(spent.as_nanos()).unwrap_or(u64::MAX));
        }
        Ok(decided || asked)
    }

    fn decide_leftovers(&mut self) -> Result<(), String> {
        for _ in 0..LEFTOVERS_PER_STEP_MAX {
            if !self.has_room() {
                break;
            }
            let Some(leftover) = self.leftovers.pop_front() else {
                break;
            };
            let source = Source::Leftover(leftover.sequence);
            self.process(leftover.command, leftover.traceparent, source, None)?;
        }
        self.metrics.leftovers.set(self.leftovers.len() as u64);
        Ok(())
    }

    fn decide_due(&mut self) -> Result<(), String> {
        let room = self.options.due_max.saturating_sub(self.open_due);
        if room == 0 || !self.has_room() {
            return Ok(());
        }
        let now = self.time.now();
        let due = self.engine.due(&self.keep, now, room + self.spoiled.len());
        self.check_reads()?;
        self.metrics.due_backlog.set(u64::from(due.len() >= room));
        for command in due {
            if matches!(&command, Command::Due(due) if self.spoiled.contains(due)) {
                continue;
            }
            // What is left is due again in the next batch.
            if !self.has_room() {
                break;
            }
            self.open_due += 1;
            self.process(command, None, Source::Internal, None)?;
        }
        Ok(())
    }

    fn decide_requests(
        &mut self,
        requests: &mut dyn FnMut() -> Option<Request>,
    ) -> Result<bool, String> {
        let mut asked = 0;
        while asked < REQUESTS_PER_STEP_MAX
            && self.takes_more()
            && let Some(request) = requests()
        {
            asked += 1;
            match request {
                Request::Read(read) => {
                    let then = read(&self.keep);
                    self.check_reads()?;
                    self.waiting
                        .push_back((self.position(), Outgoing::Read(then)));
                }
                Request::Command { command, reply, .. } if self.disk_low && grows(&command) => {
                    self.metrics.disk_full.add(1);
                    reply(Err(Refusal::DiskFull));
                }
                Request::Command {
                    command,
                    meta,
                    reply,
                } => {
                    let source = if command.is_internal() {
                        Source::Internal
                    } else {
                        Source::External
                    };
                    self.process(command, meta.traceparent, source, Some(reply))?;
                }
            }
        }
        Ok(asked > 0)
    }

    /// Decides one command of the runtime's own, as if it had been asked.
    pub(super) fn decide_own(&mut self, command: Command) -> Result<(), String> {
        self.process(command, None, Source::Internal, None)
    }

    fn process(
        &mut self,
        command: Command,
        traceparent: Option<Arc<str>>,
        source: Source,
        reply: Option<ReplyTo>,
    ) -> Result<(), String> {
        let kind = record::kind_of(&command);
        let due = if let Command::Due(due) = &command {
            Some(*due)
        } else {
            None
        };
        let meta = CommandMeta {
            now: self.time.now(),
            traceparent,
        };
        let header_at = Sequence(self.position().0 + 1);
        self.keep.begin(header_at);
        self.metrics.commands.add(1);
        self.open_commands += 1;

        let mut streams = Taking::new(&self.streams);
        let (engine, keep) = (&mut self.engine, &mut self.keep);
        let first_event = Sequence(header_at.0 + 1);
        let decision = catch_unwind(AssertUnwindSafe(|| {
            engine.process(keep, command, &meta, first_event, &mut streams)
        }));
        let taken = streams.taken;
        match decision {
            Ok(decision) => {
                self.keep.settle();
                self.check_reads()?;
                let header = Header {
                    at: meta.now,
                    kind,
                    source,
                    events: count(decision.events.len()),
                    leftovers: count(decision.leftover.len()),
                    traceparent: meta.traceparent,
                };
                match self.record(header, decision, reply) {
                    Ok(()) => Ok(()),
                    Err(TooLarge {
                        header,
                        reply,
                        bytes,
                    }) => {
                        self.streams.give_back(&taken);
                        self.undo(&self.too_large(bytes), header, due, reply)
                    }
                }
            }
            Err(panic) => {
                self.metrics.panics.add(1);
                self.streams.give_back(&taken);
                let header = Header {
                    at: meta.now,
                    kind,
                    source,
                    events: 0,
                    leftovers: 0,
                    traceparent: meta.traceparent,
                };
                self.undo(&Fault::Panic(panic_text(&*panic)), header, due, reply)
            }
        }
    }

    /// Writes what was decided into the open batch and queues what may leave later. What does not fit into a batch leaves
    /// no trace there; state has it already and must be read again.
    fn record(
        &mut self,
        header: Header,
        decision: Decision,
        reply: Option<ReplyTo>,
    ) -> Result<(), TooLarge> {
        let refused = decision.answer.is_err();
        debug_assert!(
            !refused || (decision.events.is_empty() && decision.leftover.is_empty()),
            "a refused command changes nothing"
        );
        let silent = decision.events.is_empty() && decision.leftover.is_empty();
        let events = decision.events.len() as u64;
        if (!silent || matches!(header.source, Source::Leftover(_)))
            && let Err((header, bytes)) =
                self.write_records(header, &decision.events, decision.leftover)
        {
            return Err(TooLarge {
                header,
                reply,
                bytes,
            });
        }
        self.metrics.events.add(events);
        self.metrics.rejections.add(u64::from(refused));
        let needs = self.position();
        // The reply first: a deferred answer must have been given before its result arrives as an effect.
        if let Some(reply) = reply {
            self.waiting.push_back((
                needs,
                Outgoing::Reply(reply, decision.answer.map_err(Refusal::Rejected)),
            ));
        }
        for effect in decision.effects {
            self.waiting.push_back((needs, Outgoing::Effect(effect)));
        }
        Ok(())
    }

    /// The error is the header and how many bytes the records would have had.
    fn write_records(
        &mut self,
        header: Header,
        events: &[kapelle_engine::event::Event],
        leftover: Vec<Command>,
    ) -> Result<(), (Header, usize)> {
        let bytes_max = if is_vital(header.kind) {
            self.journal.capabilities().batch_bytes_max
        } else {
            self.command_bytes_max()
        };
        let journal = &mut self.journal;
        let batch = self.open.get_or_insert_with(|| journal.batch());
        let before = (batch.len(), batch.bytes());
        batch.push_with(|out| record::put_header(&header, out));
        let mut copies = Copies::new(self.options.repeat_bytes_min);
        let mut shortened = 0;
        for event in events {
            let sequence = Sequence(batch.next().0);
            batch.push_with(|out| {
                let start = out.len();
                record::put_event(out);
                encode::encode_event(event, out);
                shortened += u64::from(copies.shorten(sequence, start, out));
            });
        }
        let mut follow_ups = Vec::with_capacity(leftover.len());
        for command in leftover {
            let sequence = Sequence(batch.next().0);
            batch.push_with(|out| {
                let start = out.len();
                record::put_leftover(out);
                encode::encode_command(&command, out);
                shortened += u64::from(copies.shorten(sequence, start, out));
            });
            follow_ups.push(Leftover {
                sequence,
                command,
                traceparent: header.traceparent.clone(),
            });
        }
        if batch.bytes() > bytes_max {
            let bytes = batch.bytes() - before.1;
            batch.rewind(before.0, before.1);
            if batch.is_empty() {
                self.open = None;
            }
            return Err((header, bytes));
        }
        self.metrics.shortened.add(shortened);
        self.leftovers.extend(follow_ups);
        Ok(())
    }

    /// Nothing in memory is trusted any more, or it has what the journal will not: read everything again and refuse the
    /// command. What nobody would hear of or ask again otherwise is set aside.
    fn undo(
        &mut self,
        fault: &Fault,
        header: Header,
        due: Option<Due>,
        reply: Option<ReplyTo>,
    ) -> Result<(), String> {
        // A panic while setting something aside would go round for ever; nobody may lead without having said so.
        if is_vital(header.kind) {
            return Err(format!(
                "a command of the partition's own failed: {}",
                fault.text()
            ));
        }
        let reached = self.keep.reached();
        self.reload()?;
        self.spoiled.extend(due);
        let source = header.source;
        let interrupted = match source {
            Source::Leftover(sequence) => Some(Interrupted::Step(self.take_leftover(sequence)?)),
            Source::External | Source::Internal => due.map(Interrupted::Due),
        };
        // Who asked for too much is told and can do something about it; what is asked again by itself can not.
        let is_told = matches!(fault, Fault::TooLarge { .. }) && reply.is_some();
        if let Some(reply) = reply {
            self.waiting.push_back((
                self.position(),
                Outgoing::Reply(reply, Err(Refusal::Rejected(fault.rejection()))),
            ));
        }
        self.metrics.rejections.add(1);
        if is_told || (reached.is_none() && interrupted.is_none()) {
            return Ok(());
        }
        let set_aside = Command::SetAside(SetAside {
            reason: Arc::from(fault.text()),
            reached,
            interrupted,
        });
        // Of a follow-up, one and the same command says that it is done and where it is kept instead.
        self.process(set_aside, header.traceparent, source, None)
    }

    /// The follow-up that failed, as the journal has it.
    fn take_leftover(&mut self, sequence: Sequence) -> Result<FollowUp, String> {
        let at = self
            .leftovers
            .iter()
            .position(|leftover| leftover.sequence == sequence);
        let leftover = at.and_then(|at| self.leftovers.remove(at));
        match leftover.map(|leftover| leftover.command) {
            Some(Command::Continue(follow_up)) => Ok(follow_up),
            _ => Err(format!(
                "the journal has lost the follow-up in record {}",
                sequence.0
            )),
        }
    }

    fn too_large(&self, bytes: usize) -> Fault {
        // A batch may hold other commands already, up to where it is closed; that is no fault of this one.
        let room = self
            .command_bytes_max()
            .saturating_sub(self.options.batch_bytes_max);
        Fault::TooLarge {
            bytes,
            bytes_max: room,
        }
    }

    /// How large the open batch may be with what a command adds.
    fn command_bytes_max(&self) -> usize {
        let capabilities = self.journal.capabilities();
        capabilities.batch_bytes_max.saturating_sub(VITAL_BYTES_MAX)
    }

    /// The last record that was given a number.
    pub(super) fn position(&self) -> Sequence {
        match &self.open {
            Some(batch) => Sequence(batch.next().0 - 1),
            None => Sequence(self.journal.end().sequence.0),
        }
    }

    /// What was decided on a read that failed must not leave.
    pub(super) fn check_reads(&self) -> Result<(), String> {
        self.keep.failure().map_or(Ok(()), Err)
    }

    fn has_room(&self) -> bool {
        self.open
            .as_ref()
            .is_none_or(|batch: &Batch| batch.bytes() < self.options.batch_bytes_max)
    }
}

/// A decision that the open batch cannot hold.
struct TooLarge {
    header: Header,
    reply: Option<ReplyTo>,
    bytes: usize,
}

/// Why a decision is taken back.
enum Fault {
    /// The engine failed; its message.
    Panic(String),
    /// What was decided is larger than a batch may be.
    TooLarge { bytes: usize, bytes_max: usize },
}

impl Fault {
    fn text(&self) -> String {
        match self {
            Self::Panic(text) => text.clone(),
            Self::TooLarge { bytes, bytes_max } => format!(
                "what it comes to has {bytes} bytes, and one command may write {bytes_max} bytes to the journal"
            ),
        }
    }

    fn rejection(&self) -> Rejection {
        let (code, why) = match self {
            Self::Panic(text) => (
                RejectionCode::ProcessingError,
                format!("the engine failed: {text}"),
            ),
            Self::TooLarge { .. } => (RejectionCode::InvalidArgument, self.text()),
        };
        Rejection {
            intent: "PROCESS",
            code,
            reason: format!("Expected to process the command, but {why}"),
        }
    }
}

/// How the engine of a partition is set up.
pub(super) fn settings(options: &crate::Options) -> Settings {
    Settings {
        cluster: Arc::from(options.cluster.as_str()),
        limits: options.limits,
    }
}

/// Whether the partition cannot go on where a command of that kind fails.
const fn is_vital(kind: u16) -> bool {
    matches!(kind, record::ANNOUNCE_LEADER | record::SET_ASIDE)
}

/// Whether a command makes state grow for good; the others are how it shrinks, and go on when the disk is filling up.
const fn grows(command: &Command) -> bool {
    matches!(
        command,
        Command::Deploy(_)
            | Command::CreateInstance(_)
            | Command::SetVariables(_)
            | Command::PublishMessage(_)
            | Command::CorrelateMessage(_)
            | Command::IngestEvents(_)
    )
}

fn count(length: usize) -> u32 {
    u32::try_from(length).expect("invariant: the engine limits what one command decides")
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a message".to_owned());
    text.chars().take(PANIC_TEXT_CHARS_MAX).collect()
}
