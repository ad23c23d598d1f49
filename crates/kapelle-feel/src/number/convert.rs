//! Numbers from and to text, integers and binary floating point.
//!
//! **Invariant:** a double becomes the shortest decimal that rounds back to it, so what came in as `12.3` is `12.3`.

use std::fmt;
use std::str::FromStr;

use super::wide::{U256, pow10};
use super::{DIGITS_MAX, EXPONENT_MAX, Number};

/// The text is not a decimal number, or no 34-digit decimal is near it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a decimal number in range")]
pub struct ParseNumberError;

impl From<i64> for Number {
    fn from(value: i64) -> Number {
        Number::small(value)
    }
}

impl From<i32> for Number {
    fn from(value: i32) -> Number {
        Number::small(value.into())
    }
}

impl From<u64> for Number {
    fn from(value: u64) -> Number {
        Number::raw(value.into(), 0)
    }
}

impl From<usize> for Number {
    fn from(value: usize) -> Number {
        Number::raw(value as i128, 0)
    }
}

impl Number {
    /// The whole number as an integer, if it is one and fits.
    pub fn to_i64(self) -> Option<i64> {
        self.to_i128().and_then(|value| value.try_into().ok())
    }

    /// The whole number as an integer, if it is one and fits.
    pub fn to_i128(self) -> Option<i128> {
        if self.exponent == 0 || self.is_zero() {
            return Some(self.coefficient());
        }
        if !self.is_integer() {
            return None;
        }
        match self.exponent() {
            up @ 1..=38 => self.coefficient().checked_mul(pow10(up as u32) as i128),
            down if down < 0 => Some(self.coefficient() / pow10(down.unsigned_abs()) as i128),
            _ => None,
        }
    }

    /// Cut towards zero, if that fits.
    pub fn truncate_i64(self) -> Option<i64> {
        self.round(0, super::Rounding::Down)?.to_i64()
    }

    /// The nearest double.
    pub fn to_f64(self) -> f64 {
        const EXACT: u128 = 1 << 53;
        let magnitude = self.coefficient().unsigned_abs();
        if magnitude <= EXACT && (-22..=0).contains(&self.exponent()) {
            // Both operands are exact doubles, so one division rounds correctly.
            return self.coefficient() as f64 / pow10(self.exponent().unsigned_abs()) as f64;
        }
        format!("{}e{}", self.coefficient(), self.exponent())
            .parse()
            .expect("digits and exponent are a float")
    }

    /// The shortest decimal that rounds to this double; `None` for NaN and the infinities.
    pub fn from_f64(value: f64) -> Option<Number> {
        if !value.is_finite() {
            return None;
        }
        // Up to 15 digits every decimal is one double's only short form, so the first scale that comes back is it.
        const SHORT: f64 = 1e15;
        let mut unit = 1f64;
        for scale in 0..=6 {
            let scaled = value * unit;
            if scaled.abs() >= SHORT {
                break;
            }
            let nearest = (scaled + 0.5f64.copysign(scaled)) as i64;
            if nearest as f64 / unit == value {
                return Some(Number::raw(nearest.into(), -scale));
            }
            unit *= 10.0;
        }
        // Rust's `{:e}` writes the shortest digits that round back.
        format!("{value:e}").parse().ok()
    }

    /// Writes without an exponent, as long as that may be.
    pub fn to_plain_string(self) -> String {
        let mut text = String::new();
        self.write_plain(&mut text)
            .expect("writing to a string succeeds");
        text
    }

    fn write_plain(self, out: &mut impl fmt::Write) -> fmt::Result {
        let digits = self.coefficient().unsigned_abs().to_string();
        if self.is_negative() {
            out.write_char('-')?;
        }
        let exponent = self.exponent();
        if exponent >= 0 {
            out.write_str(&digits)?;
            return if self.is_zero() {
                Ok(())
            } else {
                write!(out, "{:0<1$}", "", exponent as usize)
            };
        }
        let decimals = exponent.unsigned_abs() as usize;
        match digits.len().checked_sub(decimals) {
            Some(whole @ 1..) => {
                let (left, right) = digits.split_at(whole);
                write!(out, "{left}.{right}")
            }
            _ => write!(out, "0.{digits:0>decimals$}"),
        }
    }
}

/// Java's `BigDecimal.toString`: plain, but scientific where plain text would be padded with zeros.
impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = super::wide::digits(self.coefficient().unsigned_abs()) as i32;
        let adjusted = self.exponent() + digits - 1;
        if self.exponent() <= 0 && adjusted >= -6 {
            return self.write_plain(f);
        }
        let text = self.coefficient().unsigned_abs().to_string();
        let (first, rest) = text.split_at(1);
        let sign = if self.is_negative() { "-" } else { "" };
        let point = if rest.is_empty() { "" } else { "." };
        write!(f, "{sign}{first}{point}{rest}E{adjusted:+}")
    }
}

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Number {
    type Err = ParseNumberError;

    /// `digits[.digits][e±digits]` with an optional sign; a leading point is allowed, a trailing one is not.
    fn from_str(text: &str) -> Result<Number, ParseNumberError> {
        let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
        let negative = text.starts_with('-');
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, parse_exponent(exponent)?),
            None => (unsigned, 0),
        };
        let (whole, fraction) = match mantissa.split_once('.') {
            Some((_, "")) => return Err(ParseNumberError),
            Some(parts) => parts,
            None => (mantissa, ""),
        };
        if whole.is_empty() && fraction.is_empty() {
            return Err(ParseNumberError);
        }
        let digits = Digits::read(whole.bytes().chain(fraction.bytes()))?;
        let scale = i32::try_from(fraction.len()).map_err(|_| ParseNumberError)?;
        let exponent = exponent
            .saturating_sub(scale)
            .saturating_add(digits.dropped);
        Number::from_wide(negative, U256::from(digits.value), exponent, digits.sticky)
            .ok_or(ParseNumberError)
    }
}

/// An exponent, saturated far outside of the range: `1e99999999999` is out of range, not malformed.
fn parse_exponent(text: &str) -> Result<i32, ParseNumberError> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(ParseNumberError);
    }
    let limit = 4 * EXPONENT_MAX;
    let value = digits.parse().unwrap_or(limit).min(limit);
    Ok(if text.starts_with('-') { -value } else { value })
}

/// The leading digits of a text of any length.
struct Digits {
    value: u128,
    dropped: i32,
    sticky: bool,
}

impl Digits {
    fn read(bytes: impl Iterator<Item = u8>) -> Result<Digits, ParseNumberError> {
        let mut digits = Digits {
            value: 0,
            dropped: 0,
            sticky: false,
        };
        for byte in bytes {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                return Err(ParseNumberError);
            }
            // One digit more than is kept decides the rounding, all others only whether it is a tie.
            if digits.value < pow10(DIGITS_MAX + 2) {
                digits.value = digits.value * 10 + u128::from(digit);
            } else {
                digits.dropped = digits.dropped.checked_add(1).ok_or(ParseNumberError)?;
                digits.sticky |= digit != 0;
            }
        }
        Ok(digits)
    }
}
