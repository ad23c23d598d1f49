//! What can go wrong with a journal: each error says what, where and why, and its code has a page in the manual.

use crate::{
    format::{self, Unreadable},
    position::{Point, Sequence},
};
use std::{io, path::PathBuf};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{attempt} {}: {source}", path.display())]
    Io {
        attempt: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error(
        "journal is damaged: {} at byte {offset}: {why}; records up to {} are intact, later ones were durable. \
         Do not delete the file: restore it, or the whole data directory, from a copy", file.display(), intact
    )]
    Corrupt {
        file: PathBuf,
        offset: u64,
        intact: Sequence,
        why: String,
    },
    #[error(
        "journal segment {missing} is missing in {} between {before} and {after}; restore the file from a copy",
        dir.display()
    )]
    SegmentMissing {
        dir: PathBuf,
        missing: u64,
        before: u64,
        after: u64,
    },
    #[error(
        "{} was written by a newer version (journal format {found}, this program knows up to {supported}); \
         start the newer version", file.display()
    )]
    NewerFormat {
        file: PathBuf,
        found: u8,
        supported: u8,
    },
    #[error("{} belongs to partition {found}, not {expected}", file.display())]
    OtherPartition {
        file: PathBuf,
        found: u32,
        expected: u32,
    },
    #[error("record {wanted} is no longer in the journal, the oldest is {oldest}")]
    Trimmed { wanted: Sequence, oldest: Sequence },
    #[error("record {wanted} is not in the journal, which ends at {end}")]
    BeyondEnd { wanted: Sequence, end: Sequence },
    #[error("batch begins at {found}, the journal goes on at {expected}")]
    Conflict { expected: Sequence, found: Sequence },
    #[error("batch of {bytes} bytes is over the limit of {bytes_max}")]
    TooLarge { bytes: usize, bytes_max: usize },
    #[error("journal is closed after a failure: {why}; restart to recover from what is on disk")]
    Poisoned { why: String },
    #[error(
        "journal and checkpoint do not belong together: the checkpoint holds {expected}, the journal {found}; \
         one of the two was replaced or lost data"
    )]
    OtherHistory { expected: Point, found: String },
}

impl Error {
    /// Stable for ever; the manual has a page for each.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Io { .. } => "KAP-STO-10",
            Self::Corrupt { .. } => "KAP-STO-11",
            Self::SegmentMissing { .. } => "KAP-STO-12",
            Self::NewerFormat { .. } => "KAP-STO-13",
            Self::OtherPartition { .. } => "KAP-STO-14",
            Self::Trimmed { .. } => "KAP-STO-15",
            Self::BeyondEnd { .. } => "KAP-STO-16",
            Self::Conflict { .. } => "KAP-STO-17",
            Self::TooLarge { .. } => "KAP-STO-18",
            Self::Poisoned { .. } => "KAP-STO-19",
            Self::OtherHistory { .. } => "KAP-STO-20",
        }
    }

    pub(crate) fn unreadable(
        file: &std::path::Path,
        offset: u64,
        intact: Sequence,
        why: Unreadable,
    ) -> Self {
        match why {
            Unreadable::Newer(found) => Self::NewerFormat {
                file: file.to_owned(),
                found,
                supported: format::VERSION,
            },
            why => Self::Corrupt {
                file: file.to_owned(),
                offset,
                intact,
                why: why.to_string(),
            },
        }
    }
}

/// Names the attempt and the file of an I/O error.
pub(crate) trait Attempt<T> {
    fn attempt(self, attempt: &'static str, path: &std::path::Path) -> Result<T, Error>;
}

impl<T> Attempt<T> for io::Result<T> {
    fn attempt(self, attempt: &'static str, path: &std::path::Path) -> Result<T, Error> {
        self.map_err(|source| Error::Io {
            attempt,
            path: path.to_owned(),
            source,
        })
    }
}
