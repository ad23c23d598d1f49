//! What can go wrong with checkpoints.

use std::{io, path::PathBuf};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{attempt} {}: {source}", path.display())]
    Io {
        attempt: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error("{attempt} checkpoint store {}: {source}", dir.display())]
    Backend {
        attempt: &'static str,
        dir: PathBuf,
        source: Box<fjall::Error>,
    },
    #[error(
        "checkpoint store {} does not open ({why}) and there is no base copy to go back to; restore the data \
         directory from a copy. The journal beside it is untouched", dir.display()
    )]
    Unreadable { dir: PathBuf, why: String },
    #[error("{} is damaged: {why}; no older manifest is readable either, restore the file from a copy", file.display())]
    Manifest { file: PathBuf, why: String },
    #[error(
        "{} was written by a newer version (format {found}, this program knows up to {supported}); \
         start the newer version", file.display()
    )]
    NewerFormat {
        file: PathBuf,
        found: u32,
        supported: u32,
    },
    #[error("checkpoint store holds a malformed {what}; restore it from a copy")]
    Malformed { what: &'static str },
    #[error(
        "checkpoint store is closed after a failure: {why}; restart to recover from what is on disk"
    )]
    Poisoned { why: String },
}

impl Error {
    /// Stable for ever; the manual has a page for each.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Io { .. } => "KAP-STO-30",
            Self::Backend { .. } => "KAP-STO-31",
            Self::Unreadable { .. } => "KAP-STO-32",
            Self::Manifest { .. } => "KAP-STO-33",
            Self::NewerFormat { .. } => "KAP-STO-34",
            Self::Malformed { .. } => "KAP-STO-35",
            Self::Poisoned { .. } => "KAP-STO-36",
        }
    }
}
