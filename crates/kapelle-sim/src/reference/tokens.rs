//! How tokens move: along flows, out of scopes, and away.

use super::said::{Name, Said};
use super::state::{At, Phase};
use super::{Reference, Step};
use crate::process::What;

impl Reference {
    /// A token reaches an element of a scope.
    pub(super) fn arrive(&mut self, scope: At, from: Option<Name>, element: &Name) {
        if !self.is_open(scope) {
            return;
        }
        let case = self.case(scope.case);
        let has_token = |from: &str| {
            let flow = (scope.node, Name::from(from), element.clone());
            case.tokens.contains_key(&flow)
        };
        if from.as_deref().is_some_and(|from| !has_token(from)) {
            return;
        }
        let process = std::sync::Arc::clone(&case.process);
        let what = process.find(element).map(|found| found.what);
        if let Some(What::Join(sources)) = what {
            if sources.iter().all(|from| has_token(from)) {
                for from in sources {
                    self.take_token(scope, from, element);
                }
                self.say(Said::Joined {
                    scope: scope.node,
                    join: element.clone(),
                });
                self.enter(scope, None, element, None);
            }
            return;
        }
        let case = self.case(scope.case);
        let is_pending = case
            .triggers
            .iter()
            .any(|trigger| trigger.node == scope.node && trigger.element == *element);
        self.enter(
            scope,
            from.as_deref(),
            element,
            is_pending.then_some(scope.node),
        );
    }

    pub(super) fn take_token(&mut self, scope: At, from: &str, to: &Name) {
        let flow = (scope.node, Name::from(from), to.clone());
        let tokens = &mut self.case_mut(scope.case).tokens;
        if let Some(count) = tokens.get_mut(&flow) {
            *count -= 1;
            if *count == 0 {
                tokens.remove(&flow);
            }
        }
    }

    /// The element is done: a token goes to each that follows, or its scope may be done.
    pub(super) fn go_on(&mut self, scope: At, from: &Name) {
        let process = std::sync::Arc::clone(&self.case(scope.case).process);
        let next = process
            .find(from)
            .map(|found| found.next)
            .unwrap_or_default();
        if next.is_empty() {
            return self.left_scope(scope);
        }
        for to in next {
            self.flow(scope, from, to);
            self.push_step(Step::Arrive {
                scope,
                from: Some(from.clone()),
                element: to.into(),
            });
        }
    }

    /// A token is on its way.
    pub(super) fn flow(&mut self, scope: At, from: &Name, to: &str) {
        let flow = (scope.node, from.clone(), Name::from(to));
        *self.case_mut(scope.case).tokens.entry(flow).or_default() += 1;
        self.say(Said::Flow {
            scope: scope.node,
            from: from.clone(),
            to: to.into(),
        });
    }

    /// A token or an element instance has left that scope.
    pub(super) fn left_scope(&mut self, scope: At) {
        let Some(phase) = self.phase(scope) else {
            return;
        };
        let case = self.case(scope.case);
        let is_childless = case.children(scope.node).next().is_none();
        match phase {
            Phase::Activated if is_childless && !case.has_tokens(scope.node) => {
                self.push_step(Step::ScopeDone(scope));
            }
            Phase::Terminating if is_childless => self.push_step(Step::Terminate(scope)),
            _ => {}
        }
    }

    pub(super) fn scope_done(&mut self, scope: At) {
        if self.standing(scope).is_none() {
            return;
        }
        let case = self.case(scope.case);
        let is_empty = case.children(scope.node).next().is_none() && !case.has_tokens(scope.node);
        if is_empty && case.is_live(scope.node) {
            self.complete(scope);
        }
    }

    /// What no element has is gone: tokens on their way and at joins, and what was about to leave a boundary event.
    pub(super) fn discard(&mut self, scope: At) {
        let case = self.case_mut(scope.case);
        let before = (case.tokens.len(), case.triggers.len());
        case.tokens.retain(|(within, ..), _| *within != scope.node);
        case.triggers.retain(|trigger| trigger.scope != scope.node);
        if before != (case.tokens.len(), case.triggers.len()) {
            self.say(Said::Discarded { scope: scope.node });
        }
    }
}
