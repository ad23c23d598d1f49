//! Short byte strings without an allocation of their own.
//!
//! Keys and values of indexes are a number or two, seldom a name: nearly all of them fit in place. An allocation each would
//! cost as much as finding their place in the tree, and freeing a quarter of a million of them after a checkpoint would
//! keep the writer for ten milliseconds.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::ops::Deref;

/// So that the whole is 32 bytes.
const INLINE_MAX: usize = 30;

#[derive(Clone)]
pub(crate) enum Bytes {
    Inline { length: u8, bytes: [u8; INLINE_MAX] },
    Heap(Box<[u8]>),
}

impl Bytes {
    /// What it takes beside itself.
    pub(crate) fn heap_bytes(&self) -> usize {
        match self {
            Self::Inline { .. } => 0,
            Self::Heap(bytes) => bytes.len(),
        }
    }
}

impl From<&[u8]> for Bytes {
    fn from(from: &[u8]) -> Self {
        let mut bytes = [0; INLINE_MAX];
        match (bytes.get_mut(..from.len()), u8::try_from(from.len())) {
            (Some(place), Ok(length)) => {
                place.copy_from_slice(from);
                Self::Inline { length, bytes }
            }
            _ => Self::Heap(from.into()),
        }
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Inline { length, bytes } => bytes
                .get(..usize::from(*length))
                .expect("invariant: the length is at most INLINE_MAX"),
            Self::Heap(bytes) => bytes,
        }
    }
}

impl Borrow<[u8]> for Bytes {
    fn borrow(&self) -> &[u8] {
        self
    }
}

impl PartialEq for Bytes {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Bytes {}

impl PartialOrd for Bytes {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// As their slices, which `Borrow` demands.
impl Ord for Bytes {
    fn cmp(&self, other: &Self) -> Ordering {
        (**self).cmp(&**other)
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_comes_back_and_orders_as_its_slice() {
        let all: Vec<Vec<u8>> = (0..70_u8).map(|length| (0..length).collect()).collect();
        for one in &all {
            let bytes = Bytes::from(one.as_slice());
            assert_eq!(*bytes, **one);
            assert_eq!(bytes.heap_bytes() == 0, one.len() <= INLINE_MAX, "{one:?}");
            for other in &all {
                assert_eq!(bytes.cmp(&Bytes::from(other.as_slice())), one.cmp(other));
            }
        }
        assert_eq!(size_of::<Bytes>(), 32);
    }
}
