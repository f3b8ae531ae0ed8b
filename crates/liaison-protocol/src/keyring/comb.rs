//! Multiples of one point, computed once, so that a multiple by any scalar is a short sum. Nothing here is secret: time and memory
//! accesses follow the scalar, which in a verification anyone can compute.

use curve25519_dalek::traits::Identity as _;
use curve25519_dalek::{EdwardsPoint, Scalar};

/// A scalar, and so every digit's place, is below 2^253.
const SCALAR_BITS: usize = 253;
/// Room for the digits of a scalar in windows of four bits or more.
const DIGITS_MAX: usize = 64;

/// A row of multiples of 1 to 2^(`WINDOW` - 1) for every `STRIDE`th window of a scalar. The windows between two rows use the row below
/// them, and are doubled into their places: a larger stride is a smaller table and a few doublings more.
pub(super) struct Comb<const WINDOW: usize, const STRIDE: usize> {
    multiples: Box<[EdwardsPoint]>,
}

impl<const WINDOW: usize, const STRIDE: usize> Comb<WINDOW, STRIDE> {
    /// One more bit than a scalar has: what the last window carries must have gone somewhere.
    const WINDOWS: usize = (SCALAR_BITS + 1).div_ceil(WINDOW);
    const ROWS: usize = Self::WINDOWS.div_ceil(STRIDE);
    const ROW: usize = 1 << (WINDOW - 1);
    /// What one takes in memory.
    pub(super) const BYTES: usize = Self::ROWS * Self::ROW * size_of::<EdwardsPoint>();

    /// Of any point of the curve, whatever its order: only additions are done with it, and they are complete.
    pub(super) fn of(point: &EdwardsPoint) -> Self {
        const { assert!(WINDOW >= 4 && WINDOW <= 8 && STRIDE >= 1) };
        let mut multiples = Vec::with_capacity(Self::ROWS * Self::ROW);
        let mut one = *point;
        for _ in 0..Self::ROWS {
            let mut multiple = one;
            multiples.push(multiple);
            for _ in 1..Self::ROW {
                multiple += &one;
                multiples.push(multiple);
            }
            one = doubled(one, WINDOW * STRIDE);
        }
        Self { multiples: multiples.into() }
    }

    /// The scalar, taken as the integer it is, times the point.
    pub(super) fn times(&self, scalar: &Scalar) -> EdwardsPoint {
        let digits = digits::<WINDOW>(scalar.as_bytes());
        let mut sum = EdwardsPoint::identity();
        for above in (0..STRIDE).rev() {
            for (row, place) in (above..Self::WINDOWS).step_by(STRIDE).enumerate() {
                let digit = digits[place];
                let Some(nth) = usize::from(digit.unsigned_abs()).checked_sub(1) else { continue };
                let multiple = &self.multiples[row * Self::ROW + nth];
                if digit > 0 {
                    sum += multiple;
                } else {
                    sum -= multiple;
                }
            }
            if above > 0 {
                sum = doubled(sum, WINDOW);
            }
        }
        sum
    }
}

/// 2^`times` · point. The cofactor is 8: the library multiplies by it in three doublings, which are cheaper than additions.
fn doubled(mut point: EdwardsPoint, times: usize) -> EdwardsPoint {
    for _ in 0..times / 3 {
        point = point.mul_by_cofactor();
    }
    for _ in 0..times % 3 {
        point += point;
    }
    point
}

/// A number below 2^253 in little-endian bytes as digits of which none is above 2^(`WINDOW` - 1) or below its negative: the number is
/// the sum of digit · 2^(`WINDOW` · place).
fn digits<const WINDOW: usize>(number: &[u8; 32]) -> [i16; DIGITS_MAX] {
    let mut bytes = [0; 33];
    bytes[..32].copy_from_slice(number);
    let mut digits = [0; DIGITS_MAX];
    let mut carry = 0;
    for (place, digit) in digits.iter_mut().take((SCALAR_BITS + 1).div_ceil(WINDOW)).enumerate() {
        let bit = place * WINDOW;
        let window = u16::from_le_bytes([bytes[bit / 8], bytes[bit / 8 + 1]]) >> (bit % 8) & ((1 << WINDOW) - 1);
        let value = window.cast_signed() + carry;
        carry = i16::from(value > 1 << (WINDOW - 1));
        *digit = value - (carry << WINDOW);
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;
    use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT, EIGHT_TORSION};
    use proptest::prelude::*;

    /// The sum of digit · 2^(window · place), in little-endian bits; None if it is negative or above 2^320.
    fn sum(digits: &[i16], window: usize) -> Option<Vec<u8>> {
        let (mut bits, mut rest) = (Vec::new(), 0i32);
        for digit in digits {
            rest += i32::from(*digit);
            let low = rest.rem_euclid(1 << window);
            bits.extend((0..window).map(|bit| (low >> bit & 1) as u8));
            rest = (rest - low) >> window;
        }
        (rest == 0).then_some(bits)
    }

    fn digits_are_the_number<const WINDOW: usize>(number: &[u8; 32]) {
        let found = digits::<WINDOW>(number);
        let half = 1 << (WINDOW - 1);
        assert!(found.iter().all(|digit| (-half..=half).contains(digit)), "{found:?}");
        let mut bits: Vec<u8> = (0..256).map(|bit| number[bit / 8] >> (bit % 8) & 1).collect();
        bits.resize(DIGITS_MAX * WINDOW, 0);
        assert_eq!(sum(&found, WINDOW).expect("nothing is left over"), bits, "{number:?} in windows of {WINDOW}");
    }

    fn in_every_window(number: &[u8; 32]) {
        digits_are_the_number::<4>(number);
        digits_are_the_number::<5>(number);
        digits_are_the_number::<6>(number);
        digits_are_the_number::<7>(number);
        digits_are_the_number::<8>(number);
    }

    /// Zero, one, the largest number there is room for, the largest scalar, all digits at their turning point and one beyond it.
    fn extremes() -> Vec<[u8; 32]> {
        let below = |mut bytes: [u8; 32]| {
            bytes[31] &= 0x1f;
            bytes
        };
        let mut extremes = vec![[0; 32], Scalar::ONE.to_bytes(), (-Scalar::ONE).to_bytes(), below([0xff; 32])];
        extremes.extend([0x55, 0xaa, 0x80, 0x7f, 0x81, 0x88, 0x20, 0x10].map(|byte| below([byte; 32])));
        for window in 4..=8 {
            for value in [(1 << (window - 1)) - 1, 1 << (window - 1), (1 << (window - 1)) + 1, (1 << window) - 1] {
                let mut bytes = [0; 32];
                for bit in 0..SCALAR_BITS {
                    bytes[bit / 8] |= ((value >> (bit % window) & 1) as u8) << (bit % 8);
                }
                extremes.push(bytes);
            }
        }
        extremes
    }

    #[test]
    fn the_digits_of_extreme_numbers_sum_to_them() {
        extremes().iter().for_each(in_every_window);
    }

    proptest! {
        #[test]
        fn the_digits_of_any_number_sum_to_it(mut number: [u8; 32]) {
            number[31] &= 0x1f;
            in_every_window(&number);
        }
    }

    fn multiplies_as_the_library_does<const WINDOW: usize, const STRIDE: usize>(scalars: &[Scalar]) {
        let order_of_eight = EIGHT_TORSION[1];
        let base = ED25519_BASEPOINT_POINT;
        for point in [base, -base, base + order_of_eight, order_of_eight, EdwardsPoint::identity()] {
            let comb = Comb::<WINDOW, STRIDE>::of(&point);
            for scalar in scalars {
                assert_eq!(comb.times(scalar).compress(), (point * scalar).compress(), "{scalar:?}");
            }
        }
    }

    #[test]
    fn a_comb_multiplies_as_the_library_does_also_points_of_mixed_and_small_order() {
        let mut scalars: Vec<_> = extremes().iter().map(|bytes| Scalar::from_bytes_mod_order(*bytes)).collect();
        scalars.extend((1..=16u8).map(Scalar::from));
        multiplies_as_the_library_does::<4, 1>(&scalars);
        multiplies_as_the_library_does::<5, 3>(&scalars);
        multiplies_as_the_library_does::<6, 2>(&scalars);
        multiplies_as_the_library_does::<8, 1>(&scalars);
    }
}
