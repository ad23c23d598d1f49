//! Why bytes are not a CloudEvent. Every kind has a stable code `KAP-CE-nnn` with a page in the documentation.
//!
//! Retired codes are never given out again.

use std::fmt;

/// Why something is not a CloudEvent, and which entry of a batch it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// Index of the offending entry, if a batch was decoded.
    pub batch_entry: Option<usize>,
    /// What is wrong.
    pub kind: Kind,
}

/// What is wrong with the bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Kind {
    /// The content type is one of CloudEvents, but of a format that is not understood.
    #[error("media type \"{media_type}\" is not a supported CloudEvents format")]
    UnsupportedMediaType { media_type: String },
    /// Neither headers nor content type say that this is a CloudEvent.
    #[error("neither CloudEvents headers nor a CloudEvents content type are present")]
    NotACloudEvent,
    /// The JSON text is broken.
    #[error("malformed JSON at byte {offset}: {what}")]
    MalformedJson { offset: usize, what: String },
    /// A required attribute is missing.
    #[error("required attribute \"{name}\" is missing")]
    MissingAttribute { name: &'static str },
    /// The version is not the one this library speaks.
    #[error("specversion \"{found}\" is not supported, expected \"1.0\"")]
    UnsupportedVersion { found: String },
    /// A name breaks the naming rules.
    #[error("attribute name \"{name}\" is invalid: {why}")]
    InvalidName { name: String, why: &'static str },
    /// A value breaks the rules of its type.
    #[error("attribute \"{name}\" is invalid: {why}")]
    InvalidValue { name: String, why: &'static str },
    /// A JSON member has a type that its attribute can't have.
    #[error("attribute \"{name}\" has the wrong type: expected {expected}, found {found}")]
    WrongType {
        name: String,
        expected: &'static str,
        found: &'static str,
    },
    /// One attribute came twice.
    #[error("attribute \"{name}\" occurs more than once")]
    DuplicateAttribute { name: String },
    /// Text is not UTF-8.
    #[error("{place} is not valid UTF-8")]
    InvalidUtf8 { place: String },
    /// Both spellings of the payload are present.
    #[error("both \"data\" and \"data_base64\" are present")]
    DataTwice,
    /// The base64 text is broken.
    #[error("\"{name}\" is not valid base64")]
    InvalidBase64 { name: String },
    /// A limit is reached.
    #[error("{limit} is {found}, the limit is {max}")]
    TooLarge {
        limit: Limit,
        found: usize,
        max: usize,
    },
    /// A batch is not an array of CloudEvents.
    #[error("a batch is a JSON array of CloudEvents, found {found}")]
    NotABatch { found: &'static str },
    /// A CloudEvent in the JSON format is an object.
    #[error("a CloudEvent is a JSON object, found {found}")]
    NotAnObject { found: &'static str },
    /// The journal's form of a CloudEvent is damaged.
    #[error("stored CloudEvent is damaged at byte {offset}: {what}")]
    Damaged { offset: usize, what: &'static str },
    /// The rule of a source makes no CloudEvent of a record.
    #[error("the rule's `{attribute}` fails: {why}")]
    RuleFailed {
        attribute: &'static str,
        why: String,
    },
}

/// Which limit was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Limit {
    /// [`Limits::name_chars_max`](crate::Limits::name_chars_max)
    NameChars,
    /// [`Limits::value_bytes_max`](crate::Limits::value_bytes_max)
    ValueBytes,
    /// [`Limits::extensions_max`](crate::Limits::extensions_max)
    Extensions,
    /// [`Limits::event_bytes_max`](crate::Limits::event_bytes_max)
    EventBytes,
    /// [`Limits::batch_events_max`](crate::Limits::batch_events_max)
    BatchEvents,
    /// [`Limits::batch_bytes_max`](crate::Limits::batch_bytes_max)
    BatchBytes,
}

impl Error {
    /// The stable code, such as `KAP-CE-004`.
    pub fn code(&self) -> &'static str {
        self.kind.code()
    }

    /// The same error, told of the entry of a batch.
    #[must_use]
    pub fn in_batch_entry(mut self, index: usize) -> Self {
        self.batch_entry = Some(index);
        self
    }
}

impl Kind {
    /// The stable code, such as `KAP-CE-004`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::UnsupportedMediaType { .. } => "KAP-CE-001",
            Self::NotACloudEvent => "KAP-CE-002",
            Self::MalformedJson { .. } => "KAP-CE-003",
            Self::MissingAttribute { .. } => "KAP-CE-004",
            Self::UnsupportedVersion { .. } => "KAP-CE-005",
            Self::InvalidName { .. } => "KAP-CE-006",
            Self::InvalidValue { .. } => "KAP-CE-007",
            Self::WrongType { .. } => "KAP-CE-008",
            Self::DuplicateAttribute { .. } => "KAP-CE-009",
            Self::InvalidUtf8 { .. } => "KAP-CE-010",
            Self::DataTwice => "KAP-CE-011",
            Self::InvalidBase64 { .. } => "KAP-CE-012",
            Self::TooLarge { .. } => "KAP-CE-013",
            Self::NotABatch { .. } => "KAP-CE-014",
            Self::Damaged { .. } => "KAP-CE-016",
            Self::NotAnObject { .. } => "KAP-CE-015",
            Self::RuleFailed { .. } => "KAP-CE-017",
        }
    }
}

impl std::error::Error for Error {}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(index) = self.batch_entry {
            write!(f, "batch entry {index}: ")?;
        }
        self.kind.fmt(f)
    }
}

impl From<Kind> for Error {
    fn from(kind: Kind) -> Self {
        Self {
            batch_entry: None,
            kind,
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NameChars => "length of an attribute name",
            Self::ValueBytes => "size of an attribute value",
            Self::Extensions => "number of extensions",
            Self::EventBytes => "size of the CloudEvent",
            Self::BatchEvents => "number of CloudEvents in the batch",
            Self::BatchBytes => "size of the batch",
        })
    }
}
