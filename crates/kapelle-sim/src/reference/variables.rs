//! Variables of scopes, and the mappings into and out of them.

use std::sync::Arc;

use super::Reference;
use super::elements::Problem;
use super::said::{Name, Said};
use super::state::At;
use crate::value::{Mapping, Value, Values, with_leaf};

/// Where a variable goes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// Into that scope.
    Local,
    /// To the nearest scope that has the name, else to the whole process.
    Propagate,
}

impl Reference {
    pub(super) fn set(&mut self, scope: At, reach: Reach, name: &Name, value: &Value) {
        let case = self.case_mut(scope.case);
        let holder = match reach {
            Reach::Local => scope.node,
            Reach::Propagate => case.holder(scope.node, name).unwrap_or(case.root),
        };
        let variables = &mut case
            .nodes
            .get_mut(&holder)
            .expect("invariant: a scope lives as long as what is in it")
            .variables;
        if variables.get(name) == Some(value) {
            return;
        }
        variables.insert(name.clone(), value.clone());
        self.say(Said::Set {
            scope: holder,
            name: name.clone(),
            value: value.clone(),
        });
    }

    pub(super) fn merge(&mut self, scope: At, reach: Reach, values: &Values) {
        for (name, value) in values {
            self.set(scope, reach, name, value);
        }
    }

    /// Inputs go into the element's own scope; what `a.b` builds on is nothing.
    pub(super) fn map_inputs(&mut self, at: At) -> Result<(), Problem> {
        let mappings = self.mapped(at).inputs;
        let results = self.evaluate(at, mappings, None)?;
        self.store(at, Reach::Local, results);
        Ok(())
    }

    /// Outputs leave, or, where there are none, all of what came.
    pub(super) fn map_outputs(&mut self, at: At, payload: Option<&Values>) -> Result<(), Problem> {
        let mappings = self.mapped(at).outputs;
        if let Some(payload) = payload {
            let reach = if mappings.is_empty() {
                Reach::Propagate
            } else {
                Reach::Local
            };
            self.merge(at, reach, payload);
        }
        let scope = self.scope_of(at);
        let results = self.evaluate(at, mappings, Some(scope))?;
        self.store(scope, Reach::Propagate, results);
        Ok(())
    }

    fn store(&mut self, scope: At, reach: Reach, results: Vec<(Name, Value)>) {
        for (name, value) in results {
            self.set(scope, reach, &name, &value);
        }
    }

    /// All of them before any is set, each seeing the ones before it. `a.b` builds on the `a` that `base` sees.
    fn evaluate(
        &self,
        at: At,
        mappings: &[Mapping],
        base: Option<At>,
    ) -> Result<Vec<(Name, Value)>, Problem> {
        let case = self.case(at.case);
        let mut results: Vec<(Name, Value)> = Vec::new();
        for mapping in mappings {
            let variable = mapping.source.variable();
            let earlier = results.iter().find(|(name, _)| **name == *variable);
            let seen = match earlier {
                Some((_, value)) => value.clone(),
                None => case.sees(at.node, variable),
            };
            let value = mapping.source.of(seen).ok_or(Problem::IO_MAPPING)?;
            let (name, path) = mapping
                .target
                .split_first()
                .expect("invariant: a mapping has a target");
            let place = results.iter().position(|(earlier, _)| **earlier == **name);
            let root = match (place, base) {
                (Some(place), _) => results.remove(place).1,
                (None, Some(base)) => case.sees(base.node, name),
                (None, None) => Value::Null,
            };
            results.push(((*name).into(), with_leaf(root, path, value)));
        }
        Ok(results)
    }

    fn mapped(&self, at: At) -> crate::process::Mapped {
        let case = self.case(at.case);
        let element = &case.nodes[&at.node].element;
        let process = Arc::clone(&case.process);
        process
            .find(element)
            .map_or(crate::process::Mapped::NOTHING, |found| found.mapped)
    }
}
