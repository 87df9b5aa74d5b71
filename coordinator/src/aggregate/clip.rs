//! Norm clipping: no update is longer than a bound.

use rayon::prelude::*;

use super::error::AggregateError;
use super::screen::{Screened, screen};

/// Parameters per task.
const CHUNK: usize = 32_768;

/// Shortens `values` to the L2 norm `norm_max` where they are longer, `values * norm_max / norm`, and returns their screening.
/// `screened` is what [`screen()`] said of them. Whatever is not longer is left as it is: an infinite bound changes no bit.
///
/// The factor is rounded once and each product once, so the norm may pass the bound by a few units in the last place.
///
/// # Errors
/// [`AggregateError::Coefficient`] for a bound that is NaN or not above 0.
pub fn clip_norm(values: &mut [f32], screened: Screened, norm_max: f64) -> Result<Screened, AggregateError> {
    if norm_max.is_nan() || norm_max <= 0.0 {
        return Err(AggregateError::Coefficient(0));
    }
    let norm = screened.norm();
    if norm <= norm_max {
        return Ok(screened);
    }
    scale(values, norm_max / norm)
}

/// Multiplies `values` by `factor`, each product rounded once, and returns their screening.
///
/// # Errors
/// When a product is not finite.
pub fn scale(values: &mut [f32], factor: f64) -> Result<Screened, AggregateError> {
    values.par_chunks_mut(CHUNK).for_each(|chunk| {
        chunk.iter_mut().for_each(|value| *value = (f64::from(*value) * factor) as f32);
    });
    screen(values)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_long_update_is_shortened_and_a_short_one_kept() {
        let mut values = [3.0, -4.0];
        let clipped = clip_norm(&mut values, screen(&[3.0, -4.0]).unwrap(), 2.5).unwrap();
        assert_eq!((values, clipped.norm()), ([1.5, -2.0], 2.5));
        assert_eq!(clip_norm(&mut values, clipped, 2.5).unwrap(), clipped);
        assert_eq!(clip_norm(&mut values, clipped, f64::INFINITY).unwrap(), clipped);
        assert_eq!(values, [1.5, -2.0]);
        assert_eq!(clip_norm(&mut values, clipped, 0.0), Err(AggregateError::Coefficient(0)));
    }

    proptest! {
        #[test]
        fn the_direction_stays_and_the_norm_is_bounded(x in prop::collection::vec(-1e3f32..1e3, 1..40), most in 1e-3f64..1e3) {
            let (before, mut values) = (screen(&x).unwrap(), x.clone());
            let after = clip_norm(&mut values, before, most).unwrap();
            prop_assert!(after.norm() <= most.min(before.norm()) * (1.0 + 1e-6));
            for (value, x) in values.iter().zip(&x) {
                let expected = f64::from(*x) * (most / before.norm()).min(1.0);
                prop_assert!((f64::from(*value) - expected).abs() <= 1e-6 * expected.abs() + 1e-30);
            }
        }
    }
}
