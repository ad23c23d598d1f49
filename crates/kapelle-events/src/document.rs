//! What is wrong with a document that somebody wrote: a filter, a pattern, a subscriber.

/// A document does not say what it should: where and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{at}: {why}")]
pub struct DocumentError {
    /// The path to it, such as `filter.any[1].sql`.
    pub at: String,
    /// What is wrong, and what would be right.
    pub why: String,
}

pub(crate) type Read<T> = Result<T, DocumentError>;

pub(crate) fn refuse<T>(at: &str, why: impl Into<String>) -> Read<T> {
    Err(DocumentError {
        at: at.to_owned(),
        why: why.into(),
    })
}
