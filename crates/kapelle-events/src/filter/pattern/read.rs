//! Patterns as they are written, in the rules of EventBridge.

use std::net::IpAddr;

use kapelle_feel::{Number, Text, Value};

use super::leaf::{Order, Piece, Test};
use super::{Field, Pattern, Tree};
use crate::document::{Read, refuse};

/// Objects in each other.
const DEPTH_MAX: usize = 64;

/// Alternatives that `$or` may come to when it is multiplied out.
const ALTERNATIVES_MAX: usize = 1_000;

/// Operators, which no alternative of an `$or` may have as a field (else `$or` is an ordinary field name).
const OPERATORS: [&str; 8] = [
    "prefix",
    "suffix",
    "equals-ignore-case",
    "wildcard",
    "anything-but",
    "numeric",
    "cidr",
    "exists",
];

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// The first place that is wrong.
    pub fn from_value(document: &Value) -> Read<Self> {
        let trees = alternatives(document, "", 0)?;
        match trees.iter().any(|tree| tree.0.is_empty()) {
            true => refuse("", "a pattern names one field at least"),
            false => Ok(Self(trees)),
        }
    }
}

/// What a pattern object comes to without `$or`: one tree, or several of which one has to match.
fn alternatives(document: &Value, at: &str, depth: usize) -> Read<Vec<Tree>> {
    let Some(context) = document.as_context() else {
        return refuse(
            at,
            format!("a pattern is an object, found {}", document.type_name()),
        );
    };
    if depth > DEPTH_MAX {
        return refuse(at, format!("objects are nested more than {DEPTH_MAX} deep"));
    }
    let mut trees = vec![Tree::default()];
    for (name, value) in context.entries() {
        let at = format!("{at}.{name}");
        let choices = match value {
            Value::List(list) if name == "$or" && is_or(list.as_slice()) => {
                let mut choices = Vec::new();
                for (place, item) in list.iter().enumerate() {
                    choices.extend(alternatives(item, &format!("{at}[{place}]"), depth + 1)?);
                }
                choices
            }
            Value::List(list) => {
                let field = Field::Leaf(vec![tests(list.as_slice(), &at)?]);
                vec![Tree(vec![(name.as_str().into(), field)])]
            }
            Value::Context(_) => {
                let inner = alternatives(value, &at, depth + 1)?;
                if inner.iter().any(|tree| tree.0.is_empty()) {
                    return refuse(&at, "an object of a pattern names one field at least");
                }
                inner
                    .into_iter()
                    .map(|tree| Tree(vec![(name.as_str().into(), Field::Inner(tree))]))
                    .collect()
            }
            other => {
                return refuse(
                    &at,
                    format!(
                        "accepted values stand in a list, found {} alone",
                        other.type_name()
                    ),
                );
            }
        };
        if trees.len() * choices.len() > ALTERNATIVES_MAX {
            return refuse(
                &at,
                format!("$or comes to more than {ALTERNATIVES_MAX} alternatives"),
            );
        }
        trees = trees
            .iter()
            .flat_map(|tree| choices.iter().map(|choice| tree.clone().merged(choice)))
            .collect();
    }
    Ok(trees)
}

/// Two objects or more, none of which looks like a condition.
fn is_or(items: &[Value]) -> bool {
    let is_choice = |item: &Value| {
        item.as_context().is_some_and(|context| {
            !context.is_empty()
                && !context
                    .entries()
                    .iter()
                    .any(|(name, _)| OPERATORS.contains(&name.as_str()))
        })
    };
    items.len() >= 2 && items.iter().all(is_choice)
}

impl Tree {
    /// Both have to match; fields below one object of the document stay together, so that they meet the same element of a
    /// list.
    fn merged(mut self, other: &Self) -> Self {
        for (name, field) in &other.0 {
            let known = self.0.iter_mut().find(|(known, mine)| {
                known == name
                    && matches!(
                        (mine, field),
                        (Field::Inner(_), Field::Inner(_)) | (Field::Leaf(_), Field::Leaf(_))
                    )
            });
            match (known.map(|(_, mine)| mine), field) {
                (Some(Field::Inner(mine)), Field::Inner(theirs)) => {
                    *mine = std::mem::take(mine).merged(theirs)
                }
                (Some(Field::Leaf(mine)), Field::Leaf(theirs)) => {
                    mine.extend(theirs.iter().cloned())
                }
                _ => self.0.push((name.clone(), field.clone())),
            }
        }
        self
    }
}

fn tests(items: &[Value], at: &str) -> Read<Vec<Test>> {
    if items.is_empty() {
        return refuse(at, "the list of accepted values is empty");
    }
    items
        .iter()
        .enumerate()
        .map(|(place, item)| test(item, &format!("{at}[{place}]")))
        .collect()
}

fn test(item: &Value, at: &str) -> Read<Test> {
    let Value::Context(context) = item else {
        return literal(item, at);
    };
    let [(operator, operand)] = context.entries() else {
        return refuse(
            at,
            format!(
                "a condition has one operator, this one has {}",
                context.len()
            ),
        );
    };
    condition(operator, operand, &format!("{at}.{operator}"))
}

fn literal(item: &Value, at: &str) -> Read<Test> {
    Ok(match item {
        Value::Null => Test::Null,
        Value::Bool(value) => Test::Bool(*value),
        Value::Number(number) => Test::Number(*number),
        Value::String(text) => Test::Text(text.as_str().into()),
        other => {
            return refuse(
                at,
                format!(
                    "an accepted value is a text, number, boolean or null, found {}",
                    other.type_name()
                ),
            );
        }
    })
}

fn condition(operator: &Text, operand: &Value, at: &str) -> Read<Test> {
    Ok(match operator.as_str() {
        "prefix" => affix(operand, at, Test::Prefix, Test::PrefixIgnoreCase)?,
        "suffix" => affix(operand, at, Test::Suffix, Test::SuffixIgnoreCase)?,
        "equals-ignore-case" => Test::EqualsIgnoreCase(lower(text(operand, at)?)),
        "wildcard" => Test::Wildcard(wildcard(text(operand, at)?, at)?),
        "anything-but" => Test::AnythingBut(anything_but(operand, at)?),
        "numeric" => Test::Numeric(numeric(operand, at)?),
        "cidr" => cidr(text(operand, at)?, at)?,
        "exists" => match operand {
            Value::Bool(true) => Test::Present,
            Value::Bool(false) => Test::Absent,
            other => {
                return refuse(
                    at,
                    format!("true or false is needed, found {}", other.type_name()),
                );
            }
        },
        _ => {
            let why = format!(
                "\"{operator}\" is no operator; there are {}",
                OPERATORS.join(", ")
            );
            return refuse(at, why);
        }
    })
}

fn text<'v>(operand: &'v Value, at: &str) -> Read<&'v str> {
    match operand.as_str() {
        Some(text) => Ok(text),
        None => refuse(
            at,
            format!("a text is needed, found {}", operand.type_name()),
        ),
    }
}

fn lower(text: &str) -> Box<str> {
    text.to_lowercase().into()
}

/// A text, or `{"equals-ignore-case": text}`.
fn affix(
    operand: &Value,
    at: &str,
    exact: fn(Box<str>) -> Test,
    any_case: fn(Box<str>) -> Test,
) -> Read<Test> {
    if let Some(context) = operand.as_context()
        && let [(name, inner)] = context.entries()
        && name == "equals-ignore-case"
    {
        return Ok(any_case(lower(text(inner, at)?)));
    }
    Ok(exact(text(operand, at)?.into()))
}

/// A literal or several of one type, or an operator on texts with one operand or several.
fn anything_but(operand: &Value, at: &str) -> Read<Vec<Test>> {
    let each = |value: &Value, read: &dyn Fn(&Value) -> Read<Test>| match value {
        Value::List(list) if list.is_empty() => refuse(at, "the list is empty"),
        Value::List(list) => list.iter().map(read).collect(),
        one => Ok(vec![read(one)?]),
    };
    let Some(context) = operand.as_context() else {
        let tests = each(operand, &|item| literal(item, at))?;
        let same = tests
            .windows(2)
            .all(|pair| std::mem::discriminant(&pair[0]) == std::mem::discriminant(&pair[1]));
        return if same {
            Ok(tests)
        } else {
            refuse(at, "texts and numbers are mixed")
        };
    };
    let [(name, inner)] = context.entries() else {
        return refuse(at, "one operator is needed");
    };
    match name.as_str() {
        "prefix" | "suffix" | "equals-ignore-case" | "wildcard" => {
            each(inner, &|item| condition(name, item, at))
        }
        _ => refuse(
            at,
            format!(
                "\"{name}\" cannot be negated; prefix, suffix, equals-ignore-case and wildcard can"
            ),
        ),
    }
}

/// `[">", 0, "<=", 5]`: one comparison, or a lower and an upper bound.
fn numeric(operand: &Value, at: &str) -> Read<Vec<(Order, Number)>> {
    let items = operand
        .as_list()
        .map(|list| list.as_slice())
        .unwrap_or_default();
    if !matches!(items.len(), 2 | 4) {
        return refuse(
            at,
            "a list such as [\">\", 0] or [\">\", 0, \"<=\", 5] is needed",
        );
    }
    let mut bounds = Vec::new();
    for pair in items.chunks(2) {
        match (pair[0].as_str().and_then(Order::read), pair[1].as_number()) {
            (Some(order), Some(number)) => bounds.push((order, number)),
            (None, _) => return refuse(at, "a comparison is one of <, <=, =, >=, >"),
            (_, None) => return refuse(at, "a comparison is followed by a number"),
        }
    }
    Ok(bounds)
}

fn wildcard(text: &str, at: &str) -> Read<Box<[Piece]>> {
    let mut pieces = Vec::new();
    let mut literal = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => match characters.next() {
                Some(escaped @ ('*' | '\\')) => literal.push(escaped),
                _ => return refuse(at, "a backslash stands before * or another backslash only"),
            },
            '*' => {
                if !literal.is_empty() {
                    pieces.push(Piece::Text(std::mem::take(&mut literal).into()));
                } else if pieces.last() == Some(&Piece::Any) {
                    return refuse(at, "two * in a row");
                }
                pieces.push(Piece::Any);
            }
            other => literal.push(other),
        }
    }
    if !literal.is_empty() {
        pieces.push(Piece::Text(literal.into()));
    }
    Ok(pieces.into())
}

fn cidr(text: &str, at: &str) -> Read<Test> {
    let read = || {
        let (network, bits) = text.split_once('/')?;
        let network: IpAddr = network.parse().ok()?;
        let bits: u8 = bits.parse().ok()?;
        let width = if network.is_ipv4() { 32 } else { 128 };
        (bits <= width).then_some(Test::Cidr { network, bits })
    };
    match read() {
        Some(test) => Ok(test),
        None => refuse(
            at,
            format!("\"{text}\" is no CIDR block such as 10.0.0.0/24"),
        ),
    }
}
