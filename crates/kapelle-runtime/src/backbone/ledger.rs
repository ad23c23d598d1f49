//! Where it is kept what has to be remembered of deliveries: cursors, exceptions, dead letters.

use std::collections::BTreeSet;
use std::error::Error;
use std::sync::Arc;

use kapelle_engine::ids::{Sequence, Timestamp};

use crate::subscription::{Checkpoint, Exception, Wanted};

/// The ledger refuses.
#[derive(Debug, thiserror::Error)]
#[error("{attempt} in the ledger of subscribers: {source}")]
pub struct LedgerError {
    pub attempt: &'static str,
    pub source: Box<dyn Error + Send + Sync>,
}

/// Primary data: what a call that changes something has done is on the disk for good when it returns, all of it or nothing.
pub trait Ledger {
    /// The last record of the journal whose decisions about dead letters were carried out.
    ///
    /// # Errors
    /// It cannot be read.
    fn applied(&self) -> Result<Sequence, LedgerError>;

    /// Records of the journal up to here were dealt with, and what came of them is on the disk.
    ///
    /// # Errors
    /// It cannot be read.
    fn position(&self) -> Result<Sequence, LedgerError>;

    /// # Errors
    /// It cannot be written, or nobody knows whether it is.
    fn set_position(&mut self, position: Sequence) -> Result<(), LedgerError>;

    /// Names of all that have begun.
    ///
    /// # Errors
    /// It cannot be read.
    fn names(&self) -> Result<Vec<Arc<str>>, LedgerError>;

    /// The cursor of a subscriber that has begun.
    ///
    /// # Errors
    /// It cannot be read.
    fn cursor(&self, subscriber: &str) -> Result<Option<Sequence>, LedgerError>;

    /// # Errors
    /// It cannot be read.
    fn exceptions(&self, subscriber: &str) -> Result<Vec<Exception>, LedgerError>;

    /// Positions behind the cursor of dead letters, also of those that were discarded.
    ///
    /// # Errors
    /// It cannot be read.
    fn buried(&self, subscriber: &str, cursor: Sequence)
    -> Result<BTreeSet<Sequence>, LedgerError>;

    /// How many dead letters a subscriber has.
    ///
    /// # Errors
    /// It cannot be read.
    fn count_dead(&self, subscriber: &str) -> Result<u64, LedgerError>;

    /// Keeps checkpoints of several subscribers at once. `event` finds the CloudEvent of a dead letter.
    ///
    /// # Errors
    /// It cannot be written, or nobody knows whether it is.
    fn keep(
        &mut self,
        checkpoints: &[(Arc<str>, Checkpoint)],
        now: Timestamp,
        event: &dyn Fn(Sequence) -> Option<Vec<u8>>,
    ) -> Result<(), LedgerError>;

    /// Takes dead letters out together with the position of the decision: those to be tried again become exceptions.
    ///
    /// # Errors
    /// It cannot be written, or nobody knows whether it is.
    fn settle(
        &mut self,
        applied: Sequence,
        subscriber: &str,
        positions: &[Sequence],
        redrive: bool,
    ) -> Result<Vec<Wanted>, LedgerError>;

    /// Everything of a subscriber that is no more; its dead letters go with it.
    ///
    /// # Errors
    /// It cannot be written, or nobody knows whether it is.
    fn forget(&mut self, subscriber: &str) -> Result<(), LedgerError>;
}
