//! One process instance with all it owns: the aggregate.
//!
//! **Invariant**: only `apply` changes it. Lists are in the order of their keys, which are handed out ascending, so
//! a search is a bisection and the same events always give the same bytes.
//!
//! Plain vectors rather than maps: an instance usually has a handful of each, and a parked one is decoded in one go.

use std::sync::Arc;

use kapelle_model::graph::{ElementIndex, FlowIndex};

use crate::document::{Document, StoredValue};
use crate::element::lifecycle::ElementState;
use crate::event::{Cause, Header, IncidentKind, KeyKind};
use crate::ids::{
    DefinitionKey, ElementInstanceKey, IncidentKey, JobKey, ProcessInstanceKey, SubscriptionKey,
    TimerKey, Timestamp, VariableKey,
};
use crate::step::Step;

/// A process instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    pub(crate) key: ProcessInstanceKey,
    pub(crate) definition: DefinitionKey,
    pub(crate) tenant: Arc<str>,
    pub(crate) process_id: Arc<str>,
    pub(crate) version: i32,
    pub(crate) created: Timestamp,
    pub(crate) awaited: Option<Arc<[Arc<str>]>>,
    pub(crate) tags: Vec<Arc<str>>,
    pub(crate) business_id: Option<Arc<str>>,
    /// Correlation key whose start lock it holds.
    pub(crate) start_lock: Option<Arc<str>>,
    /// What moved it last.
    pub(crate) cause: Cause,
    /// It is set aside.
    pub(crate) quarantined: Option<Quarantine>,
    pub(crate) elements: Vec<ElementInstance>,
    pub(crate) tokens: Vec<Token>,
    pub(crate) variables: Vec<Variable>,
    pub(crate) jobs: Vec<Job>,
    pub(crate) incidents: Vec<Incident>,
    pub(crate) subscriptions: Vec<Subscription>,
    pub(crate) timers: Vec<Timer>,
    pub(crate) triggers: Vec<Trigger>,
    /// Follow-ups that wait for an incident to be resolved, in the order in which they were interrupted.
    pub(crate) held_steps: Vec<HeldStep>,
    /// Sum over variables and triggers, kept up to date so that the budget costs nothing to ask.
    pub(crate) payload_bytes: usize,
}

/// One activation of one element; the first is the process itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ElementInstance {
    pub(crate) key: ElementInstanceKey,
    pub(crate) element: ElementIndex,
    /// The root is its own scope.
    pub(crate) scope: ElementInstanceKey,
    pub(crate) state: ElementState,
    /// In the index of resting elements.
    pub(crate) indexed: bool,
    /// Element instances whose scope it is.
    pub(crate) children: u32,
}

/// Tokens on their way along a flow, or waiting at a join.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) scope: ElementInstanceKey,
    pub(crate) flow: FlowIndex,
    pub(crate) target: ElementIndex,
    pub(crate) count: u32,
}

/// A variable in a scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Variable {
    pub(crate) key: VariableKey,
    pub(crate) scope: ElementInstanceKey,
    pub(crate) name: Arc<str>,
    pub(crate) value: StoredValue,
}

/// Where a job is. Discriminants are on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum JobState {
    Activatable = 1,
    Activated = 2,
    /// In back-off, or without retries and with an incident.
    Failed = 3,
    ErrorThrown = 4,
}

/// Work that an element waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Job {
    pub(crate) key: JobKey,
    pub(crate) element: ElementInstanceKey,
    pub(crate) job_type: Arc<str>,
    pub(crate) retries: i32,
    pub(crate) state: JobState,
    pub(crate) worker: Option<Arc<str>>,
    pub(crate) deadline: Option<Timestamp>,
    pub(crate) backoff_until: Option<Timestamp>,
    pub(crate) pushed_by: Option<u64>,
    pub(crate) activated_before: bool,
    /// Empty: the definition's.
    pub(crate) headers: Vec<Header>,
}

/// An open problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Incident {
    pub(crate) key: IncidentKey,
    pub(crate) element: ElementInstanceKey,
    pub(crate) job: Option<JobKey>,
    pub(crate) kind: IncidentKind,
}

/// Why an instance is left alone, and whose resolution ends that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Quarantine {
    pub(crate) reason: Arc<str>,
    pub(crate) incident: IncidentKey,
}

/// A follow-up that an incident holds up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HeldStep {
    pub(crate) incident: IncidentKey,
    pub(crate) step: Step,
}

/// An open message subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Subscription {
    pub(crate) key: SubscriptionKey,
    /// Who waits.
    pub(crate) waiting: ElementInstanceKey,
    /// What goes on.
    pub(crate) element: ElementIndex,
    pub(crate) name: Arc<str>,
    pub(crate) correlation_key: Arc<str>,
    pub(crate) key_kind: KeyKind,
    pub(crate) once: bool,
}

/// A scheduled timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Timer {
    pub(crate) key: TimerKey,
    pub(crate) waiting: ElementInstanceKey,
    pub(crate) element: ElementIndex,
    pub(crate) due: Timestamp,
    pub(crate) repetitions: Option<u32>,
}

/// A catching element was met; its payload waits until that element has gone on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trigger {
    /// Who was waiting, then the element instance that took it over.
    pub(crate) waiting: ElementInstanceKey,
    pub(crate) element: ElementIndex,
    /// With whose end it goes at the latest.
    pub(crate) scope: ElementInstanceKey,
    pub(crate) variables: Document,
}

impl Instance {
    #[must_use]
    pub fn key(&self) -> ProcessInstanceKey {
        self.key
    }

    #[must_use]
    pub fn definition(&self) -> DefinitionKey {
        self.definition
    }

    /// Memory it takes, near enough for a cache's budget.
    #[must_use]
    pub fn approximate_bytes(&self) -> usize {
        // What a list's entry takes with its own allocations, rounded up.
        const LIST_ENTRY: usize = 120;
        let entries = self.elements.capacity()
            + self.tokens.capacity()
            + self.variables.capacity()
            + self.jobs.capacity()
            + self.incidents.capacity()
            + self.subscriptions.capacity()
            + self.timers.capacity()
            + self.triggers.capacity()
            + self.tags.len();
        let held = self.held_steps.iter();
        let held: usize = held
            .map(|held| LIST_ENTRY + held.step.payload_bytes())
            .sum();
        size_of::<Self>() + entries * LIST_ENTRY + held + self.payload_bytes
    }

    /// Whether it lives although nothing could ever move it: no job, message, timer or incident, no token at a join. Between
    /// two commands, with nothing left over, that is never so.
    #[must_use]
    pub fn is_stuck(&self) -> bool {
        self.jobs.is_empty()
            && self.subscriptions.is_empty()
            && self.timers.is_empty()
            && self.incidents.is_empty()
            && self.tokens.is_empty()
    }

    pub(crate) fn element(&self, key: ElementInstanceKey) -> Option<&ElementInstance> {
        let at = self
            .elements
            .binary_search_by_key(&key, |element| element.key)
            .ok()?;
        self.elements.get(at)
    }

    pub(crate) fn element_mut(&mut self, key: ElementInstanceKey) -> Option<&mut ElementInstance> {
        let at = self
            .elements
            .binary_search_by_key(&key, |element| element.key)
            .ok()?;
        self.elements.get_mut(at)
    }

    pub(crate) fn job(&self, key: JobKey) -> Option<&Job> {
        let at = self.jobs.binary_search_by_key(&key, |job| job.key).ok()?;
        self.jobs.get(at)
    }

    pub(crate) fn job_mut(&mut self, key: JobKey) -> Option<&mut Job> {
        let at = self.jobs.binary_search_by_key(&key, |job| job.key).ok()?;
        self.jobs.get_mut(at)
    }

    pub(crate) fn variable(&self, scope: ElementInstanceKey, name: &str) -> Option<&Variable> {
        self.variables
            .iter()
            .find(|variable| variable.scope == scope && *variable.name == *name)
    }

    /// The scope and all around it, innermost first. Ends at the root, and in any case after as many scopes as there are.
    pub(crate) fn scopes(
        &self,
        from: ElementInstanceKey,
    ) -> impl Iterator<Item = ElementInstanceKey> + '_ {
        let mut next = Some(from);
        std::iter::from_fn(move || {
            let scope = next?;
            let element = self.element(scope)?;
            next = (element.scope != scope).then_some(element.scope);
            Some(scope)
        })
    }

    /// The value that an element in `scope` sees under that name.
    pub(crate) fn visible(&self, scope: ElementInstanceKey, name: &str) -> Option<&Variable> {
        // One pass over the list in the usual case of one scope with the name; scopes are few.
        self.scopes(scope)
            .find_map(|scope| self.variable(scope, name))
    }

    /// Whether nothing in that scope is alive or on its way.
    pub(crate) fn is_empty_scope(&self, scope: &ElementInstance) -> bool {
        scope.children == 0 && self.tokens.iter().all(|token| token.scope != scope.key)
    }

    pub(crate) fn trigger(&self, waiting: ElementInstanceKey) -> Option<&Trigger> {
        self.triggers
            .iter()
            .find(|trigger| trigger.waiting == waiting)
    }
}
