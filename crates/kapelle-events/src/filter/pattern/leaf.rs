//! What a pattern accepts at one place.

use std::net::IpAddr;

use kapelle_feel::{Number, Value};

/// One accepted value or condition.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Test {
    Text(Box<str>),
    Number(Number),
    Bool(bool),
    Null,
    Prefix(Box<str>),
    Suffix(Box<str>),
    /// All in lower case.
    EqualsIgnoreCase(Box<str>),
    PrefixIgnoreCase(Box<str>),
    SuffixIgnoreCase(Box<str>),
    Wildcard(Box<[Piece]>),
    /// There, and none of these.
    AnythingBut(Vec<Test>),
    Numeric(Vec<(Order, Number)>),
    Cidr {
        network: IpAddr,
        bits: u8,
    },
    Present,
    /// Answered by the pattern, as it concerns the whole document.
    Absent,
}

/// A comparison of `numeric`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Less,
    LessOrEqual,
    Equal,
    GreaterOrEqual,
    Greater,
}

/// A part of a wildcard pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    Text(Box<str>),
    Any,
}

impl Test {
    /// Whether a value that is neither a list nor an object is accepted.
    pub(super) fn matches(&self, value: &Value) -> bool {
        let text = |test: &dyn Fn(&str) -> bool| value.as_str().is_some_and(test);
        match self {
            Self::Text(wanted) => text(&|found| found == &**wanted),
            Self::Number(wanted) => value.as_number() == Some(*wanted),
            Self::Bool(wanted) => value.as_bool() == Some(*wanted),
            Self::Null => value.is_null(),
            Self::Prefix(wanted) => text(&|found| found.starts_with(&**wanted)),
            Self::Suffix(wanted) => text(&|found| found.ends_with(&**wanted)),
            Self::EqualsIgnoreCase(wanted) => text(&|found| *found.to_lowercase() == **wanted),
            Self::PrefixIgnoreCase(wanted) => {
                text(&|found| found.to_lowercase().starts_with(&**wanted))
            }
            Self::SuffixIgnoreCase(wanted) => {
                text(&|found| found.to_lowercase().ends_with(&**wanted))
            }
            Self::Wildcard(pieces) => text(&|found| wildcard(pieces, found)),
            Self::AnythingBut(tests) => !tests.iter().any(|test| test.matches(value)),
            Self::Numeric(bounds) => value.as_number().is_some_and(|number| {
                bounds
                    .iter()
                    .all(|(order, bound)| order.holds(number, *bound))
            }),
            Self::Cidr { network, bits } => text(&|found| {
                found
                    .parse()
                    .is_ok_and(|address| is_inside(address, *network, *bits))
            }),
            Self::Present => true,
            Self::Absent => false,
        }
    }
}

impl Order {
    pub(super) fn read(text: &str) -> Option<Self> {
        Some(match text {
            "<" => Self::Less,
            "<=" => Self::LessOrEqual,
            "=" => Self::Equal,
            ">=" => Self::GreaterOrEqual,
            ">" => Self::Greater,
            _ => return None,
        })
    }

    fn holds(self, number: Number, bound: Number) -> bool {
        match self {
            Self::Less => number < bound,
            Self::LessOrEqual => number <= bound,
            Self::Equal => number == bound,
            Self::GreaterOrEqual => number >= bound,
            Self::Greater => number > bound,
        }
    }
}

/// The first piece begins the text, the last one ends it, those between follow each other as early as they can.
fn wildcard(pieces: &[Piece], text: &str) -> bool {
    let mut rest = text;
    let mut is_fixed = true;
    for (place, piece) in pieces.iter().enumerate() {
        match piece {
            Piece::Any => is_fixed = false,
            Piece::Text(wanted) if is_fixed => match rest.strip_prefix(&**wanted) {
                Some(after) => rest = after,
                None => return false,
            },
            Piece::Text(wanted) if place + 1 == pieces.len() => return rest.ends_with(&**wanted),
            Piece::Text(wanted) => match rest.find(&**wanted) {
                Some(found) => {
                    rest = &rest[found + wanted.len()..];
                    is_fixed = true;
                }
                None => return false,
            },
        }
        if matches!(piece, Piece::Text(_)) {
            is_fixed = true;
        }
    }
    rest.is_empty() || !is_fixed
}

fn is_inside(address: IpAddr, network: IpAddr, bits: u8) -> bool {
    let shared = |one: u128, other: u128, width: u32| {
        let kept = width.saturating_sub(u32::from(bits));
        // A shift by the whole width is no shift in Rust.
        one.checked_shr(kept).unwrap_or(0) == other.checked_shr(kept).unwrap_or(0)
    };
    match (address, network) {
        (IpAddr::V4(address), IpAddr::V4(network)) => {
            shared(u32::from(address).into(), u32::from(network).into(), 32)
        }
        (IpAddr::V6(address), IpAddr::V6(network)) => shared(address.into(), network.into(), 128),
        _ => false,
    }
}
