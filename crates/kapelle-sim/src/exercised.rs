//! What a campaign did, and whether that was enough to mean anything.

use std::collections::BTreeMap;
use std::fmt;

macro_rules! counts {
    ($($(#[$doc:meta])* $name:ident: $least:literal,)+) => {
        /// Counts of a run or a campaign.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct Exercised {
            pub runs: u64,
            $($(#[$doc])* pub $name: u64,)+
            /// Events that were committed, by name.
            pub events: BTreeMap<&'static str, u64>,
        }

        impl Exercised {
            /// Adds another run's counts.
            pub fn add(&mut self, other: &Self) {
                self.runs += other.runs;
                $(self.$name += other.$name;)+
                for (name, count) in &other.events {
                    *self.events.entry(name).or_default() += count;
                }
            }

            fn rows(&self) -> Vec<(&'static str, u64, u64)> {
                vec![$((stringify!($name), self.$name, $least)),+]
            }
        }
    };
}

// Beside each count: how many there have to be in a hundred runs at the least, a third or less of what is usual.
counts! {
    /// Operations of scripts and drains.
    operations: 60_000,
    acknowledged: 4_000,
    refused: 800,
    /// Refused before they were looked at, because something was full.
    not_taken: 50,
    /// … of these by the limit of the queue.
    overloaded: 100,
    /// Never answered, or answered that the outcome is unknown.
    unknown: 1_000,
    /// On the network: requests that never arrived, arrived late, arrived twice, and answers likewise.
    lost_requests: 200,
    late_requests: 400,
    doubled_requests: 400,
    lost_answers: 400,
    late_answers: 400,
    /// Requests that their clients made again because they heard nothing, or were told to come again.
    resent: 600,
    batches: 4_000,
    records: 60_000,
    /// Records that name an earlier one instead of repeating it.
    shortened: 300,
    crashes: 800,
    power_losses: 600,
    recoveries: 800,
    /// Starts that failed because their disk did.
    failed_starts: 100,
    replayed_records: 50_000,
    /// Partitions that stopped because their disk failed.
    stops: 100,
    /// Of state with what the events make of it.
    comparisons: 400,
    /// Records that were read again after a start.
    looked_back: 100_000,
    checkpoints: 500,
    loads: 3_000,
    evictions: 1_000,
    trims: 120,
    refused_for_space: 80,
    doubted_clocks: 100,
    /// CloudEvents offered by brokers, with those that came again.
    arrivals: 2_000,
    repeated: 600,
    /// Requests with CloudEvents over HTTP; and what came to either door and could not be read.
    posts: 300,
    unreadable: 150,
    deliveries: 250,
    /// To a receiver that had it.
    redeliveries: 25,
    /// CloudEvents that reached subscribers, those that came again, those that were fetched, and answers that were late.
    routed: 700,
    routed_again: 100,
    pulled: 180,
    routed_late: 30,
    /// … that were dead letters, and what was decided of them.
    dead_letters: 35,
    redriven: 30,
    discarded: 6,
    /// CloudEvents that a start of the event store took in again, and backbones that ended because their disk failed.
    taken_in_again: 1_500,
    backbones_ended: 30,
    pushes: 25,
    results: 80,
    second_processes: 25,
    /// Flipped bits of sealed segments, and how many of them kept the copy from starting.
    rotten: 30,
    rot_found: 8,
    lost_stores: 25,
    lost_journals: 25,
    /// Copies with a journal older than their store that were refused.
    old_journals: 8,
    /// Drains: instances that ended.
    drained: 400,
    canceled: 0,
    /// Instances that were set aside, and steps that waited with one.
    set_aside: 12,
    interrupted: 3,
}

/// Events that hardly any campaign may miss.
const EVENTS: [&str; 58] = [
    "LeaderAnnounced",
    "ResourceStored",
    "DeploymentCreated",
    "ProcessDeployed",
    "InstanceCreated",
    "InstanceEnded",
    "ElementActivating",
    "ElementActivated",
    "ElementCompleting",
    "ElementCompleted",
    "ElementTerminating",
    "ElementTerminated",
    "FlowTaken",
    "JoinConsumed",
    "TokensDiscarded",
    "BpmnEventTriggered",
    "VariableSet",
    "JobCreated",
    "JobActivated",
    "JobMadeAvailable",
    "JobCompleted",
    "JobFailed",
    "JobErrorThrown",
    "JobCanceled",
    "JobRetriesUpdated",
    "JobTimeoutUpdated",
    "MessagePublished",
    "MessageCorrelated",
    "MessageStarted",
    "MessageExpired",
    "SubscriptionOpened",
    "SubscriptionClosed",
    "StartSubscriptionOpened",
    "StartSubscriptionClosed",
    "StartLockReleased",
    "EventBindingOpened",
    "TimerScheduled",
    "TimerTriggered",
    "TimerCanceled",
    "IncidentRaised",
    "IncidentResolved",
    "InstanceQuarantined",
    "StepInterrupted",
    "CloudEventReceived",
    "CloudEventRouted",
    "CloudEventRepeated",
    "RecordRejected",
    "DedupBucketDropped",
    "DedupForgotten",
    "OutboxAdded",
    "OutboxAcked",
    "OutboxDeferred",
    "OutboxBuried",
    "RequestRemembered",
    "RequestForgotten",
    "SubscriberPut",
    "SubscriberDeleted",
    "DeadLettersSettled",
];

/// Fewer runs than this prove too little to ask for every kind of event.
const RUNS_FOR_EVENTS: u64 = 40;

impl Exercised {
    /// What was exercised too little for so many runs.
    #[must_use]
    pub fn lacks(&self) -> Vec<String> {
        let mut lacks: Vec<String> = self
            .rows()
            .into_iter()
            .filter(|(_, count, least)| count * 100 < least * self.runs)
            .map(|(name, count, least)| {
                format!(
                    "{name}: {count} where {} are the least",
                    least * self.runs / 100
                )
            })
            .collect();
        if self.runs >= RUNS_FOR_EVENTS {
            lacks.extend(
                EVENTS
                    .iter()
                    .filter(|name| !self.events.contains_key(*name))
                    .map(|name| format!("{name} never happened")),
            );
        }
        lacks
    }
}

impl fmt::Display for Exercised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:>10} runs", self.runs)?;
        for (name, count, _) in self.rows() {
            writeln!(f, "{count:>10} {}", name.replace('_', " "))?;
        }
        let events: u64 = self.events.values().sum();
        write!(f, "{events:>10} events of {} kinds", self.events.len())
    }
}
