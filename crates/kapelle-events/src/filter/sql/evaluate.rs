//! A tree and a CloudEvent to a value.
//!
//! Where an operand went wrong, an operator answers the zero value of its own type with the operand's error. Where a
//! value has not the type that an operator needs it is cast; a cast that fails is an error too.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;

use super::parse::{Comparison, Kind, Node, Operator};
use crate::{CloudEvent, attribute};

/// A value of the language.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value<'e> {
    /// `Boolean`
    Boolean(bool),
    /// `Integer`, 32 bits signed
    Integer(i32),
    /// `String`; also what an attribute of any other type is read as
    String(Cow<'e, str>),
}

/// What an expression came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evaluation<'e> {
    /// There always is one.
    pub value: Value<'e>,
    /// The first thing that went wrong.
    pub error: Option<Fault>,
}

/// Something went wrong while evaluating.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The class.
    pub kind: FaultKind,
    /// For people.
    pub text: String,
}

/// Classes of errors, as the specification names them (CESQL 1.0 §4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// `MathError`
    Math,
    /// `CastError`
    Cast,
    /// `MissingAttributeError`
    MissingAttribute,
    /// `MissingFunctionError`
    MissingFunction,
    /// `FunctionEvaluationError`
    FunctionEvaluation,
}

impl Fault {
    pub(super) fn new(kind: FaultKind, text: String) -> Self {
        Self { kind, text }
    }

    fn cast(value: &Value<'_>, to: &str) -> Self {
        Self::new(FaultKind::Cast, format!("{value} is no {to}"))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// As it would be written.
impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boolean(value) => write!(f, "{value}"),
            Self::Integer(value) => write!(f, "{value}"),
            Self::String(value) => write!(f, "'{value}'"),
        }
    }
}

impl From<String> for Value<'_> {
    fn from(text: String) -> Self {
        Self::String(Cow::Owned(text))
    }
}

impl<'e> Value<'e> {
    fn to_owned(&self) -> Value<'static> {
        match self {
            Self::Boolean(value) => Value::Boolean(*value),
            Self::Integer(value) => Value::Integer(*value),
            Self::String(text) => Value::String(Cow::Owned(text.clone().into_owned())),
        }
    }

    /// The canonical text of the value.
    pub(super) fn into_text(self) -> Cow<'e, str> {
        match self {
            Self::Boolean(true) => Cow::Borrowed("true"),
            Self::Boolean(false) => Cow::Borrowed("false"),
            Self::Integer(number) => Cow::Owned(number.to_string()),
            Self::String(text) => text,
        }
    }

    pub(super) fn to_integer(&self) -> Result<i32, Fault> {
        match self {
            Self::Boolean(value) => Ok(i32::from(*value)),
            Self::Integer(number) => Ok(*number),
            Self::String(text) => text.parse().map_err(|_| Fault::cast(self, "integer")),
        }
    }

    /// Operators of logic take no integers, although `BOOL` does: the conformance suite has it so (`NOT 10`).
    fn to_boolean(&self) -> Result<bool, Fault> {
        match self {
            Self::Boolean(value) => Ok(*value),
            Self::String(text) if text.eq_ignore_ascii_case("true") => Ok(true),
            Self::String(text) if text.eq_ignore_ascii_case("false") => Ok(false),
            Self::Integer(_) | Self::String(_) => Err(Fault::cast(self, "boolean")),
        }
    }

    /// `INT(…)`
    pub(super) fn cast_integer_explicitly(self) -> (Self, Option<Fault>) {
        match self.to_integer() {
            Ok(number) => (Self::Integer(number), None),
            Err(fault) => (Self::Integer(0), Some(fault)),
        }
    }

    /// `BOOL(…)`
    pub(super) fn cast_boolean_explicitly(self) -> (Self, Option<Fault>) {
        match self {
            Self::Integer(number) => (Self::Boolean(number != 0), None),
            other => match other.to_boolean() {
                Ok(value) => (Self::Boolean(value), None),
                Err(fault) => (Self::Boolean(false), Some(fault)),
            },
        }
    }

    /// The same value in the type of `other`.
    fn cast_like(self, other: &Value<'_>) -> Result<Self, Fault> {
        Ok(match other {
            Value::Boolean(_) => Self::Boolean(self.cast_boolean_explicitly_or_fail()?),
            Value::Integer(_) => Self::Integer(self.to_integer()?),
            Value::String(_) => Self::String(self.into_text()),
        })
    }

    fn cast_boolean_explicitly_or_fail(self) -> Result<bool, Fault> {
        match self.cast_boolean_explicitly() {
            (_, Some(fault)) => Err(fault),
            (value, None) => Ok(value == Value::Boolean(true)),
        }
    }
}

impl<'e> Evaluation<'e> {
    fn of(value: Value<'e>) -> Self {
        Self { value, error: None }
    }

    fn failed(value: Value<'e>, error: Fault) -> Self {
        Self {
            value,
            error: Some(error),
        }
    }

    pub(super) fn to_owned(&self) -> Evaluation<'static> {
        Evaluation {
            value: self.value.to_owned(),
            error: self.error.clone(),
        }
    }

    fn boolean(answer: Result<bool, Fault>) -> Self {
        match answer {
            Ok(value) => Self::of(Value::Boolean(value)),
            Err(fault) => Self::failed(Value::Boolean(false), fault),
        }
    }

    fn integer(answer: Result<i32, Fault>) -> Self {
        match answer {
            Ok(value) => Self::of(Value::Integer(value)),
            Err(fault) => Self::failed(Value::Integer(0), fault),
        }
    }

    fn into_result(self) -> Result<Value<'e>, Fault> {
        self.error.map_or(Ok(self.value), Err)
    }
}

/// Sees every part that is evaluated.
pub(super) trait Watch {
    fn enter(&mut self);
    fn leave(&mut self, node: &Node, evaluation: &Evaluation<'_>);
}

/// Nobody looks.
impl Watch for () {
    fn enter(&mut self) {}
    fn leave(&mut self, _: &Node, _: &Evaluation<'_>) {}
}

/// The value of a part for a CloudEvent.
pub(super) fn evaluate<'e>(
    node: &'e Node,
    event: &'e CloudEvent,
    watch: &mut impl Watch,
) -> Evaluation<'e> {
    watch.enter();
    let evaluation = evaluate_kind(&node.kind, event, watch);
    watch.leave(node, &evaluation);
    evaluation
}

fn evaluate_kind<'e>(
    kind: &'e Kind,
    event: &'e CloudEvent,
    watch: &mut impl Watch,
) -> Evaluation<'e> {
    match kind {
        Kind::Boolean(value) => Evaluation::of(Value::Boolean(*value)),
        Kind::Integer(number) => Evaluation::of(Value::Integer(*number)),
        Kind::Text(text) => Evaluation::of(Value::String(Cow::Borrowed(text))),
        Kind::Attribute(name) => attribute(name, event),
        Kind::Exists(name) => Evaluation::of(Value::Boolean(find(name, event).is_some())),
        Kind::Not(inner) => not(inner, event, watch),
        Kind::Negative(inner) => Evaluation::integer(negative(inner, event, watch)),
        Kind::Math(operator, left, right) => {
            Evaluation::integer(math(*operator, left, right, event, watch))
        }
        Kind::Compare(comparison, left, right) => {
            Evaluation::boolean(compare(*comparison, left, right, event, watch))
        }
        Kind::And(terms) => Evaluation::boolean(chain(terms, false, event, watch)),
        Kind::Or(terms) => Evaluation::boolean(chain(terms, true, event, watch)),
        Kind::Xor(left, right) => Evaluation::boolean(xor(left, right, event, watch)),
        Kind::Like {
            value,
            pattern,
            negated,
        } => {
            let value = evaluate(value, event, watch).into_result();
            Evaluation::boolean(value.map(|value| pattern.matches(&value.into_text()) != *negated))
        }
        Kind::In {
            value,
            set,
            negated,
        } => Evaluation::boolean(is_in(value, set, event, watch).map(|found| found != *negated)),
        Kind::Call(function, arguments) => {
            let values: Result<Vec<_>, _> = arguments
                .iter()
                .map(|argument| evaluate(argument, event, watch).into_result())
                .collect();
            match values {
                Ok(values) => {
                    let (value, error) = function.call(values);
                    Evaluation { value, error }
                }
                Err(fault) => Evaluation::failed(function.zero(), fault),
            }
        }
        Kind::Unknown { name, arguments } => {
            let text = format!("there is no function {name} with {arguments} arguments");
            Evaluation::failed(
                Value::Boolean(false),
                Fault::new(FaultKind::MissingFunction, text),
            )
        }
    }
}

fn attribute<'e>(name: &str, event: &'e CloudEvent) -> Evaluation<'e> {
    match find(name, event) {
        Some(value) => Evaluation::of(value),
        None => {
            let fault = Fault::new(
                FaultKind::MissingAttribute,
                format!("the CloudEvent has no attribute \"{name}\""),
            );
            Evaluation::failed(Value::Boolean(false), fault)
        }
    }
}

fn find<'e>(name: &str, event: &'e CloudEvent) -> Option<Value<'e>> {
    let text = |text: &'e str| Some(Value::String(Cow::Borrowed(text)));
    if let Some(found) = event.attribute_text(name) {
        return text(found);
    }
    Some(match event.extension(name)? {
        attribute::Value::Boolean(value) => Value::Boolean(*value),
        attribute::Value::Integer(number) => Value::Integer(*number),
        other => Value::String(other.to_text()),
    })
}

/// A value of another type is an error, and counts as false.
fn not<'e>(inner: &'e Node, event: &'e CloudEvent, watch: &mut impl Watch) -> Evaluation<'e> {
    match evaluate(inner, event, watch)
        .into_result()
        .map(|value| value.to_boolean())
    {
        Ok(Ok(value)) => Evaluation::of(Value::Boolean(!value)),
        Ok(Err(cast)) => Evaluation::failed(Value::Boolean(true), cast),
        Err(fault) => Evaluation::failed(Value::Boolean(false), fault),
    }
}

fn negative(inner: &Node, event: &CloudEvent, watch: &mut impl Watch) -> Result<i32, Fault> {
    let number = evaluate(inner, event, watch).into_result()?.to_integer()?;
    number.checked_neg().ok_or_else(too_large)
}

fn math(
    operator: Operator,
    left: &Node,
    right: &Node,
    event: &CloudEvent,
    watch: &mut impl Watch,
) -> Result<i32, Fault> {
    let left = evaluate(left, event, watch).into_result()?.to_integer()?;
    let right = evaluate(right, event, watch).into_result()?.to_integer()?;
    if right == 0 && matches!(operator, Operator::Divide | Operator::Remainder) {
        return Err(Fault::new(
            FaultKind::Math,
            format!("{left} is divided by zero"),
        ));
    }
    match operator {
        Operator::Add => left.checked_add(right),
        Operator::Subtract => left.checked_sub(right),
        Operator::Multiply => left.checked_mul(right),
        Operator::Divide => left.checked_div(right),
        Operator::Remainder => left.checked_rem(right),
    }
    .ok_or_else(too_large)
}

fn too_large() -> Fault {
    Fault::new(
        FaultKind::Math,
        "the result has more than 32 bits".to_owned(),
    )
}

/// Equality casts the left side to the type of the right one, an order compares integers.
fn compare(
    comparison: Comparison,
    left: &Node,
    right: &Node,
    event: &CloudEvent,
    watch: &mut impl Watch,
) -> Result<bool, Fault> {
    let left = evaluate(left, event, watch).into_result()?;
    let right = evaluate(right, event, watch).into_result()?;
    let order =
        |wanted: fn(Ordering) -> bool| Ok(wanted(left.to_integer()?.cmp(&right.to_integer()?)));
    match comparison {
        Comparison::Equal => Ok(left.cast_like(&right)? == right),
        Comparison::NotEqual => Ok(left.cast_like(&right)? != right),
        Comparison::Less => order(Ordering::is_lt),
        Comparison::LessOrEqual => order(Ordering::is_le),
        Comparison::Greater => order(Ordering::is_gt),
        Comparison::GreaterOrEqual => order(Ordering::is_ge),
    }
}

/// Ends at the first term that decides it.
fn chain(
    terms: &[Node],
    decisive: bool,
    event: &CloudEvent,
    watch: &mut impl Watch,
) -> Result<bool, Fault> {
    for term in terms {
        if evaluate(term, event, watch).into_result()?.to_boolean()? == decisive {
            return Ok(decisive);
        }
    }
    Ok(!decisive)
}

fn xor(
    left: &Node,
    right: &Node,
    event: &CloudEvent,
    watch: &mut impl Watch,
) -> Result<bool, Fault> {
    let left = evaluate(left, event, watch).into_result()?.to_boolean()?;
    let right = evaluate(right, event, watch).into_result()?.to_boolean()?;
    Ok(left != right)
}

/// Members are cast to the type of the value that is looked for.
fn is_in(
    value: &Node,
    set: &[Node],
    event: &CloudEvent,
    watch: &mut impl Watch,
) -> Result<bool, Fault> {
    let value = evaluate(value, event, watch).into_result()?;
    for item in set {
        if evaluate(item, event, watch)
            .into_result()?
            .cast_like(&value)?
            == value
        {
            return Ok(true);
        }
    }
    Ok(false)
}
