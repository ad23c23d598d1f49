//! Journal, checkpoints, key-value store and recovery; bytes only.
//!
//! Four parts: [`dir`] (the data directory: lock, format, room on the disk), [`journal`] (what happened, the only
//! truth) and [`store`] (checkpoints of what follows from it, so that recovery reads a tail and memory is bounded), and
//! [`event_store`] (events to look up and to read again, filled from the journal).
//!
//! Invariants: nothing here knows what a record or a blob means; all own I/O goes through [`files::Files`]; the first
//! error of a disk closes what it happened to until the next start.
//! Deliberately absent: async, logging, configuration, and any wall clock (elapsed time is measured, never stored).

pub mod dir;
pub mod event_store;
pub mod files;
pub mod format;
pub mod journal;
pub mod position;
pub mod store;
