//! What can go wrong with the projection.

use std::path::PathBuf;

/// Stable codes `KAP-HIS-xx`, for people and for searching.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The file belongs to a later release.
    #[error(
        "KAP-HIS-01: {} was written by a newer Kapelle (schema {found}, this one knows {known}); use that version, or move the file away to have it made anew from the journal",
        path.display()
    )]
    Newer {
        path: PathBuf,
        found: i64,
        known: i64,
    },
    /// The file belongs to an earlier release.
    #[error(
        "KAP-HIS-07: it was written by an older Kapelle (schema {found}, this one knows {known})"
    )]
    Older { found: i64, known: i64 },
    /// The file belongs to another journal.
    #[error(
        "KAP-HIS-08: it stands at record {position}, and the journal ends at {end}: they do not belong together"
    )]
    Ahead { position: u64, end: u64 },
    /// The file is damaged, and the projection begins anew.
    #[error(
        "KAP-HIS-09: the search database is damaged and is being made anew from the journal; try again in a moment"
    )]
    Damaged,
    /// A query looked at too much.
    #[error(
        "KAP-HIS-11: the search took longer than {seconds} s and was ended: narrow its filter, or sort it by key"
    )]
    TooLong { seconds: u64 },
    /// Everybody searches at once.
    #[error(
        "KAP-HIS-12: {queries} searches run already, and none of them ended in time; try again in a moment"
    )]
    Busy { queries: usize },
    /// There is nothing to follow.
    #[error("KAP-HIS-10: failed to follow the journal: {source}")]
    Journal {
        source: kapelle_runtime::reader::ReadError,
    },
    /// SQLite refuses.
    #[error("KAP-HIS-02: failed to {what}: {source}")]
    Sqlite {
        what: &'static str,
        source: rusqlite::Error,
    },
    /// A damaged file could not be put aside.
    #[error("KAP-HIS-03: failed to put the damaged {} aside: {source}", path.display())]
    Aside {
        path: PathBuf,
        source: std::io::Error,
    },
    /// What a killed process left could not be made durable.
    #[error("KAP-HIS-13: failed to sync {} and its WAL: {source}", path.display())]
    Sync {
        path: PathBuf,
        source: std::io::Error,
    },
    /// A query did not see its own writes in time.
    #[error(
        "KAP-HIS-04: search is behind: it is at record {position} and has to reach {wanted}; try again in a moment"
    )]
    Behind { position: u64, wanted: u64 },
    /// The projection ended; commands go on.
    #[error("KAP-HIS-05: search has stopped and needs a restart of the server: {reason}")]
    Stopped { reason: String },
    /// The thread could not be made.
    #[error("KAP-HIS-06: failed to start the thread of the projection: {source}")]
    Thread { source: std::io::Error },
}

impl Error {
    /// Whether the file itself is to blame: making it anew helps.
    pub(super) fn is_damage(&self) -> bool {
        matches!(self, Self::Sqlite { source, .. } if is_damage(source))
    }

    /// Whether the query was ended from outside.
    pub(super) fn is_interruption(&self) -> bool {
        matches!(self, Self::Sqlite { source, .. } if source.sqlite_error_code() == Some(rusqlite::ErrorCode::OperationInterrupted))
    }

    pub(super) fn sqlite(what: &'static str) -> impl FnOnce(rusqlite::Error) -> Self {
        move |source| Self::Sqlite { what, source }
    }
}

/// Whether SQLite found the file itself to be wrong.
pub(super) fn is_damage(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
    matches!(
        error.sqlite_error_code(),
        Some(DatabaseCorrupt | NotADatabase)
    )
}
