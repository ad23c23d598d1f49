//! A look whether a connector could work now. Nothing is taken, published or made.

use std::fmt;

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// Such as `connection`, `queue`.
    pub what: &'static str,
    /// What was found, or what is wrong; without secrets.
    pub found: Result<String, String>,
}

impl Check {
    /// What was looked at, and what came of it.
    pub(crate) fn new<E: fmt::Display>(what: &'static str, found: Result<String, E>) -> Self {
        let found = found.map_err(|error| error.to_string());
        Self { what, found }
    }

    /// Whether it is as it must be.
    pub fn is_good(&self) -> bool {
        self.found.is_ok()
    }
}
