//! Instances that are set aside because deciding on them failed: left alone until somebody resolves their incident.
//!
//! That something fails is not to be foreseen; what was interrupted must not be lost, and nothing else may happen.

use kapelle_engine::command::DueKind;
use kapelle_engine::event::{Event, IncidentKind};

use super::elements::Problem;
use super::journal::Decided;
use super::said::Said;
use super::state::At;
use super::{Reference, Step};

impl Step {
    /// Whose it is, if it moves tokens: then it waits while its instance is set aside.
    fn moves(&self) -> Option<u64> {
        match self {
            Self::Arrive { scope, .. } => Some(scope.case),
            Self::ScopeDone(at) | Self::Retry(at) => Some(at.case),
            Self::Terminate(_)
            | Self::MeetBuffered { .. }
            | Self::StartBuffered { .. }
            | Self::Publish(_)
            | Self::ReleasePushed { .. } => None,
        }
    }
}

impl Reference {
    /// Its instance is set aside, and that incident is not what ends it.
    pub(super) fn is_left_alone(&self, case: u64, incident: u64) -> bool {
        self.case(case).set_aside.is_some_and(|own| own != incident)
    }

    /// Something failed; `left` is the left-over follow-up that did.
    pub(super) fn set_aside(
        &mut self,
        decided: &Decided,
        left: Option<Step>,
    ) -> Result<(), String> {
        let mut left = left;
        for (_, event) in &decided.events {
            match event {
                Event::InstanceQuarantined { instance, .. } => {
                    let root = self.element(instance.root())?;
                    self.leave_alone(root);
                }
                Event::StepInterrupted(interrupted) => {
                    let case = self.names.case(interrupted.instance);
                    let case = case.ok_or("a step waits with an instance that never was")?;
                    let step = left
                        .take()
                        .ok_or("a step is interrupted that was not left over")?;
                    self.hold(case, step)?;
                }
                Event::DueMoved {
                    due, to: Some(to), ..
                } => {
                    match left.take() {
                        Some(step) if due.what == DueKind::PostponedStep => {
                            self.postponed.insert(due.key, step);
                        }
                        // It failed once more.
                        None if due.what == DueKind::PostponedStep => {
                            let is_known = self.postponed.contains_key(&due.key);
                            is_known
                                .then_some(())
                                .ok_or("a step is put off that never was")?;
                        }
                        other => {
                            left = other;
                            self.put_off(due, *to);
                        }
                    }
                    self.say(Said::DuePutOff);
                }
                _ => {}
            }
        }
        match left {
            None => Ok(()),
            Some(step) => Err(format!("a follow-up that failed is lost: {step:?}")),
        }
    }

    fn leave_alone(&mut self, root: At) {
        if self.case(root.case).set_aside.is_none() {
            self.say(Said::SetAside { case: root.case });
            let incident = self.raise(root, Problem(IncidentKind::Quarantined), false);
            self.case_mut(root.case).set_aside = Some(incident);
        }
    }

    fn hold(&mut self, case: u64, step: Step) -> Result<(), String> {
        let living = self
            .cases
            .get_mut(&case)
            .ok_or("a step waits with an instance that is gone")?;
        let incident = living
            .set_aside
            .ok_or("a step waits with an instance that is not set aside")?;
        living.held.push(step);
        self.say(Said::Interrupted { incident });
        Ok(())
    }

    /// The step, unless it has to wait.
    pub(super) fn unless_held(&mut self, step: Step) -> Option<Step> {
        let Some(case) = step.moves() else {
            return Some(step);
        };
        let is_aside = self
            .cases
            .get(&case)
            .is_some_and(|case| case.set_aside.is_some());
        if !is_aside {
            return Some(step);
        }
        self.hold(case, step).ok();
        None
    }

    /// An incident is over, and what it held up goes on.
    pub(super) fn resolve_one(&mut self, case: u64, incident: u64) {
        let living = self.case_mut(case);
        living.incidents.remove(&incident);
        let mut held = Vec::new();
        if living.set_aside.take_if(|own| *own == incident).is_some() {
            held = std::mem::take(&mut living.held);
        }
        self.say(Said::Resolved { incident });
        for step in held {
            self.push_step(step);
        }
    }

    /// What the instance missed while it was set aside: messages in the buffer.
    pub(super) fn look_again(&mut self, case: u64) {
        let mut waits = Vec::new();
        for (node, standing) in &self.case(case).nodes {
            let at = At { case, node: *node };
            let open = standing.waits.iter();
            waits.extend(open.map(|open| (open.made, at, open.element.clone())));
        }
        waits.sort_unstable();
        for (_, at, element) in waits {
            self.push_step(Step::MeetBuffered { at, element });
        }
    }
}
