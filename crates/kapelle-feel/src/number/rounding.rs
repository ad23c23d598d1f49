//! Rounding to a given number of decimals, in the eight modes that Java and feel-scala name.

use super::wide::pow10;
use super::{COEFFICIENT_END, DIGITS_MAX, EXPONENT_MIN, Number};

/// How a number loses its last decimals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rounding {
    /// Away from zero.
    Up,
    /// Towards zero.
    Down,
    /// Towards positive infinity.
    Ceiling,
    /// Towards negative infinity.
    Floor,
    /// To the nearest, a tie away from zero.
    HalfUp,
    /// To the nearest, a tie towards zero.
    HalfDown,
    /// To the nearest, a tie to the even neighbour.
    HalfEven,
    /// Not at all: a number that would have to be rounded has no answer.
    Unnecessary,
}

impl Rounding {
    /// The mode of that name, in whatever case (`"half_up"`).
    pub fn from_name(name: &str) -> Option<Rounding> {
        const NAMES: [(&str, Rounding); 8] = [
            ("UP", Rounding::Up),
            ("DOWN", Rounding::Down),
            ("CEILING", Rounding::Ceiling),
            ("FLOOR", Rounding::Floor),
            ("HALF_UP", Rounding::HalfUp),
            ("HALF_DOWN", Rounding::HalfDown),
            ("HALF_EVEN", Rounding::HalfEven),
            ("UNNECESSARY", Rounding::Unnecessary),
        ];
        NAMES
            .iter()
            .find(|(text, _)| text.eq_ignore_ascii_case(name))
            .map(|(_, mode)| *mode)
    }
}

impl Number {
    /// Rounds to `scale` decimals (negative: to tens, hundreds, …); `None` if the mode forbids it or the result is too
    /// large.
    pub fn round(self, scale: i32, mode: Rounding) -> Option<Number> {
        let exponent = scale.checked_neg()?;
        if exponent <= self.exponent() || self.is_zero() {
            // Nothing to cut. Zeros are added as far as they fit, as Java's setScale does.
            return Some(if self.is_zero() {
                Number::new(0, exponent.max(EXPONENT_MIN))?
            } else {
                self.widen(exponent)
            });
        }
        let drop = (exponent - self.exponent()) as u32;
        let negative = self.is_negative();
        let magnitude = self.coefficient().unsigned_abs();
        let (quotient, rest) = if drop > DIGITS_MAX {
            (0, Rest::UnderHalf)
        } else {
            let unit = pow10(drop);
            (magnitude / unit, Rest::of(magnitude % unit, unit))
        };
        let up = rest.rounds_up(mode, negative, quotient & 1 == 1)?;
        let rounded = (quotient + u128::from(up)) as i128;
        debug_assert!(
            rounded.unsigned_abs() < COEFFICIENT_END,
            "rounding drops at least one digit"
        );
        Number::new(if negative { -rounded } else { rounded }, exponent)
    }
}

/// What is cut off, compared with half a unit of what stays.
enum Rest {
    Nothing,
    UnderHalf,
    Half,
    OverHalf,
}

impl Rest {
    fn of(remainder: u128, unit: u128) -> Rest {
        match remainder.cmp(&(unit / 2)) {
            _ if remainder == 0 => Rest::Nothing,
            std::cmp::Ordering::Less => Rest::UnderHalf,
            std::cmp::Ordering::Equal => Rest::Half,
            std::cmp::Ordering::Greater => Rest::OverHalf,
        }
    }

    fn rounds_up(self, mode: Rounding, negative: bool, odd: bool) -> Option<bool> {
        if matches!(self, Rest::Nothing) {
            return Some(false);
        }
        Some(match mode {
            Rounding::Up => true,
            Rounding::Down => false,
            Rounding::Ceiling => !negative,
            Rounding::Floor => negative,
            Rounding::HalfUp => !matches!(self, Rest::UnderHalf),
            Rounding::HalfDown => matches!(self, Rest::OverHalf),
            Rounding::HalfEven => {
                matches!(self, Rest::OverHalf) || (matches!(self, Rest::Half) && odd)
            }
            Rounding::Unnecessary => return None,
        })
    }
}
