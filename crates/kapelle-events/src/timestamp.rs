//! RFC 3339 times that keep their spelling.
//!
//! **Invariant**: the text is a valid RFC 3339 `date-time` and `unix_ns` is its instant. The text is kept because a
//! timestamp that passes through must leave as it came (`…00Z` and `…00.000Z` are the same instant, not the same bytes).
//!
//! Deliberately absent: clocks, zones, arithmetic.

use std::fmt;

use kapelle_feel::Date;

const NS_PER_SECOND: i128 = 1_000_000_000;
const NS_PER_MS: i128 = 1_000_000;

/// An instant as a CloudEvents attribute: its RFC 3339 text and what that means.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Timestamp {
    text: Box<str>,
    unix_ns: i128,
}

impl Timestamp {
    /// Reads RFC 3339 `date-time`. A leap second counts as the second after it, as in POSIX time.
    pub fn parse(text: &str) -> Option<Self> {
        let unix_ns = parse_rfc3339(text.as_bytes())?;
        Some(Self {
            text: text.into(),
            unix_ns,
        })
    }

    /// The instant in UTC with milliseconds if there are any. `None` outside the years 0 to 9999.
    pub fn from_unix_ms(unix_ms: i64) -> Option<Self> {
        let seconds = unix_ms.div_euclid(1_000);
        let ms = unix_ms.rem_euclid(1_000);
        let date = Date::from_epoch_days(seconds.div_euclid(86_400))?;
        let (year, month, day) = (date.year(), date.month(), date.day());
        if !(0..=9_999).contains(&year) {
            return None;
        }
        let of_day = seconds.rem_euclid(86_400);
        let (hour, minute, second) = (of_day / 3_600, of_day / 60 % 60, of_day % 60);
        let fraction = if ms == 0 {
            String::new()
        } else {
            format!(".{ms:03}")
        };
        let text =
            format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}Z");
        Some(Self {
            text: text.into(),
            unix_ns: i128::from(unix_ms) * NS_PER_MS,
        })
    }

    /// The text as it was given.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Milliseconds since 1970, rounded down.
    pub fn unix_ms(&self) -> i64 {
        i64::try_from(self.unix_ns.div_euclid(NS_PER_MS))
            .expect("four-digit years fit 64 bits of milliseconds")
    }

    /// Nanoseconds since 1970.
    pub fn unix_ns(&self) -> i128 {
        self.unix_ns
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn parse_rfc3339(text: &[u8]) -> Option<i128> {
    let mut rest = text;
    let year = digits(&mut rest, 4)?;
    byte(&mut rest, b"-")?;
    let month = digits(&mut rest, 2)?;
    byte(&mut rest, b"-")?;
    let day = digits(&mut rest, 2)?;
    byte(&mut rest, b"Tt")?;
    let hour = digits(&mut rest, 2)?;
    byte(&mut rest, b":")?;
    let minute = digits(&mut rest, 2)?;
    byte(&mut rest, b":")?;
    let second = digits(&mut rest, 2)?;
    let date = Date::new(year, month, day)?;
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let fraction_ns = fraction(&mut rest)?;
    let offset_seconds = offset(&mut rest)?;
    if !rest.is_empty() {
        return None;
    }
    let seconds = date.epoch_days() * 86_400 + hour * 3_600 + minute * 60 + second - offset_seconds;
    Some(i128::from(seconds) * NS_PER_SECOND + fraction_ns)
}

fn digits(rest: &mut &[u8], count: usize) -> Option<i64> {
    let (head, tail) = rest.split_at_checked(count)?;
    *rest = tail;
    head.iter().try_fold(0, |number, byte| {
        byte.is_ascii_digit()
            .then(|| number * 10 + i64::from(byte - b'0'))
    })
}

fn byte(rest: &mut &[u8], one_of: &[u8]) -> Option<u8> {
    let (first, tail) = rest.split_first()?;
    *rest = tail;
    one_of.contains(first).then_some(*first)
}

/// `.` and digits, or nothing. Digits after the ninth are below what we count and are only kept in the text.
fn fraction(rest: &mut &[u8]) -> Option<i128> {
    let Some(tail) = rest.strip_prefix(b".") else {
        return Some(0);
    };
    let count = tail.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if count == 0 {
        return None;
    }
    let (fraction, tail) = tail.split_at(count);
    *rest = tail;
    let mut ns = 0;
    for position in 0..9 {
        ns = ns * 10
            + fraction
                .get(position)
                .map_or(0, |digit| i128::from(digit - b'0'));
    }
    Some(ns)
}

fn offset(rest: &mut &[u8]) -> Option<i64> {
    let sign = match byte(rest, b"Zz+-")? {
        b'+' => 1,
        b'-' => -1,
        _ => return Some(0),
    };
    let hours = digits(rest, 2)?;
    byte(rest, b":")?;
    let minutes = digits(rest, 2)?;
    (hours <= 23 && minutes <= 59).then_some(sign * (hours * 3_600 + minutes * 60))
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn rfc_3339_texts_become_instants_and_keep_their_spelling() {
        let mut seen = String::new();
        for text in [
            "1970-01-01T00:00:00Z",
            "2018-04-05T17:31:00Z",
            "2018-04-05t17:31:00.000z",
            "2018-04-05T19:31:00.123456789999+02:00",
            "0000-01-01T00:00:00Z",
            "9999-12-31T23:59:60-23:59",
            "2024-02-29T12:00:00Z",
            "2023-02-29T12:00:00Z",
            "2018-04-05T17:31Z",
            "2018-04-05T17:31:00",
            "2018-04-05 17:31:00Z",
            "2018-04-05T17:31:00.Z",
            "2018-04-05T24:00:00Z",
            "2018-04-05T17:31:00+2:00",
            "2018-04-05T17:31:00ZZ",
            "",
            "²018-04-05T17:31:00Z",
        ] {
            let answer = match Timestamp::parse(text) {
                Some(time) => {
                    assert_eq!(time.as_str(), text);
                    time.unix_ns().to_string()
                }
                None => "refused".to_owned(),
            };
            seen.push_str(&format!("{text:42} {answer}\n"));
        }
        expect![[r#"
            1970-01-01T00:00:00Z                       0
            2018-04-05T17:31:00Z                       1522949460000000000
            2018-04-05t17:31:00.000z                   1522949460000000000
            2018-04-05T19:31:00.123456789999+02:00     1522949460123456789
            0000-01-01T00:00:00Z                       -62167219200000000000
            9999-12-31T23:59:60-23:59                  253402387140000000000
            2024-02-29T12:00:00Z                       1709208000000000000
            2023-02-29T12:00:00Z                       refused
            2018-04-05T17:31Z                          refused
            2018-04-05T17:31:00                        refused
            2018-04-05 17:31:00Z                       refused
            2018-04-05T17:31:00.Z                      refused
            2018-04-05T24:00:00Z                       refused
            2018-04-05T17:31:00+2:00                   refused
            2018-04-05T17:31:00ZZ                      refused
                                                       refused
            ²018-04-05T17:31:00Z                       refused
        "#]]
        .assert_eq(&seen);
    }

    #[test]
    fn milliseconds_become_text_and_come_back() {
        for unix_ms in [
            0,
            1,
            999,
            1_000,
            -1,
            951_782_400_123,
            1_709_164_800_000,
            253_402_300_799_999,
            -62_167_219_200_000,
        ] {
            let time = Timestamp::from_unix_ms(unix_ms).expect("within four-digit years");
            assert_eq!(
                Timestamp::parse(time.as_str()).map(|time| time.unix_ms()),
                Some(unix_ms),
                "{time}"
            );
        }
        expect!["2000-02-29T00:00:00.123Z"]
            .assert_eq(Timestamp::from_unix_ms(951_782_400_123).unwrap().as_str());
        assert_eq!(Timestamp::from_unix_ms(253_402_300_800_000), None);
        assert_eq!(Timestamp::from_unix_ms(i64::MIN), None);
    }
}
