//! EventBridge event patterns: a JSON document in the shape of what it matches, with lists of accepted values as its leaves.
//!
//! ```json
//! {"type": [{"prefix": "order."}], "data": {"total": [{"numeric": [">", 100]}], "state": [{"anything-but": "draft"}]}}
//! ```
//!
//! All fields must match, any value of a list suffices, `$or` joins alternatives. A field that is a list in the document
//! matches if one of its elements does; fields below the same list must match in the *same* element.
//!
//! **Invariant**: matching cannot fail; a field that is missing or has another type does not match.

mod leaf;
mod read;

use kapelle_feel::Value;

use super::anchor::Anchor;
use leaf::Test;

/// A compiled pattern: one of these trees has to match (`$or` is multiplied out when it is read).
#[derive(Debug, Clone, PartialEq)]
pub struct Pattern(Vec<Tree>);

/// Fields that must all match.
#[derive(Debug, Clone, PartialEq, Default)]
struct Tree(Vec<(Box<str>, Field)>);

#[derive(Debug, Clone, PartialEq)]
enum Field {
    Inner(Tree),
    /// Each list comes from one place of the pattern; one value of each list must match.
    Leaf(Vec<Vec<Test>>),
}

impl Pattern {
    /// Whether a document matches.
    #[must_use]
    pub fn matches(&self, document: &Value) -> bool {
        self.0
            .iter()
            .any(|tree| tree.matches(Some(document), &mut Place::of(document)))
    }

    /// The first field that does not match and what is there; of several alternatives, the last one's.
    pub(super) fn mismatch(&self, document: &Value) -> Option<String> {
        if self.matches(document) {
            return None;
        }
        let path = self
            .0
            .last()?
            .mismatch(Some(document), &mut Place::of(document))?;
        let mut values = Vec::new();
        collect(document, &path, &mut values);
        let there = match values.as_slice() {
            [] => "is missing".to_owned(),
            [value] => format!("is {value}"),
            [first, ..] => format!("has {} values, the first is {first}", values.len()),
        };
        Some(format!("{} {there}", path.join(".")))
    }

    /// Conditions on attributes that stand at the top of the document.
    pub(super) fn anchors(&self) -> Option<Vec<Anchor>> {
        let of_tree = |tree: &Tree| {
            let fields = tree.0.iter().filter(|(name, _)| &**name != "data");
            fields
                .filter_map(|(name, field)| match field {
                    Field::Leaf(lists) => {
                        lists.iter().filter_map(|tests| anchors(name, tests)).next()
                    }
                    Field::Inner(_) => None,
                })
                .min_by_key(|found| Anchor::cost(found))
        };
        self.0
            .iter()
            .map(of_tree)
            .collect::<Option<Vec<_>>>()
            .map(|all| all.concat())
    }
}

fn anchors(name: &str, tests: &[Test]) -> Option<Vec<Anchor>> {
    tests
        .iter()
        .map(|test| match test {
            Test::Text(text) => Some(Anchor::exact(name, text)),
            Test::Prefix(text) => Some(Anchor::prefix(name, text)),
            Test::Suffix(text) => Some(Anchor::suffix(name, text)),
            _ => None,
        })
        .collect()
}

/// Where matching is: absence is asked of the whole document, whichever element of a list is looked at.
struct Place<'d, 'p> {
    document: &'d Value,
    path: Vec<&'p str>,
}

impl<'d> Place<'d, '_> {
    fn of(document: &'d Value) -> Self {
        Self {
            document,
            path: Vec::new(),
        }
    }

    /// No leaf is at the path, in any element of the lists on the way.
    fn is_absent(&self) -> bool {
        let mut values = Vec::new();
        collect(self.document, &self.path, &mut values);
        values.is_empty()
    }
}

impl Tree {
    fn matches<'p>(&'p self, value: Option<&Value>, place: &mut Place<'_, 'p>) -> bool {
        match value {
            // One element for all fields: array consistency.
            Some(Value::List(list))
                if list
                    .iter()
                    .any(|element| self.matches(Some(element), place)) =>
            {
                true
            }
            _ => self
                .0
                .iter()
                .all(|(name, field)| field_matches(name, field, value, place)),
        }
    }

    fn mismatch<'p>(
        &'p self,
        value: Option<&Value>,
        place: &mut Place<'_, 'p>,
    ) -> Option<Vec<&'p str>> {
        let (name, field) = self
            .0
            .iter()
            .find(|(name, field)| !field_matches(name, field, value, place))?;
        place.path.push(name);
        match (field, entry(value, name)) {
            (Field::Inner(tree), inner @ Some(Value::Context(_))) => tree.mismatch(inner, place),
            _ => Some(place.path.clone()),
        }
    }
}

fn field_matches<'p>(
    name: &'p str,
    field: &'p Field,
    value: Option<&Value>,
    place: &mut Place<'_, 'p>,
) -> bool {
    let value = entry(value, name);
    place.path.push(name);
    let matches = match field {
        Field::Inner(tree) => tree.matches(value, place),
        Field::Leaf(lists) => lists.iter().all(|tests| {
            tests.iter().any(|test| match test {
                Test::Absent => place.is_absent(),
                test => value.is_some_and(|value| some_leaf_matches(test, value)),
            })
        }),
    };
    place.path.pop();
    matches
}

fn entry<'v>(value: Option<&'v Value>, name: &str) -> Option<&'v Value> {
    value?.as_context()?.get(name)
}

/// A list matches with one of its elements, at any depth.
fn some_leaf_matches(test: &Test, value: &Value) -> bool {
    match value {
        Value::List(list) => list.iter().any(|element| some_leaf_matches(test, element)),
        Value::Context(_) => false,
        leaf => test.matches(leaf),
    }
}

/// All leaves at a path.
fn collect<'v>(value: &'v Value, path: &[&str], leaves: &mut Vec<&'v Value>) {
    match (value, path) {
        (Value::List(list), _) => list
            .iter()
            .for_each(|element| collect(element, path, leaves)),
        (Value::Context(context), [name, rest @ ..]) => {
            if let Some(inner) = context.get(name) {
                collect(inner, rest, leaves);
            }
        }
        (Value::Context(_), []) => {}
        (leaf, []) => leaves.push(leaf),
        (_, _) => {}
    }
}
