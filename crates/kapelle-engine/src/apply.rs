//! Events change state: the only code that writes.
//!
//! **Invariant**: applying an event to a target can't fail and reads only that target and the event. On the indexes every
//! put and delete is a blind function of the event, so they may be applied again over a newer cut of other targets.
//!
//! **Frozen**: once released, what an event does never changes. New behaviour is a new event or a new field whose absence
//! means the old.

mod dedup;
mod definition;
mod element;
mod instance;
mod job;
mod message;
mod outbox;
mod request;
mod subscriber;
mod timer;

use crate::event::{Event, Targets};
use crate::ids::{Sequence, Timestamp};
use crate::keep::Keep;
use crate::state::instance::Instance;
use crate::state::tables;

/// Applies `event` to those of its targets that are asked for.
pub(crate) fn apply(
    keep: &mut dyn Keep,
    event: &Event,
    sequence: Sequence,
    at: Timestamp,
    targets: Targets,
) {
    if let Some(key) = targets.instance {
        match event {
            Event::InstanceCreated(created) => keep.insert_instance(instance::create(created, at)),
            Event::InstanceEnded(_) => keep.remove_instance(key),
            _ => {
                // An absent instance is one whose end is on disk already: replay passes over its past.
                if let Some(instance) = keep.instance_mut(key) {
                    to_instance(instance, event);
                }
            }
        }
    }
    if targets.indexes {
        let partition = keep.partition_mut();
        partition.time = partition.time.max(at);
        if let Some(key) = event.key() {
            partition.next_key = partition.next_key.max(key + 1);
        }
        to_indexes(keep, event, sequence, at);
    }
}

fn to_instance(target: &mut Instance, event: &Event) {
    match event {
        Event::ElementActivating { .. }
        | Event::ElementActivated { .. }
        | Event::ElementCompleting { .. }
        | Event::ElementCompleted { .. }
        | Event::ElementTerminating { .. }
        | Event::ElementTerminated { .. }
        | Event::FlowTaken { .. }
        | Event::JoinConsumed { .. }
        | Event::TokensDiscarded { .. }
        | Event::BpmnEventTriggered(_) => element::to_instance(target, event),
        Event::VariableSet { .. }
        | Event::IncidentRaised(_)
        | Event::IncidentResolved { .. }
        | Event::InstanceQuarantined { .. }
        | Event::StepInterrupted(_) => {
            instance::to_instance(target, event);
        }
        Event::JobCreated(_)
        | Event::JobActivated(_)
        | Event::JobMadeAvailable { .. }
        | Event::JobCompleted { .. }
        | Event::JobFailed(_)
        | Event::JobErrorThrown { .. }
        | Event::JobCanceled { .. }
        | Event::JobRetriesUpdated { .. }
        | Event::JobTimeoutUpdated { .. }
        | Event::JobWithheld { .. } => job::to_instance(target, event),
        Event::SubscriptionOpened(_) | Event::SubscriptionClosed(_) => {
            message::to_instance(target, event)
        }
        Event::TimerScheduled(_) | Event::TimerTriggered(_) | Event::TimerCanceled(_) => {
            timer::to_instance(target, event)
        }
        _ => unreachable!("an event has no instance for a target that it does not change"),
    }
}

fn to_indexes(keep: &mut dyn Keep, event: &Event, sequence: Sequence, at: Timestamp) {
    match event {
        Event::LeaderAnnounced { epoch, incarnation } => {
            let partition = keep.partition_mut();
            partition.epoch = *epoch;
            partition.incarnation = *incarnation;
        }
        Event::ResourceStored { .. }
        | Event::ProcessDeployed(_)
        | Event::DeploymentCreated { .. }
        | Event::StartSubscriptionOpened(_)
        | Event::StartSubscriptionClosed(_)
        | Event::EventBindingOpened(_) => definition::to_indexes(keep, event),
        Event::InstanceCreated(_)
        | Event::IncidentRaised(_)
        | Event::IncidentResolved { .. }
        | Event::StartLockReleased { .. } => {
            instance::to_indexes(keep, event);
        }
        // Only the key counter, or the index of resting elements.
        Event::VariableSet { .. } | Event::ElementActivating { .. } => {}
        Event::ElementActivated {
            instance,
            key,
            rests: true,
            ..
        } => {
            keep.insert(&tables::element(*key), &tables::number_value(instance.0));
        }
        Event::ElementCompleted {
            key, rested: true, ..
        }
        | Event::ElementTerminated {
            key, rested: true, ..
        } => {
            keep.delete(&tables::element(*key));
        }
        Event::JobCreated(_)
        | Event::JobActivated(_)
        | Event::JobMadeAvailable { .. }
        | Event::JobCompleted { .. }
        | Event::JobFailed(_)
        | Event::JobErrorThrown { .. }
        | Event::JobCanceled { .. }
        | Event::JobTimeoutUpdated { .. }
        | Event::JobWithheld { .. } => job::to_indexes(keep, event),
        Event::MessagePublished(_)
        | Event::MessageCorrelated(_)
        | Event::MessageStarted(_)
        | Event::MessageExpired(_)
        | Event::SubscriptionOpened(_)
        | Event::SubscriptionClosed(_) => message::to_indexes(keep, event),
        Event::TimerScheduled(_)
        | Event::TimerTriggered(_)
        | Event::TimerCanceled(_)
        | Event::DueMoved { .. } => {
            timer::to_indexes(keep, event);
        }
        Event::CloudEventRouted { .. }
        | Event::DedupBucketDropped { .. }
        | Event::DedupForgotten { .. } => dedup::to_indexes(keep, event, at),
        Event::OutboxAdded(_)
        | Event::OutboxAcked { .. }
        | Event::OutboxDeferred { .. }
        | Event::OutboxBuried { .. }
        | Event::RecordRejected { .. } => outbox::to_indexes(keep, event, sequence, at),
        Event::RequestRemembered { .. } | Event::RequestForgotten { .. } => {
            request::to_indexes(keep, event)
        }
        Event::SubscriberPut { .. } | Event::SubscriberDeleted { .. } => {
            subscriber::to_indexes(keep, event);
        }
        _ => {
            unreachable!("an event does not have the indexes for a target that it does not change")
        }
    }
}
