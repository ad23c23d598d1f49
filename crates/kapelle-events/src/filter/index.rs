//! Many filters, one CloudEvent: which of them does it pass?
//!
//! Filters are found by what a CloudEvent must have to pass them (their anchors): an exact value, a prefix or a suffix of one
//! attribute. So the cost grows with the filters that nearly match and not with all there are. A filter without such a
//! condition (a bare `not`, a FEEL expression over data alone) is looked at for every CloudEvent.

use std::collections::{BTreeMap, BTreeSet};

use kapelle_feel::Env;

use super::anchor::{Anchor, Test};
use super::{Filter, Subject};

/// An index over the filters of many subscribers; `Id` names them.
#[derive(Debug, Clone)]
pub struct Index<Id> {
    filters: BTreeMap<Id, Filter>,
    attributes: BTreeMap<Box<str>, Attribute<Id>>,
    /// Filters without an anchor.
    others: BTreeSet<Id>,
}

/// The anchors on one attribute.
#[derive(Debug, Clone)]
struct Attribute<Id> {
    exact: BTreeMap<Box<str>, BTreeSet<Id>>,
    prefix: Affixes<Id>,
    /// The texts and what is looked for are both reversed.
    suffix: Affixes<Id>,
}

/// Prefixes, by text. `lengths` counts how many there are of each length: a text is looked up once a length.
#[derive(Debug, Clone)]
struct Affixes<Id> {
    texts: BTreeMap<Box<str>, BTreeSet<Id>>,
    lengths: BTreeMap<usize, usize>,
}

impl<Id> Default for Index<Id> {
    fn default() -> Self {
        Self {
            filters: BTreeMap::new(),
            attributes: BTreeMap::new(),
            others: BTreeSet::new(),
        }
    }
}

impl<Id> Default for Attribute<Id> {
    fn default() -> Self {
        Self {
            exact: BTreeMap::new(),
            prefix: Affixes::default(),
            suffix: Affixes::default(),
        }
    }
}

impl<Id> Default for Affixes<Id> {
    fn default() -> Self {
        Self {
            texts: BTreeMap::new(),
            lengths: BTreeMap::new(),
        }
    }
}

impl<Id: Ord + Clone> Index<Id> {
    /// Adds a filter, in place of an earlier one of the same name.
    pub fn insert(&mut self, id: Id, filter: Filter) {
        self.remove(&id);
        match filter.anchors() {
            None => {
                self.others.insert(id.clone());
            }
            Some(anchors) => {
                for anchor in anchors {
                    self.attributes
                        .entry(anchor.attribute.clone())
                        .or_default()
                        .insert(&anchor, id.clone());
                }
            }
        }
        self.filters.insert(id, filter);
    }

    /// Takes a filter out.
    pub fn remove(&mut self, id: &Id) -> Option<Filter> {
        let filter = self.filters.remove(id)?;
        match filter.anchors() {
            None => {
                self.others.remove(id);
            }
            Some(anchors) => {
                for anchor in anchors {
                    if let Some(attribute) = self.attributes.get_mut(&anchor.attribute) {
                        attribute.remove(&anchor, id);
                    }
                }
            }
        }
        Some(filter)
    }

    /// How many filters there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.filters.len()
    }

    /// None at all?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.filters.is_empty()
    }

    /// The filters that the CloudEvent passes, in the order of their names.
    #[must_use]
    pub fn matches(&self, subject: &Subject<'_>, env: &Env) -> Vec<Id> {
        let mut candidates: BTreeSet<&Id> = self.others.iter().collect();
        for (name, attribute) in &self.attributes {
            if let Some(text) = subject.text(name) {
                attribute.find(&text, &mut candidates);
            }
        }
        candidates
            .into_iter()
            .filter(|id| {
                self.filters
                    .get(id)
                    .is_some_and(|filter| filter.matches(subject, env))
            })
            .cloned()
            .collect()
    }
}

impl<Id: Ord + Clone> Attribute<Id> {
    fn insert(&mut self, anchor: &Anchor, id: Id) {
        match anchor.test {
            Test::Exact => {
                self.exact
                    .entry(anchor.text.clone())
                    .or_default()
                    .insert(id);
            }
            Test::Prefix => self.prefix.insert(anchor.text.clone(), id),
            Test::Suffix => self.suffix.insert(reversed(&anchor.text).into(), id),
        }
    }

    fn remove(&mut self, anchor: &Anchor, id: &Id) {
        match anchor.test {
            Test::Exact => drop(take(&mut self.exact, &anchor.text, id)),
            Test::Prefix => self.prefix.remove(&anchor.text, id),
            Test::Suffix => self.suffix.remove(&reversed(&anchor.text), id),
        }
    }

    fn find<'i>(&'i self, text: &str, found: &mut BTreeSet<&'i Id>) {
        found.extend(self.exact.get(text).into_iter().flatten());
        self.prefix.find(text, found);
        if !self.suffix.texts.is_empty() {
            self.suffix.find(&reversed(text), found);
        }
    }
}

impl<Id: Ord + Clone> Affixes<Id> {
    fn insert(&mut self, text: Box<str>, id: Id) {
        let length = text.len();
        let ids = self.texts.entry(text).or_default();
        if ids.is_empty() {
            *self.lengths.entry(length).or_default() += 1;
        }
        ids.insert(id);
    }

    fn remove(&mut self, text: &str, id: &Id) {
        if take(&mut self.texts, text, id)
            && let Some(count) = self.lengths.get_mut(&text.len())
        {
            *count -= 1;
            if *count == 0 {
                self.lengths.remove(&text.len());
            }
        }
    }

    fn find<'i>(&'i self, text: &str, found: &mut BTreeSet<&'i Id>) {
        for length in self
            .lengths
            .keys()
            .take_while(|length| **length <= text.len())
        {
            if let Some(prefix) = text.get(..*length) {
                found.extend(self.texts.get(prefix).into_iter().flatten());
            }
        }
    }
}

/// Takes a name out of the set under that text; `true` if the set is gone with it.
fn take<Id: Ord>(sets: &mut BTreeMap<Box<str>, BTreeSet<Id>>, text: &str, id: &Id) -> bool {
    let Some(ids) = sets.get_mut(text) else {
        return false;
    };
    ids.remove(id);
    ids.is_empty() && sets.remove(text).is_some()
}

fn reversed(text: &str) -> String {
    text.chars().rev().collect()
}
