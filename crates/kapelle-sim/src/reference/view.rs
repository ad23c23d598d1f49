//! State of the engine and of the interpreter as text, side by side.

use std::collections::BTreeSet;

use kapelle_engine::ids::{MessageKey, ProcessInstanceKey};
use kapelle_engine::keep::Keep;
use kapelle_engine::pending;
use kapelle_engine::state::held::Held;
use kapelle_engine::state::instance::Instance;

use super::Reference;
use super::names::Names;
use super::state::{Case, JobState, Phase};
use crate::value::{Value, read_values};

/// How many messages are read at once.
const PAGE: usize = 100;

impl Reference {
    /// Everything that lives, and every message in the buffer.
    ///
    /// # Errors
    /// Where the two differ.
    pub(crate) fn compare_state(
        &self,
        state: &mut dyn Keep,
        living: &BTreeSet<ProcessInstanceKey>,
    ) -> Result<(), String> {
        let mut engine = BTreeSet::new();
        for key in living {
            state.pin(*key);
            if let Some(instance) = state.instance(*key) {
                engine.extend(lines_of(&self.names, instance));
            }
        }
        engine.extend(self.messages_of(state));
        let own = self.lines();
        if engine == own {
            return Ok(());
        }
        let show = |lines: Vec<&String>| {
            let lines: Vec<&str> = lines.into_iter().map(String::as_str).collect();
            lines.join("\n    ")
        };
        Err(format!(
            "state differs from the reference interpreter's:\n  only in the engine\n    {}\n  only in the interpreter\n    {}",
            show(engine.difference(&own).collect()),
            show(own.difference(&engine).collect())
        ))
    }

    fn messages_of(&self, state: &dyn Keep) -> Vec<String> {
        let mut lines = Vec::new();
        let mut after: Option<MessageKey> = None;
        loop {
            let page = pending::messages(state, after, PAGE);
            let Some(last) = page.last() else {
                return lines;
            };
            after = Some(last.key);
            for message in page {
                lines.push(format!(
                    "message {:?}: {} {} id {} until {} {:?}",
                    self.names.message(message.key),
                    message.name,
                    message.correlation_key,
                    message.message_id,
                    message.expires.0,
                    read_values(&message.variables.0)
                ));
            }
        }
    }

    fn lines(&self) -> BTreeSet<String> {
        let mut lines = BTreeSet::new();
        for (number, case) in &self.cases {
            lines.extend(case.lines(*number));
        }
        for (number, message) in &self.messages {
            let publication = &message.publication;
            lines.insert(format!(
                "message {:?}: {} {} id {} until {} {:?}",
                Some(number),
                publication.name,
                publication.key,
                publication.id,
                message.expires,
                publication.variables
            ));
        }
        lines
    }
}

impl Case {
    fn lines(&self, number: u64) -> Vec<String> {
        let mut lines = Vec::new();
        if self.set_aside.is_some() {
            lines.push(format!("case {number} is set aside"));
        }
        let own = |node: &u64| format!("{number}:{}#{node}", self.nodes[node].element);
        for (node, standing) in &self.nodes {
            let at = own(node);
            let state = match standing.phase {
                Phase::Activating => "ACTIVATING",
                Phase::Activated => "ACTIVATED",
                Phase::Completing => "COMPLETING",
                Phase::Terminating => "TERMINATING",
            };
            lines.push(format!("{at} in {} is {state}", standing.scope));
            for (name, value) in &standing.variables {
                lines.push(variable(&at, name, value));
            }
            if let Some(job) = &standing.job {
                let state = match job.state {
                    JobState::Available => "ACTIVATABLE",
                    JobState::Taken => "ACTIVATED",
                    JobState::Failed => "FAILED",
                    JobState::Threw => "ERROR_THROWN",
                };
                lines.push(format!(
                    "{at} has job {} retries {} {state} deadline {:?} back-off {:?}",
                    job.job_type, job.retries, job.deadline, job.backoff_until
                ));
            }
            for open in &standing.waits {
                lines.push(format!(
                    "{at} waits for {} {} {:?} at {}",
                    open.name, open.key, open.kind, open.element
                ));
            }
            for timer in &standing.timers {
                lines.push(format!(
                    "{at} waits until {} at {}, then {:?}",
                    timer.due, timer.element, timer.left
                ));
            }
        }
        for ((scope, from, to), count) in &self.tokens {
            lines.push(format!("{count} from {from} to {to} in {}", own(scope)));
        }
        for (incident, open) in &self.incidents {
            lines.push(format!(
                "{} has incident {incident} {:?} of a job: {}",
                own(&open.node),
                open.kind,
                open.of_job
            ));
        }
        if let Some(incident) = self.set_aside
            && !self.held.is_empty()
        {
            lines.push(held_up(number, Some(incident)));
        }
        for trigger in &self.triggers {
            lines.push(format!(
                "{number}: {} was met at {} {:?}",
                trigger.node, trigger.element, trigger.payload
            ));
        }
        lines
    }
}

fn variable(at: &str, name: &str, value: &Value) -> String {
    format!("{at} has {name} = {value:?}")
}

/// How many there are is not asked: what becomes of each is seen when they go on.
fn held_up(case: u64, incident: Option<u64>) -> String {
    format!("{case} has follow-ups behind incident {incident:?}")
}

/// The same of the engine's.
fn lines_of(names: &Names, instance: &Instance) -> Vec<String> {
    let key = instance.key();
    let number = names.case(key).unwrap_or(u64::MAX);
    let node = |key| match names.node(key) {
        Some(node) => format!("{number}:{node:?}"),
        None => format!("{number}:{key}"),
    };
    let scope = |key| names.node(key).map_or(u64::MAX, |node| node.number);
    let ms = |at: Option<kapelle_engine::ids::Timestamp>| at.map(|at| at.0);
    let mut lines = Vec::new();
    if instance.is_set_aside() {
        lines.push(format!("case {number} is set aside"));
    }
    lines.extend(instance.held().map(|held| match held {
        Held::Element {
            key,
            scope: within,
            state,
            ..
        } => format!("{} in {} is {}", node(key), scope(within), state.as_str()),
        Held::Tokens {
            scope: within,
            flow,
            count,
        } => {
            let (from, to) = names.flow(key, flow);
            format!("{count} from {from} to {to} in {}", node(within))
        }
        Held::Variable {
            scope: within,
            name,
            value,
        } => variable(&node(within), name, &Value::read(&value.0)),
        Held::Job {
            element,
            job_type,
            retries,
            state,
            deadline,
            backoff_until,
        } => format!(
            "{} has job {job_type} retries {retries} {state} deadline {:?} back-off {:?}",
            node(element),
            ms(deadline),
            ms(backoff_until)
        ),
        Held::Incident {
            key,
            element,
            job,
            kind,
        } => format!(
            "{} has incident {} {kind:?} of a job: {}",
            node(element),
            names.incident(key).unwrap_or(u64::MAX),
            job.is_some()
        ),
        Held::Subscription {
            waiting,
            element,
            name,
            correlation_key,
            key_kind,
        } => format!(
            "{} waits for {name} {correlation_key} {key_kind:?} at {}",
            node(waiting),
            names.element(key, element)
        ),
        Held::Timer {
            waiting,
            element,
            due,
            repetitions,
        } => format!(
            "{} waits until {} at {}, then {repetitions:?}",
            node(waiting),
            due.0,
            names.element(key, element)
        ),
        Held::Step { incident } => held_up(number, names.incident(incident)),
        Held::Trigger {
            waiting,
            element,
            variables,
        } => format!(
            "{number}: {} was met at {} {:?}",
            scope(waiting),
            names.element(key, element),
            read_values(&variables.0)
        ),
    }));
    lines
}
