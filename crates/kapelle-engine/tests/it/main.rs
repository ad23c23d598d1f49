//! Scenarios of the engine: a process, a script, the trace. One module per family; `world` runs them all twice, deciding
//! in one state and replaying the encoded events into another, which must stay equal byte by byte.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod boundary_events;
mod cloud_events;
mod deployments;
mod elements;
mod golden;
mod incidents;
mod jobs;
mod limits;
mod messages;
mod random;
mod subscribers;
mod timers;
mod variables;
mod world;
