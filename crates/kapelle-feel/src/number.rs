//! FEEL numbers: decimals of up to 34 significant digits, rounded half-even (DECIMAL128).
//!
//! **Invariant:** `|coefficient| < 10^34` and `EXPONENT_MIN <= exponent <= EXPONENT_MAX`. The scale of a result follows
//! Java's `BigDecimal` (sum: the larger scale, product: their sum, exact quotient: the difference), because
//! `string(1.10)` shows it.
//!
//! The coefficient is one `i128`: 34 digits take 113 bits, so sums and products of everyday numbers are a few machine
//! instructions and only results over 34 digits take the 256-bit way (`wide`). No outside decimal crate: those with
//! 34 digits carry more than we need, those without round elsewhere.
//!
//! Deliberately absent: NaN, infinity, negative zero. What has no finite answer is `None`, and null in FEEL.

mod convert;
mod rounding;
mod wide;

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

pub use convert::ParseNumberError;
pub use rounding::Rounding;
use wide::{U256, pow10};

/// Digits a number carries, as IEEE 754 decimal128 does.
const DIGITS_MAX: u32 = 34;
/// Smallest and largest exponent. Those of decimal128: they bound what writing a number out can cost.
const EXPONENT_MIN: i32 = -6176;
const EXPONENT_MAX: i32 = 6111;
/// `10^34`, the first coefficient that has too many digits.
const COEFFICIENT_END: u128 = 10u128.pow(DIGITS_MAX);

/// A decimal number: `coefficient × 10^exponent`.
///
/// Equality and order are numeric (`1.0 = 1`); the scale only shows in text.
///
/// ```
/// use kapelle_feel::Number;
/// let price: Number = "19.99".parse().unwrap();
/// assert_eq!(price.mul(Number::from(3)).unwrap().to_string(), "59.97");
/// ```
#[derive(Clone, Copy)]
pub struct Number {
    // Two halves instead of an i128: eight-byte alignment keeps `Value` at 32 bytes.
    high: i64,
    low: u64,
    exponent: i16,
}

impl Number {
    /// Zero.
    pub const ZERO: Number = Number::small(0);
    /// One.
    pub const ONE: Number = Number::small(1);

    const fn small(value: i64) -> Number {
        Number {
            high: value >> 63,
            low: value as u64,
            exponent: 0,
        }
    }

    /// A number whose coefficient and exponent are known to be in range.
    const fn raw(coefficient: i128, exponent: i32) -> Number {
        Number {
            high: (coefficient >> 64) as i64,
            low: coefficient as u64,
            exponent: exponent as i16,
        }
    }

    /// `coefficient × 10^exponent`, rounded to 34 digits; `None` if it is too large for any.
    pub fn new(coefficient: i128, exponent: i32) -> Option<Number> {
        if coefficient.unsigned_abs() < COEFFICIENT_END
            && (EXPONENT_MIN..=EXPONENT_MAX).contains(&exponent)
        {
            return Some(Number::raw(coefficient, exponent));
        }
        Self::from_wide(
            coefficient < 0,
            U256::from(coefficient.unsigned_abs()),
            exponent,
            false,
        )
    }

    /// The digits, signed.
    #[inline]
    pub const fn coefficient(self) -> i128 {
        ((self.high as i128) << 64) | self.low as i128
    }

    /// The coefficient of everyday numbers.
    #[inline]
    const fn small_coefficient(self) -> Option<i64> {
        if self.high == (self.low as i64) >> 63 {
            Some(self.low as i64)
        } else {
            None
        }
    }

    /// The power of ten that the coefficient is multiplied by.
    #[inline]
    pub const fn exponent(self) -> i32 {
        self.exponent as i32
    }

    /// Rounds a wide magnitude to 34 digits. `sticky` says that something non-zero was cut off below it.
    fn from_wide(negative: bool, magnitude: U256, exponent: i32, sticky: bool) -> Option<Number> {
        let digits = magnitude.digits();
        let mut drop = digits.saturating_sub(DIGITS_MAX) as i32;
        drop = drop.max(EXPONENT_MIN.saturating_sub(exponent)); // Subnormal: digits below the smallest exponent go.
        let (mut quotient, mut exponent) = if drop > 0 {
            (
                magnitude.div_pow10_half_even(drop as u32, sticky),
                exponent.saturating_add(drop),
            )
        } else {
            (magnitude.low(), exponent)
        };
        if quotient == COEFFICIENT_END {
            (quotient, exponent) = (quotient / 10, exponent.saturating_add(1));
        }
        if quotient == 0 {
            exponent = exponent.clamp(EXPONENT_MIN, EXPONENT_MAX);
        }
        while exponent > EXPONENT_MAX {
            quotient = quotient.checked_mul(10).filter(|q| *q < COEFFICIENT_END)?;
            exponent -= 1;
        }
        let signed = quotient as i128;
        Some(Number::raw(
            if negative { -signed } else { signed },
            exponent,
        ))
    }

    /// Is it zero, of whatever scale?
    #[inline]
    pub const fn is_zero(self) -> bool {
        self.high == 0 && self.low == 0
    }

    /// Is it less than zero?
    #[inline]
    pub const fn is_negative(self) -> bool {
        self.high < 0
    }

    /// Has it no fraction (`2`, `2.0`, `2e3`)?
    pub fn is_integer(self) -> bool {
        if self.exponent >= 0 || self.is_zero() {
            return true;
        }
        let drop = -self.exponent();
        drop <= DIGITS_MAX as i32
            && self
                .coefficient()
                .unsigned_abs()
                .is_multiple_of(pow10(drop as u32))
    }

    /// Sum.
    #[inline]
    #[expect(
        clippy::should_implement_trait,
        reason = "the operator traits cannot say that a result is out of range"
    )]
    pub fn add(self, other: Number) -> Option<Number> {
        if self.exponent == other.exponent {
            // Two coefficients of 34 digits sum to 35: far from the end of an i128.
            return Number::new(self.coefficient() + other.coefficient(), self.exponent());
        }
        self.add_scaled(other)
    }

    fn add_scaled(self, other: Number) -> Option<Number> {
        let (high, low) = if self.exponent > other.exponent {
            (self, other)
        } else {
            (other, self)
        };
        if high.is_zero() {
            return Some(low);
        }
        let shift = (high.exponent() - low.exponent()) as u32;
        if shift <= DIGITS_MAX
            && let Some(scaled) = high.coefficient().checked_mul(pow10(shift) as i128)
            && let Some(sum) = scaled.checked_add(low.coefficient())
        {
            return Number::new(sum, low.exponent());
        }
        if low.is_zero() {
            // Scale up as far as 34 digits allow, as Java does.
            return Some(high.widen(low.exponent()));
        }
        Self::add_wide(high, low)
    }

    /// The wide way: the higher one is scaled to 68 digits at most, the lower is cut to match with a sticky digit.
    fn add_wide(high: Number, low: Number) -> Option<Number> {
        let high = high.widen(i32::MIN); // 34 digits, so one shift below decides how far the other reaches.
        let shift = (high.exponent() - low.exponent()).max(0) as u32;
        let kept = shift.min(DIGITS_MAX + 2);
        let exponent = high.exponent() - kept as i32;
        let scaled = U256::product(high.coefficient().unsigned_abs(), pow10(kept));
        let low_magnitude = low.coefficient().unsigned_abs();
        let (cut, sticky) = match shift - kept {
            0 => (low_magnitude, false),
            drop if drop <= DIGITS_MAX => (
                low_magnitude / pow10(drop),
                !low_magnitude.is_multiple_of(pow10(drop)),
            ),
            _ => (0, true),
        };
        let cut = U256::from(cut);
        if high.is_negative() == low.is_negative() {
            return Self::from_wide(high.is_negative(), scaled.add(cut), exponent, sticky);
        }
        // What is cut off makes the difference smaller: borrow one unit, what remains below it is the sticky part.
        let difference = scaled.sub(cut).sub(U256::from(u128::from(sticky)));
        Self::from_wide(high.is_negative(), difference, exponent, sticky)
    }

    /// The same value with a smaller exponent, towards `exponent`, as far as 34 digits allow.
    fn widen(self, exponent: i32) -> Number {
        let room = DIGITS_MAX - wide::digits(self.coefficient().unsigned_abs());
        let shift = (self.exponent() - exponent.max(EXPONENT_MIN)).clamp(0, room as i32);
        Number::raw(
            self.coefficient() * pow10(shift as u32) as i128,
            self.exponent() - shift,
        )
    }

    /// Difference.
    #[inline]
    #[expect(
        clippy::should_implement_trait,
        reason = "the operator traits cannot say that a result is out of range"
    )]
    pub fn sub(self, other: Number) -> Option<Number> {
        self.add(other.neg())
    }

    /// Product.
    #[inline]
    #[expect(
        clippy::should_implement_trait,
        reason = "the operator traits cannot say that a result is out of range"
    )]
    pub fn mul(self, other: Number) -> Option<Number> {
        let exponent = self.exponent() + other.exponent();
        if let (Some(left), Some(right)) = (self.small_coefficient(), other.small_coefficient()) {
            // Two 64-bit factors: one machine multiplication.
            return Number::new(i128::from(left) * i128::from(right), exponent);
        }
        if let Some(product) = self.coefficient().checked_mul(other.coefficient()) {
            return Number::new(product, exponent);
        }
        let wide = U256::product(
            self.coefficient().unsigned_abs(),
            other.coefficient().unsigned_abs(),
        );
        Self::from_wide(
            self.is_negative() != other.is_negative(),
            wide,
            exponent,
            false,
        )
    }

    /// Quotient; `None` for a division by zero.
    #[expect(
        clippy::should_implement_trait,
        reason = "the operator traits cannot say that a result is out of range"
    )]
    pub fn div(self, other: Number) -> Option<Number> {
        if other.is_zero() {
            return None;
        }
        let preferred = self.exponent() - other.exponent();
        let (dividend, divisor) = (
            self.coefficient().unsigned_abs(),
            other.coefficient().unsigned_abs(),
        );
        let negative = self.is_negative() != other.is_negative();
        if dividend.is_multiple_of(divisor) {
            return Self::from_wide(negative, U256::from(dividend / divisor), preferred, false);
        }
        if let Some((quotient, exponent)) = divide_exactly(dividend, divisor, preferred) {
            return Number::new(if negative { -quotient } else { quotient }, exponent);
        }
        // Enough digits that the quotient has at least 34 and one to round by.
        let shift = DIGITS_MAX + 2 + wide::digits(divisor) - wide::digits(dividend);
        let (quotient, remainder) = U256::product_pow10(dividend, shift).div_rem(divisor);
        let exact = Self::from_wide(negative, quotient, preferred - shift as i32, remainder != 0)?;
        Some(if remainder == 0 {
            exact.strip_zeros(preferred)
        } else {
            exact
        })
    }

    /// Drops trailing zeros while the exponent is below `preferred`.
    fn strip_zeros(self, preferred: i32) -> Number {
        let (mut coefficient, mut exponent) = (self.coefficient(), self.exponent());
        while exponent < preferred && coefficient % 10 == 0 && coefficient != 0 {
            (coefficient, exponent) = (coefficient / 10, exponent + 1);
        }
        Number::raw(coefficient, exponent)
    }

    /// The same value without trailing zeros in its coefficient.
    pub fn normalized(self) -> Number {
        if self.is_zero() {
            return Number::ZERO;
        }
        self.strip_zeros(EXPONENT_MAX)
    }

    /// FEEL's `modulo`: the remainder with the sign of the divisor; `None` for a division by zero.
    pub fn modulo(self, divisor: Number) -> Option<Number> {
        let floor = self.div(divisor)?.round(0, Rounding::Floor)?;
        self.sub(divisor.mul(floor)?)
    }

    /// The number with its sign turned.
    #[inline]
    #[expect(
        clippy::should_implement_trait,
        reason = "one style for all arithmetic of this type"
    )]
    pub fn neg(self) -> Number {
        Number::raw(-self.coefficient(), self.exponent())
    }

    /// The number without its sign.
    pub fn abs(self) -> Number {
        if self.is_negative() { self.neg() } else { self }
    }

    /// `self` to the power of `exponent`; `None` where no finite real number is the answer.
    ///
    /// Whole exponents are exact up to 34 digits; others go through binary floating point, as in feel-scala.
    pub fn pow(self, exponent: Number) -> Option<Number> {
        match exponent.to_i64() {
            Some(whole) if whole.unsigned_abs() <= 999_999_999 => self.pow_whole(whole),
            _ => Number::from_f64(self.to_f64().powf(exponent.to_f64())),
        }
    }

    fn pow_whole(self, exponent: i64) -> Option<Number> {
        let mut result = Number::ONE;
        let mut base = self;
        let mut rest = exponent.unsigned_abs();
        while rest > 0 {
            if rest & 1 == 1 {
                result = result.mul(base)?;
            }
            rest >>= 1;
            if rest > 0 {
                base = base.mul(base)?;
            }
        }
        if exponent < 0 {
            Number::ONE.div(result)
        } else {
            Some(result)
        }
    }

    /// Square root, through binary floating point as in feel-scala; `None` below zero.
    pub fn sqrt(self) -> Option<Number> {
        Number::from_f64(self.to_f64().sqrt())
    }
}

impl Ord for Number {
    #[inline]
    fn cmp(&self, other: &Number) -> Ordering {
        if self.exponent == other.exponent {
            return self.coefficient().cmp(&other.coefficient());
        }
        compare_scaled(*self, *other)
    }
}

/// A quotient that ends after a few digits, found in 64 bits: most that people write do.
fn divide_exactly(dividend: u128, divisor: u128, preferred: i32) -> Option<(i128, i32)> {
    let divisor = u64::try_from(divisor).ok()?;
    let mut dividend = u64::try_from(dividend).ok()?;
    let mut exponent = preferred;
    while !dividend.is_multiple_of(divisor) {
        dividend = dividend.checked_mul(10)?;
        exponent -= 1;
    }
    Some(((dividend / divisor).into(), exponent))
}

fn compare_scaled(left: Number, right: Number) -> Ordering {
    let (high, low) = if left.exponent > right.exponent {
        (left, right)
    } else {
        (right, left)
    };
    let shift = (high.exponent() - low.exponent()) as u32;
    if let Some(small) = high.small_coefficient()
        && shift < 19
    {
        // 19 digits and 18 zeros fit 128 bits.
        let scaled = i128::from(small) * pow10(shift) as i128;
        let ordering = scaled.cmp(&low.coefficient());
        return if left.exponent > right.exponent {
            ordering
        } else {
            ordering.reverse()
        };
    }
    let sign = |n: Number| n.coefficient().signum();
    if sign(left) != sign(right) || left.is_zero() {
        return sign(left).cmp(&sign(right));
    }
    let magnitude = |n: Number| wide::digits(n.coefficient().unsigned_abs()) as i32 + n.exponent();
    let by_magnitude = magnitude(left).cmp(&magnitude(right)).then_with(|| {
        // Equal magnitude: the exponents differ by less than 34, so scaling fits 68 digits.
        let lowest = left.exponent().min(right.exponent());
        let scaled = |n: Number| {
            U256::product(
                n.coefficient().unsigned_abs(),
                pow10((n.exponent() - lowest) as u32),
            )
        };
        scaled(left).cmp(&scaled(right))
    });
    if left.is_negative() {
        by_magnitude.reverse()
    } else {
        by_magnitude
    }
}

impl PartialOrd for Number {
    #[inline]
    fn partial_cmp(&self, other: &Number) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Number {
    #[inline]
    fn eq(&self, other: &Number) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Number {}

impl Hash for Number {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let normal = self.normalized(); // Equal numbers of different scale must meet.
        (normal.high, normal.low, normal.exponent).hash(state);
    }
}

#[cfg(test)]
mod tests;
