//! Numbers of events and their fields.

use crate::command::{Due, DueKind};
use crate::encode::wire::{discriminants, nested, record, variants};
use crate::event::{
    AvailableCause, BpmnEventTriggered, Cause, CloseReason, DueOwner, Event, EventBindingOpened,
    FromBinding, Header, IncidentKind, IncidentRaised, InstanceCreated, InstanceEnded,
    JobActivated, JobCreated, JobFailed, JobRef, KeyKind, MessageCorrelated, MessageExpired,
    MessagePublished, MessageStarted, OutboxAdded, ProcessDeployed, StartSubscription,
    StepInterrupted, SubscriptionClosed, SubscriptionOpened, TimerEvent, TimerOwner,
};
use crate::response::{Match, Outcome};

// Families keep a range of their own, so that what comes later stands beside its kin.
variants! { Event
    fields {
        1 LeaderAnnounced { 1 epoch, 2 incarnation },

        10 ResourceStored { 1 resource, 2 tenant, 3 name, 4 bytes, 5 checksum },
        12 DeploymentCreated { 1 deployment, 2 tenant },

        22 ElementActivating { 1 instance, 2 key, 3 element, 4 scope, 5 flow, 6 trigger_of },
        23 ElementActivated { 1 instance, 2 key, 3 element, 4 rests },
        24 ElementCompleting { 1 instance, 2 key, 3 element },
        25 ElementCompleted { 1 instance, 2 key, 3 element, 4 rested },
        26 ElementTerminating { 1 instance, 2 key, 3 element },
        27 ElementTerminated { 1 instance, 2 key, 3 element, 4 rested },
        28 FlowTaken { 1 instance, 2 scope, 3 flow, 4 target },
        29 JoinConsumed { 1 instance, 2 scope, 3 gateway },
        30 TokensDiscarded { 1 instance, 2 scope },

        40 VariableSet { 1 instance, 2 scope, 3 variable, 4 name, 5 value },

        52 JobMadeAvailable { 1 job, 2 cause, 3 backoff_until, 4 deadline },
        53 JobCompleted { 1 job, 2 deadline, 3 backoff_until },
        55 JobErrorThrown { 1 job, 2 code, 3 message, 4 deadline, 5 backoff_until, 6 caught },
        56 JobCanceled { 1 job, 2 deadline, 3 backoff_until },
        57 JobRetriesUpdated { 1 job, 2 retries },
        58 JobTimeoutUpdated { 1 job, 2 old_deadline, 3 deadline, 4 pushed_by },
        59 JobWithheld { 1 job },

        78 StartLockReleased { 1 tenant, 2 process_id, 3 correlation_key, 4 instance },

        101 IncidentResolved { 1 incident, 2 instance, 3 element, 4 job },
        102 InstanceQuarantined { 1 instance, 2 reason, 3 incident },

        110 CloudEventReceived { 1 tenant, 2 source_name, 3 identity, 4 content, 5 event, 6 raw },
        111 CloudEventRouted { 1 position, 2 outcome, 3 matches, 4 reason, 5 identity, 6 content, 7 bucket },
        112 CloudEventRepeated { 1 tenant, 2 source_name, 3 source, 4 id, 5 identity, 6 first, 7 first_outcome, 8 same_content },
        113 RecordRejected { 1 tenant, 2 source_name, 3 raw, 4 content_type, 5 reason, 6 identity, 7 bucket },
        114 DedupBucketDropped { 1 bucket },
        115 DedupForgotten { 1 bucket, 2 identities, 3 renewed, 4 last },

        121 OutboxAcked { 1 entry },
        122 OutboxBuried { 1 entry, 2 attempts, 3 error },
        123 OutboxDeferred { 1 entry, 2 attempts, 3 retry_at, 4 error },

        130 RequestRemembered { 1 tenant, 2 request, 3 instance, 4 definition, 5 until },
        131 RequestForgotten { 1 tenant, 2 request, 3 instance, 4 until },

        140 DueMoved { 1 due, 2 owner, 3 to },

        150 SubscriberPut { 1 tenant, 2 name, 3 document, 4 is_new },
        151 SubscriberDeleted { 1 tenant, 2 name },
        152 DeadLettersSettled { 1 tenant, 2 subscriber, 3 positions, 4 redrive, 5 reason },
    }
    records {
        11 ProcessDeployed,

        20 InstanceCreated,
        21 InstanceEnded,
        31 BpmnEventTriggered,

        50 JobCreated,
        51 JobActivated,
        54 JobFailed,

        70 MessagePublished,
        71 MessageCorrelated,
        72 MessageStarted,
        73 MessageExpired,
        74 SubscriptionOpened,
        75 SubscriptionClosed,
        76 StartSubscriptionOpened,
        77 StartSubscriptionClosed,
        79 EventBindingOpened,

        90 TimerScheduled,
        91 TimerTriggered,
        92 TimerCanceled,

        100 IncidentRaised,
        103 StepInterrupted,

        120 OutboxAdded,
    }
}

record! { ProcessDeployed { 1 definition, 2 deployment, 3 resource, 4 tenant, 5 process_id, 6 version, 7 version_tag, 8 name, 9 resource_name, 10 semantics } }
record! { Cause { 1 event_id, 2 correlation_id, 3 traceparent } }
record! { InstanceCreated { 1 instance, 2 definition, 3 tenant, 4 process_id, 5 version, 6 start, 7 awaited, 8 tags, 9 business_id, 10 start_lock, 11 cause } }
record! { InstanceEnded { 1 instance, 2 definition, 3 completed } }
record! { BpmnEventTriggered { 1 instance, 2 waiting, 3 element, 4 variables, 5 cause } }
record! { JobRef { 1 job, 2 instance, 3 element, 4 tenant, 5 job_type } }
record! { JobCreated { 1 job, 2 element, 3 retries, 4 headers, 5 taken } }
record! { Header { 1 key, 2 value } }
record! { JobActivated { 1 job, 2 worker, 3 deadline, 4 pushed_by, 5 first, 6 was_available } }
record! { JobFailed { 1 job, 2 retries, 3 message, 4 deadline, 5 old_backoff_until, 6 backoff_until } }
record! { MessagePublished { 1 message, 2 tenant, 3 name, 4 correlation_key, 5 message_id, 6 expires, 7 variables, 8 cause, 9 binding, 10 thrown } }
record! { MessageExpired { 1 message, 2 tenant, 3 name, 4 correlation_key, 5 message_id, 6 expires, 7 process_ids } }
record! { FromBinding { 1 process_id, 2 key_kind, 3 lock } }
record! { MessageCorrelated { 1 message, 2 tenant, 3 name, 4 correlation_key, 5 process_id, 6 subscription, 7 instance, 8 element_instance } }
record! { MessageStarted { 1 message, 2 tenant, 3 name, 4 correlation_key, 5 process_id, 6 subscription, 7 instance } }
record! { SubscriptionOpened { 1 subscription, 2 instance, 3 definition, 4 tenant, 5 process_id, 6 name, 7 correlation_key, 8 element_instance, 9 element, 10 once, 11 key_kind } }
record! { SubscriptionClosed { 1 subscription, 2 instance, 3 tenant, 4 name, 5 correlation_key, 6 reason, 7 process_id } }
record! { StartSubscription { 1 subscription, 2 definition, 3 tenant, 4 process_id, 5 name, 6 element } }
record! { EventBindingOpened { 1 tenant, 2 event_type, 3 process_id, 4 message, 5 definition, 6 index } }
record! { TimerEvent { 1 timer, 2 owner, 3 due, 4 repetitions } }
record! { IncidentRaised { 1 incident, 2 instance, 3 definition, 4 element_instance, 5 element, 6 job, 7 kind, 8 message } }
record! { StepInterrupted { 1 instance, 2 incident, 3 step } }
record! { OutboxAdded { 1 entry, 2 instance, 3 tenant, 4 to, 5 event } }
record! { Match { 1 message, 2 process_id, 3 correlation_key, 4 outcome, 5 instance, 6 reason } }
record! { Due { 1 at, 2 what, 3 key } }

variants! { TimerOwner
    fields {
        1 Instance { 1 instance, 2 element_instance, 3 element },
        2 Definition { 1 definition, 2 element },
    }
    records {}
}
nested!(TimerOwner);

variants! { DueOwner
    fields {
        1 Partition {},
        2 Instance { 1 instance },
        3 Definition { 1 definition },
        4 Request { 1 tenant, 2 request },
        5 PushedJob { 1 instance, 2 incarnation },
        6 Step { 1 step },
    }
    records {}
}
nested!(DueOwner);

discriminants! { AvailableCause [Yielded, TimedOut, BackoffOver, LeaderChanged, IncidentResolved] }
discriminants! { CloseReason [Correlated, ElementLeft, Terminated, Replaced] }
discriminants! { IncidentKind [
    JobNoRetries, UnhandledErrorEvent, IoMappingError, ConditionError, ExtractValueError, MessageSizeExceeded, ResourceLimit, Quarantined,
] }
discriminants! { KeyKind [Text, Number] }
discriminants! { Outcome [
    Started, Correlated, Buffered, Expired, Filtered, KeyError, NoMatch, Duplicate, SchemaInvalid, Rejected,
] }
discriminants! { DueKind [Timer, JobDeadline, JobBackoff, MessageExpiry, DedupBucket, IdempotencyExpiry, PostponedStep] }
