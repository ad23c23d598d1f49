//! What one record of the journal is, byte by byte. Released numbers are for ever.
//!
//! ```text
//! header    1, then: at (8) command kind (2) source (1) source sequence (8) events (4) leftovers (4)
//!              then fields until the end: number (1) length (4) bytes
//! event     2, then the event as `kapelle_engine::encode` writes it
//! leftover  3, then a command as `kapelle_engine::encode` writes it
//!           4  reserved: a raise of the format, before the first record of a new one (design §4)
//! shortened 5, then parts that make one of the others: see `copies`
//! ```
//!
//! Numbers are little endian. One decided command is one header, its events, its leftover commands, in this order and in
//! one batch; every record has a sequence of its own, so a CloudEvent's position is its event record's sequence.
//!
//! **What is written**: a command that decided no event and left nothing over writes nothing, be it refused or not: no
//! state rests on it. The exception is a leftover command: its header is the mark that it is done, whatever came of it.
//! Fence batches belong to the journal; their note is not read and replay passes over them.

mod copies;

use std::sync::Arc;

use kapelle_engine::command::Command;
use kapelle_engine::ids::{Sequence, Timestamp};

pub(crate) use copies::Copies;
pub use copies::Whole;

const HEADER: u8 = 1;
const EVENT: u8 = 2;
const LEFTOVER: u8 = 3;
const SHORTENED: u8 = 5;

const SOURCE_EXTERNAL: u8 = 1;
const SOURCE_INTERNAL: u8 = 2;
const SOURCE_LEFTOVER: u8 = 3;

const FIELD_TRACEPARENT: u8 = 1;

/// Kinds of commands that the partition cannot go on without.
pub const ANNOUNCE_LEADER: u16 = 18;
/// See [`ANNOUNCE_LEADER`].
pub const SET_ASIDE: u16 = 19;

/// Where a command came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Somebody outside.
    External,
    /// The runtime: something due, a new leader, a delivery, a quarantine.
    Internal,
    /// It was journaled by this record because it did not fit into its parent's decision.
    Leftover(Sequence),
}

/// What all records of one decided command share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    pub at: Timestamp,
    /// See [`kind_of`].
    pub kind: u16,
    pub source: Source,
    pub events: u32,
    pub leftovers: u32,
    pub traceparent: Option<Arc<str>>,
}

impl Header {
    /// How many records the command has, with this one.
    #[must_use]
    pub fn records(&self) -> u64 {
        1 + u64::from(self.events) + u64::from(self.leftovers)
    }
}

/// One record, as far as the runtime understands it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record<'a> {
    Header(Header),
    /// An event's bytes.
    Event(&'a [u8]),
    /// A command's bytes.
    Leftover(&'a [u8]),
}

/// Bytes that are no record of this format, though the journal's checksum says that they were written so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Of a later version.
    #[error("its kind {0} is unknown: it was written by a newer version")]
    Kind(u8),
    /// Cut short or with impossible values.
    #[error("it is cut short or holds impossible values")]
    Content,
}

/// Writes a header.
pub fn put_header(header: &Header, out: &mut Vec<u8>) {
    let (source, source_sequence) = match header.source {
        Source::External => (SOURCE_EXTERNAL, 0),
        Source::Internal => (SOURCE_INTERNAL, 0),
        Source::Leftover(sequence) => (SOURCE_LEFTOVER, sequence.0),
    };
    out.push(HEADER);
    out.extend_from_slice(&header.at.0.to_le_bytes());
    out.extend_from_slice(&header.kind.to_le_bytes());
    out.push(source);
    out.extend_from_slice(&source_sequence.to_le_bytes());
    out.extend_from_slice(&header.events.to_le_bytes());
    out.extend_from_slice(&header.leftovers.to_le_bytes());
    if let Some(traceparent) = &header.traceparent {
        let length =
            u32::try_from(traceparent.len()).expect("invariant: the edge limits header lengths");
        out.push(FIELD_TRACEPARENT);
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(traceparent.as_bytes());
    }
}

/// Begins an event's record; the caller appends the event.
pub fn put_event(out: &mut Vec<u8>) {
    out.push(EVENT);
}

/// Begins a leftover command's record; the caller appends the command.
pub fn put_leftover(out: &mut Vec<u8>) {
    out.push(LEFTOVER);
}

/// Reads a record that is whole: see [`Whole`].
///
/// # Errors
/// [`Malformed`].
pub fn read(bytes: &[u8]) -> Result<Record<'_>, Malformed> {
    let (kind, body) = bytes.split_first().ok_or(Malformed::Content)?;
    match *kind {
        HEADER => read_header(body).map(Record::Header),
        EVENT => Ok(Record::Event(body)),
        LEFTOVER => Ok(Record::Leftover(body)),
        other => Err(Malformed::Kind(other)),
    }
}

fn read_header(mut body: &[u8]) -> Result<Header, Malformed> {
    let at = Timestamp(i64::from_le_bytes(take(&mut body)?));
    let kind = u16::from_le_bytes(take(&mut body)?);
    let [source] = take(&mut body)?;
    let sequence = Sequence(u64::from_le_bytes(take(&mut body)?));
    let source = match source {
        SOURCE_EXTERNAL => Source::External,
        SOURCE_INTERNAL => Source::Internal,
        SOURCE_LEFTOVER => Source::Leftover(sequence),
        _ => return Err(Malformed::Content),
    };
    let events = u32::from_le_bytes(take(&mut body)?);
    let leftovers = u32::from_le_bytes(take(&mut body)?);
    let mut traceparent = None;
    while !body.is_empty() {
        let [field] = take(&mut body)?;
        let length = u32::from_le_bytes(take(&mut body)?) as usize;
        let (value, rest) = body.split_at_checked(length).ok_or(Malformed::Content)?;
        body = rest;
        // Unknown fields are a later version's; passing over them is what makes adding one possible.
        if field == FIELD_TRACEPARENT {
            traceparent = Some(Arc::from(
                std::str::from_utf8(value).map_err(|_| Malformed::Content)?,
            ));
        }
    }
    Ok(Header {
        at,
        kind,
        source,
        events,
        leftovers,
        traceparent,
    })
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], Malformed> {
    let (head, rest) = bytes.split_first_chunk::<N>().ok_or(Malformed::Content)?;
    *bytes = rest;
    Ok(*head)
}

/// The number of a command's kind in headers. For ever.
#[must_use]
pub const fn kind_of(command: &Command) -> u16 {
    match command {
        Command::Deploy(_) => 1,
        Command::CreateInstance(_) => 2,
        Command::CancelInstance { .. } => 3,
        Command::SetVariables(_) => 4,
        Command::ResolveIncident { .. } => 5,
        Command::ActivateJobs(_) => 6,
        Command::CompleteJob { .. } => 7,
        Command::FailJob(_) => 8,
        Command::ThrowJobError(_) => 9,
        Command::UpdateJob { .. } => 10,
        Command::PublishMessage(_) => 11,
        Command::CorrelateMessage(_) => 12,
        Command::IngestEvents(_) => 13,
        Command::YieldJob { .. } => 14,
        Command::Due(_) => 15,
        Command::AckOutbox { .. } => 16,
        Command::BuryOutbox { .. } => 17,
        Command::DeferOutbox { .. } => 21,
        Command::AnnounceLeader { .. } => ANNOUNCE_LEADER,
        Command::SetAside(_) => SET_ASIDE,
        Command::Continue(_) => 20,
        Command::PutSubscriber(_) => 22,
        Command::DeleteSubscriber { .. } => 23,
        Command::SettleDeadLetters(_) => 24,
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn check(header: &Header, expected: Expect) {
        let mut bytes = Vec::new();
        put_header(header, &mut bytes);
        let text: Vec<_> = bytes
            .chunks(16)
            .map(|row| {
                row.iter()
                    .map(|byte| format!("{byte:02x}"))
                    .collect::<String>()
            })
            .collect();
        expected.assert_eq(&text.join("\n"));
        assert_eq!(read(&bytes), Ok(Record::Header(header.clone())));
        for cut in 1..bytes.len() {
            let read = read(&bytes[..cut]);
            assert!(
                read == Err(Malformed::Content) || cut == 28,
                "cut at {cut}: {read:?}"
            );
        }
        bytes.extend_from_slice(&[0xee, 2, 0, 0, 0, 7, 7]);
        assert_eq!(
            read(&bytes),
            Ok(Record::Header(header.clone())),
            "an unknown field is passed over"
        );
    }

    #[test]
    fn a_header_keeps_its_bytes() {
        let header = Header {
            at: Timestamp(1_700_000_000_000),
            kind: 7,
            source: Source::External,
            events: 3,
            leftovers: 0,
            traceparent: Some(Arc::from("00-ab-cd-01")),
        };
        check(
            &header,
            expect![[r#"
                010068e5cf8b01000007000100000000
                000000000300000000000000010b0000
                0030302d61622d63642d3031"#]],
        );
        let leftover = Header {
            source: Source::Leftover(Sequence(513)),
            traceparent: None,
            leftovers: 2,
            ..header
        };
        check(
            &leftover,
            expect![[r#"
                010068e5cf8b01000007000301020000
                000000000300000002000000"#]],
        );
    }

    #[test]
    fn a_record_of_a_later_version_is_said_to_be_one() {
        assert_eq!(read(&[9, 1, 2]), Err(Malformed::Kind(9)));
        assert_eq!(read(&[]), Err(Malformed::Content));
        assert_eq!(read(&[EVENT, 4, 5]), Ok(Record::Event(&[4, 5])));
    }
}
