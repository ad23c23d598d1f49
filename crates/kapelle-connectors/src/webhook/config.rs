//! What a webhook sink needs to know. Plain data: the binary reads files.

use std::path::PathBuf;
use std::time::Duration;

use crate::secret::Secret;

/// Where and how to POST.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The URL where the publication names none. It is a secret because tokens are often part of it.
    pub url: Option<Secret>,
    /// Certificates of a private authority (PEM), trusted beside the system's.
    pub ca_file: Option<PathBuf>,
    /// How the CloudEvent is laid out.
    pub mode: Mode,
    /// How long the whole exchange may take, from the connection to the end of the answer.
    pub timeout: Duration,
    /// The value of the `authorization` header.
    pub authorization: Option<Secret>,
}

/// How a CloudEvent is laid out in a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Attributes in headers, data in the body.
    #[default]
    Binary,
    /// All in one JSON document.
    Structured,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            url: None,
            ca_file: None,
            mode: Mode::Binary,
            timeout: Duration::from_secs(10),
            authorization: None,
        }
    }
}
