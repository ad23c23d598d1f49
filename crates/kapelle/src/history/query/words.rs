//! States as numbers in the tables and as words in the API. The numbers are on disk; a change of one raises the schema's version.

/// Stands for "no key" where a column may not be null.
pub(crate) const NO_KEY: i64 = 0;

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident { $($variant:ident = $number:literal $word:literal),+ $(,)? })+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub(crate) enum $name { $($variant = $number),+ }

        impl $name {
            /// Each number with its word.
            pub(crate) const WORDS: &'static [(i64, &'static str)] = &[$(($number, $word)),+];
        }
    )+};
}

words! {
    InstanceState { Active = 1 "ACTIVE", Completed = 2 "COMPLETED", Terminated = 3 "TERMINATED" }
    ElementState { Active = 1 "ACTIVE", Completed = 2 "COMPLETED", Terminated = 3 "TERMINATED" }
    JobState { Created = 1 "CREATED", Completed = 2 "COMPLETED", Failed = 3 "FAILED", ErrorThrown = 4 "ERROR_THROWN", Canceled = 5 "CANCELED" }
    IncidentState { Active = 1 "ACTIVE", Resolved = 2 "RESOLVED" }
    /// Of a CloudEvent on its way out.
    DeliveryState { Pending = 1 "PENDING", Delivered = 2 "DELIVERED", Dead = 3 "DEAD" }
}

/// Of a CloudEvent that came in; the numbers are the engine's own.
pub(crate) const OUTCOMES: &[(i64, &str)] = &[
    (1, "STARTED"),
    (2, "CORRELATED"),
    (3, "BUFFERED"),
    (4, "EXPIRED"),
    (5, "FILTERED"),
    (6, "KEY_ERROR"),
    (7, "NO_MATCH"),
    (8, "DUPLICATE"),
    (9, "SCHEMA_INVALID"),
    (10, "REJECTED"),
];

/// Why a subscription closed; the numbers are the engine's own (`CloseReason`).
pub(crate) const CLOSE_REASONS: &[(i64, &str)] = &[
    (1, "CORRELATED"),
    (2, "ELEMENT_LEFT"),
    (3, "TERMINATED"),
    (4, "REPLACED"),
];

/// The word of a number.
pub(crate) fn word(words: &[(i64, &'static str)], number: i64) -> Option<&'static str> {
    words
        .iter()
        .find(|(n, _)| *n == number)
        .map(|(_, word)| *word)
}

#[cfg(test)]
mod tests {
    use super::{OUTCOMES, word};
    use kapelle_engine::response::Outcome;

    #[test]
    fn outcomes_have_the_engines_numbers_and_words() {
        for outcome in [
            Outcome::Started,
            Outcome::Correlated,
            Outcome::Buffered,
            Outcome::Expired,
            Outcome::Filtered,
            Outcome::KeyError,
            Outcome::NoMatch,
            Outcome::Duplicate,
            Outcome::SchemaInvalid,
            Outcome::Rejected,
        ] {
            assert_eq!(word(OUTCOMES, outcome as i64), Some(outcome.as_str()));
        }
    }
}
