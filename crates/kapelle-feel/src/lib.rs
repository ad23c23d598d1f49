//! FEEL in the feel-scala dialect: values, parser, evaluator, built-ins.
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
