//! How large a CloudEvent may be. Reaching a limit is an ordinary answer ([`Kind::TooLarge`](crate::Kind::TooLarge)).

/// Upper bounds for what is accepted. The defaults are what the engine's journal can carry in one batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Characters of an attribute name. The specification recommends 20; known extensions stay below that.
    pub name_chars_max: usize,
    /// UTF-8 bytes of one attribute value; as much as a whole HTTP header usually may have.
    pub value_bytes_max: usize,
    /// Extensions of one CloudEvent.
    pub extensions_max: usize,
    /// Attributes and data of one CloudEvent together.
    pub event_bytes_max: usize,
    /// CloudEvents of one batch: one batch is one journal batch, all or nothing.
    pub batch_events_max: usize,
    /// Bytes of an encoded batch.
    pub batch_bytes_max: usize,
}

impl Limits {
    /// The documented defaults.
    pub const DEFAULT: Self = Self {
        name_chars_max: 64,
        value_bytes_max: 8 * 1024,
        extensions_max: 64,
        event_bytes_max: 4 * 1024 * 1024,
        batch_events_max: 1_000,
        batch_bytes_max: 4 * 1024 * 1024,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}
