//! FEEL, the expression language of DMN and Camunda 8, in the dialect of feel-scala.
//!
//! An expression is compiled once and evaluated often:
//!
//! ```
//! use kapelle_feel::{Env, Expr, StoredMap, Value, json};
//!
//! let expr = Expr::parse("total > 100 and customer.tier = \"gold\"")?;
//! let variables = json::to_msgpack(br#"{"total": 120.5, "customer": {"tier": "gold"}}"#)?;
//! let evaluation = expr.evaluate(&StoredMap(&variables), &Env::default())?;
//! assert_eq!(evaluation.value, Value::Bool(true));
//! assert!(evaluation.warnings.is_empty());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What cannot be computed is null, with a [`Warning`] that says why. Only `assert`, a missing input of a unary test and
//! a reached limit are failures ([`EvalError`]):
//!
//! ```
//! use kapelle_feel::{Env, Expr};
//!
//! let evaluation = Expr::parse("1 + \"a\"")?.evaluate(&(), &Env::default())?;
//! assert!(evaluation.value.is_null());
//! assert_eq!(evaluation.warnings[0].to_string(), "[INVALID_TYPE] Can't add '\"a\"' to '1'");
//!
//! let error = Expr::parse("[1, 2").unwrap_err();
//! assert_eq!(error.to_string(), "expected `,` or `]`, found the end at line 1 column 6");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # How it is made
//!
//! ```text
//! text ─► lexer ─► parser (+ scope) ─► program ─► eval ─► Value + warnings
//!                     │                             │
//!                     └── builtins: which overload ─┴── builtins: run
//! ```
//!
//! - `lexer` and `parser` make a `program`, an arena of nodes that link to each other by number. Names are resolved to
//!   slots on the way; no scope exists at run time.
//! - `eval` walks the arena. Variables stay where they are stored as MessagePack ([`msgpack`]); it reads a number or a
//!   text in place and decodes only what becomes part of the result.
//! - `builtins` has a table for each group of functions.
//! - [`Value`], [`Number`] and the temporal types are the values. [`msgpack`] and [`json`] are their outside forms, and
//!   the only code in the workspace that reads or writes JSON text.
//!
//! # Invariants
//!
//! - **No input panics, hangs or grows without end**, neither text nor data. Nesting and length are limited at
//!   parse, steps, bytes and depth at run time ([`Limits`]), each with an ordinary error.
//! - **The same expression, variables and [`Env`] give the same answer** on every machine: no clock, no environment, no
//!   hash order. The time, the zone and the seed of chance are in the `Env`, the time zone database is linked in.
//! - Nothing here knows of processes, brokers or files.

pub mod json;
pub mod msgpack;

mod builtins;
mod env;
mod eval;
mod expr;
mod function;
mod lexer;
mod number;
mod parser;
mod program;
mod range;
mod temporal;
mod value;
mod warning;

pub use env::{Env, Limits, StoredMap, Variable, Variables};
pub use expr::{EvalError, Evaluation, Expr, ParseError};
pub use function::Function;
pub use number::{Number, ParseNumberError, Rounding};
pub use range::{Bound, Range};
pub use temporal::{
    Date, DateTime, DaysTimeDuration, ParseTemporalError, Time, YearsMonthsDuration, Zone,
};
pub use value::{Context, List, Text, Value};
pub use warning::{Warning, WarningKind};

/// The README's example runs.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
