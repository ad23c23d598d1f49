//! What is deployed.

use std::ops::ControlFlow;
use std::sync::Arc;

use kapelle_model::graph::ElementIndex;

use crate::encode::Record;
use crate::ids::{DefinitionKey, DeploymentKey, ResourceKey, TimerKey, Timestamp};
use crate::keep::Keep;
use crate::state::{scan_prefix, tables};

/// A version of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DefinitionEntry {
    pub(crate) tenant: Arc<str>,
    pub(crate) process_id: Arc<str>,
    pub(crate) version: i32,
    pub(crate) resource: ResourceKey,
    pub(crate) resource_name: Arc<str>,
    pub(crate) deployment: DeploymentKey,
    /// Of the compiler that accepted it.
    pub(crate) semantics: u32,
}

/// The newest version of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LatestEntry {
    pub(crate) definition: DefinitionKey,
    pub(crate) version: i32,
}

/// A deployed file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ResourceEntry {
    pub(crate) name: Arc<str>,
    pub(crate) bytes: Arc<[u8]>,
    pub(crate) checksum: [u8; 32],
}

/// A timer of a definition's start event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DefinitionTimerEntry {
    pub(crate) due: Timestamp,
    pub(crate) element: ElementIndex,
    pub(crate) repetitions: Option<u32>,
}

pub(crate) fn by_key(keep: &dyn Keep, definition: DefinitionKey) -> Option<DefinitionEntry> {
    let value = keep.get(&tables::definition(definition))?;
    Some(DefinitionEntry::read(&value).expect("the engine wrote this entry"))
}

pub(crate) fn latest(keep: &dyn Keep, tenant: &str, process_id: &str) -> Option<LatestEntry> {
    let value = keep.get(&tables::definition_latest(tenant, process_id))?;
    Some(LatestEntry::read(&value).expect("the engine wrote this entry"))
}

pub(crate) fn by_version(
    keep: &dyn Keep,
    tenant: &str,
    process_id: &str,
    version: i32,
) -> Option<DefinitionKey> {
    let value = keep.get(&tables::definition_version(tenant, process_id, version))?;
    Some(DefinitionKey(tables::value_number(&value)))
}

pub(crate) fn resource(keep: &dyn Keep, resource: ResourceKey) -> Option<ResourceEntry> {
    let value = keep.get(&tables::resource(resource))?;
    Some(ResourceEntry::read(&value).expect("the engine wrote this entry"))
}

pub(crate) fn timers(
    keep: &dyn Keep,
    definition: DefinitionKey,
) -> Vec<(TimerKey, DefinitionTimerEntry)> {
    let mut timers = Vec::new();
    scan_prefix(
        keep,
        &tables::definition_timers(definition),
        None,
        &mut |key, value| {
            let entry = DefinitionTimerEntry::read(value).expect("the engine wrote this entry");
            timers.push((TimerKey(tables::last_number(key)), entry));
            ControlFlow::Continue(())
        },
    );
    timers
}

pub(crate) fn timer(
    keep: &dyn Keep,
    definition: DefinitionKey,
    timer: TimerKey,
) -> Option<DefinitionTimerEntry> {
    let value = keep.get(&tables::definition_timer(definition, timer))?;
    Some(DefinitionTimerEntry::read(&value).expect("the engine wrote this entry"))
}
