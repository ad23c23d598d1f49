//! What an event changes, which key it takes, and when it makes something due: asked for every event, answered in tables.

use super::{Event, Targets, TimerOwner};
use crate::ids::{ProcessInstanceKey, Timestamp};

impl Targets {
    const NONE: Self = Self {
        instance: None,
        indexes: false,
    };
    const INDEXES: Self = Self {
        instance: None,
        indexes: true,
    };

    const fn instance(instance: ProcessInstanceKey) -> Self {
        Self {
            instance: Some(instance),
            indexes: false,
        }
    }

    const fn both(instance: ProcessInstanceKey) -> Self {
        Self {
            instance: Some(instance),
            indexes: true,
        }
    }
}

impl Event {
    /// What it changes. Whoever takes a key from the counter changes the partition object, which goes with the indexes.
    #[must_use]
    pub fn targets(&self) -> Targets {
        match self {
            // What deliveries make of it is theirs.
            Self::CloudEventReceived { .. }
            | Self::CloudEventRepeated { .. }
            | Self::DeadLettersSettled { .. } => Targets::NONE,

            Self::LeaderAnnounced { .. }
            | Self::ResourceStored { .. }
            | Self::ProcessDeployed(_)
            | Self::DeploymentCreated { .. }
            | Self::MessagePublished(_)
            | Self::MessageCorrelated(_)
            | Self::MessageStarted(_)
            | Self::MessageExpired(_)
            | Self::StartSubscriptionOpened(_)
            | Self::StartSubscriptionClosed(_)
            | Self::EventBindingOpened(_)
            | Self::StartLockReleased { .. }
            | Self::CloudEventRouted { .. }
            | Self::RecordRejected { .. }
            | Self::DedupBucketDropped { .. }
            | Self::DedupForgotten { .. }
            | Self::OutboxAdded(_)
            | Self::OutboxAcked { .. }
            | Self::OutboxDeferred { .. }
            | Self::OutboxBuried { .. }
            | Self::RequestRemembered { .. }
            | Self::RequestForgotten { .. }
            | Self::SubscriberPut { .. }
            | Self::SubscriberDeleted { .. }
            | Self::DueMoved { .. } => Targets::INDEXES,

            Self::InstanceEnded(ended) => Targets::instance(ended.instance),
            Self::ElementCompleting { instance, .. }
            | Self::ElementTerminating { instance, .. }
            | Self::FlowTaken { instance, .. }
            | Self::JoinConsumed { instance, .. }
            | Self::TokensDiscarded { instance, .. }
            | Self::InstanceQuarantined { instance, .. } => Targets::instance(*instance),
            Self::BpmnEventTriggered(triggered) => Targets::instance(triggered.instance),
            Self::StepInterrupted(interrupted) => Targets::instance(interrupted.instance),
            Self::JobRetriesUpdated { job, .. } => Targets::instance(job.instance),

            Self::ElementActivated {
                instance,
                rests: indexes,
                ..
            }
            | Self::ElementCompleted {
                instance,
                rested: indexes,
                ..
            }
            | Self::ElementTerminated {
                instance,
                rested: indexes,
                ..
            } => Targets {
                instance: Some(*instance),
                indexes: *indexes,
            },

            Self::InstanceCreated(created) => Targets::both(created.instance),
            Self::ElementActivating { instance, .. }
            | Self::VariableSet { instance, .. }
            | Self::IncidentResolved { instance, .. } => Targets::both(*instance),
            Self::JobCreated(created) => Targets::both(created.job.instance),
            Self::JobActivated(activated) => Targets::both(activated.job.instance),
            Self::JobFailed(failed) => Targets::both(failed.job.instance),
            Self::JobMadeAvailable { job, .. }
            | Self::JobCompleted { job, .. }
            | Self::JobErrorThrown { job, .. }
            | Self::JobCanceled { job, .. }
            | Self::JobTimeoutUpdated { job, .. }
            | Self::JobWithheld { job } => Targets::both(job.instance),
            Self::SubscriptionOpened(opened) => Targets::both(opened.instance),
            Self::SubscriptionClosed(closed) => Targets::both(closed.instance),
            Self::IncidentRaised(raised) => Targets::both(raised.instance),
            Self::TimerScheduled(timer)
            | Self::TimerTriggered(timer)
            | Self::TimerCanceled(timer) => match timer.owner {
                TimerOwner::Instance { instance, .. } => Targets::both(instance),
                TimerOwner::Definition { .. } => Targets::INDEXES,
            },
        }
    }

    /// The key it took from the partition's counter, or one that was taken earlier.
    #[must_use]
    pub(crate) fn key(&self) -> Option<u64> {
        Some(match self {
            Self::ResourceStored { resource, .. } => resource.0,
            Self::ProcessDeployed(deployed) => deployed.definition.0,
            Self::DeploymentCreated { deployment, .. } => deployment.0,
            Self::InstanceCreated(created) => created.instance.0,
            Self::ElementActivating { key, .. } => key.0,
            Self::VariableSet { variable, .. } => variable.0,
            Self::JobCreated(created) => created.job.job.0,
            Self::MessagePublished(published) => published.message.0,
            Self::SubscriptionOpened(opened) => opened.subscription.0,
            Self::StartSubscriptionOpened(opened) => opened.subscription.0,
            Self::TimerScheduled(timer) => timer.timer.0,
            Self::IncidentRaised(raised) => raised.incident.0,
            Self::OutboxAdded(added) => added.entry.0,
            _ => return None,
        })
    }

    /// When the entry it puts into the due queue is due.
    #[must_use]
    pub(crate) fn schedules(&self) -> Option<Timestamp> {
        match self {
            Self::TimerScheduled(timer) => Some(timer.due),
            Self::JobActivated(activated) => Some(activated.deadline),
            Self::JobTimeoutUpdated { deadline, .. } => Some(*deadline),
            Self::JobFailed(failed) => failed.backoff_until,
            Self::MessagePublished(published) => Some(published.expires),
            Self::RequestRemembered { until, .. } => Some(*until),
            Self::DueMoved { to, .. } => *to,
            _ => None,
        }
    }
}
