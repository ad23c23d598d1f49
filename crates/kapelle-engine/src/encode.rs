//! The stored form of everything: numbered fields, unknown ones are skipped.
//!
//! A record is a list of fields. A field is one varint, `number << 1 | wire`, then a varint (wire 0) or a length and that
//! many bytes (wire 1). Signed numbers are zigzag. A field that has the value it would have if it were absent is not
//! written. An enum with data is its variant's number as a varint, then that variant's fields.
//!
//! **Numbers are for ever.** They stand in the tables of the files below `encode/`, each beside its field, so that
//! reading and writing can't drift apart. A retired number stays in its table as a comment and is never given out again.
//!
//! **Invariant**: `decode(encode(x)) == x`, in this and every later release. Golden bytes in `encode/tests.rs` pin it.

mod command;
mod event;
mod index;
mod state;
pub(crate) mod wire;

#[cfg(test)]
mod tests;

pub(crate) use wire::Record;

use crate::command::Command;
use crate::event::Event;
use crate::state::instance::Instance;
use crate::state::partition::Partition;

/// Why bytes are not what was stored: they come from a newer release, or are damaged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    #[error("the record ends inside of a field")]
    Truncated,
    #[error("a number takes more than ten bytes")]
    Overlong,
    #[error("a text is not UTF-8")]
    NotUtf8,
    #[error("a field of {0} has another wire type or length than it should")]
    WrongType(&'static str),
    #[error("field {field} of {record} is missing")]
    Missing { record: &'static str, field: u32 },
    #[error("{name} has no variant {number}; a newer release may have written it")]
    UnknownVariant { name: &'static str, number: u64 },
    #[error("the stored CloudEvent is damaged: {0}")]
    CloudEvent(String),
}

/// Appends an event's stored form.
pub fn encode_event(event: &Event, out: &mut Vec<u8>) {
    event.write(out);
}

/// Reads an event's stored form.
pub fn decode_event(bytes: &[u8]) -> Result<Event, DecodeError> {
    Event::read(bytes)
}

/// The number of an event's kind ([`Event::code`]), without reading the rest of its stored form.
#[must_use]
pub fn event_code(mut bytes: &[u8]) -> Option<u64> {
    wire::take_varint(&mut bytes).ok()
}

/// Appends the stored form of a command that the engine left over.
///
/// # Panics
/// On a command from outside: those are never stored, so they have no stored form.
pub fn encode_command(command: &Command, out: &mut Vec<u8>) {
    command::write(command, out);
}

/// Reads the stored form of a command that the engine left over.
pub fn decode_command(bytes: &[u8]) -> Result<Command, DecodeError> {
    command::read(bytes)
}

/// Appends an instance's stored form.
pub fn encode_instance(instance: &Instance, out: &mut Vec<u8>) {
    instance.write(out);
}

/// Reads an instance's stored form.
pub fn decode_instance(bytes: &[u8]) -> Result<Instance, DecodeError> {
    Instance::read(bytes)
}

/// Appends the partition object's stored form.
pub fn encode_partition(partition: &Partition, out: &mut Vec<u8>) {
    partition.write(out);
}

/// Reads the partition object's stored form.
pub fn decode_partition(bytes: &[u8]) -> Result<Partition, DecodeError> {
    Partition::read(bytes)
}
