//! Equality and order.
//!
//! Equal is what has the same type and content; null equals null only. What cannot be compared gives null and a warning.

use std::cmp::Ordering;

use super::{Machine, Meter, Outcome, Stop, Val};
use crate::program::{Comparison, NodeId, Type};
use crate::range::Bound;
use crate::value::Value;
use crate::warning::WarningKind;

/// How two values relate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// Of a type with an order.
    Is(Ordering),
    /// The same, but of a type without an order.
    Equal,
    /// Not the same: of a type without an order, or only one is null.
    Different,
    /// Of types that have nothing in common.
    Incomparable,
}

impl<'a> Machine<'a, '_, '_> {
    pub(super) fn compare(
        &mut self,
        operator: Comparison,
        left: NodeId,
        right: NodeId,
    ) -> Outcome<'a> {
        let left = self.eval(left)?;
        let right = self.eval(right)?;
        // Numbers and texts, which is nearly everything, are compared where they are.
        let order = match (left.as_number(), right.as_number()) {
            (Some(a), Some(b)) => Order::Is(a.cmp(&b)),
            _ => match (left.as_str(), right.as_str()) {
                (Some(a), Some(b)) => {
                    self.meter.steps(text_steps(a, b))?;
                    Order::Is(a.cmp(b))
                }
                _ => return self.compare_values(operator, left, right),
            },
        };
        Ok(answer(operator, order).map_or(Val::NULL, Val::bool))
    }

    fn compare_values(
        &mut self,
        operator: Comparison,
        left: Val<'a>,
        right: Val<'a>,
    ) -> Outcome<'a> {
        let left = left.into_value(self.meter)?;
        let right = right.into_value(self.meter)?;
        Ok(self
            .relate(operator, &left, &right)?
            .map_or(Val::NULL, Val::bool))
    }

    /// The answer of a comparison; none is null, with a warning.
    pub(super) fn relate(
        &mut self,
        operator: Comparison,
        left: &Value,
        right: &Value,
    ) -> Result<Option<bool>, Stop> {
        let order = order(left, right, self.meter)?;
        let result = answer(operator, order);
        if result.is_none() {
            self.not_comparable(left, right);
        }
        Ok(result)
    }

    pub(super) fn not_comparable(&mut self, left: &Value, right: &Value) {
        let shown = |value: &Value| super::val::show(&Val::Value(value.clone()));
        self.meter.warn(WarningKind::NotComparable, || {
            format!("Can't compare '{}' with '{}'", shown(left), shown(right))
        });
    }

    pub(super) fn between(&mut self, value: NodeId, low: NodeId, high: NodeId) -> Outcome<'a> {
        let value = self.whole(value)?;
        let low = self.whole(low)?;
        let high = self.whole(high)?;
        let above = self.relate(Comparison::GreaterOrEqual, &value, &low)?;
        let below = self.relate(Comparison::LessOrEqual, &value, &high)?;
        Ok(both(above, below).map_or(Val::NULL, Val::bool))
    }

    /// Evaluates to an owned value.
    pub(super) fn whole(&mut self, id: NodeId) -> Result<Value, Stop> {
        self.eval(id)?.into_value(self.meter)
    }

    pub(super) fn instance_of(&mut self, value: NodeId, of: u32) -> Outcome<'a> {
        let value = self.whole(value)?;
        let program = self.program;
        let of = program.types.get(of as usize);
        Ok(Val::bool(of.is_some_and(|of| is_of(&value, of))))
    }
}

/// Three-valued `and`.
pub(super) fn both(left: Option<bool>, right: Option<bool>) -> Option<bool> {
    match (left, right) {
        (Some(false), _) | (_, Some(false)) => Some(false),
        (Some(true), Some(true)) => Some(true),
        _ => None,
    }
}

fn answer(operator: Comparison, order: Order) -> Option<bool> {
    match order {
        Order::Is(ordering) => Some(match operator {
            Comparison::Equal => ordering.is_eq(),
            Comparison::NotEqual => ordering.is_ne(),
            Comparison::Less => ordering.is_lt(),
            Comparison::LessOrEqual => ordering.is_le(),
            Comparison::Greater => ordering.is_gt(),
            Comparison::GreaterOrEqual => ordering.is_ge(),
        }),
        Order::Equal | Order::Different => match operator {
            Comparison::Equal => Some(order == Order::Equal),
            Comparison::NotEqual => Some(order == Order::Different),
            _ => None,
        },
        Order::Incomparable => None,
    }
}

/// What comparing texts costs beyond the step of the comparison: nothing but for long ones.
fn text_steps(left: &str, right: &str) -> u64 {
    left.len().min(right.len()) as u64 / 256
}

/// How two values relate.
pub(crate) fn order(left: &Value, right: &Value, meter: &mut Meter<'_>) -> Result<Order, Stop> {
    let zoned = |(zoned, a): (bool, i128), (other, b): (bool, i128)| {
        if zoned == other {
            Order::Is(a.cmp(&b))
        } else {
            Order::Incomparable
        }
    };
    let alike = |equal: bool| {
        if equal {
            Order::Equal
        } else {
            Order::Different
        }
    };
    Ok(match (left, right) {
        (Value::Number(a), Value::Number(b)) => Order::Is(a.cmp(b)),
        (Value::String(a), Value::String(b)) => {
            meter.steps(text_steps(a, b))?;
            Order::Is(a.cmp(b))
        }
        (Value::Date(a), Value::Date(b)) => Order::Is(a.cmp(b)),
        (Value::Time(a), Value::Time(b)) => zoned(a.comparable(), b.comparable()),
        (Value::DateTime(a), Value::DateTime(b)) => zoned(a.comparable(), b.comparable()),
        (Value::DaysTimeDuration(a), Value::DaysTimeDuration(b)) => Order::Is(a.cmp(b)),
        (Value::YearsMonthsDuration(a), Value::YearsMonthsDuration(b)) => Order::Is(a.cmp(b)),
        (Value::Null, Value::Null) => Order::Equal,
        (Value::Null, _) | (_, Value::Null) => Order::Different,
        (Value::Bool(a), Value::Bool(b)) => alike(a == b),
        (Value::List(_), Value::List(_)) | (Value::Context(_), Value::Context(_)) => {
            alike(same(left, right, meter)?)
        }
        (Value::Range(a), Value::Range(b)) => alike(a == b),
        (Value::Function(a), Value::Function(b)) => alike(a == b),
        _ => Order::Incomparable,
    })
}

/// Have they the same content? What cannot be compared is not the same. Recursion is bounded by the depth of values.
pub(crate) fn same(left: &Value, right: &Value, meter: &mut Meter<'_>) -> Result<bool, Stop> {
    meter.step()?;
    match (left, right) {
        (Value::List(a), Value::List(b)) => {
            if a.len() != b.len() {
                return Ok(false);
            }
            for (a, b) in a.iter().zip(b) {
                if !same(a, b, meter)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        (Value::Context(a), Value::Context(b)) => {
            if a.len() != b.len() {
                return Ok(false);
            }
            for (name, value) in a.iter() {
                match b.get(name) {
                    Some(other) if same(value, other, meter)? => {}
                    _ => return Ok(false),
                }
            }
            Ok(true)
        }
        _ => Ok(matches!(
            order(left, right, meter)?,
            Order::Equal | Order::Is(Ordering::Equal)
        )),
    }
}

fn is_of(value: &Value, of: &Type) -> bool {
    match of {
        Type::Any => !value.is_null(),
        Type::Named(name) => value.type_name() == *name,
        Type::List(of) => value
            .as_list()
            .is_some_and(|list| list.iter().all(|item| is_of(item, of))),
        Type::Range(of) => match value {
            Value::Range(range) => [&range.start, &range.end]
                .into_iter()
                .filter_map(Bound::value)
                .all(|v| is_of(v, of)),
            _ => false,
        },
        Type::Context(entries) => value.as_context().is_some_and(|context| {
            entries
                .iter()
                .all(|(name, of)| context.get(name).is_some_and(|value| is_of(value, of)))
        }),
        Type::Function(parameters) => {
            matches!(value, Value::Function(function) if function.parameters().len() == *parameters)
        }
    }
}
