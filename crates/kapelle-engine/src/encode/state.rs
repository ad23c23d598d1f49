//! Numbers of the aggregate's and the partition object's fields.

use crate::element::lifecycle::ElementState;
use crate::encode::wire::{discriminants, record};
use crate::state::instance::{
    ElementInstance, HeldStep, Incident, Instance, Job, JobState, Quarantine, Subscription, Timer,
    Token, Trigger, Variable,
};
use crate::state::partition::{DedupBucket, DedupWindow, Partition};

record! { Instance {
    1 key, 2 definition, 3 tenant, 4 process_id, 5 version, 6 created, 7 awaited, 8 tags, 9 business_id, 10 start_lock,
    11 cause, 12 quarantined, /* 13: elements entered since something happened */ 14 elements, 15 tokens, 16 variables, 17 jobs, 18 incidents, 19 subscriptions,
    20 timers, 21 triggers, 22 payload_bytes, 23 held_steps,
} }
record! { ElementInstance { 1 key, 2 element, 3 scope, 4 state, 5 indexed, 6 children } }
record! { Token { 1 scope, 2 flow, 3 target, 4 count } }
record! { Variable { 1 key, 2 scope, 3 name, 4 value } }
record! { Job {
    1 key, 2 element, 3 job_type, 4 retries, 5 state, 6 worker, 7 deadline, 8 backoff_until, 9 pushed_by, 10 activated_before, 11 headers,
} }
record! { Incident { 1 key, 2 element, 3 job, 4 kind } }
record! { Quarantine { 1 reason, 2 incident } }
record! { HeldStep { 1 incident, 2 step } }
record! { Subscription { 1 key, 2 waiting, 3 element, 4 name, 5 correlation_key, 6 key_kind, 7 once } }
record! { Timer { 1 key, 2 waiting, 3 element, 4 due, 5 repetitions } }
record! { Trigger { 1 waiting, 2 element, 3 scope, 4 variables } }

discriminants! { ElementState [Activating, Activated, Completing, Completed, Terminating, Terminated] }
discriminants! { JobState [Activatable, Activated, Failed, ErrorThrown] }

record! { Partition { 1 next_key, 2 time, 3 epoch, 4 incarnation, 5 dedup } }
record! { DedupWindow { 1 lower, 2 swept, 3 buckets } }
record! { DedupBucket { 1 number, 2 started, 3 count } }
