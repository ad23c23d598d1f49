//! Compiled definitions in memory: a bounded cache over the deployed bytes.
//!
//! **Invariant**: it holds nothing that can't be made again; what falls out is compiled again when it is needed.

use std::collections::BTreeMap;
use std::sync::Arc;

use kapelle_model::graph::{Action, Element, ElementIndex, HeaderValue, Process};

use crate::ids::DefinitionKey;
use crate::keep::Keep;
use crate::state::definitions;

/// A version of a process, ready to run.
#[derive(Debug)]
pub(crate) struct Definition {
    pub(crate) key: DefinitionKey,
    pub(crate) tenant: Arc<str>,
    pub(crate) version: i32,
    pub(crate) process: Process,
    /// Of elements whose headers are all static: what each of their jobs carries.
    headers: BTreeMap<ElementIndex, Headers>,
}

/// Headers as a job carries them.
pub(crate) type Headers = Arc<[(Arc<str>, Arc<str>)]>;

impl Definition {
    fn new(key: DefinitionKey, tenant: Arc<str>, version: i32, process: Process) -> Self {
        let headers = process
            .indexes()
            .filter_map(|index| Some((index, static_headers(process.element(index))?)))
            .collect();
        Self {
            key,
            tenant,
            version,
            process,
            headers,
        }
    }

    pub(crate) fn element(&self, index: ElementIndex) -> &Element {
        self.process.element(index)
    }

    /// `None` where some header has to be computed.
    pub(crate) fn static_headers(&self, element: ElementIndex) -> Option<&Headers> {
        self.headers.get(&element)
    }
}

fn static_headers(element: &Element) -> Option<Headers> {
    let Some(Action::Job(job)) = element.kind.action() else {
        return None;
    };
    job.headers
        .iter()
        .map(|header| match &header.value {
            HeaderValue::Static(value) => Some((header.key.clone(), value.clone())),
            _ => None,
        })
        .collect()
}

/// The cache.
#[derive(Debug)]
pub(crate) struct Definitions {
    compiled: BTreeMap<DefinitionKey, (Arc<Definition>, u64)>,
    /// Counts uses, so that the one not used for longest can be told.
    uses: u64,
    max: usize,
}

impl Definitions {
    pub(crate) fn new(max: usize) -> Self {
        Self {
            compiled: BTreeMap::new(),
            uses: 0,
            max: max.max(1),
        }
    }

    pub(crate) fn get(&mut self, keep: &dyn Keep, key: DefinitionKey) -> Option<Arc<Definition>> {
        self.uses += 1;
        if let Some((definition, used)) = self.compiled.get_mut(&key) {
            *used = self.uses;
            return Some(definition.clone());
        }
        let definition = Arc::new(compile(keep, key)?);
        self.evict();
        self.compiled.insert(key, (definition.clone(), self.uses));
        Some(definition)
    }

    fn evict(&mut self) {
        if self.compiled.len() < self.max {
            return;
        }
        if let Some(oldest) = self
            .compiled
            .iter()
            .min_by_key(|(_, (_, used))| *used)
            .map(|(key, _)| *key)
        {
            self.compiled.remove(&oldest);
        }
    }
}

fn compile(keep: &dyn Keep, key: DefinitionKey) -> Option<Definition> {
    let entry = definitions::by_key(keep, key)?;
    let resource = definitions::resource(keep, entry.resource)?;
    let semantics = u16::try_from(entry.semantics).unwrap_or(u16::MAX);
    let bpmn = kapelle_model::compile(&resource.bytes, semantics)
        .expect("bytes that were accepted compile for ever");
    let process = bpmn
        .processes
        .into_iter()
        .find(|process| process.id == entry.process_id)?;
    Some(Definition::new(key, entry.tenant, entry.version, process))
}
