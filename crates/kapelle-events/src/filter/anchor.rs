//! What a CloudEvent must have to pass a filter, as far as an index can tell.
//!
//! **Invariant**: a CloudEvent that passes a filter meets one of its anchors. The other way round need not hold: what
//! meets an anchor is still looked at by the whole filter.

/// A condition on one attribute.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Anchor {
    pub(super) attribute: Box<str>,
    pub(super) test: Test,
    pub(super) text: Box<str>,
}

/// How the attribute's text compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Test {
    Exact,
    Prefix,
    Suffix,
}

impl Anchor {
    pub(super) fn exact(attribute: &str, text: &str) -> Self {
        Self::new(attribute, Test::Exact, text)
    }

    pub(super) fn prefix(attribute: &str, text: &str) -> Self {
        Self::new(attribute, Test::Prefix, text)
    }

    pub(super) fn suffix(attribute: &str, text: &str) -> Self {
        Self::new(attribute, Test::Suffix, text)
    }

    fn new(attribute: &str, test: Test, text: &str) -> Self {
        Self {
            attribute: attribute.into(),
            test,
            text: text.into(),
        }
    }

    /// Which of several choices to index: few anchors before many, exact ones before others, long texts before short ones
    /// (they meet less).
    pub(super) fn cost(anchors: &[Self]) -> (usize, bool, std::cmp::Reverse<usize>) {
        let inexact = anchors.iter().any(|anchor| anchor.test != Test::Exact);
        let shortest = anchors
            .iter()
            .map(|anchor| anchor.text.len())
            .min()
            .unwrap_or(0);
        (anchors.len(), inexact, std::cmp::Reverse(shortest))
    }
}
