//! The merged layers before they mean anything: values with their origins.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// Where a value was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    File { path: Arc<PathBuf>, line: usize },
    Environment(Arc<str>),
    Flag(Arc<str>),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::Flag(name) => write!(f, "flag {name}"),
        }
    }
}

/// What was written. Numbers keep their text: the setting decides how wide they may be.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Raw {
    Text(String),
    Number(String),
    Bool(bool),
    List(Vec<Node>),
    Table(Tree),
}

impl Raw {
    /// As an error message names it.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "text",
            Self::Number(_) => "a number",
            Self::Bool(_) => "true or false",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
        }
    }
}

/// A value and its origin.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    pub(crate) raw: Raw,
    pub(crate) origin: Origin,
}

impl Node {
    /// Environment and flags know only text; what they say may stand for a number or a switch.
    pub(crate) const fn is_typed(&self) -> bool {
        matches!(self.origin, Origin::File { .. })
    }
}

/// A table.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Tree(pub(crate) BTreeMap<String, Node>);

impl Tree {
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&str, &Node)> {
        self.0.iter().map(|(key, node)| (key.as_str(), node))
    }

    /// The value at a path, if a layer wrote one.
    pub(crate) fn find(&self, path: &[&str]) -> Option<&Node> {
        let (first, rest) = path.split_first()?;
        let node = self.0.get(*first)?;
        match (&node.raw, rest.is_empty()) {
            (_, true) => Some(node),
            (Raw::Table(table), false) => table.find(rest),
            _ => None,
        }
    }

    /// Puts a value at a path over what lower layers wrote there.
    pub(crate) fn set(&mut self, path: &[&str], node: Node) {
        let Some((first, rest)) = path.split_first() else {
            return;
        };
        if rest.is_empty() {
            self.0.insert((*first).to_owned(), node);
            return;
        }
        let parent = self.0.entry((*first).to_owned()).or_insert_with(|| Node {
            raw: Raw::Table(Self::default()),
            origin: node.origin.clone(),
        });
        if let Raw::Table(table) = &mut parent.raw {
            table.set(rest, node);
        } else {
            // A scalar where a table belongs: the upper layer wins whole, the reader then checks what it says.
            let mut table = Self::default();
            let origin = node.origin.clone();
            table.set(rest, node);
            *parent = Node {
                raw: Raw::Table(table),
                origin,
            };
        }
    }
}
