//! Values as FEEL text, as `string()` and messages show them: `{a:1, b:["x"]}`.

use std::fmt;

use super::Value;

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Null => f.write_str("null"),
            Value::Bool(value) => write!(f, "{value}"),
            // `1E+4` is how a quotient of round numbers may be held, not what a person expects to read.
            Value::Number(value) if (1..=40).contains(&value.exponent()) => {
                f.write_str(&value.to_plain_string())
            }
            Value::Number(value) => write!(f, "{value}"),
            Value::String(value) => write!(f, "\"{value}\""),
            Value::List(list) => {
                f.write_str("[")?;
                for (at, item) in list.iter().enumerate() {
                    write!(f, "{}{item}", if at > 0 { ", " } else { "" })?;
                }
                f.write_str("]")
            }
            Value::Context(context) => {
                f.write_str("{")?;
                for (at, (name, value)) in context.iter().enumerate() {
                    write!(f, "{}{name}:{value}", if at > 0 { ", " } else { "" })?;
                }
                f.write_str("}")
            }
            Value::Date(value) => write!(f, "{value}"),
            Value::Time(value) => write!(f, "{value}"),
            Value::DateTime(value) => write!(f, "{value}"),
            Value::DaysTimeDuration(value) => write!(f, "{value}"),
            Value::YearsMonthsDuration(value) => write!(f, "{value}"),
            Value::Range(value) => write!(f, "{value}"),
            Value::Function(value) => write!(f, "{value}"),
        }
    }
}
