//! What an instance holds, one thing after another: for tools and oracles that look from outside.
//!
//! Deliberately absent: writing, and anything that the engine itself needs.

use std::sync::Arc;

use kapelle_model::graph::{ElementIndex, FlowIndex};

use crate::document::{Document, StoredValue};
use crate::element::lifecycle::ElementState;
use crate::event::{IncidentKind, KeyKind};
use crate::ids::{ElementInstanceKey, IncidentKey, JobKey, Timestamp};
use crate::jobs::state_name;
use crate::state::instance::Instance;

/// One thing of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held<'a> {
    Element {
        key: ElementInstanceKey,
        element: ElementIndex,
        /// The root is its own scope.
        scope: ElementInstanceKey,
        state: ElementState,
    },
    /// On their way along a flow, or waiting at a join.
    Tokens {
        scope: ElementInstanceKey,
        flow: FlowIndex,
        count: u32,
    },
    Variable {
        scope: ElementInstanceKey,
        name: &'a Arc<str>,
        value: &'a StoredValue,
    },
    Job {
        element: ElementInstanceKey,
        job_type: &'a Arc<str>,
        retries: i32,
        /// As the API spells it.
        state: &'static str,
        deadline: Option<Timestamp>,
        backoff_until: Option<Timestamp>,
    },
    Incident {
        key: IncidentKey,
        element: ElementInstanceKey,
        job: Option<JobKey>,
        kind: IncidentKind,
    },
    Subscription {
        waiting: ElementInstanceKey,
        /// What goes on when it is met.
        element: ElementIndex,
        name: &'a Arc<str>,
        correlation_key: &'a Arc<str>,
        key_kind: KeyKind,
    },
    Timer {
        waiting: ElementInstanceKey,
        element: ElementIndex,
        due: Timestamp,
        repetitions: Option<u32>,
    },
    /// A follow-up that an incident holds up.
    Step { incident: IncidentKey },
    /// What met a catching element, until that has gone on.
    Trigger {
        waiting: ElementInstanceKey,
        element: ElementIndex,
        variables: &'a Document,
    },
}

impl Instance {
    /// Everything it holds, by kind and in the order of keys.
    pub fn held(&self) -> impl Iterator<Item = Held<'_>> {
        let elements = self.elements.iter().map(|element| Held::Element {
            key: element.key,
            element: element.element,
            scope: element.scope,
            state: element.state,
        });
        let tokens = self.tokens.iter().map(|token| Held::Tokens {
            scope: token.scope,
            flow: token.flow,
            count: token.count,
        });
        let variables = self.variables.iter().map(|variable| Held::Variable {
            scope: variable.scope,
            name: &variable.name,
            value: &variable.value,
        });
        elements.chain(tokens).chain(variables).chain(self.waits())
    }

    fn waits(&self) -> impl Iterator<Item = Held<'_>> {
        let jobs = self.jobs.iter().map(|job| Held::Job {
            element: job.element,
            job_type: &job.job_type,
            retries: job.retries,
            state: state_name(job.state),
            deadline: job.deadline,
            backoff_until: job.backoff_until,
        });
        let incidents = self.incidents.iter().map(|incident| Held::Incident {
            key: incident.key,
            element: incident.element,
            job: incident.job,
            kind: incident.kind,
        });
        let subscriptions = self.subscriptions.iter().map(|open| Held::Subscription {
            waiting: open.waiting,
            element: open.element,
            name: &open.name,
            correlation_key: &open.correlation_key,
            key_kind: open.key_kind,
        });
        let timers = self.timers.iter().map(|timer| Held::Timer {
            waiting: timer.waiting,
            element: timer.element,
            due: timer.due,
            repetitions: timer.repetitions,
        });
        let triggers = self.triggers.iter().map(|trigger| Held::Trigger {
            waiting: trigger.waiting,
            element: trigger.element,
            variables: &trigger.variables,
        });
        let steps = self.held_steps.iter().map(|held| Held::Step {
            incident: held.incident,
        });
        jobs.chain(incidents)
            .chain(subscriptions)
            .chain(timers)
            .chain(triggers)
            .chain(steps)
    }

    /// Whether it is set aside.
    #[must_use]
    pub fn is_set_aside(&self) -> bool {
        self.quarantined.is_some()
    }
}
