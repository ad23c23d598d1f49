//! Unsigned 256-bit integers, only as far as rounding a product or quotient of two 34-digit coefficients needs them.
//!
//! **Invariant:** no operation here overflows for operands that come from coefficients under 10^34: the largest value is
//! a product of 34 and 38 digits. Deliberately absent: everything else an integer can do.

/// The powers of ten that fit a `u128`.
const POWERS: [u128; 39] = {
    let mut powers = [1; 39];
    let mut at = 1;
    while at < powers.len() {
        powers[at] = powers[at - 1] * 10;
        at += 1;
    }
    powers
};

/// `10^exponent`; `exponent` is at most 38.
#[inline]
pub(super) fn pow10(exponent: u32) -> u128 {
    *POWERS
        .get(exponent as usize)
        .expect("invariant: scales differ by 38 digits at most")
}

/// Decimal digits of `value`; zero has one.
pub(super) fn digits(value: u128) -> u32 {
    value.checked_ilog10().unwrap_or(0) + 1
}

/// `high × 2^128 + low`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct U256 {
    high: u128,
    low: u128,
}

impl From<u128> for U256 {
    fn from(low: u128) -> U256 {
        U256 { high: 0, low }
    }
}

impl U256 {
    pub(super) fn low(self) -> u128 {
        debug_assert!(self.high == 0, "value was reduced to 128 bits");
        self.low
    }

    /// Schoolbook product of two 128-bit numbers.
    pub(super) fn product(left: u128, right: u128) -> U256 {
        const HALF: u128 = u64::MAX as u128;
        let (a, b) = (left >> 64, left & HALF);
        let (c, d) = (right >> 64, right & HALF);
        let low = b * d;
        let (middle, carry) = (a * d).overflowing_add(b * c);
        let (low, carry_low) = low.overflowing_add(middle << 64);
        let high = a * c + (middle >> 64) + (u128::from(carry) << 64) + u128::from(carry_low);
        U256 { high, low }
    }

    /// `value × 10^exponent`, for an exponent up to 76 whose product fits.
    pub(super) fn product_pow10(value: u128, exponent: u32) -> U256 {
        if exponent <= 38 {
            return U256::product(value, pow10(exponent));
        }
        let first = U256::product(value, pow10(38));
        let rest = pow10(exponent - 38);
        let mut result = U256::product(first.low, rest);
        result.high += first.high * rest;
        result
    }

    pub(super) fn add(self, other: U256) -> U256 {
        let (low, carry) = self.low.overflowing_add(other.low);
        U256 {
            high: self.high + other.high + u128::from(carry),
            low,
        }
    }

    /// `self - other`, for `other <= self`.
    pub(super) fn sub(self, other: U256) -> U256 {
        let (low, borrow) = self.low.overflowing_sub(other.low);
        U256 {
            high: self.high - other.high - u128::from(borrow),
            low,
        }
    }

    pub(super) fn digits(self) -> u32 {
        if self.high == 0 {
            return digits(self.low);
        }
        // Digits of the largest power of two below it: one short at most.
        let bits = 256 - self.high.leading_zeros();
        let digits = ((bits - 1) * 30103) / 100_000 + 1;
        if self >= U256::product_pow10(1, digits) {
            digits + 1
        } else {
            digits
        }
    }

    fn limbs(self) -> [u64; 4] {
        [
            (self.high >> 64) as u64,
            self.high as u64,
            (self.low >> 64) as u64,
            self.low as u64,
        ]
    }

    fn from_limbs(limbs: [u64; 4]) -> U256 {
        let [a, b, c, d] = limbs.map(u128::from);
        U256 {
            high: (a << 64) | b,
            low: (c << 64) | d,
        }
    }

    fn div_rem_small(self, divisor: u64) -> (U256, u64) {
        let mut remainder = 0u64;
        let limbs = self.limbs().map(|limb| {
            let value = (u128::from(remainder) << 64) | u128::from(limb);
            remainder = (value % u128::from(divisor)) as u64;
            (value / u128::from(divisor)) as u64
        });
        (U256::from_limbs(limbs), remainder)
    }

    /// Quotient and remainder.
    pub(super) fn div_rem(self, divisor: u128) -> (U256, u128) {
        if self.high == 0 {
            return (U256::from(self.low / divisor), self.low % divisor);
        }
        if let Ok(small) = u64::try_from(divisor) {
            let (quotient, remainder) = self.div_rem_small(small);
            return (quotient, u128::from(remainder));
        }
        // Bit by bit. Divisors are under 10^34 < 2^113, so the remainder never loses its top bit when it is doubled.
        let (mut quotient, mut remainder) = (U256::from(0), 0u128);
        for bit in (0..256).rev() {
            let next = if bit >= 128 {
                self.high >> (bit - 128)
            } else {
                self.low >> bit
            } & 1;
            remainder = (remainder << 1) | next;
            quotient = U256 {
                high: (quotient.high << 1) | (quotient.low >> 127),
                low: quotient.low << 1,
            };
            if remainder >= divisor {
                remainder -= divisor;
                quotient.low |= 1;
            }
        }
        (quotient, remainder)
    }

    /// `self / 10^drop`, rounded half-even; `sticky` says that something non-zero lies below `self` already.
    pub(super) fn div_pow10_half_even(self, drop: u32, sticky: bool) -> u128 {
        if drop > 77 {
            return 0; // More digits go than any value has, and with a margin: nothing rounds up to one.
        }
        let (mut quotient, mut sticky) = (self, sticky);
        // All but the last digit go unrounded, then the last one decides.
        let mut left = drop - 1;
        while left > 0 {
            let step = left.min(19);
            let (next, remainder) = quotient.div_rem_small(10u64.pow(step));
            sticky |= remainder != 0;
            (quotient, left) = (next, left - step);
        }
        let (quotient, digit) = quotient.div_rem_small(10);
        let quotient = quotient.low();
        let up = digit > 5 || (digit == 5 && (sticky || quotient & 1 == 1));
        quotient + u128::from(up)
    }
}
