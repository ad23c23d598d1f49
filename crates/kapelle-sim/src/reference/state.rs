//! What the interpreter keeps: plain maps, nothing shared, nothing clever.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kapelle_engine::event::{IncidentKind, KeyKind};

use super::messages::Publication;
use super::said::{Name, Node};
use super::{Reference, Step};
use crate::process::Process;
use crate::value::{Value, Values};

/// An element instance: its case and its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct At {
    pub(super) case: u64,
    pub(super) node: u64,
}

/// A deployed version.
#[derive(Clone, Debug)]
pub(super) struct Version {
    pub(super) process: Arc<Process>,
    pub(super) bytes: Arc<[u8]>,
    pub(super) version: i32,
    /// When it starts by itself, and how often after that.
    pub(super) timer: Option<(i64, Option<u32>)>,
}

/// A process instance.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) process: Arc<Process>,
    pub(super) version: i32,
    pub(super) awaited: bool,
    /// The key that it holds.
    pub(super) lock: Option<Name>,
    /// It is left alone until that incident is resolved.
    pub(super) set_aside: Option<u64>,
    /// Follow-ups that wait for that.
    pub(super) held: Vec<Step>,
    pub(super) root: u64,
    /// What is alive, in the order in which it was entered.
    pub(super) nodes: BTreeMap<u64, Standing>,
    /// Tokens that no element has: by scope, from where, to where.
    pub(super) tokens: BTreeMap<(u64, Name, Name), u32>,
    pub(super) triggers: Vec<Trigger>,
    pub(super) incidents: BTreeMap<u64, Incident>,
}

/// An element instance.
#[derive(Clone, Debug)]
pub(super) struct Standing {
    pub(super) element: Name,
    pub(super) scope: u64,
    pub(super) phase: Phase,
    pub(super) variables: Values,
    pub(super) job: Option<Job>,
    pub(super) waits: Vec<Open>,
    pub(super) timers: Vec<Timer>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Activating,
    Activated,
    Completing,
    Terminating,
}

/// Something came, and what it brought waits for the element that goes on with it.
#[derive(Clone, Debug)]
pub(super) struct Trigger {
    /// Who waited, then who has taken it over.
    pub(super) node: u64,
    pub(super) element: Name,
    pub(super) scope: u64,
    pub(super) payload: Values,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Incident {
    pub(super) node: u64,
    pub(super) kind: IncidentKind,
    pub(super) of_job: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Job {
    /// The order in which jobs were made.
    pub(super) made: u64,
    pub(super) job_type: Name,
    pub(super) retries: i32,
    pub(super) headers: Vec<(Name, Name)>,
    pub(super) state: JobState,
    pub(super) deadline: Option<i64>,
    /// Nothing is due at the deadline.
    pub(super) deadline_is_put_off: bool,
    pub(super) backoff_until: Option<i64>,
    pub(super) pushed_by: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum JobState {
    Available,
    Taken,
    Failed,
    Threw,
}

/// A subscription.
#[derive(Clone, Debug)]
pub(super) struct Open {
    /// The order in which they were opened.
    pub(super) made: u64,
    /// Who goes on.
    pub(super) element: Name,
    pub(super) name: Name,
    pub(super) key: Name,
    pub(super) kind: KeyKind,
    pub(super) once: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Timer {
    pub(super) element: Name,
    pub(super) due: i64,
    pub(super) left: Option<u32>,
    /// It was due while nobody could go on, and never will be again.
    pub(super) dropped: bool,
}

/// The answer to an idempotent request.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) case: u64,
    pub(super) process: Name,
    pub(super) version: i32,
    pub(super) until: i64,
}

/// A message in the buffer.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) publication: Publication,
    pub(super) expires: i64,
    /// Processes that it met.
    pub(super) met: BTreeSet<Name>,
}

impl Standing {
    pub(super) fn new(element: Name, scope: u64) -> Self {
        Self {
            element,
            scope,
            phase: Phase::Activating,
            variables: Values::new(),
            job: None,
            waits: Vec::new(),
            timers: Vec::new(),
        }
    }
}

impl Case {
    pub(super) fn children(&self, scope: u64) -> impl Iterator<Item = u64> + '_ {
        let inside =
            move |(number, node): &(&u64, &Standing)| node.scope == scope && **number != scope;
        self.nodes.iter().filter(inside).map(|(number, _)| *number)
    }

    pub(super) fn has_tokens(&self, scope: u64) -> bool {
        self.tokens.keys().any(|(within, ..)| *within == scope)
    }

    /// The scope and all around it, innermost first.
    pub(super) fn scopes(&self, from: u64) -> Vec<u64> {
        let mut scopes = Vec::new();
        let mut at = from;
        while let Some(node) = self.nodes.get(&at) {
            scopes.push(at);
            if node.scope == at {
                break;
            }
            at = node.scope;
        }
        scopes
    }

    /// The nearest scope that has the variable.
    pub(super) fn holder(&self, from: u64, name: &str) -> Option<u64> {
        self.scopes(from)
            .into_iter()
            .find(|scope| self.nodes[scope].variables.contains_key(name))
    }

    /// What an element sees under that name.
    pub(super) fn sees(&self, from: u64, name: &str) -> Value {
        self.holder(from, name)
            .and_then(|scope| self.nodes[&scope].variables.get(name))
            .cloned()
            .unwrap_or_default()
    }

    /// All that an element sees.
    pub(super) fn sees_all(&self, from: u64) -> Values {
        let mut all = Values::new();
        for scope in self.scopes(from).into_iter().rev() {
            all.extend(self.nodes[&scope].variables.clone());
        }
        all
    }

    /// At work, and nothing is ending it or its scope.
    pub(super) fn is_live(&self, node: u64) -> bool {
        let activated = |number: u64| {
            let node = self.nodes.get(&number);
            node.is_some_and(|node| node.phase == Phase::Activated)
        };
        self.nodes
            .get(&node)
            .is_some_and(|standing| activated(node) && activated(standing.scope))
    }

    pub(super) fn trigger(&self, node: u64) -> Option<&Trigger> {
        self.triggers.iter().find(|trigger| trigger.node == node)
    }
}

impl Reference {
    pub(super) fn case(&self, case: u64) -> &Case {
        &self.cases[&case]
    }

    pub(super) fn case_mut(&mut self, case: u64) -> &mut Case {
        self.cases
            .get_mut(&case)
            .expect("invariant: the case lives")
    }

    pub(super) fn standing(&self, at: At) -> Option<&Standing> {
        self.cases.get(&at.case)?.nodes.get(&at.node)
    }

    pub(super) fn standing_mut(&mut self, at: At) -> &mut Standing {
        self.case_mut(at.case)
            .nodes
            .get_mut(&at.node)
            .expect("invariant: the element instance lives")
    }

    /// Where the element instance of that number is.
    pub(super) fn find_node(&self, node: u64) -> Option<At> {
        let (case, _) = self
            .cases
            .iter()
            .find(|(_, case)| case.nodes.contains_key(&node))?;
        Some(At { case: *case, node })
    }

    /// The element instance as it is spoken of.
    pub(super) fn node(&self, at: At) -> Node {
        let element = self.cases[&at.case].nodes[&at.node].element.clone();
        Node {
            number: at.node,
            element,
        }
    }

    pub(super) fn scope_of(&self, at: At) -> At {
        let scope = self.cases[&at.case].nodes[&at.node].scope;
        At { node: scope, ..at }
    }

    pub(super) fn phase(&self, at: At) -> Option<Phase> {
        self.standing(at).map(|standing| standing.phase)
    }

    pub(super) fn is_open(&self, scope: At) -> bool {
        self.phase(scope) == Some(Phase::Activated)
    }

    pub(super) fn latest(&self, process: &str) -> Option<&Version> {
        self.versions.get(process)?.last()
    }

    pub(super) fn push_step(&mut self, step: Step) {
        self.steps.push_back(step);
    }
}
