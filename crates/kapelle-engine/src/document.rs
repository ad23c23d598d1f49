//! A set of variables as it is stored and sent: one MessagePack map of name to value.

use std::sync::Arc;

/// MessagePack bytes of a map from variable name to value, in insertion order.
///
/// Made at the edge from JSON (`kapelle_feel::json`) and checked there: the engine trusts the shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document(pub Arc<[u8]>);

/// MessagePack's map with no entries.
const EMPTY_MAP: [u8; 1] = [0x80];

impl Document {
    /// No variables.
    #[must_use]
    pub fn empty() -> Self {
        Self(Arc::from(EMPTY_MAP))
    }

    /// Whether there is no variable in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self.0 == EMPTY_MAP
    }
}

impl Default for Document {
    fn default() -> Self {
        Self::empty()
    }
}

/// One stored value: MessagePack bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredValue(pub Arc<[u8]>);
