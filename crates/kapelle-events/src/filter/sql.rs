//! CloudEvents SQL (CESQL 1.0): expressions over the attributes of a CloudEvent.
//!
//! ```text
//! text ─► token ─► parse ─► Node ─► evaluate ─► value + first error
//! ```
//!
//! Expressions are total: each has a value, also where something went wrong; the first thing that did comes with it
//! ([`Evaluation::error`]). As a filter, an expression passes a CloudEvent only if it is true *and* nothing went wrong.
//!
//! **Invariant**: nothing panics or recurses without bound: a text has a length limit, its tree a depth limit.
//!
//! Deliberately absent: access to data (the language has none), and functions of the user's.

mod evaluate;
mod function;
mod like;
mod parse;
mod token;

use std::fmt;

pub use evaluate::{Evaluation, Fault, FaultKind, Value};
pub use parse::SyntaxError;

use super::anchor::Anchor;
use crate::{CloudEvent, attribute};
use parse::{Kind, Node};

/// A compiled expression.
#[derive(Clone)]
pub struct Sql {
    text: Box<str>,
    root: Node,
}

/// A part of an expression with what it came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// As it is written.
    pub text: String,
    /// How deep inside the whole; the whole is 0.
    pub depth: usize,
    /// Its value, and what went wrong in it.
    pub evaluation: Evaluation<'static>,
}

impl Sql {
    /// Compiles an expression.
    ///
    /// ```
    /// use kapelle_events::{CloudEvent, filter::Sql};
    /// let sql = Sql::parse("type LIKE 'order.%' AND subject IN ('7', '8')").unwrap();
    /// let event = CloudEvent::builder("1", "/shop", "order.placed").subject("7").build().unwrap();
    /// assert!(sql.matches(&event));
    /// ```
    ///
    /// # Errors
    /// Where the text stops being an expression, and what was expected there.
    pub fn parse(text: &str) -> Result<Self, SyntaxError> {
        Ok(Self {
            text: text.into(),
            root: parse::parse(text)?,
        })
    }

    /// What was compiled.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The value for a CloudEvent, and the first thing that went wrong.
    #[must_use]
    pub fn evaluate<'e>(&'e self, event: &'e CloudEvent) -> Evaluation<'e> {
        evaluate::evaluate(&self.root, event, &mut ())
    }

    /// Whether it is true without error.
    #[must_use]
    pub fn matches(&self, event: &CloudEvent) -> bool {
        let Evaluation { value, error } = self.evaluate(event);
        error.is_none() && value == Value::Boolean(true)
    }

    /// Every part that was looked at, inner ones first, with its value: why an expression came to what it did.
    #[must_use]
    pub fn explain(&self, event: &CloudEvent) -> Vec<Part> {
        let mut parts = Parts {
            text: &self.text,
            depth: 0,
            seen: Vec::new(),
        };
        evaluate::evaluate(&self.root, event, &mut parts);
        parts.seen
    }

    /// Functions that do not exist, as they are called: a filter with one never passes anything.
    #[must_use]
    pub fn unknown_functions(&self) -> Vec<&str> {
        let mut unknown = Vec::new();
        self.root.visit(&mut |node| {
            if let Kind::Unknown { name, .. } = &node.kind {
                unknown.push(&**name);
            }
        });
        unknown
    }

    /// What a CloudEvent must have for this to be true: one of these, if there are any.
    pub(super) fn anchors(&self) -> Option<Vec<Anchor>> {
        anchors(&self.root)
    }
}

/// A conjunction is anchored by any of its terms, a disjunction only by all of them.
fn anchors(node: &Node) -> Option<Vec<Anchor>> {
    match &node.kind {
        Kind::And(terms) => terms
            .iter()
            .filter_map(anchors)
            .min_by_key(|found| Anchor::cost(found)),
        Kind::Or(terms) => terms
            .iter()
            .map(anchors)
            .collect::<Option<Vec<_>>>()
            .map(|all| all.concat()),
        Kind::Compare(parse::Comparison::Equal, left, right) => match (&left.kind, &right.kind) {
            // Not the other way round: the left side is cast to the type of the right one.
            (Kind::Attribute(name), Kind::Text(value)) => Some(vec![Anchor::exact(name, value)]),
            _ => None,
        },
        Kind::In {
            value,
            set,
            negated: false,
        } => {
            let Kind::Attribute(name) = &value.kind else {
                return None;
            };
            // Members are cast to the attribute's type, and an extension need not be a text.
            if !attribute::is_reserved(name) {
                return None;
            }
            set.iter()
                .map(|item| match &item.kind {
                    Kind::Text(text) => Some(Anchor::exact(name, text)),
                    _ => None,
                })
                .collect()
        }
        Kind::Like {
            value,
            pattern,
            negated: false,
        } => {
            let Kind::Attribute(name) = &value.kind else {
                return None;
            };
            let prefix = pattern.literal_prefix();
            (!prefix.is_empty()).then(|| vec![Anchor::prefix(name, &prefix)])
        }
        _ => None,
    }
}

/// Collects what was evaluated.
struct Parts<'t> {
    text: &'t str,
    depth: usize,
    seen: Vec<Part>,
}

impl evaluate::Watch for Parts<'_> {
    fn enter(&mut self) {
        self.depth += 1;
    }

    fn leave(&mut self, node: &Node, evaluation: &Evaluation<'_>) {
        self.depth -= 1;
        self.seen.push(Part {
            text: self.text[node.span.clone()].to_owned(),
            depth: self.depth,
            evaluation: evaluation.to_owned(),
        });
    }
}

impl fmt::Debug for Sql {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sql({})", self.text)
    }
}

/// The same text.
impl PartialEq for Sql {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Sql {}
