//! What a clock follows: nothing, an offset from UTC, or a region's rules.

use super::tzif;

/// The zone of a time.
///
/// ```
/// use kapelle_feel::Zone;
/// assert_eq!(Zone::parse("Z"), Some(Zone::UTC));
/// assert_eq!(Zone::parse("+02:00"), Some(Zone::Offset(7200)));
/// assert!(matches!(Zone::parse("Europe/Berlin"), Some(Zone::Region("Europe/Berlin"))));
/// assert_eq!(Zone::parse("Middle/Earth"), None);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Zone {
    /// No zone: the time on some wall.
    Local,
    /// Seconds east of UTC.
    Offset(i32),
    /// A name of the time zone database, spelled as the database spells it.
    Region(&'static str),
}

impl Zone {
    /// Coordinated universal time.
    pub const UTC: Zone = Zone::Offset(0);

    /// Reads `Z`, an offset (`+02:00`) or a region (`Europe/Berlin`).
    pub fn parse(text: &str) -> Option<Zone> {
        if text == "Z" || text == "z" {
            return Some(Zone::UTC);
        }
        if text.starts_with(['+', '-']) {
            return parse_offset(text).map(Zone::Offset);
        }
        if let Some(offset) = ["UTC", "GMT", "UT"]
            .iter()
            .find_map(|prefix| text.strip_prefix(prefix))
        {
            return if offset.is_empty() {
                Some(Zone::UTC)
            } else {
                parse_offset(offset).map(Zone::Offset)
            };
        }
        tzif::canonical_name(text).map(Zone::Region)
    }

    /// The region's name, if it is one.
    pub fn region(self) -> Option<&'static str> {
        if let Zone::Region(name) = self {
            Some(name)
        } else {
            None
        }
    }

    /// Seconds east of UTC at that moment (seconds since the epoch); zero without a zone.
    pub(super) fn offset_at(self, epoch_seconds: i64) -> Option<i32> {
        match self {
            Zone::Local => Some(0),
            Zone::Offset(seconds) => Some(seconds),
            Zone::Region(name) => tzif::offset_at(name, epoch_seconds),
        }
    }

    /// The offset that needs no day: a fixed one, or that of a region in January 1970's terms of standard time.
    pub(super) fn standard_offset(self) -> Option<i32> {
        match self {
            Zone::Local => None,
            Zone::Offset(seconds) => Some(seconds),
            Zone::Region(name) => tzif::offset_at(name, 0),
        }
    }
}

/// `+HH:MM`, `+HHMM`, `+HH`, `+HH:MM:SS`; at most 18 hours, as in Java.
fn parse_offset(text: &str) -> Option<i32> {
    let sign = match text.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let digits = text.get(1..)?;
    let two = |range: std::ops::Range<usize>| -> Option<i32> {
        let part = digits.get(range)?;
        part.bytes()
            .all(|b| b.is_ascii_digit())
            .then(|| part.parse().ok())?
    };
    let colon = |at: usize| digits.as_bytes().get(at) == Some(&b':');
    let (hours, minutes, seconds) = match digits.len() {
        2 => (two(0..2)?, 0, 0),
        4 => (two(0..2)?, two(2..4)?, 0),
        5 if colon(2) => (two(0..2)?, two(3..5)?, 0),
        6 => (two(0..2)?, two(2..4)?, two(4..6)?),
        8 if colon(2) && colon(5) => (two(0..2)?, two(3..5)?, two(6..8)?),
        _ => return None,
    };
    let total = hours * 3_600 + minutes * 60 + seconds;
    (minutes < 60 && seconds < 60 && total <= 18 * 3_600).then_some(sign * total)
}
