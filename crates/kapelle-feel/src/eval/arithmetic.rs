//! `+ - * / **` and the sign, on numbers, texts and temporal values.

use super::{Machine, Outcome, Val};
use crate::number::Number;
use crate::program::{Arithmetic, NodeId, Run};
use crate::temporal::{Date, DateTime, DaysTimeDuration, Time, YearsMonthsDuration, Zone};
use crate::value::Value;
use crate::warning::WarningKind;

impl<'a> Machine<'a, '_, '_> {
    /// A chain from the left. Null, once there, stays null.
    pub(super) fn arithmetic(&mut self, first: NodeId, rest: Run) -> Outcome<'a> {
        let mut left = self.eval(first)?;
        for (operator, right) in rest.of(&self.program.terms) {
            let right = self.eval(*right)?;
            left = match (left.as_number(), right.as_number()) {
                (Some(a), Some(b)) => {
                    self.number_or_null(number(*operator, a, b), *operator, &left, &right)
                }
                _ => self.mixed(*operator, left, right)?,
            };
        }
        Ok(left)
    }

    fn number_or_null(
        &mut self,
        result: Option<Number>,
        operator: Arithmetic,
        left: &Val<'a>,
        right: &Val<'a>,
    ) -> Val<'a> {
        match result {
            Some(number) => Val::Value(Value::Number(number)),
            None => {
                self.cannot(operator, left, right);
                Val::NULL
            }
        }
    }

    fn mixed(&mut self, operator: Arithmetic, left: Val<'a>, right: Val<'a>) -> Outcome<'a> {
        if let (Arithmetic::Add, Some(a), Some(b)) = (operator, left.as_str(), right.as_str()) {
            self.meter.bytes((a.len() + b.len()) as u64)?;
            return Ok(Val::Value(Value::from([a, b].concat())));
        }
        let result = match (&left, &right) {
            (Val::Value(a), Val::Value(b)) => temporal(operator, a, b),
            _ => None,
        };
        if result.is_none() {
            self.cannot(operator, &left, &right);
        }
        Ok(Val::Value(result.unwrap_or(Value::Null)))
    }

    fn cannot(&mut self, operator: Arithmetic, left: &Val<'a>, right: &Val<'a>) {
        let (left, right) = (self.show(left), self.show(right));
        self.meter
            .warn(WarningKind::InvalidType, || match operator {
                Arithmetic::Add => format!("Can't add '{right}' to '{left}'"),
                Arithmetic::Subtract => format!("Can't subtract '{right}' from '{left}'"),
                Arithmetic::Multiply => format!("Can't multiply '{left}' by '{right}'"),
                Arithmetic::Divide => format!("Can't divide '{left}' by '{right}'"),
                Arithmetic::Power => format!(
                    "Can't apply '{}' to '{left}' and '{right}'",
                    operator.symbol()
                ),
            });
    }

    pub(super) fn negate(&mut self, operand: NodeId) -> Outcome<'a> {
        let value = self.eval(operand)?;
        let negated = match &value {
            Val::Value(Value::Number(number)) => Some(Value::Number(number.neg())),
            Val::Value(Value::DaysTimeDuration(span)) => {
                span.negated().map(Value::DaysTimeDuration)
            }
            Val::Value(Value::YearsMonthsDuration(span)) => {
                span.negated().map(Value::YearsMonthsDuration)
            }
            _ => None,
        };
        if negated.is_none() {
            let shown = self.show(&value);
            self.meter.warn(WarningKind::InvalidType, || {
                format!("Can't negate '{shown}'")
            });
        }
        Ok(Val::Value(negated.unwrap_or(Value::Null)))
    }
}

fn number(operator: Arithmetic, left: Number, right: Number) -> Option<Number> {
    match operator {
        Arithmetic::Add => left.add(right),
        Arithmetic::Subtract => left.sub(right),
        Arithmetic::Multiply => left.mul(right),
        Arithmetic::Divide => left.div(right),
        Arithmetic::Power => left.pow(right),
    }
}

fn temporal(operator: Arithmetic, left: &Value, right: &Value) -> Option<Value> {
    match operator {
        Arithmetic::Add => plus(left, right).or_else(|| plus(right, left)),
        Arithmetic::Subtract => minus(left, right),
        Arithmetic::Multiply => times(left, right).or_else(|| times(right, left)),
        Arithmetic::Divide => divided(left, right),
        Arithmetic::Power => None,
    }
}

/// The durations stand on the right; addition of the two the other way round is tried by the caller.
fn plus(left: &Value, right: &Value) -> Option<Value> {
    Some(match (left, right) {
        (Value::DaysTimeDuration(a), Value::DaysTimeDuration(b)) => {
            Value::DaysTimeDuration(a.plus(*b)?)
        }
        (Value::YearsMonthsDuration(a), Value::YearsMonthsDuration(b)) => {
            Value::YearsMonthsDuration(a.plus(*b)?)
        }
        (Value::Date(date), Value::DaysTimeDuration(span)) => Value::Date(date.plus(*span)?),
        (Value::Date(date), Value::YearsMonthsDuration(span)) => {
            Value::Date(date.plus_months(span.months())?)
        }
        (Value::Time(time), Value::DaysTimeDuration(span)) => {
            Value::Time(Box::new(time.plus(*span)))
        }
        (Value::DateTime(at), Value::DaysTimeDuration(span)) => {
            Value::DateTime(Box::new(at.plus(*span)?))
        }
        (Value::DateTime(at), Value::YearsMonthsDuration(span)) => {
            Value::DateTime(Box::new(at.plus_months(span.months())?))
        }
        _ => return None,
    })
}

fn minus(left: &Value, right: &Value) -> Option<Value> {
    Some(match (left, right) {
        (Value::Date(a), Value::Date(b)) => Value::DaysTimeDuration(
            DaysTimeDuration::from_seconds((a.epoch_days() - b.epoch_days()) * 86_400),
        ),
        (Value::Time(a), Value::Time(b)) => Value::DaysTimeDuration(between_times(a, b)?),
        (Value::DateTime(a), Value::DateTime(b)) => Value::DaysTimeDuration(between_moments(a, b)?),
        // A day beside a moment is its midnight in UTC.
        (Value::DateTime(a), Value::Date(b)) => {
            Value::DaysTimeDuration(between_moments(a, &midnight(*b)?)?)
        }
        (Value::Date(a), Value::DateTime(b)) => {
            Value::DaysTimeDuration(between_moments(&midnight(*a)?, b)?)
        }
        (_, Value::DaysTimeDuration(span)) => {
            return plus(left, &Value::DaysTimeDuration(span.negated()?));
        }
        (_, Value::YearsMonthsDuration(span)) => {
            return plus(left, &Value::YearsMonthsDuration(span.negated()?));
        }
        _ => return None,
    })
}

fn midnight(day: Date) -> Option<DateTime> {
    DateTime::new(day, Time::new(0, 0, 0, 0, Zone::UTC)?)
}

/// A time with a zone and one without have nothing between them.
fn between_times(later: &Time, earlier: &Time) -> Option<DaysTimeDuration> {
    let ((zoned, a), (other, b)) = (later.comparable(), earlier.comparable());
    if zoned == other {
        DaysTimeDuration::from_nanos(a - b)
    } else {
        None
    }
}

fn between_moments(later: &DateTime, earlier: &DateTime) -> Option<DaysTimeDuration> {
    let ((zoned, a), (other, b)) = (later.comparable(), earlier.comparable());
    if zoned == other {
        DaysTimeDuration::from_nanos(a - b)
    } else {
        None
    }
}

fn times(left: &Value, right: &Value) -> Option<Value> {
    let Value::Number(factor) = right else {
        return None;
    };
    scaled(left, |amount| amount.mul(*factor))
}

fn divided(left: &Value, right: &Value) -> Option<Value> {
    match (left, right) {
        (Value::DaysTimeDuration(a), Value::DaysTimeDuration(b)) => {
            a.to_number()?.div(b.to_number()?).map(Value::Number)
        }
        (Value::YearsMonthsDuration(a), Value::YearsMonthsDuration(b)) => Number::from(a.months())
            .div(Number::from(b.months()))
            .map(Value::Number),
        (_, Value::Number(divisor)) => scaled(left, |amount| amount.div(*divisor)),
        _ => None,
    }
}

/// A duration with its amount changed: seconds to the nanosecond, months cut to whole ones.
fn scaled(duration: &Value, change: impl FnOnce(Number) -> Option<Number>) -> Option<Value> {
    match duration {
        Value::DaysTimeDuration(span) => {
            DaysTimeDuration::from_number(change(span.to_number()?)?).map(Value::DaysTimeDuration)
        }
        Value::YearsMonthsDuration(span) => {
            let months = change(Number::from(span.months()))?.truncate_i64()?;
            YearsMonthsDuration::from_months(months).map(Value::YearsMonthsDuration)
        }
        _ => None,
    }
}
