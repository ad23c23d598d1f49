//! Instances begin; variables, incidents and quarantine change them.

use crate::event::{Event, InstanceCreated};
use crate::ids::Timestamp;
use crate::keep::Keep;
use crate::state::instance::{HeldStep, Incident, Instance, Quarantine, Variable};
use crate::state::tables;

pub(super) fn create(created: &InstanceCreated, at: Timestamp) -> Instance {
    Instance {
        key: created.instance,
        definition: created.definition,
        tenant: created.tenant.clone(),
        process_id: created.process_id.clone(),
        version: created.version,
        created: at,
        awaited: created.awaited.clone(),
        tags: created.tags.clone(),
        business_id: created.business_id.clone(),
        start_lock: created.start_lock.clone(),
        cause: created.cause.clone(),
        quarantined: None,
        elements: Vec::new(),
        tokens: Vec::new(),
        variables: Vec::new(),
        jobs: Vec::new(),
        incidents: Vec::new(),
        subscriptions: Vec::new(),
        timers: Vec::new(),
        triggers: Vec::new(),
        held_steps: Vec::new(),
        payload_bytes: 0,
    }
}

pub(super) fn to_instance(target: &mut Instance, event: &Event) {
    match event {
        Event::VariableSet {
            scope,
            variable,
            name,
            value,
            ..
        } => {
            target.payload_bytes += value.0.len();
            if let Some(old) = target
                .variables
                .iter_mut()
                .find(|old| old.scope == *scope && old.name == *name)
            {
                target.payload_bytes -= old.value.0.len();
                old.value = value.clone();
            } else {
                target.payload_bytes += name.len();
                target.variables.push(Variable {
                    key: *variable,
                    scope: *scope,
                    name: name.clone(),
                    value: value.clone(),
                });
            }
        }
        Event::IncidentRaised(raised) => {
            let (key, element, job, kind) = (
                raised.incident,
                raised.element_instance,
                raised.job,
                raised.kind,
            );
            target.incidents.push(Incident {
                key,
                element,
                job,
                kind,
            });
            if element != target.key.root()
                && let Some(element) = target.element_mut(element)
            {
                element.indexed = true;
            }
        }
        Event::IncidentResolved { incident, .. } => {
            target
                .quarantined
                .take_if(|quarantine| quarantine.incident == *incident);
            target.incidents.retain(|open| open.key != *incident);
            // Whoever resolves it has taken them up.
            target.held_steps.retain(|held| held.incident != *incident);
        }
        Event::InstanceQuarantined {
            reason, incident, ..
        } => {
            target.quarantined = Some(Quarantine {
                reason: reason.clone(),
                incident: *incident,
            });
        }
        Event::StepInterrupted(interrupted) => target.held_steps.push(HeldStep {
            incident: interrupted.incident,
            step: interrupted.step.clone(),
        }),
        _ => unreachable!("dispatched by family"),
    }
}

pub(super) fn to_indexes(keep: &mut dyn Keep, event: &Event) {
    match event {
        Event::InstanceCreated(created) => {
            if let Some(key) = &created.start_lock {
                let lock = tables::start_lock(&created.tenant, &created.process_id, key);
                keep.put(&lock, &tables::number_value(created.instance.0));
            }
        }
        Event::StartLockReleased {
            tenant,
            process_id,
            correlation_key,
            ..
        } => {
            keep.delete(&tables::start_lock(tenant, process_id, correlation_key));
        }
        Event::IncidentRaised(raised) => {
            let instance = tables::number_value(raised.instance.0);
            keep.insert(&tables::incident(raised.incident), &instance);
            if raised.element_instance != raised.instance.root() {
                // Not an insertion: the element may have been found by its key already.
                keep.put(&tables::element(raised.element_instance), &instance);
            }
        }
        Event::IncidentResolved { incident, .. } => keep.delete(&tables::incident(*incident)),
        _ => unreachable!("dispatched by family"),
    }
}
