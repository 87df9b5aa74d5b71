//! From inner products to one coefficient per update. Symbols as in the module's formula.

use super::super::error::AggregateError;
use super::super::gram::Gram;
use super::super::shares::Shares;
use super::config::{NormRule, Orientation, Principal};
use super::eigen::eigen;

/// Directions with less than this share of the strongest one's eigenvalue are rounding noise.
const DIRECTION_MIN: f64 = 1e-12;
/// Components of unit eigenvectors below this are zero: a client orthogonal to a direction has no side of it.
const COMPONENT_MIN: f64 = 1e-12;
/// Shorter than this, relative to the lengths it was added up from, a result is zero up to rounding.
const LENGTH_MIN: f64 = 1e-6;

/// The coefficients `c` of one block: its result is `sum_i c_i g_i`.
///
/// The signs of eigenvectors, which are arbitrary, do not show in `c`. A single update has the coefficient 1, and if all
/// updates are zero, so is `c`. Scaling all updates by a power of two leaves `c` the same to the last bit.
///
/// # Errors
/// [`AggregateError::Empty`], [`AggregateError::Count`] if there is not one share per update, [`AggregateError::Eigen`].
pub fn principal_coefficients(gram: &Gram, shares: &Shares, config: &Principal) -> Result<Vec<f64>, AggregateError> {
    let m = gram.order();
    shares.check(m)?;
    match m {
        0 => return Err(AggregateError::Empty),
        1 => return Ok(vec![1.0]),
        _ => {}
    }
    let q = shares.as_slice();
    let root: Vec<f64> = q.iter().map(|q| q.sqrt()).collect();
    let norms: Vec<f64> = (0..m).map(|i| gram.norm(i)).collect();
    let norm_mean: f64 = q.iter().zip(&norms).map(|(q, n)| q * n).sum();
    if norm_mean == 0.0 {
        return Ok(vec![0.0; m]);
    }

    let scale = power_of_four_below((0..m).map(|i| gram.at(i, i)).fold(0.0, f64::max));
    let found = eigen(m, |i, j| root[i] * root[j] * (gram.at(i, j) / scale))?;
    let strongest = found.values[0];
    let total: f64 = found.values.iter().sum();
    let mut c = vec![0.0; m];
    for (s, e) in found.values.iter().zip(&found.vectors).take(config.keep.directions(m)) {
        if *s <= DIRECTION_MIN * strongest {
            break;
        }
        let length = match config.orientation {
            Orientation::Own => e.iter().zip(q).zip(&norms).map(|((e, q), n)| q * n * side(*e)).sum(),
            Orientation::Majority => majority_side(e, q, &root) * norm_mean,
        };
        let factor = (s / total) * length / (s * scale).sqrt();
        c.iter_mut().zip(e).zip(&root).for_each(|((c, e), root)| *c += factor * root * e);
    }
    rescale(&mut c, gram, q, norm_mean, config.norm);
    Ok(c)
}

/// -1, 0 or 1.
fn side(component: f64) -> f64 {
    if component.abs() <= COMPONENT_MIN { 0.0 } else { component.signum() }
}

/// The side of a direction where at least half of the clients are.
fn majority_side(e: &[f64], q: &[f64], root: &[f64]) -> f64 {
    // Shares are rounded numbers: a tie among them is a tie up to rounding.
    let vote: f64 = e.iter().zip(q).map(|(e, q)| q * side(*e)).sum();
    let mean: f64 = e.iter().zip(root).map(|(e, root)| e * root).sum();
    if side(vote) == 0.0 { side(mean) } else { side(vote) }
}

/// Gives the result the length that the rule asks for.
fn rescale(c: &mut [f64], gram: &Gram, q: &[f64], norm_mean: f64, rule: NormRule) {
    let target = match rule {
        NormRule::AsReleased => return,
        NormRule::Mean => gram.inner(q, q).max(0.0).sqrt(),
        NormRule::MeanOfNorms => norm_mean,
    };
    let length = gram.inner(c, c).max(0.0).sqrt();
    let parts: f64 = c.iter().enumerate().map(|(i, c)| c.abs() * gram.norm(i)).sum();
    // Squared lengths are accurate to about 1e-16 of the squared parts, lengths hence to 1e-8.
    if length > LENGTH_MIN * parts {
        c.iter_mut().for_each(|c| *c *= target / length);
    }
}

/// A power of four in `(x / 4, x]`: dividing by it is exact, and so is its square root.
fn power_of_four_below(x: f64) -> f64 {
    let exponent = ((x.to_bits() >> 52) & 0x7ff) as i32 - 1023;
    2f64.powi(exponent.clamp(-1000, 1000) & !1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn coefficients(m: usize, gram: &[f64], orientation: Orientation) -> Vec<f64> {
        let config = Principal { orientation, ..Principal::default() };
        let gram = Gram::new(m, gram.to_vec()).unwrap();
        principal_coefficients(&gram, &Shares::uniform(m).unwrap(), &config).unwrap()
    }

    #[test]
    fn equal_updates_have_the_coefficients_of_the_mean() {
        for c in coefficients(4, &[9.0; 16], Orientation::Own) {
            assert!((c - 0.25).abs() < 1e-15);
        }
    }

    #[test]
    fn an_opposite_pair_cancels_for_own_and_has_no_majority() {
        let pair = [2.0, -2.0, -2.0, 2.0];
        assert_eq!(coefficients(2, &pair, Orientation::Own), [0.0, 0.0]);
        assert_eq!(coefficients(2, &pair, Orientation::Majority), [0.0, 0.0]);
    }

    #[test]
    fn a_tied_vote_goes_to_the_side_of_the_mean() {
        // g = (3, -1) on one axis: one vote each, the mean is 1. Both lengths, mean 2, point there: 2 = 3 c_1 - c_2.
        let c = coefficients(2, &[9.0, -3.0, -3.0, 1.0], Orientation::Majority);
        assert!((3.0 * c[0] - c[1] - 2.0).abs() < 1e-14, "{c:?}");
        // The majority is right whatever its length: (3, -1, -1).
        let c = coefficients(3, &[9.0, -3.0, -3.0, -3.0, 1.0, 1.0, -3.0, 1.0, 1.0], Orientation::Majority);
        assert!((3.0 * c[0] - c[1] - c[2] + 5.0 / 3.0).abs() < 1e-14, "{c:?}");
    }

    #[test]
    fn zero_and_single_updates() {
        assert_eq!(coefficients(3, &[0.0; 9], Orientation::Own), [0.0; 3]);
        assert_eq!(coefficients(1, &[7.0], Orientation::Own), [1.0]);
        let none = Gram::new(0, vec![]).unwrap();
        assert!(principal_coefficients(&none, &Shares::uniform(1).unwrap(), &Principal::default()).is_err());
    }

    #[test]
    fn powers_of_four_are_exact_for_every_magnitude() {
        for (x, expected) in [(1.0, 1.0), (3.9, 1.0), (4.0, 4.0), (0.9, 0.25), (0.25, 0.25), (0.2, 0.0625)] {
            assert_eq!(power_of_four_below(x), expected);
        }
        assert!(power_of_four_below(f64::MAX).is_finite() && power_of_four_below(5e-324) > 0.0);
    }
}
