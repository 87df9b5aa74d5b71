//! CAGrad: the direction near the mean that is best for the update that gains least.
//!
//! Source: Liu, Liu, Jin, Stone, Liu, "Conflict-Averse Gradient Descent for Multi-task Learning", NeurIPS 2021, equation 1
//! and algorithm 1.

use super::super::error::AggregateError;
use super::super::gram::Gram;
use super::super::shares::Shares;
use super::simplex::Quadratic;

/// Halvings of the interval in which `|g_w|` is looked for: to 1e-12 of the largest norm.
const HALVINGS: usize = 40;
/// Shorter than this part of the largest norm, `g_w` is zero up to rounding and gives no direction.
const LENGTH_MIN: f64 = 1e-7;

/// How far CAGrad may leave the mean.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cagrad(f64);

impl Cagrad {
    /// The radius `c` as a part of the mean's length, in `[0, 1)`.
    ///
    /// # Errors
    /// [`AggregateError::Option`] outside `[0, 1)`.
    pub fn new(radius: f64) -> Result<Self, AggregateError> {
        if (0.0..1.0).contains(&radius) {
            return Ok(Self(radius));
        }
        let allowed = "at least 0 and below 1; 0 is the mean, the published setting is 0.5";
        Err(AggregateError::Option { rule: "CAGrad", option: "c", value: radius, allowed })
    }
}

impl Default for Cagrad {
    /// 0.5, as published.
    fn default() -> Self {
        Self(0.5)
    }
}

/// The coefficients of CAGrad.
///
/// **Formula.** With the mean by shares `g_0 = sum_i q_i g_i`, the result is the `d` that maximises `min_i <g_i, d>` among
/// `|d - g_0| <= c |g_0|`, namely
///
/// ```text
/// d = g_0 + c |g_0| g_w / |g_w|,    g_w = sum_i w_i g_i,    w = argmin over the simplex of <g_w, g_0> + c |g_0| |g_w|
/// ```
///
/// As `2 |g_w|` is the least `|g_w|^2 / n + n` over `n > 0`, the minimum over `w` is a quadratic programme for each length
/// `n`, and the right length, where `|g_w| = n`, is found by halving an interval: the minimum is convex in `n`.
///
/// With `c = 0` the result is the mean, to the last bit; so it is where `g_w` is zero, as no direction is better for all
/// then. Nothing is rescaled: equal updates give `1 + c` times the update, which the server's learning rate can undo.
///
/// Cost: the [`combine`](super::super::combine()) of its coefficients, which take some hundred steps of `m` operations.
///
/// # Errors
/// [`AggregateError::Empty`], [`AggregateError::Count`] if there is not one share per update.
pub fn cagrad_coefficients(gram: &Gram, shares: &Shares, radius: Cagrad) -> Result<Vec<f64>, AggregateError> {
    let m = gram.order();
    shares.check(m)?;
    let q = shares.as_slice();
    let linear: Vec<f64> = (0..m).map(|i| q.iter().enumerate().map(|(j, q)| q * gram.at(i, j)).sum()).collect();
    let slope = radius.0 * norm(gram, q);
    if slope == 0.0 {
        return Ok(q.to_vec());
    }
    let (mut low, mut high) = (0.0, (0..m).map(|i| gram.norm(i)).fold(0.0, f64::max));
    let (bounds, shortest) = (vec![0.0..1.0; m], LENGTH_MIN * high);
    let mut w = q.to_vec();
    for _ in 0..HALVINGS {
        let length = (low + high) / 2.0;
        let scaled: Vec<f64> = linear.iter().map(|b| b * (length / slope)).collect();
        w = Quadratic { gram, linear: &scaled }.minimise(&bounds, w);
        if norm(gram, &w) > length { low = length } else { high = length }
    }
    let length = norm(gram, &w);
    let along = if length > shortest { slope / length } else { 0.0 };
    Ok(q.iter().zip(&w).map(|(q, w)| q + along * w).collect())
}

/// `|sum_i c_i g_i|`.
fn norm(gram: &Gram, c: &[f64]) -> f64 {
    gram.inner(c, c).max(0.0).sqrt()
}

#[cfg(test)]
mod tests {
    use super::super::super::gram::gram;
    use super::*;

    #[test]
    fn an_uneven_pair_by_hand() {
        // g = (1, 0), (0, 3): g_0 = (1/2, 3/2), F(w) = w/2 + 9/2 (1 - w) + c |g_0| sqrt(w^2 + 9 (1 - w)^2), least at w = 1
        // for c = 0.5, as F' = -4 + 0.79 at most: d = g_0 + 0.79 (1, 0).
        let gram = gram(&[&[1.0, 0.0], &[0.0, 3.0]], 0..2).unwrap();
        let c = cagrad_coefficients(&gram, &Shares::uniform(2).unwrap(), Cagrad::default()).unwrap();
        let expected = 0.5 + 0.5 * 2.5f64.sqrt();
        assert!((c[0] - expected).abs() < 1e-10 && (c[1] - 0.5).abs() < 1e-10, "{c:?} {expected}");
    }

    #[test]
    fn an_even_pair_stays_on_the_diagonal_and_opposites_cancel() {
        let q = Shares::uniform(2).unwrap();
        let c = cagrad_coefficients(&gram(&[&[1.0, 0.0], &[0.0, 1.0]], 0..2).unwrap(), &q, Cagrad::default()).unwrap();
        assert!(c.iter().all(|c| (c - 0.75).abs() < 1e-10), "{c:?}");
        let c = cagrad_coefficients(&gram(&[&[1.0], &[-1.0]], 0..1).unwrap(), &q, Cagrad::default()).unwrap();
        assert_eq!(c, [0.5, 0.5]);
    }

    #[test]
    fn the_radius_is_below_one() {
        for bad in [-0.1, 1.0, f64::NAN] {
            assert!(matches!(Cagrad::new(bad), Err(AggregateError::Option { option: "c", .. })));
        }
    }
}
