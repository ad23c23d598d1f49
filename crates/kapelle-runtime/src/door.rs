//! What becomes of a source's delivery at the door: a CloudEvent, or a record that is only kept (design §7). No I/O.
//!
//! **Invariant**: the same delivery is the same record each time that its broker brings it, so that it is kept once.
//!
//! Deliberately absent: when something is offered again, and to whom it is acknowledged; that is the source's.

use std::sync::Arc;

use kapelle_engine::command::Arrival;
use kapelle_events::IdentityHash;

/// The door of one source.
#[derive(Clone, Debug)]
pub struct Door {
    tenant: Arc<str>,
    source: Arc<str>,
}

impl Door {
    #[must_use]
    pub fn new(tenant: Arc<str>, source: Arc<str>) -> Self {
        Self { tenant, source }
    }

    /// The source's name.
    #[must_use]
    pub fn source(&self) -> &Arc<str> {
        &self.source
    }

    /// A delivery that cannot become a CloudEvent, as it came.
    #[must_use]
    pub fn unreadable(
        &self,
        headers: &[(String, String)],
        body: Vec<u8>,
        why: &kapelle_events::Error,
    ) -> Arrival {
        let headers = || {
            let headers = headers.iter();
            headers.map(|(name, value)| (name.as_str(), value.as_str()))
        };
        let content_type = headers()
            .find(|(name, _)| name.eq_ignore_ascii_case("content-type") || *name == "content_type")
            .map(|(_, value)| Arc::from(value));
        let identity = self.identity(headers(), &body);
        Arrival::Malformed {
            raw: Arc::from(body),
            content_type,
            reason: Arc::from(format!("{}: {why}", why.code())),
            identity,
        }
    }

    /// An arrival that the engine refused for good, as something that is only kept: at most so many bytes of it.
    #[must_use]
    pub fn refused(&self, arrival: &Arrival, reason: &Arc<str>, bytes_max: usize) -> Arrival {
        let (raw, content_type, identity): (Arc<[u8]>, _, _) = match arrival {
            Arrival::Event(event) => {
                let raw = kapelle_events::json::encode(event);
                let identity = self.identity([], &raw);
                let content_type = Some(Arc::from("application/cloudevents+json"));
                (raw.into(), content_type, identity)
            }
            Arrival::Malformed {
                raw,
                content_type,
                identity,
                ..
            } => (Arc::clone(raw), content_type.clone(), *identity),
        };
        Arrival::Malformed {
            raw: raw.get(..bytes_max).map_or(Arc::clone(&raw), Arc::from),
            content_type,
            reason: Arc::clone(reason),
            identity,
        }
    }

    fn identity<'h>(
        &self,
        headers: impl IntoIterator<Item = (&'h str, &'h str)>,
        body: &[u8],
    ) -> u128 {
        let IdentityHash(hash) = IdentityHash::of_record(&self.tenant, &self.source, headers, body);
        u128::from_be_bytes(hash)
    }
}
