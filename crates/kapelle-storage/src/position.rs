//! Where something is in a journal: sequences, the checksum chain, and who leads.
//!
//! Invariant: a sequence names one record for ever, a [`Point`] names one history up to that record. Positions are
//! ours; offsets of the medium (file, table, topic) never leave the journal.

use std::fmt;

/// The number of a record in its partition's journal. The first record is 1; 0 stands before all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Sequence(pub u64);

impl Sequence {
    /// Before the first record.
    pub const START: Self = Self(0);

    #[must_use]
    pub const fn next(self) -> Self {
        self.plus(1)
    }

    /// The sequence `count` records later. Saturates: at a billion records a second `u64` lasts five centuries.
    #[must_use]
    pub const fn plus(self, count: u64) -> Self {
        Self(self.0.saturating_add(count))
    }

    /// The one before; `START` stays `START`.
    #[must_use]
    pub const fn before(self) -> Self {
        Self(self.0.saturating_sub(1))
    }
}

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A value that depends on every batch so far: two journals with equal chains at a sequence have equal histories.
/// It does not depend on where the batch lies, so a batch that recovery moves to another segment keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Chain(pub u64);

impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// The last record of a batch and the chain there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Point {
    pub sequence: Sequence,
    pub chain: Chain,
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.sequence, self.chain)
    }
}

/// Who may append: announced in the journal itself by a fence batch. A higher epoch wins; the incarnation tells two
/// processes apart that announce the same epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Leader {
    pub epoch: u64,
    /// 128 random bits, drawn anew by each start of a process.
    pub incarnation: u128,
}

impl fmt::Display for Leader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{:032x}", self.epoch, self.incarnation)
    }
}
