//! Hashes that stand for a CloudEvent in the window of those seen before.
//!
//! **Invariant**: both hashes are stable for ever: they are in checkpoints. A change is a new version with a new domain
//! text. They are 128 bits of BLAKE3, because producers choose the input: somebody who could craft collisions could
//! make another tenant's CloudEvent look like a repeat.

use std::fmt;

use crate::{CloudEvent, attribute};

const IDENTITY_DOMAIN: &str = "kapelle CloudEvent identity 1";
const RECORD_DOMAIN: &str = "kapelle record identity 1";
const CONTENT_DOMAIN: &str = "kapelle CloudEvent content 1";

/// Extensions that change when a producer sends the same CloudEvent again.
const OF_THE_JOURNEY: [&str; 3] = [
    attribute::RECORDED_TIME,
    attribute::TRACE_PARENT,
    attribute::TRACE_STATE,
];

/// Who it is: (tenant, `source`, `id`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IdentityHash(pub [u8; 16]);

/// What it says: everything but identity and traces of the journey.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentHash(pub [u8; 16]);

impl IdentityHash {
    /// The hash of an identity.
    pub fn new(tenant: &str, source: &str, id: &str) -> Self {
        let mut fields = Fields::new(IDENTITY_DOMAIN);
        fields.add(tenant.as_bytes());
        fields.add(source.as_bytes());
        fields.add(id.as_bytes());
        Self(fields.finish())
    }

    /// The hash of a broker's record that is no CloudEvent, so that one that is delivered again is known: where it came
    /// from, and all of it. Headers count in the order given; those that a broker changes with a delivery must not be there.
    pub fn of_record<'h>(
        tenant: &str,
        source_name: &str,
        headers: impl IntoIterator<Item = (&'h str, &'h str)>,
        body: &[u8],
    ) -> Self {
        let mut fields = Fields::new(RECORD_DOMAIN);
        for part in [tenant.as_bytes(), source_name.as_bytes(), body] {
            fields.add(part);
        }
        for (name, value) in headers {
            fields.add(name.as_bytes());
            fields.add(value.as_bytes());
        }
        Self(fields.finish())
    }
}

/// In hexadecimal.
impl fmt::Display for IdentityHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl CloudEvent {
    /// The hash of (tenant, `source`, `id`).
    pub fn identity_hash(&self, tenant: &str) -> IdentityHash {
        IdentityHash::new(tenant, self.source(), self.id())
    }

    /// The hash by which a repeat with other content is told from a true repeat.
    pub fn content_hash(&self) -> ContentHash {
        let mut fields = Fields::new(CONTENT_DOMAIN);
        fields.add(self.event_type().as_bytes());
        fields.add_optional(self.subject().map(str::as_bytes));
        fields.add_optional(self.time().map(|time| time.as_str().as_bytes()));
        fields.add_optional(self.data_content_type().map(str::as_bytes));
        fields.add_optional(self.data_schema().map(str::as_bytes));
        fields.add_optional(self.data().map(crate::Data::as_bytes));
        // As text: the same CloudEvent may come once over a transport with types and once over one without.
        for (name, value) in self
            .extensions()
            .filter(|(name, _)| !OF_THE_JOURNEY.contains(name))
        {
            fields.add(name.as_bytes());
            fields.add(value.to_text().as_bytes());
        }
        ContentHash(fields.finish())
    }
}

/// Length before content, so that moving a byte from one field to the next makes another input.
struct Fields(blake3::Hasher);

impl Fields {
    fn new(domain: &str) -> Self {
        let mut fields = Self(blake3::Hasher::new());
        fields.add(domain.as_bytes());
        fields
    }

    fn add(&mut self, bytes: &[u8]) {
        self.0.update(&(bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }

    /// A length that no field has stands for an absent one.
    fn add_optional(&mut self, bytes: Option<&[u8]>) {
        match bytes {
            Some(bytes) => self.add(bytes),
            None => {
                self.0.update(&u64::MAX.to_le_bytes());
            }
        }
    }

    fn finish(&self) -> [u8; 16] {
        let mut hash = [0; 16];
        self.0.finalize_xof().fill(&mut hash);
        hash
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: [u8; 16]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn hashes_are_what_they_were_in_the_first_release() {
        let event = CloudEvent::builder("1", "/s", "t")
            .data("text/plain", "x")
            .extension("a", "b")
            .build()
            .unwrap();
        // Not by `expect!`, which is updated too easily.
        assert_eq!(
            hex(event.identity_hash("<default>").0),
            "0c0307f0e4c93f32a5b08e71b4cf1db1"
        );
        assert_eq!(
            hex(event.content_hash().0),
            "18fa5e2560bdeb5c037c1ffeabce21e4"
        );
    }

    #[test]
    fn every_part_of_an_identity_counts_on_its_own() {
        let hash = IdentityHash::new("t", "ab", "c");
        for (tenant, source, id) in [
            ("t", "a", "bc"),
            ("ta", "b", "c"),
            ("", "tab", "c"),
            ("T", "ab", "c"),
        ] {
            assert_ne!(hash, IdentityHash::new(tenant, source, id));
        }
    }

    #[test]
    fn a_record_is_known_by_where_it_came_from_and_all_of_it() {
        let headers = [("message-id", "1"), ("shop", "north")];
        let hash = IdentityHash::of_record("t", "orders", headers, b"x");
        assert_eq!(hex(hash.0), "b345137accd339d8eb0624e3c6027235");
        assert_eq!(
            hash,
            IdentityHash::of_record("t", "orders", headers.to_vec(), b"x")
        );
        for other in [
            IdentityHash::of_record("u", "orders", headers, b"x"),
            IdentityHash::of_record("t", "bills", headers, b"x"),
            IdentityHash::of_record("t", "orders", headers, b"y"),
            IdentityHash::of_record("t", "orders", [("message-id", "2")], b"x"),
            IdentityHash::of_record("t", "orders", [], b"x"),
            IdentityHash::new("t", "orders", "x"),
        ] {
            assert_ne!(hash, other);
        }
    }

    #[test]
    fn other_content_shows_and_the_journey_does_not() {
        let event = || {
            CloudEvent::builder("1", "/s", "t")
                .data("text/plain", "x")
                .extension("a", "b")
        };
        let hash = event().build().unwrap().content_hash();
        let same = event()
            .id("2")
            .source("/other")
            .trace_parent("00-1")
            .extension("recordedtime", "2018-04-05T17:31:00Z");
        assert_eq!(hash, same.build().unwrap().content_hash());
        for other in [
            event().event_type("u"),
            event().subject("x"),
            event().data("text/plain", "y"),
            event().data("text/html", "x"),
            event().data_schema("urn:x"),
            event().extension("a", "c"),
            event().extension("b", "b"),
            CloudEvent::builder("1", "/s", "t")
                .data_content_type("text/plain")
                .extension("a", "b"),
        ] {
            assert_ne!(hash, other.build().unwrap().content_hash());
        }
    }
}
