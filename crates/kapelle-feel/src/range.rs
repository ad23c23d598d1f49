//! Ranges: everything between two bounds, either of which may be missing.

use std::fmt;

use crate::value::Value;

/// One end of a range.
#[derive(Debug, Clone, PartialEq)]
pub enum Bound {
    /// The range has no end on this side (`> 5`).
    Open,
    /// The end itself is not inside.
    Excluded(Value),
    /// The end itself is inside.
    Included(Value),
}

impl Bound {
    /// The end's value.
    pub fn value(&self) -> Option<&Value> {
        match self {
            Bound::Open => None,
            Bound::Excluded(value) | Bound::Included(value) => Some(value),
        }
    }

    /// Is the end itself inside?
    pub fn is_included(&self) -> bool {
        matches!(self, Bound::Included(_))
    }
}

/// Everything between two bounds. Bounds are scalars, so a range is never deep.
#[derive(Debug, Clone, PartialEq)]
pub struct Range {
    /// The lower end.
    pub start: Bound,
    /// The upper end.
    pub end: Bound,
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.start, &self.end) {
            (Bound::Open, Bound::Excluded(end)) => write!(f, "< {end}"),
            (Bound::Open, Bound::Included(end)) => write!(f, "<= {end}"),
            (Bound::Excluded(start), Bound::Open) => write!(f, "> {start}"),
            (Bound::Included(start), Bound::Open) => write!(f, ">= {start}"),
            (start, end) => {
                f.write_str(if start.is_included() { "[" } else { "(" })?;
                write!(
                    f,
                    "{}..{}",
                    start.value().unwrap_or(&Value::Null),
                    end.value().unwrap_or(&Value::Null)
                )?;
                f.write_str(if end.is_included() { "]" } else { ")" })
            }
        }
    }
}
