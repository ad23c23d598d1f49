//! Contexts: named values in the order they were written.
//!
//! **Invariant:** no name comes twice. Large contexts carry an index, so looking a name up never costs a walk of
//! thousands of entries.

use std::sync::Arc;

use super::{Shape, Text, Value};

/// From this many entries on an index pays: comparing a few short names in a row is as fast.
const INDEX_FROM: usize = 12;

/// Named values in order.
#[derive(Clone)]
pub struct Context(Arc<Inner>);

struct Inner {
    shape: Shape,
    entries: Vec<(Text, Value)>,
    /// Positions in `entries`, ordered by name; empty for a small context.
    index: Vec<u32>,
}

impl Context {
    /// A context of these entries; of a name that comes twice the first keeps its place and the last its value.
    pub fn new(entries: Vec<(Text, Value)>) -> Context {
        if entries.len() < INDEX_FROM && !repeats_among_few(&entries) {
            return Self::of_parts(entries, Vec::new());
        }
        let mut entries = entries;
        let mut index = sorted(&entries);
        if has_repeat(&entries, &index) {
            entries = last_wins(entries, &index);
            index = sorted(&entries);
        }
        if entries.len() < INDEX_FROM {
            index = Vec::new();
        }
        Self::of_parts(entries, index)
    }

    fn of_parts(entries: Vec<(Text, Value)>, index: Vec<u32>) -> Context {
        let parts = entries.iter().map(|(name, value)| {
            let shape = value.shape();
            Shape {
                bytes: shape.bytes.saturating_add(name.len() as u64),
                ..shape
            }
        });
        let shape = Shape::around(parts);
        Context(Arc::new(Inner {
            shape,
            entries,
            index,
        }))
    }

    /// The value of that name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        let entries = &self.0.entries;
        if self.0.index.is_empty() {
            return entries
                .iter()
                .find(|(key, _)| key == name)
                .map(|(_, value)| value);
        }
        let key = |at: &u32| entries.get(*at as usize).map(|(key, _)| key.as_str());
        let found = self
            .0
            .index
            .binary_search_by(|at| key(at).cmp(&Some(name)))
            .ok()?;
        let at = *self.0.index.get(found)? as usize;
        entries.get(at).map(|(_, value)| value)
    }

    /// The entries in order.
    pub fn entries(&self) -> &[(Text, Value)] {
        &self.0.entries
    }

    /// The entries in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Value)> {
        self.0
            .entries
            .iter()
            .map(|(name, value)| (name.as_str(), value))
    }

    /// How many entries.
    pub fn len(&self) -> usize {
        self.0.entries.len()
    }

    /// None at all?
    pub fn is_empty(&self) -> bool {
        self.0.entries.is_empty()
    }

    pub(crate) fn shape(&self) -> Shape {
        self.0.shape
    }
}

/// Each compared with each, without an allocation.
fn repeats_among_few(entries: &[(Text, Value)]) -> bool {
    let later = |at: usize| entries.get(at + 1..).unwrap_or_default();
    entries
        .iter()
        .enumerate()
        .any(|(at, (name, _))| later(at).iter().any(|(other, _)| other == name))
}

/// Positions ordered by name, then by position.
fn sorted(entries: &[(Text, Value)]) -> Vec<u32> {
    let mut keyed: Vec<(&str, u32)> = entries
        .iter()
        .zip(0u32..)
        .map(|((name, _), at)| (name.as_str(), at))
        .collect();
    keyed.sort_unstable();
    keyed.into_iter().map(|(_, at)| at).collect()
}

fn has_repeat(entries: &[(Text, Value)], index: &[u32]) -> bool {
    let key = |at: u32| entries.get(at as usize).map(|(name, _)| name);
    index
        .iter()
        .zip(index.iter().skip(1))
        .any(|(a, b)| key(*a) == key(*b))
}

fn last_wins(entries: Vec<(Text, Value)>, index: &[u32]) -> Vec<(Text, Value)> {
    let mut kept: Vec<Option<(Text, Value)>> = entries.into_iter().map(Some).collect();
    let mut first = 0usize;
    for at in index.iter().map(|at| *at as usize) {
        let same = matches!((kept.get(first), kept.get(at)), (Some(Some((a, _))), Some(Some((b, _)))) if a == b);
        if !same {
            first = at;
        } else if first != at {
            // The index is ordered by position within a name, so later ones come later.
            let value = kept
                .get_mut(at)
                .and_then(Option::take)
                .map(|(_, value)| value);
            if let (Some(value), Some(Some(entry))) = (value, kept.get_mut(first)) {
                entry.1 = value;
            }
        }
    }
    kept.into_iter().flatten().collect()
}

/// The same names with the same values, in whatever order.
impl PartialEq for Context {
    fn eq(&self, other: &Context) -> bool {
        self.len() == other.len()
            && self
                .iter()
                .all(|(name, value)| other.get(name) == Some(value))
    }
}

impl FromIterator<(Text, Value)> for Context {
    fn from_iter<I: IntoIterator<Item = (Text, Value)>>(entries: I) -> Context {
        Context::new(entries.into_iter().collect())
    }
}
