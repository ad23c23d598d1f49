//! Deployed files and processes, and what they listen to.

use crate::encode::Record;
use crate::event::{Event, ProcessDeployed};
use crate::keep::Keep;
use crate::state::definitions::{DefinitionEntry, LatestEntry, ResourceEntry};
use crate::state::messages::{BindingEntry, StartSubscriptionEntry};
use crate::state::tables;

pub(super) fn to_indexes(keep: &mut dyn Keep, event: &Event) {
    match event {
        Event::ResourceStored {
            resource,
            name,
            bytes,
            checksum,
            ..
        } => {
            let entry = ResourceEntry {
                name: name.clone(),
                bytes: bytes.clone(),
                checksum: *checksum,
            };
            keep.insert(&tables::resource(*resource), &entry.to_bytes());
        }
        Event::ProcessDeployed(deployed) => deploy(keep, deployed),
        // Only the key counter.
        Event::DeploymentCreated { .. } => {}
        Event::StartSubscriptionOpened(start) => {
            let key = tables::start_subscription(
                &start.tenant,
                &start.name,
                &start.process_id,
                start.element,
            );
            let entry = StartSubscriptionEntry {
                subscription: start.subscription,
                definition: start.definition,
                element: start.element,
                process_id: start.process_id.clone(),
            };
            keep.put(&key, &entry.to_bytes());
        }
        Event::StartSubscriptionClosed(start) => {
            keep.delete(&tables::start_subscription(
                &start.tenant,
                &start.name,
                &start.process_id,
                start.element,
            ));
        }
        Event::EventBindingOpened(opened) => {
            let key = tables::event_binding(
                &opened.tenant,
                &opened.event_type,
                &opened.process_id,
                &opened.message,
            );
            let entry = BindingEntry {
                process_id: opened.process_id.clone(),
                message: opened.message.clone(),
                definition: opened.definition,
                index: opened.index,
            };
            keep.put(&key, &entry.to_bytes());
        }
        _ => unreachable!("dispatched by family"),
    }
}

fn deploy(keep: &mut dyn Keep, deployed: &ProcessDeployed) {
    let ProcessDeployed {
        definition,
        tenant,
        process_id,
        version,
        ..
    } = deployed;
    let entry = DefinitionEntry {
        tenant: tenant.clone(),
        process_id: process_id.clone(),
        version: *version,
        resource: deployed.resource,
        resource_name: deployed.resource_name.clone(),
        deployment: deployed.deployment,
        semantics: deployed.semantics,
    };
    keep.insert(&tables::definition(*definition), &entry.to_bytes());
    keep.insert(
        &tables::definition_version(tenant, process_id, *version),
        &tables::number_value(definition.0),
    );
    let latest = LatestEntry {
        definition: *definition,
        version: *version,
    };
    keep.put(
        &tables::definition_latest(tenant, process_id),
        &latest.to_bytes(),
    );
}
