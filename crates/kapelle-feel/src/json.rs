//! JSON text: the only place in the workspace that reads or writes it.
//!
//! Documents go straight between text and the stored form; no tree is built. Document order is kept; of a name that
//! comes twice the first place and the last value count, as in most JSON readers.
//!
//! **Invariant:** what [`to_msgpack`] accepts passes [`crate::msgpack::validate`], and writing what was read gives the
//! same document. Whole numbers outside of 64 bits become doubles.
//!
//! Deliberately absent: comments, trailing commas, NaN. They are not JSON.

pub mod pull;
mod read;
mod write;

pub use read::{Error, to_msgpack, to_value};
pub use write::{from_msgpack, from_value, pretty, write_msgpack, write_string};

#[cfg(test)]
mod tests;
