//! The check at the door: is every number finite, and how large is the whole?

use pulp::{Arch, Simd, WithSimd};

use super::error::AggregateError;
use super::gram::{CHUNK, LANES, add_lanes};

/// What one pass over a finite vector learned.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Screened {
    /// Sum of squares, accumulated in `f64`: bit for bit the vector's diagonal entry in [`gram`](super::gram()).
    pub norm_squared: f64,
    /// Largest magnitude.
    pub abs_max: f32,
}

impl Screened {
    /// Euclidean norm.
    #[must_use]
    pub fn norm(&self) -> f64 {
        self.norm_squared.sqrt()
    }
}

/// Reads `values` once, at the speed of memory. A finite `f32` vector has a finite norm in `f64`.
///
/// # Errors
/// [`AggregateError::NonFinite`] names the first parameter that is NaN or infinite (as update #0).
pub fn screen(values: &[f32]) -> Result<Screened, AggregateError> {
    let arch = Arch::new();
    let mut seen = Screened { norm_squared: 0.0, abs_max: 0.0 };
    for (index, chunk) in values.chunks(CHUNK).enumerate() {
        let (bits, squares) = arch.dispatch(ScreenChunk(chunk));
        if bits >= f32::INFINITY.to_bits() {
            let inside = chunk.iter().position(|v| !v.is_finite()).unwrap_or_default();
            return Err(AggregateError::NonFinite { update: 0, at: index * CHUNK + inside, value: chunk[inside] });
        }
        seen.norm_squared += squares;
        seen.abs_max = seen.abs_max.max(f32::from_bits(bits));
    }
    Ok(seen)
}

/// Largest magnitude as bits (which order like the magnitudes, infinity and NaN on top) and sum of squares of one chunk.
struct ScreenChunk<'a>(&'a [f32]);

impl WithSimd for ScreenChunk<'_> {
    type Output = (u32, f64);

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> Self::Output {
        let (whole, rest) = self.0.as_chunks::<LANES>();
        let mut bits = [0u32; LANES];
        let mut lanes = [0.0f64; LANES];
        for values in whole {
            for lane in 0..LANES {
                bits[lane] = bits[lane].max(magnitude_bits(values[lane]));
                // The product of two f32 is exact in f64, so this is what a fused multiply-add gives, too.
                let value = f64::from(values[lane]);
                lanes[lane] += value * value;
            }
        }
        for (lane, value) in rest.iter().enumerate() {
            bits[lane] = bits[lane].max(magnitude_bits(*value));
            lanes[lane] += f64::from(*value) * f64::from(*value);
        }
        (bits.into_iter().fold(0, u32::max), add_lanes(lanes))
    }
}

/// The bits of `|value|`.
#[inline(always)]
pub(super) fn magnitude_bits(value: f32) -> u32 {
    value.to_bits() & 0x7fff_ffff
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn norm_and_largest_magnitude_are_found() {
        let seen = screen(&[3.0, -4.0, 0.0]).unwrap();
        assert_eq!((seen.norm(), seen.abs_max), (5.0, 4.0));
        assert_eq!(screen(&[]).unwrap(), Screened { norm_squared: 0.0, abs_max: 0.0 });
    }

    #[test]
    fn the_largest_floats_have_a_finite_norm() {
        let seen = screen(&[f32::MAX; 100]).unwrap();
        assert!((seen.norm() / (10.0 * f64::from(f32::MAX)) - 1.0).abs() < 1e-14);
    }

    #[test]
    fn the_first_non_finite_parameter_is_named() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -f32::NAN] {
            for at in [0, 7, 8, CHUNK - 1, CHUNK, 2 * CHUNK + 3] {
                let mut values = vec![1.0; 2 * CHUNK + 5];
                values[at] = bad;
                values[2 * CHUNK + 4] = f32::INFINITY;
                let Err(AggregateError::NonFinite { update: 0, at: found, .. }) = screen(&values) else { panic!() };
                assert_eq!(found, at);
            }
        }
    }
}
