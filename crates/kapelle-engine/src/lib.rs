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
//! | entry | what |
//! |---|---|
//! | [`Engine::process`] | decide a command |
//! | [`Engine::replay`] | apply what was decided earlier |
//! | [`Engine::due`] | commands for what has become due |
//! | [`outbox`], [`jobs`] | what waits to leave: effects derived again from state |
//! | [`trace`] | events as stable text |

mod apply;
pub mod command;
pub mod document;
pub mod effect;
pub mod element;
pub mod encode;
pub mod event;
pub mod ids;
pub mod keep;
pub mod limits;
pub mod memory;
pub mod rejection;
pub mod response;
pub mod state;
pub mod step;

use std::sync::Arc;

use crate::command::{Command, CommandMeta};
use crate::effect::{Effect, JobStreams};
use crate::event::{Event, Targets};
use crate::ids::{Sequence, Timestamp};
use crate::keep::Keep;
use crate::limits::Limits;
use crate::rejection::Rejection;
use crate::response::Response;

/// How one engine is set up. Part of decisions, never of replay.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Names us in the `source` of CloudEvents that processes publish.
    pub cluster: Arc<str>,
    pub limits: Limits,
}

impl Default for Settings {
    fn default() -> Self {
        Self { cluster: Arc::from("default"), limits: Limits::DEFAULT }
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
    /// Follow-ups beyond the limit of one command, to be written to the journal as commands and decided, in this order,
    /// before anything that arrives later.
    pub leftover: Vec<Command>,
}

/// The engine of one partition. Holds nothing that is not in state, but caches.
#[derive(Debug)]
pub struct Engine {
    settings: Settings,
    /// Nothing is due before this time, as far as this engine knows; the beginning of time until it has looked.
    quiet_until: Timestamp,
}

impl Engine {
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self { settings, quiet_until: Timestamp(i64::MIN) }
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
        let _ = (keep, command, meta, first_sequence, streams, &self.settings);
        unreachable!()
    }

    /// Applies an event that was decided earlier to those of its targets that are behind it.
    pub fn replay(&mut self, keep: &mut dyn Keep, event: &Event, sequence: Sequence, at: Timestamp, targets: Targets) {
        let _ = (keep, event, sequence, at, targets);
    }

    /// Commands for what is due at `now`, the oldest first, at most `max`. Costs nothing while nothing is.
    pub fn due(&mut self, keep: &dyn Keep, now: Timestamp, max: usize) -> Vec<Command> {
        let _ = (keep, now, max, self.quiet_until);
        Vec::new()
    }

    /// When something is due next, if anything is scheduled; may be too early, never too late.
    pub fn next_due(&mut self, keep: &dyn Keep) -> Option<Timestamp> {
        let _ = keep;
        None
    }
}
