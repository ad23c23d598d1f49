//! Which CloudEvents does somebody want? The filter languages, and an index over many filters.
//!
//! | language | JSON | sees |
//! |---|---|---|
//! | CloudEvents dialects | `{"exact": {"type": "order.placed"}}`, `prefix`, `suffix`, `all`, `any`, `not` | attributes |
//! | CESQL | `{"sql": "type LIKE 'order.%'"}` | attributes |
//! | EventBridge pattern | `{"pattern": {"data": {"total": [{"numeric": [">", 100]}]}}}` | attributes and data |
//! | FEEL | `{"feel": "data.total > 100"}` | attributes and data |
//!
//! A list of filters is passed if all of them are, as in the CloudEvents Subscriptions API; an empty one by everything.
//!
//! **Invariant**: the same filter, CloudEvent and [`Env`] give the same answer everywhere. What cannot be told (an attribute
//! that is missing, an expression that fails or is not true) is not passed, and [`Filter::explain`] says so.

mod anchor;
mod explain;
mod index;
pub mod pattern;
mod read;
pub mod sql;

use std::borrow::Cow;
use std::cell::OnceCell;

use kapelle_feel::{Expr, Value, msgpack};

/// The surroundings of expressions in filters and transforms.
pub use kapelle_feel::Env;

pub use explain::Verdict;
pub use index::Index;
pub use pattern::Pattern;
pub use sql::Sql;

use crate::CloudEvent;
use crate::context::Context;
use anchor::Anchor;

/// A condition on CloudEvents, compiled.
#[derive(Debug, Clone, PartialEq)]
pub enum Filter {
    /// Each of these attributes has this text.
    Exact(Vec<(Box<str>, Box<str>)>),
    /// Each of these attributes begins with this text.
    Prefix(Vec<(Box<str>, Box<str>)>),
    /// Each of these attributes ends with this text.
    Suffix(Vec<(Box<str>, Box<str>)>),
    /// All of these are passed.
    All(Vec<Filter>),
    /// One of these is passed.
    Any(Vec<Filter>),
    /// This is not passed.
    Not(Box<Filter>),
    /// A CESQL expression is true.
    Sql(Sql),
    /// An EventBridge pattern matches the CloudEvent in its JSON format.
    Pattern(Pattern),
    /// A FEEL expression over the CloudEvent is true.
    Feel(Expr),
}

/// A CloudEvent as filters look at it. What is expensive is made once, when the first filter asks for it.
#[derive(Debug)]
pub struct Subject<'e> {
    event: &'e CloudEvent,
    context: OnceCell<Context<'e>>,
    document: OnceCell<Value>,
}

impl<'e> Subject<'e> {
    /// Looks at a CloudEvent.
    #[must_use]
    pub fn new(event: &'e CloudEvent) -> Self {
        Self {
            event,
            context: OnceCell::new(),
            document: OnceCell::new(),
        }
    }

    /// What is looked at.
    #[must_use]
    pub fn event(&self) -> &'e CloudEvent {
        self.event
    }

    /// The text of an attribute or extension.
    pub(crate) fn text(&self, name: &str) -> Option<Cow<'e, str>> {
        match self.event.attribute_text(name) {
            Some(text) => Some(Cow::Borrowed(text)),
            None => self.event.extension(name).map(crate::Value::to_text),
        }
    }

    /// For FEEL.
    pub(crate) fn context(&self) -> &Context<'e> {
        self.context.get_or_init(|| self.event.as_context())
    }

    /// For patterns: attributes that are there, and the data.
    pub(crate) fn document(&self) -> &Value {
        self.document.get_or_init(|| {
            let attributes =
                msgpack::from_msgpack(&self.event.stored_attributes()).unwrap_or(Value::Null);
            let data = msgpack::from_msgpack(&self.event.stored_data()).unwrap_or(Value::Null);
            let attributes = attributes
                .as_context()
                .map(|context| context.entries().to_vec());
            attributes
                .unwrap_or_default()
                .into_iter()
                .filter(|(_, value)| !value.is_null())
                .chain(self.event.data().map(|_| ("data".into(), data)))
                .collect()
        })
    }
}

impl Filter {
    /// Whether a CloudEvent passes.
    #[must_use]
    pub fn matches(&self, subject: &Subject<'_>, env: &Env) -> bool {
        let each = |attributes: &[(Box<str>, Box<str>)], test: fn(&str, &str) -> bool| {
            attributes
                .iter()
                .all(|(name, wanted)| subject.text(name).is_some_and(|found| test(&found, wanted)))
        };
        match self {
            Self::Exact(attributes) => each(attributes, |found, wanted| found == wanted),
            Self::Prefix(attributes) => each(attributes, |found, wanted| found.starts_with(wanted)),
            Self::Suffix(attributes) => each(attributes, |found, wanted| found.ends_with(wanted)),
            Self::All(filters) => filters.iter().all(|filter| filter.matches(subject, env)),
            Self::Any(filters) => filters.iter().any(|filter| filter.matches(subject, env)),
            Self::Not(filter) => !filter.matches(subject, env),
            Self::Sql(sql) => sql.matches(subject.event),
            Self::Pattern(pattern) => pattern.matches(subject.document()),
            Self::Feel(expr) => expr
                .evaluate(subject.context(), env)
                .is_ok_and(|evaluation| evaluation.value == Value::Bool(true)),
        }
    }

    /// One of these conditions is met by every CloudEvent that passes; `None` where nothing is known.
    fn anchors(&self) -> Option<Vec<Anchor>> {
        let first = |attributes: &[(Box<str>, Box<str>)], anchor: fn(&str, &str) -> Anchor| {
            attributes
                .iter()
                .map(|(name, text)| vec![anchor(name, text)])
                .min_by_key(|anchors| Anchor::cost(anchors))
        };
        match self {
            Self::Exact(attributes) => first(attributes, Anchor::exact),
            Self::Prefix(attributes) => first(attributes, Anchor::prefix),
            Self::Suffix(attributes) => first(attributes, Anchor::suffix),
            Self::All(filters) => filters
                .iter()
                .filter_map(Self::anchors)
                .min_by_key(|found| Anchor::cost(found)),
            Self::Any(filters) => filters
                .iter()
                .map(Self::anchors)
                .collect::<Option<Vec<_>>>()
                .map(|all| all.concat()),
            Self::Not(_) => None,
            Self::Sql(sql) => sql.anchors(),
            Self::Pattern(pattern) => pattern.anchors(),
            Self::Feel(expr) => expr
                .required_texts()
                .filter(|(name, _)| *name != "data")
                .map(|(name, text)| vec![Anchor::exact(name, text)])
                .min_by_key(|found| Anchor::cost(found)),
        }
    }
}
