//! What a handler works with: it reads everything and writes through one door.
//!
//! **Invariant**: [`Ctx::emit`] is the only way to change state, and applies at once, so handlers read their own writes.

use std::collections::VecDeque;

use crate::Settings;
use crate::apply::apply;
use crate::command::{CommandMeta, FollowUp};
use crate::definitions::{Definition, Definitions};
use crate::effect::{Effect, JobStreams};
use crate::element::lifecycle::LifecycleStep;
use crate::event::{Cause, Event};
use crate::ids::{DefinitionKey, ElementInstanceKey, ProcessInstanceKey, Sequence, Timestamp};
use crate::keep::Keep;
use crate::limits::Limits;
use crate::run::Run;
use crate::state::instance::Instance;
use crate::step::Step;

use std::sync::Arc;

/// One decision in the making.
pub(crate) struct Ctx<'a> {
    keep: &'a mut dyn Keep,
    definitions: &'a mut Definitions,
    streams: &'a mut dyn JobStreams,
    settings: &'a Settings,
    meta: &'a CommandMeta,
    first_sequence: Sequence,
    next_key: u64,
    events: Vec<Event>,
    effects: Vec<Effect>,
    /// What is still to do, each with the place of its run.
    steps: VecDeque<(Step, usize)>,
    steps_taken: usize,
    runs: Vec<Run>,
    /// The place of the run that goes on now.
    run: usize,
}

/// What a decision leaves.
pub(crate) struct Outcome {
    pub(crate) events: Vec<Event>,
    pub(crate) effects: Vec<Effect>,
    pub(crate) follow_ups: Vec<FollowUp>,
    pub(crate) runs: Vec<Run>,
}

impl<'a> Ctx<'a> {
    pub(crate) fn new(
        keep: &'a mut dyn Keep,
        definitions: &'a mut Definitions,
        streams: &'a mut dyn JobStreams,
        settings: &'a Settings,
        meta: &'a CommandMeta,
        first_sequence: Sequence,
        run: Run,
    ) -> Self {
        let next_key = keep.partition().next_key;
        // One task from creation to the next job is about this many events.
        let (events, effects) = (Vec::with_capacity(24), Vec::new());
        Self {
            keep,
            definitions,
            streams,
            settings,
            meta,
            first_sequence,
            next_key,
            events,
            effects,
            steps: VecDeque::new(),
            steps_taken: 0,
            runs: vec![run],
            run: 0,
        }
    }

    pub(crate) fn finish(self) -> Outcome {
        let runs = self.runs;
        let follow_up = |(step, run): (Step, usize)| FollowUp {
            step,
            run: runs[run],
        };
        Outcome {
            events: self.events,
            effects: self.effects,
            follow_ups: self.steps.into_iter().map(follow_up).collect(),
            runs,
        }
    }

    pub(crate) fn keep(&self) -> &dyn Keep {
        self.keep
    }

    /// From the record, never from the machine.
    pub(crate) fn now(&self) -> Timestamp {
        self.meta.now
    }

    pub(crate) fn meta(&self) -> &CommandMeta {
        self.meta
    }

    pub(crate) fn limits(&self) -> &'a Limits {
        &self.settings.limits
    }

    pub(crate) fn cluster(&self) -> &'a str {
        &self.settings.cluster
    }

    pub(crate) fn incarnation(&self) -> u64 {
        self.keep.partition().incarnation
    }

    pub(crate) fn streams(&mut self) -> &mut dyn JobStreams {
        self.streams
    }

    /// Where the next event will stand in the journal.
    pub(crate) fn next_sequence(&self) -> Sequence {
        Sequence(self.first_sequence.0 + self.events.len() as u64)
    }

    /// A number that no two moments of the partition's life share: where `random number()` and `uuid()` begin.
    pub(crate) fn seed(&self) -> u64 {
        // Spread, so that neighbouring records do not begin alike (splitmix64).
        let mixed = (self.next_sequence().0 ^ self.next_key.rotate_left(32))
            .wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed ^ mixed >> 31
    }

    /// A key that never was. The event that uses it makes it known.
    pub(crate) fn new_key(&mut self) -> u64 {
        let key = self.next_key;
        self.next_key += 1;
        key
    }

    /// Whether nothing was decided yet.
    pub(crate) fn is_untouched(&self) -> bool {
        self.events.is_empty() && self.effects.is_empty() && self.steps.is_empty()
    }

    pub(crate) fn emit(&mut self, event: Event) {
        self.assert_lifecycle(&event);
        if matches!(event, Event::ElementActivating { .. }) {
            let entered = &mut self.runs[self.run].entered;
            *entered = entered.saturating_add(1);
        }
        let (targets, sequence) = (event.targets(), self.next_sequence());
        apply(self.keep, &event, sequence, self.meta.now, targets);
        self.events.push(event);
    }

    pub(crate) fn effect(&mut self, effect: Effect) {
        // One hint for a type is as good as many. Those of one kind come together, so the last few are enough to look at.
        let mut last = self.effects.iter().rev().take(8);
        if matches!(effect, Effect::JobsAvailable { .. }) && last.any(|other| *other == effect) {
            return;
        }
        self.effects.push(effect);
    }

    pub(crate) fn push(&mut self, step: Step) {
        self.steps.push_back((step, self.run));
    }

    /// The next step, counted.
    pub(crate) fn next_step(&mut self) -> Option<Step> {
        self.steps_taken += 1;
        let (step, run) = self.steps.pop_front()?;
        self.run = run;
        Some(step)
    }

    /// Something from outside is taken up: what follows in this step, and from it, is a run of its own.
    pub(crate) fn begin_run(&mut self) {
        self.run = self.runs.len();
        self.runs.push(Run::begin(self.next_sequence()));
    }

    /// Elements entered so far in the run that goes on now.
    pub(crate) fn entered(&self) -> u32 {
        self.runs[self.run].entered
    }

    /// The command is a list, and its next entry begins: it has a share of its own.
    pub(crate) fn next_entry(&mut self) {
        self.steps_taken = 0;
        self.begin_run();
    }

    /// Whether this command may still take steps of its own.
    pub(crate) fn has_room(&self) -> bool {
        let limits = self.limits();
        self.steps_taken < limits.steps_per_command_max
            && self.events.len() < limits.events_per_command_max
    }

    /// Brings an instance into memory.
    pub(crate) fn pin(&mut self, key: ProcessInstanceKey) -> bool {
        self.keep.pin(key)
    }

    /// An instance that this decision has reached before.
    pub(crate) fn instance(&self, key: ProcessInstanceKey) -> &Instance {
        self.keep
            .instance(key)
            .expect("the instance was pinned and has not ended")
    }

    /// An instance that may have ended in the meantime.
    pub(crate) fn find_instance(&self, key: ProcessInstanceKey) -> Option<&Instance> {
        self.keep.instance(key)
    }

    /// A deployed definition, compiled.
    pub(crate) fn definition(&mut self, key: DefinitionKey) -> Arc<Definition> {
        self.definitions
            .get(self.keep, key)
            .expect("definitions are never removed")
    }

    pub(crate) fn definition_of(&mut self, instance: ProcessInstanceKey) -> Arc<Definition> {
        let key = self.instance(instance).definition;
        self.definition(key)
    }

    /// What makes this decision happen, for what it publishes and starts.
    pub(crate) fn cause_of_command(&self) -> Cause {
        Cause {
            event_id: None,
            correlation_id: None,
            traceparent: self.meta.traceparent.clone(),
        }
    }

    /// Our own fault must never become a record.
    fn assert_lifecycle(&self, event: &Event) {
        let (instance, key, step) = match event {
            Event::ElementActivated { instance, key, .. } => {
                (instance, key, LifecycleStep::Activated)
            }
            Event::ElementCompleting { instance, key, .. } => {
                (instance, key, LifecycleStep::Completing)
            }
            Event::ElementCompleted { instance, key, .. } => {
                (instance, key, LifecycleStep::Completed)
            }
            Event::ElementTerminating { instance, key, .. } => {
                (instance, key, LifecycleStep::Terminating)
            }
            Event::ElementTerminated { instance, key, .. } => {
                (instance, key, LifecycleStep::Terminated)
            }
            _ => return,
        };
        let state = self.element_state(*instance, *key);
        assert!(
            state.next(step).is_some(),
            "element instance {key} in state {state:?} can't become {step:?}"
        );
    }

    fn element_state(
        &self,
        instance: ProcessInstanceKey,
        key: ElementInstanceKey,
    ) -> crate::element::lifecycle::ElementState {
        self.instance(instance)
            .element(key)
            .expect("the element instance is alive")
            .state
    }
}
