//! How functions get at their arguments: each getter answers a value of the type asked for, or that the arguments are
//! illegal.

use super::{Call, Failure, Outcome};
use crate::number::{Number, Rounding};
use crate::value::{Context, List, Text, Value};

impl Call<'_, '_> {
    pub(super) fn value(&self, at: usize) -> &Value {
        self.arguments.get(at).unwrap_or(&Value::Null)
    }

    pub(super) fn number(&self, at: usize) -> Result<Number, Failure> {
        self.value(at).as_number().ok_or(Failure::Illegal)
    }

    /// A whole number; a fraction is cut off, as feel-scala does.
    pub(super) fn integer(&self, at: usize) -> Result<i64, Failure> {
        self.number(at)?
            .round(0, Rounding::Down)
            .and_then(Number::to_i64)
            .ok_or(Failure::Illegal)
    }

    pub(super) fn text(&self, at: usize) -> Result<Text, Failure> {
        match self.value(at) {
            Value::String(text) => Ok(text.clone()),
            _ => Err(Failure::Illegal),
        }
    }

    pub(super) fn list(&self, at: usize) -> Result<List, Failure> {
        self.value(at).as_list().cloned().ok_or(Failure::Illegal)
    }

    pub(super) fn context(&self, at: usize) -> Result<Context, Failure> {
        self.value(at).as_context().cloned().ok_or(Failure::Illegal)
    }

    /// The only argument if it is a list, else all of them.
    pub(super) fn items(&self) -> Vec<Value> {
        match self.arguments.as_slice() {
            [Value::List(list)] => list.as_slice().to_vec(),
            arguments => arguments.to_vec(),
        }
    }

    /// All as numbers.
    pub(super) fn numbers(&self) -> Result<Vec<Number>, Failure> {
        let number = |value: &Value| value.as_number().ok_or(Failure::Illegal);
        match self.arguments.as_slice() {
            [Value::List(list)] => list.iter().map(number).collect(),
            arguments => arguments.iter().map(number).collect(),
        }
    }

    /// Pays for work over so many bytes of text.
    pub(super) fn scan(&mut self, bytes: usize) -> Result<(), Failure> {
        Ok(self.meter.steps(bytes as u64 / 32)?)
    }
}

/// A number, or null for one that does not exist.
pub(super) fn number(value: Option<Number>) -> Outcome {
    value.map(Value::Number).ok_or(Failure::Illegal)
}
