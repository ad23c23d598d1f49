//! FEEL in the feel-scala dialect: values, parser, evaluator, built-ins.
pub mod json;
pub mod msgpack;

mod env;
mod expr;
mod function;
mod number;
mod range;
mod temporal;
mod value;
mod warning;

pub use env::{Env, Limits, StoredMap, Variable, Variables};
pub use expr::{EvalError, Evaluation, Expr, ParseError};
pub use function::Function;
pub use number::{Number, ParseNumberError, Rounding};
pub use range::{Bound, Range};
pub use temporal::{Date, DateTime, DaysTimeDuration, Time, YearsMonthsDuration, Zone};
pub use value::{Context, List, Text, Value};
pub use warning::{Warning, WarningKind};
