//! How a client shows who it is, and whom it trusts.
//!
//! **Invariant:** credentials are never shown: not by `Debug`, not in errors. They come from the environment or from files,
//! so that no list of processes and no shell's history has them.

use std::fmt;
use std::path::{Path, PathBuf};

use hyper::header::HeaderValue;
use kapelle_events::base64;

/// What a client has beside the address.
#[derive(Clone, Default)]
pub(crate) struct Access {
    authorization: Option<HeaderValue>,
    /// Certificates of a private authority that is trusted beside the system's.
    ca_file: Option<PathBuf>,
}

impl Access {
    /// Nobody in particular, who trusts the system's authorities and those in the file.
    pub(crate) fn trusting(ca_file: Option<PathBuf>) -> Self {
        Self {
            authorization: None,
            ca_file,
        }
    }

    pub(super) fn ca_file(&self) -> Option<&Path> {
        self.ca_file.as_deref()
    }

    /// A token, as whoever signs people in has given it; `None` if no header can hold it.
    pub(crate) fn bearer(self, token: &str) -> Option<Self> {
        self.with(&format!("Bearer {token}"))
    }

    /// A name and its password; `None` if it cannot be sent.
    pub(crate) fn basic(self, user: &str, password: &str) -> Option<Self> {
        // RFC 7617: what is before the first colon is the name.
        if user.contains(':') {
            return None;
        }
        let both = base64::encode(format!("{user}:{password}").as_bytes());
        self.with(&format!("Basic {both}"))
    }

    fn with(self, value: &str) -> Option<Self> {
        let mut value = HeaderValue::from_str(value).ok()?;
        value.set_sensitive(true);
        Some(Self {
            authorization: Some(value),
            ..self
        })
    }

    pub(super) fn authorization(&self) -> Option<&HeaderValue> {
        self.authorization.as_ref()
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access")
            .field("has_credentials", &self.authorization.is_some())
            .field("ca_file", &self.ca_file)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_become_a_header_and_are_never_shown() {
        let bearer = Access::default().bearer("t0ken").unwrap();
        assert_eq!(bearer.authorization().unwrap(), "Bearer t0ken");
        let basic = Access::default().basic("demo", "se:cret").unwrap();
        assert_eq!(basic.authorization().unwrap(), "Basic ZGVtbzpzZTpjcmV0");
        assert_eq!(
            format!("{bearer:?}"),
            "Access { has_credentials: true, ca_file: None }"
        );
        assert!(!format!("{:?}", basic.authorization()).contains("Basic"));
    }

    #[test]
    fn what_no_header_can_hold_is_none() {
        assert!(Access::default().bearer("a\nb").is_none());
        assert!(Access::default().basic("a:b", "c").is_none());
    }
}
