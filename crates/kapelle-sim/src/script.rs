//! What a run does, before anything has happened: a list of operations, each with the seed of its own choices.
//!
//! **Invariant**: an operation refers to what is there when its turn comes ("the third of the open jobs"), never to an
//! earlier operation. So any part of a script can be played, and a failing one can be shortened by leaving things out.

use crate::random::Random;

/// Kinds of operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    // Clients
    Deploy,
    Create,
    Cancel,
    SetVariables,
    Resolve,
    // Workers
    Activate,
    Complete,
    Fail,
    ThrowError,
    UpdateJob,
    AnswerAgain,
    OpenStream,
    CloseStream,
    /// A worker does something with what was pushed to it.
    HandlePush,
    // Messages and brokers
    Publish,
    Correlate,
    Broker,
    // The network between all of these and the partition
    /// Something that was late arrives.
    Network,
    /// A client that heard nothing asks again.
    AskAgain,
    // Receivers
    Deliver,
    // Subscribers
    /// One is made, changed or deleted.
    Subscribe,
    /// Dead letters are redriven or discarded.
    SettleDead,
    /// The backbone and those who receive from it take a turn.
    Route,
    // The machine
    Step,
    Sync,
    Settle,
    Pass,
    Checkpoint,
    StoreWorks,
    FailIo,
    FailStore,
    FailLedger,
    DiskFills,
    DiskLow,
    Crash,
    CrashTwice,
    Compare,
    // Beside the partition, on copies of its disks
    SecondProcess,
    Rot,
    LoseStore,
    LoseJournal,
    OldJournal,
}

/// Every kind with how often it comes.
const WEIGHTS: [(Kind, u64); 42] = [
    (Kind::Deploy, 2),
    (Kind::Create, 40),
    (Kind::Cancel, 6),
    (Kind::SetVariables, 8),
    (Kind::Resolve, 12),
    (Kind::Activate, 24),
    (Kind::Complete, 50),
    (Kind::Fail, 10),
    (Kind::ThrowError, 8),
    (Kind::UpdateJob, 6),
    (Kind::AnswerAgain, 6),
    (Kind::OpenStream, 8),
    (Kind::CloseStream, 1),
    (Kind::HandlePush, 12),
    (Kind::Publish, 26),
    (Kind::Correlate, 8),
    (Kind::Broker, 26),
    (Kind::Network, 30),
    (Kind::AskAgain, 20),
    (Kind::Deliver, 45),
    (Kind::Subscribe, 6),
    (Kind::SettleDead, 10),
    (Kind::Route, 60),
    (Kind::Step, 150),
    (Kind::Sync, 80),
    (Kind::Settle, 20),
    (Kind::Pass, 20),
    (Kind::Checkpoint, 6),
    (Kind::StoreWorks, 50),
    (Kind::FailIo, 6),
    (Kind::FailStore, 2),
    (Kind::FailLedger, 2),
    (Kind::DiskFills, 2),
    (Kind::DiskLow, 2),
    (Kind::Crash, 9),
    (Kind::CrashTwice, 3),
    (Kind::Compare, 6),
    (Kind::SecondProcess, 1),
    (Kind::Rot, 1),
    (Kind::LoseStore, 1),
    (Kind::LoseJournal, 1),
    (Kind::OldJournal, 1),
];

/// One operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation {
    pub kind: Kind,
    /// Of everything it chooses.
    pub seed: u64,
}

/// How many operations a run has.
const OPERATIONS: usize = 770;

/// The operations of a run.
#[must_use]
pub fn generate(seed: u64) -> Vec<Operation> {
    let mut random = Random::stream(seed, "script");
    // Each run likes other operations: a run of everything at once rarely gets anywhere deep.
    let weights: Vec<(Kind, u64)> = WEIGHTS
        .iter()
        .map(|(kind, weight)| {
            let factor = match random.below(8) {
                0 if *kind > Kind::Create && *kind < Kind::Step => 0,
                0..=5 => 2,
                6 => 1,
                _ => 6,
            };
            (*kind, weight * factor)
        })
        .collect();
    let sum = weights.iter().map(|(_, weight)| weight).sum();
    (0..OPERATIONS)
        .map(|_| {
            let mut at = random.below(sum);
            let found = weights.iter().find(|(_, weight)| {
                let here = at < *weight;
                at = at.saturating_sub(*weight);
                here
            });
            let (kind, _) = found.expect("invariant: drawn below the sum of weights");
            Operation {
                kind: *kind,
                seed: random.draw(),
            }
        })
        .collect()
}
