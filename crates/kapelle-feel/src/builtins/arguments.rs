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

    /// A text. Whatever is done with it takes time in proportion to its length, which is paid here.
    pub(super) fn text(&mut self, at: usize) -> Result<Text, Failure> {
        match self.value(at) {
            Value::String(text) => {
                let text = text.clone();
                self.meter.steps(text.len() as u64 / 32)?;
                Ok(text)
            }
            _ => Err(Failure::Illegal),
        }
    }

    pub(super) fn list(&self, at: usize) -> Result<List, Failure> {
        self.value(at).as_list().cloned().ok_or(Failure::Illegal)
    }

    pub(super) fn context(&self, at: usize) -> Result<Context, Failure> {
        self.value(at).as_context().cloned().ok_or(Failure::Illegal)
    }

    /// The only argument if it is a list, else all of them. The walk over them is paid here.
    pub(super) fn items(&mut self) -> Result<Vec<Value>, Failure> {
        let items = match self.arguments.as_slice() {
            [Value::List(list)] => list.as_slice().to_vec(),
            arguments => arguments.to_vec(),
        };
        self.meter.steps(items.len() as u64)?;
        Ok(items)
    }

    /// All as numbers.
    pub(super) fn numbers(&mut self) -> Result<Vec<Number>, Failure> {
        let number = |value: &Value| value.as_number().ok_or(Failure::Illegal);
        let numbers: Vec<Number> = match self.arguments.as_slice() {
            [Value::List(list)] => list.iter().map(number).collect::<Result<_, _>>()?,
            arguments => arguments.iter().map(number).collect::<Result<_, _>>()?,
        };
        self.meter.steps(numbers.len() as u64)?;
        Ok(numbers)
    }
}

/// A number, or null for one that does not exist.
pub(super) fn number(value: Option<Number>) -> Outcome {
    value.map(Value::Number).ok_or(Failure::Illegal)
}
