//! Integration tests: the language as its users see it.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "clippy does not see that helpers here are tests too; the suite prints what it counted or skipped"
)]

mod conformance;
