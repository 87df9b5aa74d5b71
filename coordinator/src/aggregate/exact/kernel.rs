//! The arithmetic of one chunk: splitting terms into limbs, adding them, reading the mean back.
//!
//! `f64` numbers in `[2^52, 2^53)` are one apart. Adding `1.5 * 2^52` units therefore rounds a smaller number to whole
//! units, and the difference of the bit patterns is that whole number as an integer: no conversion is needed.

use pulp::{Simd, WithSimd};

use super::super::screen::magnitude_bits;

/// So many updates are folded into the limbs in one pass over them. The limbs are four times as wide as an update, so
/// one update at a time is bound by reading and writing limbs: 0.4 of the speed of a plain sum, four at a time 0.8.
pub const GROUP: usize = 4;

/// The high limb counts units of `2^-8`, the low limb units of `2^-58`.
pub(super) const LOW_BITS: u32 = 50;
const LOW_MASK: i64 = (1 << LOW_BITS) - 1;
const ONE_AND_A_HALF: f64 = 6_755_399_441_055_744.0; // 1.5 * 2^52
const HIGH_UNIT: f64 = 1.0 / 256.0;
pub(super) const LOW_UNIT: f64 = HIGH_UNIT / (1u64 << LOW_BITS) as f64;
const HIGH_MAGIC: f64 = ONE_AND_A_HALF * HIGH_UNIT;
const LOW_MAGIC: f64 = ONE_AND_A_HALF * LOW_UNIT;

/// The splitting works below `2^51` high units.
pub(super) const TERM_LIMIT: f64 = (1u64 << 43) as f64;

/// Adds `weights[k] * values[k][i]` to the limbs for up to [`GROUP`] updates and yields each one's largest magnitude as
/// bits: at or above infinity's bits where a value is not finite.
///
/// Terms that cannot be split are left out; whoever finds one by the largest magnitude undoes the whole. A negated weight
/// undoes an addition exactly: rounding to nearest is symmetric and the integers wrap.
pub(super) struct Fold<'a, 'b> {
    pub(super) weights: &'a [f64],
    pub(super) values: &'a [&'b [f32]],
    pub(super) high: &'a mut [i64],
    pub(super) low: &'a mut [i64],
}

impl WithSimd for Fold<'_, '_> {
    type Output = [u32; GROUP];

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> Self::Output {
        let Self { weights, values, high, low } = self;
        let mut bits = [0; GROUP];
        match (weights, values) {
            ([a], [x]) => fold([*a], [x], high, low, &mut bits),
            ([a, b], [x, y]) => fold([*a, *b], [x, y], high, low, &mut bits),
            ([a, b, c], [x, y, z]) => fold([*a, *b, *c], [x, y, z], high, low, &mut bits),
            ([a, b, c, d], [x, y, z, t]) => fold([*a, *b, *c, *d], [x, y, z, t], high, low, &mut bits),
            _ => {}
        }
        bits
    }
}

#[inline(always)]
fn fold<const N: usize>(
    weights: [f64; N],
    values: [&[f32]; N],
    high: &mut [i64],
    low: &mut [i64],
    bits: &mut [u32; GROUP],
) {
    let length = high.len();
    let low = &mut low[..length];
    let values = values.map(|v| &v[..length]);
    let mut largest = [0; N];
    for i in 0..length {
        let (mut h, mut l) = (high[i], low[i]);
        for k in 0..N {
            let value = values[k][i];
            largest[k] = largest[k].max(magnitude_bits(value));
            // Exact for weights below 2^29; above that rounded by 2^-53 of itself, still the same for every order.
            let term = weights[k] * f64::from(value);
            let term = if term.abs() < TERM_LIMIT { term } else { 0.0 };
            let whole = term + HIGH_MAGIC;
            let rest = term - (whole - HIGH_MAGIC); // exact, at most half a high unit
            let fine = rest + LOW_MAGIC;
            h = h.wrapping_add((whole.to_bits() as i64).wrapping_sub(HIGH_MAGIC.to_bits() as i64));
            l = l.wrapping_add((fine.to_bits() as i64).wrapping_sub(LOW_MAGIC.to_bits() as i64));
        }
        high[i] = h;
        low[i] = l;
    }
    bits[..N].copy_from_slice(&largest);
}

/// The largest magnitude of a chunk as bits; at or above infinity's bits where something is not finite.
pub(super) struct LargestBits<'a>(pub(super) &'a [f32]);

impl WithSimd for LargestBits<'_> {
    type Output = u32;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> u32 {
        let mut largest = 0;
        for value in self.0 {
            largest = largest.max(magnitude_bits(*value));
        }
        largest
    }
}

/// Moves what the low limbs hold beyond one high unit into the high limbs. The sum stays the same.
pub(super) struct Carry<'a> {
    pub(super) high: &'a mut [i64],
    pub(super) low: &'a mut [i64],
}

impl WithSimd for Carry<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for (h, l) in self.high.iter_mut().zip(self.low) {
            (*h, *l) = carried(*h, *l);
        }
    }
}

/// The one representation of a sum whose low limb is in `0..2^50`.
#[inline(always)]
fn carried(high: i64, low: i64) -> (i64, i64) {
    (high.wrapping_add(low >> LOW_BITS), low & LOW_MASK)
}

/// `out = sum / divisor`.
pub(super) struct Divide<'a> {
    pub(super) high: &'a [i64],
    pub(super) low: &'a [i64],
    pub(super) divisor: f64,
    pub(super) out: &'a mut [f32],
}

impl WithSimd for Divide<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for ((out, h), l) in self.out.iter_mut().zip(self.high).zip(self.low) {
            let (h, l) = carried(*h, *l);
            // Both conversions are exact unless the sum exceeds 2^45, so the addition rounds the true sum once.
            let sum = h as f64 * HIGH_UNIT + l as f64 * LOW_UNIT;
            *out = (sum / self.divisor) as f32;
        }
    }
}
