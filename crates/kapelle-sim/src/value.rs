//! Variables, mappings and conditions as random processes use them, and what they come to: nothing of FEEL's code.
//!
//! Deliberately absent: everything of FEEL that no random process says.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use kapelle_feel::msgpack;

/// The value of a variable. Nothing in the simulator makes fractions, lists or truth values.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Value {
    #[default]
    Null,
    Number(i64),
    Text(Arc<str>),
    Map(BTreeMap<Arc<str>, Value>),
}

/// Variables of a scope, a message's, a worker's result.
pub(crate) type Values = BTreeMap<Arc<str>, Value>;

impl Value {
    /// As it lies in state.
    ///
    /// # Panics
    /// On what the simulator never makes.
    pub(crate) fn read(stored: &[u8]) -> Self {
        match msgpack::kind(stored) {
            Some(msgpack::Kind::Nil) => Self::Null,
            Some(msgpack::Kind::Map) => Self::Map(read_values(stored)),
            _ => match (msgpack::as_str(stored), msgpack::as_i64(stored)) {
                (Some(text), _) => Self::Text(text.into()),
                (None, Some(number)) => Self::Number(number),
                (None, None) => panic!("no process makes a value like {}", stored.escape_ascii()),
            },
        }
    }

    /// As `string(…)` writes it; none of nothing.
    pub(crate) fn as_text(&self) -> Option<Arc<str>> {
        match self {
            Self::Number(number) => Some(number.to_string().into()),
            Self::Text(text) => Some(text.clone()),
            Self::Null | Self::Map(_) => None,
        }
    }
}

/// The entries of a stored map.
pub(crate) fn read_values(stored: &[u8]) -> Values {
    msgpack::entries(stored)
        .map(|(name, value)| (name.into(), Value::read(value)))
        .collect()
}

/// `n > 3`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Condition {
    pub(crate) variable: &'static str,
    pub(crate) operator: Operator,
    pub(crate) than: i64,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Operator {
    Above,
    Below,
    Equal,
}

impl Condition {
    /// None where the two cannot be compared.
    pub(crate) fn holds(self, value: &Value) -> Option<bool> {
        match (value, self.operator) {
            (Value::Number(number), Operator::Above) => Some(*number > self.than),
            (Value::Number(number), Operator::Below) => Some(*number < self.than),
            (Value::Number(number), Operator::Equal) => Some(*number == self.than),
            // Nothing is equal to nothing else.
            (Value::Null, Operator::Equal) => Some(false),
            _ => None,
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let operator = match self.operator {
            Operator::Above => ">",
            Operator::Below => "<",
            Operator::Equal => "=",
        };
        write!(f, "{} {operator} {}", self.variable, self.than)
    }
}

/// One input or output.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mapping {
    /// A path.
    pub(crate) target: &'static [&'static str],
    pub(crate) source: Source,
}

impl Mapping {
    pub(crate) fn path(&self) -> String {
        self.target.join(".")
    }
}

/// Where a mapping takes its value from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Source {
    Variable(&'static str),
    /// The variable, which must not be that.
    Unless(&'static str, i64),
}

impl Source {
    pub(crate) const fn variable(self) -> &'static str {
        match self {
            Self::Variable(name) | Self::Unless(name, _) => name,
        }
    }

    /// None where it fails.
    pub(crate) fn of(self, value: Value) -> Option<Value> {
        match self {
            Self::Unless(_, wrong) if value == Value::Number(wrong) => None,
            _ => Some(value),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variable(name) => f.write_str(name),
            Self::Unless(name, wrong) => write!(f, "assert({name}, {name} != {wrong})"),
        }
    }
}

/// `root` with `leaf` at that path; what is in the way and no map is replaced by one.
pub(crate) fn with_leaf(root: Value, path: &[&'static str], leaf: Value) -> Value {
    let Some((name, rest)) = path.split_first() else {
        return leaf;
    };
    let mut entries = match root {
        Value::Map(entries) => entries,
        _ => BTreeMap::new(),
    };
    let inner = entries.remove(*name).unwrap_or_default();
    entries.insert((*name).into(), with_leaf(inner, rest, leaf));
    Value::Map(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leaf_keeps_what_is_beside_it_and_replaces_what_is_no_map() {
        let one = |name: &str, value| Value::Map(BTreeMap::from([(name.into(), value)]));
        let root = with_leaf(Value::Number(1), &["a", "b"], Value::Number(2));
        assert_eq!(root, one("a", one("b", Value::Number(2))));
        let both = with_leaf(root, &["a", "c"], Value::Null);
        let Value::Map(entries) = both else {
            panic!("a map stays one")
        };
        assert_eq!(entries.len(), 1);
        assert!(matches!(&entries["a"], Value::Map(inner) if inner.len() == 2));
    }
}
