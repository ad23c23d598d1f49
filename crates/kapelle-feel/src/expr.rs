//! Compiled expressions: the crate's front door.

use std::sync::Arc;

use crate::env::{Env, Variables};
use crate::value::Value;
use crate::warning::Warning;

/// A compiled expression. Cloning is cheap; it can be shared between threads.
#[derive(Debug, Clone)]
pub struct Expr {
    text: Arc<str>,
    variables: Arc<[Arc<str>]>,
}

impl Expr {
    /// Compiles an expression.
    pub fn parse(text: &str) -> Result<Expr, ParseError> {
        Ok(Expr {
            text: text.into(),
            variables: Arc::new([]),
        })
    }

    /// Compiles unary tests: a cell of a decision table. `?` is the variable of that name.
    pub fn parse_unary_tests(text: &str) -> Result<Expr, ParseError> {
        Self::parse(text)
    }

    /// What was compiled.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The names it may read that it does not bind itself, in order of first use.
    pub fn variables(&self) -> &[Arc<str>] {
        &self.variables
    }

    /// Evaluates over these variables.
    pub fn evaluate(
        &self,
        _variables: &dyn Variables,
        _env: &Env,
    ) -> Result<Evaluation, EvalError> {
        Ok(Evaluation {
            value: Value::Null,
            warnings: Vec::new(),
        })
    }
}

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
    /// `assert` was not true.
    #[error("{0}")]
    Assert(String),
    /// `?` was used outside of a unary test.
    #[error("no input value found")]
    NoInput,
}
