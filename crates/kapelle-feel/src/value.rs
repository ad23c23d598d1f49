//! FEEL values.
//!
//! **Invariant:** a clone never copies content: lists and contexts are shared, texts are shared or short. A list or
//! context knows its depth and size, so a limit on either costs nothing to check and no walk over a value overflows.
//!
//! Deliberately absent: mutation. What changes a value builds a new one.

mod context;
mod list;
mod text;

use std::fmt;

pub use context::Context;
pub use list::List;
pub(crate) use list::{Shape, position};
pub use smol_str::SmolStr as Text;

use crate::function::Function;
use crate::number::Number;
use crate::range::Range;
use crate::temporal::{Date, DateTime, DaysTimeDuration, Time, YearsMonthsDuration};

/// A value of an expression.
///
/// ```
/// use kapelle_feel::Value;
/// let order = Value::from_iter([("id", Value::from("A-1")), ("total", Value::from(99))]);
/// assert_eq!(order.to_string(), r#"{id:"A-1", total:99}"#);
/// ```
#[derive(Clone)]
pub enum Value {
    /// Nothing; also the answer of what failed.
    Null,
    /// True or false.
    Bool(bool),
    /// A decimal number.
    Number(Number),
    /// A text.
    String(Text),
    /// Values in order.
    List(List),
    /// Named values in order.
    Context(Context),
    /// A day.
    Date(Date),
    /// A time of day.
    Time(Box<Time>),
    /// A day and a time of day.
    DateTime(Box<DateTime>),
    /// An exact span of time.
    DaysTimeDuration(DaysTimeDuration),
    /// A number of months.
    YearsMonthsDuration(YearsMonthsDuration),
    /// Everything between two bounds.
    Range(Box<Range>),
    /// Something that can be called.
    Function(Function),
}

impl Value {
    /// The type's name as `instance of` and messages have it.
    pub fn type_name(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(_) => "number",
            Value::String(_) => "string",
            Value::List(_) => "list",
            Value::Context(_) => "context",
            Value::Date(_) => "date",
            Value::Time(_) => "time",
            Value::DateTime(_) => "date and time",
            Value::DaysTimeDuration(_) => "days and time duration",
            Value::YearsMonthsDuration(_) => "years and months duration",
            Value::Range(_) => "range",
            Value::Function(_) => "function",
        }
    }

    /// Is it null?
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    /// The truth value, if it is one.
    pub fn as_bool(&self) -> Option<bool> {
        if let Value::Bool(value) = self {
            Some(*value)
        } else {
            None
        }
    }

    /// The number, if it is one.
    pub fn as_number(&self) -> Option<Number> {
        if let Value::Number(value) = self {
            Some(*value)
        } else {
            None
        }
    }

    /// The text, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        if let Value::String(value) = self {
            Some(value)
        } else {
            None
        }
    }

    /// The list, if it is one.
    pub fn as_list(&self) -> Option<&List> {
        if let Value::List(value) = self {
            Some(value)
        } else {
            None
        }
    }

    /// The context, if it is one.
    pub fn as_context(&self) -> Option<&Context> {
        if let Value::Context(value) = self {
            Some(value)
        } else {
            None
        }
    }

    /// Is it of a type with an order? Such values are scalars, so a range of them is never deep.
    pub(crate) fn has_order(&self) -> bool {
        matches!(
            self,
            Value::Number(_)
                | Value::String(_)
                | Value::Date(_)
                | Value::Time(_)
                | Value::DateTime(_)
                | Value::DaysTimeDuration(_)
                | Value::YearsMonthsDuration(_)
        )
    }

    /// How deep and how large it is.
    pub(crate) fn shape(&self) -> Shape {
        match self {
            Value::String(text) => Shape::leaf(text.len()),
            Value::List(list) => list.shape(),
            Value::Context(context) => context.shape(),
            Value::Function(function) => function.shape(),
            _ => Shape::leaf(0),
        }
    }
}

/// The same content, contexts in whatever order. Functions are equal if they are one.
impl PartialEq for Value {
    fn eq(&self, other: &Value) -> bool {
        match (self, other) {
            (Value::Null, Value::Null) => true,
            (Value::Bool(a), Value::Bool(b)) => a == b,
            (Value::Number(a), Value::Number(b)) => a == b,
            (Value::String(a), Value::String(b)) => a == b,
            (Value::List(a), Value::List(b)) => a.as_slice() == b.as_slice(),
            (Value::Context(a), Value::Context(b)) => a == b,
            (Value::Date(a), Value::Date(b)) => a == b,
            (Value::Time(a), Value::Time(b)) => a == b,
            (Value::DateTime(a), Value::DateTime(b)) => a == b,
            (Value::DaysTimeDuration(a), Value::DaysTimeDuration(b)) => a == b,
            (Value::YearsMonthsDuration(a), Value::YearsMonthsDuration(b)) => a == b,
            (Value::Range(a), Value::Range(b)) => a == b,
            (Value::Function(a), Value::Function(b)) => a == b,
            _ => false,
        }
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Value {
        Value::Bool(value)
    }
}

impl From<Number> for Value {
    fn from(value: Number) -> Value {
        Value::Number(value)
    }
}

impl From<i32> for Value {
    fn from(value: i32) -> Value {
        Value::Number(value.into())
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Value {
        Value::Number(value.into())
    }
}

impl From<u64> for Value {
    fn from(value: u64) -> Value {
        Value::Number(value.into())
    }
}

impl From<usize> for Value {
    fn from(value: usize) -> Value {
        Value::Number(value.into())
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Value {
        Value::String(value.into())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Value {
        Value::String(value.into())
    }
}

impl From<Text> for Value {
    fn from(value: Text) -> Value {
        Value::String(value)
    }
}

impl From<Vec<Value>> for Value {
    fn from(value: Vec<Value>) -> Value {
        Value::List(value.into())
    }
}

impl From<List> for Value {
    fn from(value: List) -> Value {
        Value::List(value)
    }
}

impl From<Context> for Value {
    fn from(value: Context) -> Value {
        Value::Context(value)
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Value {
        value.map_or(Value::Null, Into::into)
    }
}

/// A list.
impl FromIterator<Value> for Value {
    fn from_iter<I: IntoIterator<Item = Value>>(items: I) -> Value {
        Value::List(items.into_iter().collect::<Vec<_>>().into())
    }
}

/// A context; of a name that comes twice the last value counts.
impl<N: Into<Text>> FromIterator<(N, Value)> for Value {
    fn from_iter<I: IntoIterator<Item = (N, Value)>>(entries: I) -> Value {
        Value::Context(
            entries
                .into_iter()
                .map(|(name, value)| (name.into(), value))
                .collect(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_half_a_cache_line() {
        assert_eq!(size_of::<Value>(), 32);
    }
}
