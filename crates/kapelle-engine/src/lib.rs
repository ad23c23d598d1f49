//! The deterministic heart of Kapelle: commands in, events out, state.
//!
//! ```text
//! command ──► Engine::process ──► events (applied as they are decided), an answer or a refusal, effects
//! event   ──► Engine::replay  ──► the same state, without questions
//! ```
//!
//! **Invariants**
//! - Commands decide, events change. Every refusal comes before the first event; a refused command changes nothing.
//! - No I/O, clock, randomness, async, logging or hash order: the same records give the same bytes.
//! - Applying an event to a target cannot fail and reads only that target and the event ([`event::Targets`]).
//! - Follow-up work runs from a queue, never by recursion, and every loop has a limit ([`limits::Limits`]).
//!
//! ## The life of a command
//!
//! [`Engine::process`] makes a `Ctx`, and `command::decide` picks the handler. The handler checks, then emits; `Ctx::emit`
//! applies each event at once (`apply`), so what follows reads its own writes. What an element does is in `element`, one
//! file each. Where work goes on elsewhere it becomes a [`step::Step`] in a queue; the queue is drained in the same
//! decision, up to a limit, and the rest becomes commands.
//!
//! | entry | what |
//! |---|---|
//! | [`Engine::process`] | decide a command |
//! | [`Engine::replay`] | apply what was decided earlier |
//! | [`Engine::due`] | commands for what has become due |
//! | [`pending`] | what waits to leave: effects derived again from state |
//! | [`encode`] | the stored form of events, left-over commands, instances, the partition object |
//! | [`trace`] | events as stable text |
//!
//! | where | what |
//! |---|---|
//! | [`command`], [`event`], [`response`], [`rejection`], [`effect`], [`ids`], [`document`] | the vocabulary |
//! | `command/` | handlers, one file per family |
//! | `element/` | BPMN elements, the lifecycle table, tokens, what is waited for |
//! | `apply/` | the only code that writes state |
//! | [`state`] | the instance aggregate, the partition object, the indexes and all their numbers |
//! | `correlation` | which subscription does a message wake |
//! | `jobs`, `variables`, `mapping`, `expression`, `problem` | what several elements and commands share |
//! | `run` | what one thing from outside may cause in all |
//! | [`limits`] | every limit, with its reason |
//! | [`keep`], [`memory`] | the interface to where state lives, and its simplest form |
//!
//! Deliberately absent: threads, files, formats of the wire, retries towards the outside, logging.

mod apply;
pub mod command;
mod correlation;
mod ctx;
mod definitions;
pub mod document;
pub mod effect;
pub mod element;
pub mod encode;
pub mod event;
mod expression;
pub mod ids;
mod jobs;
pub mod keep;
pub mod limits;
mod mapping;
pub mod memory;
pub mod pending;
mod problem;
pub mod rejection;
pub mod response;
mod run;
pub mod state;
pub mod step;
pub mod trace;
mod variables;

use std::sync::Arc;

use crate::command::{Command, CommandMeta, Due, DueKind, Interrupted, SetAside};
use crate::ctx::{Ctx, Outcome};
use crate::definitions::Definitions;
use crate::effect::{Effect, JobStreams};
use crate::event::{Event, Targets};
use crate::ids::{Sequence, Timestamp};
use crate::keep::Keep;
use crate::limits::Limits;
use crate::rejection::Rejection;
use crate::response::Response;
use crate::run::{Run, Runs};

/// How one engine is set up. Part of decisions, never of replay.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Names us in the `source` of CloudEvents that processes publish.
    pub cluster: Arc<str>,
    pub limits: Limits,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            cluster: Arc::from("default"),
            limits: Limits::DEFAULT,
        }
    }
}

/// What a command came to.
#[derive(Debug)]
pub struct Decision {
    /// The answer; a refusal has no events, effects or left-overs.
    pub answer: Result<Response, Rejection>,
    /// Already applied. The i-th has the sequence `first_sequence + i`.
    pub events: Vec<Event>,
    /// For after the commit.
    pub effects: Vec<Effect>,
    /// Follow-ups beyond the limit of one command, to be written to the journal as commands and decided in this order.
    /// Other commands may come in between: each looks again whether it still makes sense.
    pub leftover: Vec<Command>,
}

/// The engine of one partition. Holds nothing that is not in state, but caches.
#[derive(Debug)]
pub struct Engine {
    settings: Settings,
    definitions: Definitions,
    runs: Runs,
    /// Nothing is due before this time, as far as this engine knows; the beginning of time until it has looked.
    quiet_until: Timestamp,
}

impl Engine {
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let definitions = Definitions::new(settings.limits.definitions_cached_max);
        Self {
            settings,
            definitions,
            runs: Runs::default(),
            quiet_until: Timestamp(i64::MIN),
        }
    }

    /// Decides a command and applies what was decided to `keep`.
    ///
    /// `first_sequence` is the journal sequence of the decision's first **event**. The runtime writes one header record
    /// per command and then one record per event, so it passes the header's sequence + 1. The number matters: a
    /// CloudEvent's position is the sequence of its `CloudEventReceived`.
    ///
    /// # Panics
    /// On a fault of our own. The caller drops all memory, recovers, refuses the command and quarantines the instance.
    pub fn process(
        &mut self,
        keep: &mut dyn Keep,
        command: Command,
        meta: &CommandMeta,
        first_sequence: Sequence,
        streams: &mut dyn JobStreams,
    ) -> Decision {
        let run = self.run_of(&command, first_sequence);
        let mut ctx = Ctx::new(
            keep,
            &mut self.definitions,
            streams,
            &self.settings,
            meta,
            first_sequence,
            run,
        );
        let answer = command::decide(&mut ctx, command);
        assert!(
            answer.is_ok() || ctx.is_untouched(),
            "a refusal comes before the first event"
        );
        step::drain(&mut ctx);
        let Outcome {
            events,
            effects,
            follow_ups,
            runs,
        } = ctx.finish();
        runs.into_iter().for_each(|run| self.runs.note(run));
        for follow_up in &follow_ups {
            self.runs.leave(follow_up.run);
        }
        for event in &events {
            self.note_schedule(event, meta.now);
        }
        Decision {
            answer,
            events,
            effects,
            leftover: follow_ups.into_iter().map(Command::Continue).collect(),
        }
    }

    /// The run that the command goes on with, or begins.
    fn run_of(&mut self, command: &Command, first_sequence: Sequence) -> Run {
        match command {
            // One that is set aside is not decided any more, either.
            Command::Continue(follow_up)
            | Command::SetAside(SetAside {
                interrupted: Some(Interrupted::Step(follow_up)),
                ..
            }) => self.runs.take_up(follow_up.run),
            _ => Run::begin(first_sequence),
        }
    }

    /// Tells of a command that an earlier engine left over and that is still to be decided.
    pub fn resume(&mut self, leftover: &Command) {
        if let Command::Continue(follow_up) = leftover {
            self.runs.leave(follow_up.run);
        }
    }

    /// Applies an event that was decided earlier to those of its targets that are behind it.
    pub fn replay(
        &mut self,
        keep: &mut dyn Keep,
        event: &Event,
        sequence: Sequence,
        at: Timestamp,
        targets: Targets,
    ) {
        if let Some(instance) = targets.instance {
            keep.pin(instance);
        }
        apply::apply(keep, event, sequence, at, targets);
        self.note_schedule(event, at);
    }

    fn note_schedule(&mut self, event: &Event, at: Timestamp) {
        let next = match event {
            // Both are remembered in the dedup window.
            Event::CloudEventRouted { .. } | Event::RecordRejected { .. } => {
                Some(self.bucket_over(at))
            }
            // There is something to sweep now.
            Event::DedupBucketDropped { .. } | Event::DedupForgotten { .. } => {
                Some(Timestamp(i64::MIN))
            }
            _ => event.schedules(),
        };
        if let Some(next) = next {
            self.quiet_until = self.quiet_until.min(next);
        }
    }

    /// Commands for what is due at `now`, the oldest first, at most `max`. Costs nothing while nothing is.
    pub fn due(&mut self, keep: &dyn Keep, now: Timestamp, max: usize) -> Vec<Command> {
        if now < self.quiet_until {
            return Vec::new();
        }
        let mut due: Vec<Command> = state::due::at(keep, now, max)
            .into_iter()
            .map(Command::Due)
            .collect();
        if due.len() < max {
            due.extend(self.dedup_due(keep, now).map(Command::Due));
        }
        if due.is_empty() {
            self.quiet_until = self.first_due(keep).unwrap_or(Timestamp(i64::MAX));
        }
        due
    }

    /// When something is due next, if anything is scheduled; may be too early, never too late.
    pub fn next_due(&mut self, keep: &dyn Keep) -> Option<Timestamp> {
        if self.quiet_until == Timestamp(i64::MIN) {
            self.quiet_until = self.first_due(keep).unwrap_or(Timestamp(i64::MAX));
        }
        (self.quiet_until < Timestamp(i64::MAX)).then_some(self.quiet_until)
    }

    fn first_due(&self, keep: &dyn Keep) -> Option<Timestamp> {
        let window = &keep.partition().dedup;
        let sweep = (window.swept < window.lower).then_some(Timestamp(i64::MIN));
        let bucket = window
            .buckets
            .first()
            .map(|oldest| self.bucket_over(oldest.started));
        [state::due::first(keep), sweep, bucket]
            .into_iter()
            .flatten()
            .min()
    }

    /// The oldest bucket of the dedup window if it is over, or one that has left something in the index.
    fn dedup_due(&self, keep: &dyn Keep, now: Timestamp) -> Option<Due> {
        let window = &keep.partition().dedup;
        if window.swept < window.lower {
            return Some(Due {
                at: Timestamp(i64::MIN),
                what: DueKind::DedupBucket,
                key: window.swept,
            });
        }
        let oldest = window
            .buckets
            .first()
            .filter(|oldest| self.bucket_over(oldest.started) <= now)?;
        Some(Due {
            at: self.bucket_over(oldest.started),
            what: DueKind::DedupBucket,
            key: oldest.number,
        })
    }

    /// When all that a bucket of the dedup window may hold is older than the window.
    fn bucket_over(&self, started: Timestamp) -> Timestamp {
        let limits = &self.settings.limits;
        started
            .plus_ms(limits.dedup_window_ms)
            .plus_ms(command::bucket_ms(limits))
    }
}
