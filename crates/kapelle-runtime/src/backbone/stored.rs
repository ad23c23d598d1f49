//! A CloudEvent as the store has it: what came, and what it came to.

use std::sync::Arc;

use crate::reader::CommittedRecord;
use kapelle_engine::encode::{decode_event, encode_event};
use kapelle_engine::event::Event;
use kapelle_engine::ids::{Sequence, Timestamp};
use kapelle_events::CloudEvent;
use kapelle_events::filter::Env;
use kapelle_storage::event_store::{Entry, Key};
use kapelle_storage::position;

/// What an entry can be looked up by. Numbers are on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Tag {
    Id = 1,
    Type = 2,
    Source = 3,
    Subject = 4,
    Key = 5,
    CorrelationId = 6,
}

impl Tag {
    /// The tag's value in a CloudEvent.
    pub fn of(self, event: &CloudEvent) -> Option<&str> {
        match self {
            Self::Id => Some(event.id()),
            Self::Type => Some(event.event_type()),
            Self::Source => Some(event.source()),
            Self::Subject => event.subject(),
            Self::Key => Some(event.partition_key()),
            Self::CorrelationId => event.correlation_id(),
        }
    }

    pub const ALL: [Self; 6] = [
        Self::Id,
        Self::Type,
        Self::Source,
        Self::Subject,
        Self::Key,
        Self::CorrelationId,
    ];
}

/// A CloudEvent out of the store.
#[derive(Clone, Debug)]
pub struct Stored {
    pub position: Sequence,
    pub at: Timestamp,
    /// `None`: it was erased.
    pub event: Option<Arc<CloudEvent>>,
    /// What the engine made of it; `PUBLISHED` for what a process sent.
    pub outcome: &'static str,
}

/// The surroundings of expressions over a CloudEvent: the time at which it was stored, so that they come to the same
/// whenever they are asked.
pub fn env(stored_at: Timestamp) -> Env {
    Env {
        now_ms: stored_at.0,
        ..Env::default()
    }
}

/// CloudEvents in the making: one is complete when it was routed.
#[derive(Debug, Default)]
pub(super) struct Projection {
    received: Vec<(Sequence, Event)>,
}

impl Projection {
    /// The entry that a record completes.
    pub(super) fn add(&mut self, record: CommittedRecord) -> Option<Entry> {
        let (sequence, at) = (record.sequence, record.command.at);
        match record.event {
            received @ Event::CloudEventReceived { .. } => {
                self.received.push((sequence, received));
                None
            }
            Event::CloudEventRouted { position, .. } => {
                let place = self
                    .received
                    .iter()
                    .position(|(received, _)| *received == position)?;
                let (position, received) = self.received.remove(place);
                entry(position, at, &[received, record.event])
            }
            published @ Event::OutboxAdded(_) => entry(sequence, at, &[published]),
            _ => None,
        }
    }
}

impl Projection {
    /// Of what was added up to there, up to where it is complete: nothing before waits to be routed.
    pub(super) fn complete(&self, added: Sequence) -> Sequence {
        let waiting = self.received.iter().map(|(received, _)| received.0 - 1);
        Sequence(waiting.fold(added.0, u64::min))
    }
}

fn entry(position: Sequence, at: Timestamp, parts: &[Event]) -> Option<Entry> {
    let event = cloud_event(&parts[0])?;
    let keys = Tag::ALL
        .into_iter()
        .filter_map(|tag| Some(Key::of(tag as u8, tag.of(event)?.as_bytes())))
        .collect();
    let mut record = Vec::new();
    for part in parts {
        let mut bytes = Vec::new();
        encode_event(part, &mut bytes);
        record.extend(u32::try_from(bytes.len()).ok()?.to_le_bytes());
        record.extend(bytes);
    }
    Some(Entry {
        position: position::Sequence(position.0),
        at_ms: at.0,
        keys,
        record,
        erased: false,
    })
}

fn cloud_event(event: &Event) -> Option<&CloudEvent> {
    match event {
        Event::CloudEventReceived { event, .. } => Some(event),
        Event::OutboxAdded(added) => Some(&added.event),
        _ => None,
    }
}

impl Stored {
    /// Reads an entry; one that cannot be read counts as erased, as the segment's checksum was right and a newer program may
    /// have written it.
    pub fn read(entry: &Entry) -> Self {
        let mut stored = Self {
            position: Sequence(entry.position.0),
            at: Timestamp(entry.at_ms),
            event: None,
            outcome: "ERASED",
        };
        let mut rest = entry.record.as_slice();
        while let Some(part) = next_part(&mut rest) {
            match decode_event(part) {
                Ok(Event::CloudEventRouted { outcome, .. }) => stored.outcome = outcome.as_str(),
                Ok(Event::OutboxAdded(added)) => {
                    stored.outcome = "PUBLISHED";
                    stored.event = Some(Arc::new(added.event));
                }
                Ok(Event::CloudEventReceived { event, .. }) => stored.event = Some(event),
                _ => {}
            }
        }
        stored
    }
}

fn next_part<'r>(rest: &mut &'r [u8]) -> Option<&'r [u8]> {
    let (length, behind) = rest.split_first_chunk::<4>()?;
    let (part, behind) = behind.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    *rest = behind;
    Some(part)
}

#[cfg(test)]
mod tests {
    use kapelle_engine::response::Outcome;

    use super::*;
    use crate::reader::CommandHeader;

    fn record(sequence: u64, event: Event) -> CommittedRecord {
        let command = CommandHeader {
            sequence: Sequence(1),
            kind: 0,
            at: Timestamp(0),
            traceparent: None,
        };
        CommittedRecord {
            sequence: Sequence(sequence),
            command: Arc::new(command),
            event,
        }
    }

    #[test]
    fn nothing_behind_a_cloud_event_that_is_not_routed_yet_is_complete() {
        let mut projection = Projection::default();
        let event = CloudEvent::builder("1", "/tests", "t").build().unwrap();
        let received = Event::CloudEventReceived {
            tenant: "t".into(),
            source_name: "tests".into(),
            identity: 1,
            content: 1,
            event: Arc::new(event),
            raw: None,
        };
        assert_eq!(projection.complete(Sequence(4)), Sequence(4));
        assert_eq!(projection.add(record(5, received)), None);
        assert_eq!(projection.complete(Sequence(7)), Sequence(4));
        let routed = Event::CloudEventRouted {
            position: Sequence(5),
            outcome: Outcome::NoMatch,
            matches: Vec::new(),
            reason: "".into(),
            identity: 1,
            content: 1,
            bucket: 0,
        };
        assert!(projection.add(record(8, routed)).is_some());
        assert_eq!(projection.complete(Sequence(8)), Sequence(8));
    }
}
