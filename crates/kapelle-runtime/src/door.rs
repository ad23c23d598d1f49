//! What becomes of a source's delivery at the door: a CloudEvent, or a record that is only kept (design §7). No I/O.
//!
//! **Invariant**: the same delivery is the same record each time that its broker brings it, so that it is kept once.
//!
//! Deliberately absent: when something is offered again, and to whom it is acknowledged; that is the source's.

use std::sync::Arc;

use kapelle_engine::command::Arrival;
use kapelle_events::rule::{Record, Rule};
use kapelle_events::{IdentityHash, Kind, Limit, Limits};

/// The door of one source.
#[derive(Clone, Debug)]
pub struct Door {
    tenant: Arc<str>,
    source: Arc<str>,
    rule: Option<Rule>,
}

/// What a source received and no codec takes for a CloudEvent, as it came.
#[derive(Clone, Debug)]
pub struct Unreadable {
    /// Where it lay, under the names that rules know.
    pub place: Vec<(&'static str, String)>,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// How long the body was before it was cut off.
    pub body_bytes: usize,
    /// Why it is no CloudEvent.
    pub why: kapelle_events::Error,
}

impl Door {
    #[must_use]
    pub fn new(tenant: Arc<str>, source: Arc<str>) -> Self {
        Self {
            tenant,
            source,
            rule: None,
        }
    }

    /// With a rule that makes CloudEvents of records that do not claim to be some.
    #[must_use]
    pub fn with_rule(mut self, rule: Option<Rule>) -> Self {
        self.rule = rule;
        self
    }

    /// The source's name.
    #[must_use]
    pub fn source(&self) -> &Arc<str> {
        &self.source
    }

    /// A delivery that no codec takes for a CloudEvent: what the source's rule makes of it, or a record that is only kept.
    #[must_use]
    pub fn unreadable(&self, came: Unreadable, now_ms: i64, limits: &Limits) -> Arrival {
        let headers = came.headers.iter();
        let headers = headers.map(|(name, value)| (name.as_str(), value.as_str()));
        let content_type = headers
            .clone()
            .find(|(name, _)| name.eq_ignore_ascii_case("content-type") || *name == "content_type")
            .map(|(_, value)| value);
        let identity = self.identity(headers, &came.body);
        let record = Record {
            source_name: &self.source,
            place: &came.place,
            headers: &came.headers,
            content_type,
            body: &came.body,
            identity,
        };
        let why = match &self.rule {
            Some(rule) if came.why.kind == Kind::NotACloudEvent => {
                match made(rule, &record, came.body_bytes, now_ms, limits) {
                    Ok(arrival) => return arrival,
                    Err(why) => why,
                }
            }
            _ => came.why,
        };
        Arrival::Malformed {
            content_type: content_type.map(Arc::from),
            reason: Arc::from(format!("{}: {why}", why.code())),
            identity: number(identity),
            raw: Arc::from(came.body),
        }
    }

    /// An arrival that the engine refused for good, as something that is only kept: at most so many bytes of it.
    #[must_use]
    pub fn refused(&self, arrival: &Arrival, reason: &Arc<str>, bytes_max: usize) -> Arrival {
        let (raw, content_type, identity): (Arc<[u8]>, _, _) = match arrival {
            Arrival::Event(event) | Arrival::Made { event, .. } => {
                let encoded = kapelle_events::json::encode(event);
                let identity = number(self.identity([], &encoded));
                match arrival {
                    Arrival::Made { raw, .. } => (Arc::clone(raw), None, identity),
                    _ => {
                        let content_type = Some(Arc::from("application/cloudevents+json"));
                        (encoded.into(), content_type, identity)
                    }
                }
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
    ) -> IdentityHash {
        IdentityHash::of_record(&self.tenant, &self.source, headers, body)
    }
}

fn made(
    rule: &Rule,
    record: &Record<'_>,
    body_bytes: usize,
    now_ms: i64,
    limits: &Limits,
) -> Result<Arrival, kapelle_events::Error> {
    // A rule that saw a part would make another CloudEvent.
    if body_bytes > record.body.len() {
        return Err(Kind::TooLarge {
            limit: Limit::EventBytes,
            found: body_bytes,
            max: limits.event_bytes_max,
        }
        .into());
    }
    let event = Arc::new(rule.apply(record, now_ms, limits)?);
    Ok(if rule.makes_data() {
        let raw = Arc::from(record.body);
        Arrival::Made { event, raw }
    } else {
        Arrival::Event(event)
    })
}

fn number(IdentityHash(hash): IdentityHash) -> u128 {
    u128::from_be_bytes(hash)
}
