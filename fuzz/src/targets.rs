//! The targets, one constant each. `src/bin/` is the list of all.

pub mod bpmn;
pub mod config;
pub mod door;
pub mod event_store;
pub mod events;
pub mod feel;
pub mod filter;
pub mod journal;
pub mod json;
pub mod manifest;
pub mod msgpack;
pub mod planted;
pub mod records;
pub mod subscriber;
pub mod timer;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
