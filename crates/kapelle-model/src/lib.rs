//! BPMN XML to a validated, executable graph with diagnostics.
//!
//! Purpose: the only reader of process models. [`graph`] is what the engine runs, [`timer`] computes when timers are
//! due.
//!
//! Invariant: pure functions of their arguments. No clock, no I/O, no randomness, no recursion without a depth limit.

pub mod diagnostic;
pub mod graph;
pub mod timer;
mod xml;
