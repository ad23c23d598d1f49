//! BPMN XML to a validated, executable graph with diagnostics.
//!
//! Purpose: the only reader of process models. [`parse_bpmn`] judges a document at deployment, [`compile`] makes the graph
//! again from accepted bytes, [`graph`] is what the engine runs, [`timer`] computes when timers are due.
//!
//! ```
//! use kapelle_model::{Limits, parse_bpmn};
//!
//! let xml = br#"<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL">
//!   <process id="hello" isExecutable="true">
//!     <startEvent id="start"/>
//!     <sequenceFlow id="flow" sourceRef="start" targetRef="end"/>
//!     <endEvent id="end"/>
//!   </process>
//! </definitions>"#;
//! let (bpmn, diagnostics) = parse_bpmn("hello.bpmn", xml, &Limits::default());
//! assert!(diagnostics.is_empty());
//! assert_eq!(&*bpmn.expect("an accepted document").processes[0].id, "hello");
//! ```
//!
//! Invariant: pure functions of their arguments. No clock, no I/O, no randomness, no recursion without a depth limit.
//!
//! Deliberately absent: running anything. Evaluation is `kapelle-feel`, tokens are `kapelle-engine`.

pub mod bpmn;
pub mod diagnostic;
pub mod graph;
#[cfg(any(test, feature = "notation"))]
pub mod notation;
pub mod timer;
mod xml;

pub use bpmn::{Bpmn, CompileError, SEMANTICS, compile, parse_bpmn};
pub use diagnostic::{Code, Diagnostic, Severity};
pub use graph::Process;
pub use xml::Limits;
