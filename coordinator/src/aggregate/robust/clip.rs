//! Norm clipping: nobody is louder than allowed.
//!
//! Source: Sun, Kairouz, Suresh, McMahan, "Can You Really Backdoor Federated Learning?", 2019, section 4 (norm
//! thresholding). The median of the round's norms as the bound asks for no number to be guessed.

use super::super::error::AggregateError;
use super::super::shares::Shares;

/// The longest an update may be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ClipBound {
    /// This norm, at least 0. Infinity is the plain mean.
    Fixed(f64),
    /// This factor, at least 0, times the median of the norms (of an even number of updates the lower one of the two in
    /// the middle, so that half of the sites cannot raise it).
    MedianNorm(f64),
}

/// The coefficients of the clipped mean: `c_i = q_i min(1, bound / |g_i|)`.
///
/// `norms` are the updates' norms as [`screen`](super::super::screen()) measures them on arrival, so that
/// [`weighted_sum`](super::super::weighted_sum) is the only pass, of `m` multiply-adds a parameter.
///
/// **Withstands** any number of sites in the sense that a site moves the result by at most its share of the bound. A
/// bound that is the median holds as long as fewer than half of the sites are hostile.
///
/// # Errors
/// [`AggregateError::Empty`], [`AggregateError::Count`] if there is not one share per norm, [`AggregateError::Option`] where a
/// bound is negative or not a number, [`AggregateError::Coefficient`] where a norm is not finite.
pub fn clip_coefficients(norms: &[f64], shares: &Shares, bound: ClipBound) -> Result<Vec<f64>, AggregateError> {
    if norms.is_empty() {
        return Err(AggregateError::Empty);
    }
    shares.check(norms.len())?;
    if let Some(update) = norms.iter().position(|norm| !norm.is_finite()) {
        return Err(AggregateError::Coefficient(update));
    }
    let (option, value) = match bound {
        ClipBound::Fixed(norm) => ("bound", norm),
        ClipBound::MedianNorm(factor) => ("factor of the median norm", factor),
    };
    if value.is_nan() || value < 0.0 {
        let allowed = "at least 0; infinity leaves every update as it is";
        return Err(AggregateError::Option { rule: "norm clipping", option, value, allowed });
    }
    let bound = match bound {
        ClipBound::Fixed(norm) => norm,
        ClipBound::MedianNorm(factor) if factor.is_infinite() => factor,
        ClipBound::MedianNorm(factor) => factor * lower_median(norms),
    };
    let clipped = |(q, norm): (&f64, &f64)| if *norm > bound { q * (bound / norm) } else { *q };
    Ok(shares.as_slice().iter().zip(norms).map(clipped).collect())
}

fn lower_median(norms: &[f64]) -> f64 {
    let mut sorted = norms.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted[(sorted.len() - 1) / 2]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clipped_by_hand() {
        let q = Shares::uniform(4).unwrap();
        let of = |bound| clip_coefficients(&[4.0, 1.0, 0.0, 2.0], &q, bound).unwrap();
        assert_eq!(of(ClipBound::Fixed(2.0)), [0.125, 0.25, 0.25, 0.25]);
        assert_eq!(of(ClipBound::MedianNorm(1.0)), [0.0625, 0.25, 0.25, 0.125]);
        assert_eq!(of(ClipBound::Fixed(0.0)), [0.0, 0.0, 0.25, 0.0]);
        for none in [ClipBound::Fixed(f64::INFINITY), ClipBound::MedianNorm(f64::INFINITY)] {
            assert_eq!(of(none), [0.25; 4]);
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let q = Shares::uniform(1).unwrap();
        for bad in [-1.0, f64::NAN] {
            for bound in [ClipBound::Fixed(bad), ClipBound::MedianNorm(bad)] {
                assert!(matches!(clip_coefficients(&[1.0], &q, bound), Err(AggregateError::Option { .. })));
            }
        }
        let plain = ClipBound::Fixed(1.0);
        assert_eq!(clip_coefficients(&[], &q, plain), Err(AggregateError::Empty));
        assert_eq!(clip_coefficients(&[f64::NAN], &q, plain), Err(AggregateError::Coefficient(0)));
        assert!(matches!(clip_coefficients(&[1.0; 2], &q, plain), Err(AggregateError::Count { .. })));
    }
}
