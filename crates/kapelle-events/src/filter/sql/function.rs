//! The built-in functions (CESQL 1.0 §3.5).

use std::borrow::Cow;

use super::evaluate::{Fault, FaultKind, Value};

/// A built-in function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    Length,
    Concat,
    ConcatWs,
    Lower,
    Upper,
    Trim,
    Left,
    Right,
    Substring,
    Abs,
    Int,
    Bool,
    String,
    IsBool,
    IsInt,
}

/// What a function makes of its arguments; like everything here it has a value also where it fails.
type Outcome<'v> = (Value<'v>, Option<Fault>);

impl Function {
    /// The function of that name (in upper case) that takes so many arguments.
    pub(super) fn find(name: &str, arguments: usize) -> Option<Self> {
        Some(match (name, arguments) {
            ("LENGTH", 1) => Self::Length,
            ("CONCAT", _) => Self::Concat,
            ("CONCAT_WS", 1..) => Self::ConcatWs,
            ("LOWER", 1) => Self::Lower,
            ("UPPER", 1) => Self::Upper,
            ("TRIM", 1) => Self::Trim,
            ("LEFT", 2) => Self::Left,
            ("RIGHT", 2) => Self::Right,
            ("SUBSTRING", 2 | 3) => Self::Substring,
            ("ABS", 1) => Self::Abs,
            ("INT", 1) => Self::Int,
            ("BOOL", 1) => Self::Bool,
            ("STRING", 1) => Self::String,
            ("IS_BOOL", 1) => Self::IsBool,
            ("IS_INT", 1) => Self::IsInt,
            _ => return None,
        })
    }

    /// What it answers where its arguments could not be had.
    pub(super) fn zero(self) -> Value<'static> {
        match self {
            Self::Length | Self::Abs | Self::Int => Value::Integer(0),
            Self::Bool | Self::IsBool | Self::IsInt => Value::Boolean(false),
            _ => Value::String(Cow::Borrowed("")),
        }
    }

    /// Calls it with as many arguments as [`find`](Self::find) was told.
    pub(super) fn call<'v>(self, arguments: Vec<Value<'v>>) -> Outcome<'v> {
        let mut arguments = arguments.into_iter();
        let mut next = || arguments.next().unwrap_or(Value::Boolean(false));
        match self {
            Self::Length => text(next(), |text| (Value::Integer(count(&text)), None)),
            Self::Lower => text(next(), |text| (text.to_lowercase().into(), None)),
            Self::Upper => text(next(), |text| (text.to_uppercase().into(), None)),
            Self::Trim => text(next(), |text| (text.trim().to_owned().into(), None)),
            Self::Left => sided(next(), next(), |text, skipped| {
                (0, text.saturating_sub(skipped))
            }),
            Self::Right => sided(next(), next(), |text, skipped| (skipped, text)),
            Self::Substring => {
                let (whole, begin) = (next(), next());
                substring(whole, begin, arguments.next())
            }
            Self::Abs => integer(next(), abs),
            Self::Int => next().cast_integer_explicitly(),
            Self::Bool => next().cast_boolean_explicitly(),
            Self::String => (Value::String(next().into_text()), None),
            Self::IsBool => (
                Value::Boolean(next().cast_boolean_explicitly().1.is_none()),
                None,
            ),
            Self::IsInt => (
                Value::Boolean(next().cast_integer_explicitly().1.is_none()),
                None,
            ),
            Self::Concat => (join("", arguments).into(), None),
            Self::ConcatWs => {
                let separator = next().into_text();
                (join(&separator, arguments).into(), None)
            }
        }
    }
}

fn text<'v>(value: Value<'v>, then: impl FnOnce(Cow<'v, str>) -> Outcome<'v>) -> Outcome<'v> {
    then(value.into_text())
}

fn integer<'v>(value: Value<'v>, then: impl FnOnce(i32) -> Outcome<'v>) -> Outcome<'v> {
    match value.to_integer() {
        Ok(number) => then(number),
        Err(fault) => (Value::Integer(0), Some(fault)),
    }
}

fn count(text: &str) -> i32 {
    i32::try_from(text.chars().count()).unwrap_or(i32::MAX)
}

fn join<'v>(separator: &str, values: impl Iterator<Item = Value<'v>>) -> String {
    let texts: Vec<_> = values.map(Value::into_text).collect();
    texts.join(separator)
}

fn abs<'v>(number: i32) -> Outcome<'v> {
    match number.checked_abs() {
        Some(number) => (Value::Integer(number), None),
        None => {
            let fault = Fault::new(
                FaultKind::Math,
                format!("the absolute value of {number} has more than 32 bits"),
            );
            (Value::Integer(i32::MAX), Some(fault))
        }
    }
}

/// So many characters from one side. `range` says which are kept of `length` characters when `skipped` are not.
fn sided<'v>(
    whole: Value<'v>,
    length: Value<'v>,
    range: fn(usize, usize) -> (usize, usize),
) -> Outcome<'v> {
    let whole = whole.into_text();
    let wanted = match length.to_integer() {
        Ok(wanted) => wanted,
        Err(fault) => return (Value::String(whole), Some(fault)),
    };
    let Ok(wanted) = usize::try_from(wanted) else {
        let fault = Fault::new(
            FaultKind::FunctionEvaluation,
            format!("a length of {wanted} is negative"),
        );
        return (Value::String(whole), Some(fault));
    };
    let characters = whole.chars().count();
    let (begin, end) = range(characters, characters.saturating_sub(wanted));
    (part(&whole, begin, end).to_owned().into(), None)
}

/// Positions count from 1, negative ones from the end; position 0 has nothing.
fn substring<'v>(whole: Value<'v>, begin: Value<'v>, length: Option<Value<'v>>) -> Outcome<'v> {
    let whole = whole.into_text();
    let failed = |fault| (Value::String(Cow::Borrowed("")), Some(fault));
    let begin = match begin.to_integer() {
        Ok(begin) => begin,
        Err(fault) => return failed(fault),
    };
    let length = match length.map(|length| length.to_integer()).transpose() {
        Ok(length) => length,
        Err(fault) => return failed(fault),
    };
    let characters = count(&whole);
    if begin.unsigned_abs() > characters.unsigned_abs() {
        let text = format!("position {begin} is outside of a text with {characters} characters");
        return failed(Fault::new(FaultKind::FunctionEvaluation, text));
    }
    if length.is_some_and(|length| length < 0) {
        return failed(Fault::new(
            FaultKind::FunctionEvaluation,
            "the length is negative".to_owned(),
        ));
    }
    let first = match begin {
        0 => return (Value::String(Cow::Borrowed("")), None),
        1.. => begin - 1,
        _ => characters + begin,
    };
    let end = length.map_or(characters, |length| {
        first.saturating_add(length).min(characters)
    });
    let place = |position: i32| usize::try_from(position).unwrap_or(0);
    (
        part(&whole, place(first), place(end)).to_owned().into(),
        None,
    )
}

/// The characters from `begin` up to `end`.
fn part(text: &str, begin: usize, end: usize) -> &str {
    let byte = |character| {
        text.char_indices()
            .nth(character)
            .map_or(text.len(), |(byte, _)| byte)
    };
    &text[byte(begin)..byte(end).max(byte(begin))]
}
