//! Compiled expressions: the crate's front door.

use std::fmt;
use std::sync::Arc;

use crate::env::{Env, Variables};
use crate::eval::{self, Meter};
use crate::parser;
use crate::program::Program;
use crate::value::Value;
use crate::warning::Warning;

/// A compiled expression. Cloning is cheap; it can be shared between threads.
///
/// ```
/// use kapelle_feel::{Env, Expr, Value, json};
///
/// let order = json::to_value(r#"{"total": 120, "customer": {"tier": "gold"}}"#).unwrap();
/// let expr = Expr::parse("total > 100 and customer.tier = \"gold\"").unwrap();
/// assert_eq!(expr.variables().iter().map(|name| &**name).collect::<Vec<_>>(), ["total", "customer"]);
/// let evaluation = expr.evaluate(&order, &Env::default()).unwrap();
/// assert_eq!(evaluation.value, Value::Bool(true));
/// ```
#[derive(Clone)]
pub struct Expr(Arc<Compiled>);

struct Compiled {
    text: Box<str>,
    variables: Box<[Arc<str>]>,
    program: Arc<Program>,
}

impl Expr {
    /// Compiles an expression.
    pub fn parse(text: &str) -> Result<Expr, ParseError> {
        Ok(Expr::new(text, parser::parse_expression(text)?))
    }

    /// Compiles unary tests: a cell of a decision table. The input is the variable `?`.
    ///
    /// ```
    /// use kapelle_feel::{Env, Expr, Value};
    /// let tests = Expr::parse_unary_tests("< 3, [10..20]").unwrap();
    /// let input = Value::from_iter([("?", Value::from(12))]);
    /// assert_eq!(tests.evaluate(&input, &Env::default()).unwrap().value, Value::Bool(true));
    /// ```
    pub fn parse_unary_tests(text: &str) -> Result<Expr, ParseError> {
        Ok(Expr::new(text, parser::parse_unary_tests(text)?))
    }

    fn new(text: &str, program: Program) -> Expr {
        let variables = program
            .globals
            .iter()
            .map(|global| Arc::clone(&global.name))
            .collect();
        Expr(Arc::new(Compiled {
            text: text.into(),
            variables,
            program: Arc::new(program),
        }))
    }

    /// What was compiled.
    pub fn text(&self) -> &str {
        &self.0.text
    }

    /// The names it may read that it does not bind itself, in order of first use. Names in a filter are among them, as
    /// they may be entries of the items or variables.
    pub fn variables(&self) -> &[Arc<str>] {
        &self.0.variables
    }

    /// Variables that must equal a text for the expression to be true: `name = "text"`, alone or joined with others by
    /// `and`. An index over many conditions can rule out most of them by that.
    ///
    /// ```
    /// use kapelle_feel::Expr;
    /// let expr = Expr::parse(r#"type = "order.placed" and total > 100"#).unwrap();
    /// assert_eq!(expr.required_texts().collect::<Vec<_>>(), [("type", "order.placed")]);
    /// ```
    pub fn required_texts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.program.required_texts().into_iter()
    }

    /// Evaluates over these variables.
    pub fn evaluate(&self, variables: &dyn Variables, env: &Env) -> Result<Evaluation, EvalError> {
        let mut meter = Meter::new(env);
        match eval::evaluate(&self.0.program, variables, &mut meter) {
            Ok(value) => Ok(Evaluation {
                value,
                warnings: meter.into_warnings(),
            }),
            Err(stop) => Err(*stop),
        }
    }
}

impl fmt::Debug for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Expr({})", self.text())
    }
}

/// The same text.
impl PartialEq for Expr {
    fn eq(&self, other: &Expr) -> bool {
        self.text() == other.text()
    }
}

impl Eq for Expr {}

/// What an expression came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// The value; null where something failed.
    pub value: Value,
    /// Why, in order; at most a few dozen are kept.
    pub warnings: Vec<Warning>,
}

/// A text is no expression, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} at line {line} column {column}")]
pub struct ParseError {
    /// What was expected and what was found.
    pub message: String,
    /// From 1.
    pub line: u32,
    /// From 1, in characters.
    pub column: u32,
}

/// Why an evaluation was given up. Everything else that fails is null with a warning.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvalError {
    /// A limit of [`crate::Limits`] was reached.
    #[error("the expression was given up after {0} steps")]
    Steps(u64),
    /// A limit of [`crate::Limits`] was reached.
    #[error("the expression was given up: it made values of more than {0} bytes")]
    Bytes(u64),
    /// A limit of [`crate::Limits`] was reached.
    #[error("the expression was given up: calls and expressions are nested more than {0} deep")]
    Depth(u32),
    /// Lists and contexts in each other, deeper than can be stored.
    #[error("the expression was given up: it made a value nested more than {0} deep")]
    ValueDepth(u32),
    /// `assert` was not true.
    #[error("{0}")]
    Assert(String),
    /// `?` was used outside of a unary test.
    #[error("no input value found")]
    NoInput,
}
