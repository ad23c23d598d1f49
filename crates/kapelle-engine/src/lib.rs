//! The deterministic heart of Kapelle: commands in, events out, state.
//!
//! ```text
//! command ──► Engine::process ──► events (applied as they are decided), an answer or a refusal, effects
//! event   ──► Engine::replay  ──► the same state, without questions
//! ```
//!
//! **Invariants**
//! - Commands decide, events change. Every refusal comes before the first event; a refused command changes nothing.
//! - No I/O, clock, randomness, async, logging or hash order: the same records give the same bytes.
//! - Applying an event to a target cannot fail and reads only that target and the event ([`event::Targets`]).
//! - Follow-up work runs from a queue, never by recursion, and every loop has a limit.

pub mod command;
pub mod document;
pub mod effect;
pub mod event;
pub mod ids;
pub mod keep;
pub mod rejection;
pub mod response;
