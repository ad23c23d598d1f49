//! Keys: what identifies an entity for ever.
//!
//! A key is `partition << 51 | counter` as in Zeebe, so that Camunda's clients, which treat keys as opaque 64-bit
//! numbers, cannot tell the difference. Keys are never reused. Every entity has a type of its own: two plain numbers
//! never meet in a signature.

use std::fmt;

/// Bits of a key that belong to the counter; the 13 above name the partition.
pub const COUNTER_BITS: u32 = 51;

/// The only partition until there is more than one (design §7).
pub const PARTITION_ID: u16 = 1;

/// The first key that partition 1 hands out.
pub const FIRST_KEY: u64 = (PARTITION_ID as u64) << COUNTER_BITS | 1;

macro_rules! key_types {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u64);

        impl $name {
            /// The plain number, for wire formats.
            #[must_use]
            pub const fn get(self) -> u64 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )+};
}

key_types! {
    /// A process instance. It is also the key of the element instance of its root scope.
    ProcessInstanceKey,
    /// One activation of one element. The root scope's is the process instance's key.
    ElementInstanceKey,
    /// One version of one process.
    DefinitionKey,
    /// One `DeployResource` call that changed something.
    DeploymentKey,
    /// The bytes of one deployed file.
    ResourceKey,
    /// A job.
    JobKey,
    /// An incident.
    IncidentKey,
    /// A published message.
    MessageKey,
    /// An open message subscription, of an instance or of a definition.
    SubscriptionKey,
    /// A scheduled timer, of an instance or of a definition.
    TimerKey,
    /// A variable in a scope.
    VariableKey,
    /// A CloudEvent on its way out; the `id` of that CloudEvent is made of it.
    OutboxKey,
}

impl ProcessInstanceKey {
    /// The element instance of the root scope.
    #[must_use]
    pub const fn root(self) -> ElementInstanceKey {
        ElementInstanceKey(self.0)
    }
}

/// Milliseconds since 1970-01-01T00:00:00Z, taken from the record, never from the machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Later by `ms` milliseconds; stays at the end of time rather than wrap.
    #[must_use]
    pub const fn plus_ms(self, ms: i64) -> Self {
        Self(self.0.saturating_add(ms))
    }
}

/// Number of a record in the partition's journal; the first is 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sequence(pub u64);

/// The tenant of everything that names none.
pub const DEFAULT_TENANT: &str = "<default>";
