//! Process instances begin and end.

use std::sync::Arc;

use super::said::{Name, Passage, Said};
use super::state::{At, Case, Standing};
use super::variables::Reach;
use super::{Reference, Step, count};
use crate::process::OTHER_START;
use crate::value::Values;

/// How an instance begins.
pub(super) struct Beginning {
    pub(super) start: &'static str,
    pub(super) variables: Values,
    /// What met its start event.
    pub(super) payload: Option<Values>,
    pub(super) awaited: bool,
    pub(super) lock: Option<Name>,
}

impl Reference {
    /// An instance of the version begins.
    pub(super) fn begin(&mut self, process: &str, version: i32, beginning: Beginning) -> u64 {
        let Beginning {
            start,
            variables,
            payload,
            awaited,
            lock,
        } = beginning;
        let (case, root) = (count(&mut self.made.cases), count(&mut self.made.nodes));
        let versions = &self.versions[process];
        let found = versions.iter().find(|known| known.version == version);
        let process = Arc::clone(&found.expect("invariant: it was deployed").process);
        let element = Name::from(process.id.as_str());
        self.say(Said::Created {
            case,
            process: element.clone(),
            version,
            start: start.into(),
            awaited,
            lock: lock.clone(),
        });
        if let Some(key) = &lock {
            self.locks.insert((element.clone(), key.clone()), case);
        }
        let standing = Standing::new(element, root);
        self.cases.insert(
            case,
            Case {
                process,
                version,
                awaited,
                lock,
                set_aside: None,
                held: Vec::new(),
                root,
                nodes: [(root, standing)].into(),
                tokens: Default::default(),
                triggers: Vec::new(),
                incidents: Default::default(),
            },
        );
        let at = At { case, node: root };
        self.say(Said::Entered {
            case,
            node: self.node(at),
            scope: root,
        });
        self.merge(at, Reach::Local, &variables);
        self.pass(at, Passage::Activated);
        if let Some(payload) = payload {
            self.met(at, &start.into(), payload);
        }
        self.push_step(Step::Arrive {
            scope: at,
            from: None,
            element: start.into(),
        });
        case
    }

    /// The latest version starts with something other than a command.
    pub(super) fn start(
        &mut self,
        process: &str,
        version: i32,
        payload: Option<Values>,
        lock: Option<Name>,
    ) -> u64 {
        let beginning = Beginning {
            start: OTHER_START,
            variables: Values::new(),
            payload,
            awaited: false,
            lock,
        };
        self.begin(process, version, beginning)
    }

    pub(super) fn complete_case(&mut self, root: At) {
        let case = self.case(root.case);
        if case.awaited {
            let variables = case.nodes[&root.node].variables.clone();
            self.results.insert(root.case, variables);
        }
        self.completed(root);
        self.end_case(root.case, true);
    }

    pub(super) fn end_case(&mut self, case: u64, completed: bool) {
        let Some(gone) = self.cases.remove(&case) else {
            return;
        };
        self.say(Said::Ended { case, completed });
        if let Some(key) = gone.lock {
            let process = Name::from(gone.process.id.as_str());
            self.locks.remove(&(process.clone(), key.clone()));
            self.say(Said::LockFree {
                process: process.clone(),
                key: key.clone(),
                case,
            });
            self.push_step(Step::StartBuffered { process, key });
        }
    }
}
