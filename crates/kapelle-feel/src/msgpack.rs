//! The stored form of values: MessagePack of nil, bool, i64, u64, f64, text, array and map, maps in insertion order.
//!
//! Variables lie in state and journal in this form and most are never decoded: an expression reads the entry it needs,
//! the gateway writes JSON straight from it.
//!
//! **Invariant:** everything written here is in its shortest encoding, and [`validate`] accepts exactly what can be read
//! back by every function of this module: known types, texts as map keys, no key twice, UTF-8, finite numbers, at most
//! [`DEPTH_MAX`] deep, nothing behind. The readers that take a slice of a stored value (`get`, `entries`, …) expect a
//! validated one; on any other they answer nothing, but never panic.
//!
//! Deliberately absent: `bin`, `ext`, timestamps, 32-bit floats. JSON has none of them and nothing else writes here.

mod read;
mod value;
mod write;

pub(crate) use read::{Cursor, Header, find};
pub use read::{
    Entries, Items, Kind, array_len, as_bool, as_f64, as_i64, as_str, entries, get, is_nil, items,
    kind, validate, validate_map,
};
pub(crate) use value::number_of_float;
pub use value::{from_msgpack, to_msgpack, write_value};
pub(crate) use write::insert_header;
pub use write::{
    map_from, map_merge, write_array_header, write_bool, write_f64, write_i64, write_map_header,
    write_nil, write_str, write_u64,
};

/// How deep arrays and maps may be nested. A JSON document deeper than this is an attack, not data.
pub const DEPTH_MAX: usize = 200;

/// Why bytes are not a stored value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The bytes end inside of a value.
    #[error("the stored value ends at byte {0}, inside of a value")]
    Truncated(usize),
    /// A type that is never stored.
    #[error("byte 0x{1:02x} at {0} begins no type that is stored")]
    UnknownType(usize, u8),
    /// A text is not UTF-8.
    #[error("the text at byte {0} is not UTF-8")]
    NotUtf8(usize),
    /// A float is NaN or infinite.
    #[error("the number at byte {0} is not finite")]
    NotFinite(usize),
    /// A map's key is not a text.
    #[error("the key at byte {0} is not a text")]
    KeyNotText(usize),
    /// A map has a key twice.
    #[error("the map that ends at byte {0} has a key twice")]
    DuplicateKey(usize),
    /// Too many arrays and maps in each other.
    #[error("the value at byte {0} is nested more than {DEPTH_MAX} deep")]
    TooDeep(usize),
    /// More bytes follow the value.
    #[error("the value ends at byte {0} but more bytes follow")]
    Trailing(usize),
    /// Something else than a map where a map of variables is asked for.
    #[error("the value is not a map")]
    NotMap,
}

#[cfg(test)]
mod tests;
