//! What elements do: entered, done, ended from outside, met by what they waited for.

use std::sync::Arc;

use kapelle_engine::event::IncidentKind;

use super::messages::Publication;
use super::said::{Name, Passage, Said};
use super::state::{At, Incident, Job, JobState, Phase, Standing, Trigger};
use super::variables::Reach;
use super::{Reference, Step, count};
use crate::process::{Element, JobText, PublishEvent, SendMessage, Way, What};
use crate::value::{Value, Values};

/// Why an element does not go on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Problem(pub(super) IncidentKind);

impl Problem {
    pub(super) const IO_MAPPING: Self = Self(IncidentKind::IoMappingError);
    pub(super) const VALUE: Self = Self(IncidentKind::ExtractValueError);
}

impl Reference {
    /// A token enters an element.
    pub(super) fn enter(
        &mut self,
        scope: At,
        from: Option<&str>,
        element: &Name,
        trigger_of: Option<u64>,
    ) {
        if let Some(from) = from {
            self.take_token(scope, from, element);
        }
        let at = At {
            node: count(&mut self.made.nodes),
            ..scope
        };
        let case = self.case_mut(at.case);
        case.nodes
            .insert(at.node, Standing::new(element.clone(), scope.node));
        if let Some(waiting) = trigger_of {
            let pending =
                |trigger: &&mut Trigger| trigger.node == waiting && trigger.element == *element;
            if let Some(trigger) = case.triggers.iter_mut().find(pending) {
                trigger.node = at.node;
            }
        }
        self.say(Said::Entered {
            case: at.case,
            node: self.node(at),
            scope: scope.node,
        });
        self.work(at);
    }

    /// Everything from entering to being at work.
    pub(super) fn work(&mut self, at: At) {
        if let Err(problem) = self.try_work(at) {
            self.raise(at, problem, false);
        }
    }

    fn try_work(&mut self, at: At) -> Result<(), Problem> {
        self.map_inputs(at)?;
        let process = Arc::clone(&self.case(at.case).process);
        let name = self.node(at).element;
        let element = process
            .find(&name)
            .expect("invariant: processes consist of their elements");
        match &element.what {
            What::Pass | What::Join(_) | What::Terminate | What::Boundary(_) => {
                self.pass_through(at)
            }
            What::Job(job) => self.make_job(at, job, &element)?,
            What::Wait(_) if self.case(at.case).trigger(at.node).is_some() => self.pass_through(at),
            What::Wait(wait) => {
                let mut waits = vec![(name.clone(), self.evaluate_wait(at, at, wait, true)?)];
                waits.extend(self.boundary_waits(at, element.boundaries)?);
                self.open(at, waits);
                self.pass(at, Passage::Activated);
            }
            What::Publish(publish) => self.publish_event(at, publish),
            What::Send(send) => self.send(at, send)?,
            What::Choose(ways) => self.choose(at, &name, ways)?,
            What::Race(catches) => {
                let mut waits = Vec::new();
                for (catch, wait) in catches {
                    waits.push(((*catch).into(), self.evaluate_wait(at, at, wait, true)?));
                }
                self.open(at, waits);
                self.pass(at, Passage::Activated);
            }
            What::Inside(start) => {
                let waits = self.boundary_waits(at, element.boundaries)?;
                self.open(at, waits);
                self.pass(at, Passage::Activated);
                self.push_step(Step::Arrive {
                    scope: at,
                    from: None,
                    element: (*start).into(),
                });
            }
            What::Throw(code) => {
                let from = self.scope_of(at);
                let (host, boundary) = self
                    .catcher(from, code)
                    .ok_or(Problem(IncidentKind::UnhandledErrorEvent))?;
                self.pass(at, Passage::Activated);
                self.trigger(host, &boundary, Values::new());
            }
        }
        Ok(())
    }

    fn pass_through(&mut self, at: At) {
        self.pass(at, Passage::Activated);
        self.complete(at);
    }

    fn make_job(&mut self, at: At, job: &JobText, element: &Element<'_>) -> Result<(), Problem> {
        let kind = self.case(at.case).sees(at.node, "kind");
        let job_type = match (job.job_type, &kind) {
            (Some(job_type), _) => job_type.into(),
            (None, Value::Text(kind)) => kind.clone(),
            (None, _) => return Err(Problem::VALUE),
        };
        let mut headers = Vec::new();
        if job.assignee {
            match kind {
                Value::Null => {}
                Value::Text(kind) => headers.push(("io.camunda.zeebe:assignee".into(), kind)),
                _ => return Err(Problem::VALUE),
            }
        }
        let waits = self.boundary_waits(at, element.boundaries)?;
        self.open(at, waits);
        self.say(Said::JobMade {
            node: self.node(at),
            job_type: Name::clone(&job_type),
            retries: job.retries,
            headers: headers.clone(),
        });
        headers.extend(job.header.map(|(key, value)| (key.into(), value.into())));
        let made = count(&mut self.made.jobs);
        self.standing_mut(at).job = Some(Job {
            made,
            job_type,
            retries: job.retries,
            headers,
            state: JobState::Available,
            deadline: None,
            deadline_is_put_off: false,
            backoff_until: None,
            pushed_by: None,
        });
        self.pass(at, Passage::Activated);
        Ok(())
    }

    fn publish_event(&mut self, at: At, publish: &PublishEvent) {
        let case = self.case(at.case);
        let (subject, data) = (case.sees(at.node, "k").as_text(), case.sees_all(at.node));
        let entry = count(&mut self.made.entries);
        self.say(Said::Out {
            entry,
            to: publish.to.into(),
            event_type: publish.event_type.into(),
            subject,
            data,
        });
        self.pass_through(at);
    }

    fn send(&mut self, at: At, send: &SendMessage) -> Result<(), Problem> {
        let key = self
            .case(at.case)
            .sees(at.node, "k")
            .as_text()
            .ok_or(Problem::VALUE)?;
        let variables = self.case(at.case).nodes[&at.node].variables.clone();
        self.push_step(Step::Publish(Publication {
            name: send.name.into(),
            key,
            id: "".into(),
            ttl_ms: send.ttl_ms,
            variables,
            only: None,
        }));
        self.pass_through(at);
        Ok(())
    }

    fn choose(&mut self, at: At, name: &Name, ways: &[Way]) -> Result<(), Problem> {
        let mut chosen = ways.iter().find(|way| way.condition.is_none());
        for way in ways.iter().rev() {
            let Some(condition) = way.condition else {
                continue;
            };
            let value = self.case(at.case).sees(at.node, condition.variable);
            if condition.holds(&value).ok_or(Problem::VALUE)? {
                chosen = Some(way);
                break;
            }
        }
        let way = chosen.ok_or(Problem(IncidentKind::ConditionError))?;
        let scope = self.scope_of(at);
        self.pass(at, Passage::Activated);
        self.pass(at, Passage::Completing);
        self.completed(at);
        self.flow(scope, name, &way.to);
        self.push_step(Step::Arrive {
            scope,
            from: Some(name.clone()),
            element: way.to.as_str().into(),
        });
        Ok(())
    }

    pub(super) fn pass(&mut self, at: At, passage: Passage) {
        self.say(Said::Passed {
            node: self.node(at),
            passage,
        });
        let phase = match passage {
            Passage::Activated => Phase::Activated,
            Passage::Completing => Phase::Completing,
            Passage::Terminating => Phase::Terminating,
            Passage::Completed | Passage::Terminated => return self.leave(at),
        };
        self.standing_mut(at).phase = phase;
    }

    /// It is gone, with its variables, what it has used, and what waited for something in it.
    fn leave(&mut self, at: At) {
        let case = self.case_mut(at.case);
        let Some(gone) = case.nodes.remove(&at.node) else {
            return;
        };
        case.triggers.retain(|trigger| {
            let is_used = trigger.node == at.node && trigger.element == gone.element;
            !is_used && trigger.scope != at.node
        });
    }

    /// Its work is done.
    pub(super) fn complete(&mut self, at: At) {
        self.pass(at, Passage::Completing);
        self.exit(at);
    }

    /// Everything from being done to having left.
    pub(super) fn exit(&mut self, at: At) {
        if let Err(problem) = self.try_exit(at) {
            self.raise(at, problem, false);
        }
    }

    fn try_exit(&mut self, at: At) -> Result<(), Problem> {
        if at.node == self.case(at.case).root {
            self.complete_case(at);
            return Ok(());
        }
        let process = Arc::clone(&self.case(at.case).process);
        let node = self.node(at);
        let payload = self
            .case(at.case)
            .trigger(at.node)
            .map(|trigger| trigger.payload.clone());
        let scope = self.scope_of(at);
        match process.find(&node.element).map(|found| found.what) {
            Some(What::Terminate) => {
                self.completed(at);
                self.discard(scope);
                let others: Vec<u64> = self.case(at.case).children(scope.node).collect();
                for node in others {
                    if self.standing(At { node, ..at }).is_some() {
                        self.terminate(At { node, ..at });
                    }
                }
                self.left_scope(scope);
            }
            // What an error brings stays here unless it is mapped.
            Some(What::Boundary(boundary))
                if boundary.meets_errors() && boundary.outputs_nothing() =>
            {
                if let Some(payload) = payload {
                    self.merge(at, Reach::Local, &payload);
                }
                self.completed(at);
                self.go_on(scope, &node.element);
            }
            _ => {
                self.map_outputs(at, payload.as_ref())?;
                self.completed(at);
                self.go_on(scope, &node.element);
            }
        }
        Ok(())
    }

    /// A worker has done it.
    pub(super) fn job_completed(&mut self, at: At, result: &Values) {
        let (scope, name) = (self.scope_of(at), self.node(at).element);
        self.pass(at, Passage::Completing);
        match self.map_outputs(at, Some(result)) {
            Err(problem) => {
                self.raise(at, problem, false);
            }
            Ok(()) => {
                self.completed(at);
                self.go_on(scope, &name);
            }
        }
    }

    pub(super) fn completed(&mut self, at: At) {
        self.close_all(at);
        self.resolve_all(at);
        self.pass(at, Passage::Completed);
    }

    fn resolve_all(&mut self, at: At) {
        let incidents = &mut self.case_mut(at.case).incidents;
        let own = incidents
            .iter()
            .filter(|(_, incident)| incident.node == at.node);
        let own: Vec<u64> = own.map(|(incident, _)| *incident).collect();
        for incident in own {
            self.resolve_one(at.case, incident);
        }
    }

    /// It is ended from outside, and what is in it; the last of its children comes back here.
    pub(super) fn terminate(&mut self, at: At) {
        let Some(phase) = self.phase(at) else { return };
        if phase != Phase::Terminating {
            self.begin_termination(at);
        }
        if self.case(at.case).children(at.node).next().is_some() {
            return;
        }
        // What was set aside while it ended.
        self.resolve_all(at);
        let case = self.case(at.case);
        let (root, scope, name) = (case.root, self.scope_of(at), self.node(at).element);
        // A boundary event that interrupts goes on as soon as its host is gone.
        let pending = case.trigger(at.node).map(|trigger| trigger.element.clone());
        let boundary = pending.filter(|element| *element != name);
        self.pass(at, Passage::Terminated);
        match boundary {
            _ if at.node == root => self.end_case(at.case, false),
            Some(boundary) if self.is_open(scope) => {
                self.enter(scope, None, &boundary, Some(at.node))
            }
            _ => self.left_scope(scope),
        }
    }

    fn begin_termination(&mut self, at: At) {
        self.pass(at, Passage::Terminating);
        self.close_all(at);
        if self.standing_mut(at).job.take().is_some() {
            self.say(Said::JobCanceled {
                node: self.node(at),
            });
        }
        self.resolve_all(at);
        self.discard(at);
        let children: Vec<u64> = self.case(at.case).children(at.node).collect();
        for node in children {
            self.push_step(Step::Terminate(At { node, ..at }));
        }
    }

    pub(super) fn met(&mut self, at: At, element: &Name, payload: Values) {
        self.say(Said::Triggered {
            node: self.node(at),
            element: element.clone(),
            payload: payload.clone(),
        });
        let scope = self.scope_of(at).node;
        let trigger = Trigger {
            node: at.node,
            element: element.clone(),
            scope,
            payload,
        };
        self.case_mut(at.case).triggers.push(trigger);
    }

    /// What an element waited for has come: `element` goes on.
    pub(super) fn trigger(&mut self, at: At, element: &Name, payload: Values) {
        self.met(at, element, payload);
        let process = Arc::clone(&self.case(at.case).process);
        let scope = self.scope_of(at);
        let what = |name: &str| process.find(name).map(|found| found.what);
        match (what(element), what(&self.node(at).element)) {
            (Some(What::Boundary(boundary)), _) if boundary.interrupts() => self.terminate(at),
            (Some(What::Boundary(_)), _) => self.enter(scope, None, element, Some(at.node)),
            (_, Some(What::Race(_))) => {
                let race = self.node(at).element;
                self.pass(at, Passage::Completing);
                self.completed(at);
                self.flow(scope, &race, element);
                self.enter(scope, Some(&race), element, Some(at.node));
            }
            _ => self.complete(at),
        }
    }

    /// Who catches an error that comes from there: on one activity the one for that code before one for all.
    pub(super) fn catcher(&self, from: At, code: &str) -> Option<(At, Name)> {
        let case = self.case(from.case);
        case.scopes(from.node).into_iter().find_map(|host| {
            let activity = case.process.find(&case.nodes[&host].element)?;
            let of = |code: Option<&str>| {
                activity
                    .boundaries
                    .iter()
                    .find(|boundary| boundary.catches(code))
            };
            let boundary = of(Some(code)).or_else(|| of(None))?;
            Some((At { node: host, ..from }, boundary.name.as_str().into()))
        })
    }

    pub(super) fn raise(&mut self, at: At, problem: Problem, of_job: bool) -> u64 {
        let incident = count(&mut self.made.incidents);
        self.say(Said::Incident {
            incident,
            node: self.node(at),
            kind: problem.0,
            of_job,
        });
        let raised = Incident {
            node: at.node,
            kind: problem.0,
            of_job,
        };
        self.case_mut(at.case).incidents.insert(incident, raised);
        incident
    }

    /// An incident was resolved: what it interrupted goes on.
    pub(super) fn retry(&mut self, at: At) {
        let Some(phase) = self.phase(at) else { return };
        if !self.is_open(self.scope_of(at)) && at.node != self.case(at.case).root {
            return;
        }
        match phase {
            Phase::Activating => self.work(at),
            Phase::Completing => self.exit(at),
            Phase::Activated | Phase::Terminating => {}
        }
    }
}
