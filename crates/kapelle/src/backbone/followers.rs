//! Who subscribed to one CloudEvent, and what came of it: put together from what is under way and what is remembered.
//!
//! Deliberately absent: when something was delivered. That is not remembered; what is neither held nor dead is over.

use std::sync::Arc;

use kapelle_engine::ids::Sequence;
use kapelle_runtime::backbone::{LedgerError, Router};
use kapelle_runtime::subscription::Standing;

use super::ledger::SqliteLedger;

/// A subscriber that wants a CloudEvent, by its filter as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Follower {
    pub(crate) subscriber: Arc<str>,
    pub(crate) state: FollowerState,
    /// Those that failed.
    pub(crate) attempts: u32,
    pub(crate) last_error: Option<Arc<str>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FollowerState {
    /// It is still to be delivered.
    Waiting,
    /// It was delivered, or nobody can use it any more: expired, discarded.
    Done,
    /// It is among the dead letters.
    Dead,
}

impl FollowerState {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "WAITING",
            Self::Done => "DONE",
            Self::Dead => "DEAD",
        }
    }
}

pub(super) fn of(
    router: &Router<SqliteLedger>,
    position: Sequence,
) -> Result<Vec<Follower>, LedgerError> {
    let mut followers = Vec::new();
    for (subscriber, standing) in router.standings(position) {
        followers.extend(follower(router.ledger(), subscriber, position, standing)?);
    }
    Ok(followers)
}

fn follower(
    ledger: &SqliteLedger,
    subscriber: Arc<str>,
    position: Sequence,
    standing: Standing,
) -> Result<Option<Follower>, LedgerError> {
    let (state, attempts, last_error) = match standing {
        Standing::Ahead => (FollowerState::Waiting, 0, None),
        Standing::Held { attempts, error } => {
            let error = Some(error).filter(|error| !error.is_empty());
            (FollowerState::Waiting, attempts, error)
        }
        Standing::Behind => {
            let before = Sequence(position.0.saturating_sub(1));
            let next = ledger.dead_letters(Some(&subscriber), before, 1)?.pop();
            match next.filter(|dead| dead.wanted.position == position) {
                Some(dead) => (FollowerState::Dead, dead.attempts, Some(dead.error)),
                // It was there before the subscriber.
                None if position <= ledger.began(&subscriber)? => return Ok(None),
                None => (FollowerState::Done, 0, None),
            }
        }
    };
    Ok(Some(Follower {
        subscriber,
        state,
        attempts,
        last_error,
    }))
}
