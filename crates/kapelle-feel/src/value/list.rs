//! Lists: shared, and aware of their depth and size.

use std::sync::Arc;

use super::Value;

/// How deep a value is nested and how much it holds; both saturate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Lists and contexts around the innermost value.
    pub(crate) depth: u32,
    /// Rough bytes of the value written out in full. Shared parts count every time, because they are written every time.
    pub(crate) bytes: u64,
}

impl Shape {
    /// Bytes that any value takes, whatever it holds: the size of `Value`.
    pub(crate) const BASE: u64 = 32;

    pub(crate) fn leaf(bytes: usize) -> Shape {
        Shape {
            depth: 0,
            bytes: Shape::BASE + bytes as u64,
        }
    }

    /// The shape of what holds these.
    pub(crate) fn around(parts: impl Iterator<Item = Shape>) -> Shape {
        let mut shape = Shape {
            depth: 0,
            bytes: Shape::BASE,
        };
        for part in parts {
            shape.depth = shape.depth.max(part.depth);
            shape.bytes = shape.bytes.saturating_add(part.bytes);
        }
        Shape {
            depth: shape.depth.saturating_add(1),
            ..shape
        }
    }
}

/// Values in order.
#[derive(Clone)]
pub struct List(Arc<Inner>);

struct Inner {
    shape: Shape,
    items: Vec<Value>,
}

impl List {
    /// The values.
    pub fn as_slice(&self) -> &[Value] {
        &self.0.items
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.0.items.len()
    }

    /// None at all?
    pub fn is_empty(&self) -> bool {
        self.0.items.is_empty()
    }

    /// The values, one by one.
    pub fn iter(&self) -> std::slice::Iter<'_, Value> {
        self.0.items.iter()
    }

    /// The value at a FEEL index: from 1, or from the end with -1.
    pub fn at(&self, index: i64) -> Option<&Value> {
        self.0.items.get(position(index, self.len())?)
    }

    pub(crate) fn shape(&self) -> Shape {
        self.0.shape
    }

    /// Adds a value at the end, in place if nobody else holds the list. Answers the bytes that were copied.
    pub(crate) fn push(&mut self, value: Value) -> u64 {
        let part = value.shape();
        let mut copied = part.bytes;
        if Arc::get_mut(&mut self.0).is_none() {
            copied += self.len() as u64 * Shape::BASE;
            self.0 = Arc::new(Inner {
                shape: self.0.shape,
                items: self.0.items.clone(),
            });
        }
        let inner = Arc::get_mut(&mut self.0).expect("invariant: the list was made unique above");
        inner.items.push(value);
        inner.shape.bytes = inner.shape.bytes.saturating_add(part.bytes);
        inner.shape.depth = inner.shape.depth.max(part.depth.saturating_add(1));
        copied
    }
}

/// The position in a slice of a FEEL index, if it is inside.
pub(crate) fn position(index: i64, len: usize) -> Option<usize> {
    match index {
        1.. => usize::try_from(index - 1).ok().filter(|at| *at < len),
        0 => None,
        _ => len.checked_sub(usize::try_from(index.unsigned_abs()).ok()?),
    }
}

impl From<Vec<Value>> for List {
    fn from(items: Vec<Value>) -> List {
        List(Arc::new(Inner {
            shape: Shape::around(items.iter().map(Value::shape)),
            items,
        }))
    }
}

impl FromIterator<Value> for List {
    fn from_iter<I: IntoIterator<Item = Value>>(items: I) -> List {
        items.into_iter().collect::<Vec<_>>().into()
    }
}

impl<'a> IntoIterator for &'a List {
    type Item = &'a Value;
    type IntoIter = std::slice::Iter<'a, Value>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
