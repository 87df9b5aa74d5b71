//! The geometric median: the point with the smallest sum of distances to the updates.
//!
//! Source: Pillutla, Kakade, Harchaoui, "Robust Aggregation for Federated Learning", IEEE Transactions on Signal
//! Processing 2022, algorithm 2 (smoothed Weiszfeld).

use super::super::error::AggregateError;
use super::super::gram::Gram;
use super::super::shares::Shares;

/// Coefficients that all move by less than this part of themselves are at rest. Not of their sum: the coefficient of an
/// update of size 1e20 is to become 1e-20.
const REST: f64 = 1e-10;

/// How the geometric median is computed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GeometricMedian {
    /// The distance below which nearness counts no more: `nu` of the paper, above zero, in units of the update.
    pub smoothing: f64,
    /// Steps at most; none is the mean by shares.
    pub iterations_max: usize,
}

impl Default for GeometricMedian {
    /// Smoothing 1e-6 as in the paper. Steps happen among inner products and cost nothing beside a pass over the updates, so
    /// that there may be more of them than the paper's three, which are rounds of communication: up to 1000, until at rest.
    fn default() -> Self {
        Self { smoothing: 1e-6, iterations_max: 1000 }
    }
}

/// The coefficients `c` of the geometric median `z = sum_i c_i g_i`, non-negative with sum 1.
///
/// **Formula.** `z` minimises `sum_i q_i |z - g_i|`, smoothed where a distance is below `nu`. From the mean by shares on,
/// each step sets `c_i` proportional to `q_i / max(nu, |z - g_i|)`. With the Gram matrix `G`,
/// `|z - g_i|^2 = c^T G c - 2 (G c)_i + G_ii`: a step is `m^2` multiply-adds and touches no parameter.
///
/// Combine them with [`combine`](super::super::combine()) on [`Layout::whole`](super::super::Layout::whole): two passes
/// over the updates, where the paper's algorithm makes one in every step. Smoothing above all distances, or no step, is
/// the mean by shares.
///
/// **Withstands** hostile sites with less than half of the shares in all: with their share `a`, the result is no further
/// from the honest updates' geometric median than `2 (1 - a) / (1 - 2 a)` times the largest distance of an honest
/// update from there, whatever they send.
///
/// # Errors
/// [`AggregateError::Empty`], [`AggregateError::Count`] if there is not one share per update, [`AggregateError::Option`] where
/// the smoothing is not a positive number.
pub fn geometric_median_coefficients(
    gram: &Gram,
    shares: &Shares,
    config: GeometricMedian,
) -> Result<Vec<f64>, AggregateError> {
    let m = gram.order();
    shares.check(m)?;
    if !(config.smoothing > 0.0 && config.smoothing.is_finite()) {
        let (rule, option, allowed) = ("geometric median", "smoothing", "a number above 0; the published one is 1e-6");
        return Err(AggregateError::Option { rule, option, value: config.smoothing, allowed });
    }
    let mut c = shares.as_slice().to_vec();
    for _ in 0..config.iterations_max {
        // Not by squared distances between updates: a huge update's would drown the others' differences.
        let along: Vec<f64> = (0..m).map(|i| c.iter().enumerate().map(|(j, c)| c * gram.at(i, j)).sum()).collect();
        let square: f64 = c.iter().zip(&along).map(|(c, along)| c * along).sum();
        let distance = |i: usize| (square - 2.0 * along[i] + gram.at(i, i)).max(0.0).sqrt();
        let nearness = |(i, q): (usize, &f64)| q / distance(i).max(config.smoothing);
        let mut next: Vec<f64> = shares.as_slice().iter().enumerate().map(nearness).collect();
        let total: f64 = next.iter().sum();
        next.iter_mut().for_each(|c| *c /= total);
        let at_rest = next.iter().zip(&c).all(|(new, old)| (new - old).abs() <= REST * new);
        c = next;
        if at_rest {
            break;
        }
    }
    Ok(c)
}

#[cfg(test)]
mod tests {
    use super::super::super::gram::gram;
    use super::*;

    fn of(points: &[[f32; 2]], shares: &Shares, config: GeometricMedian) -> [f64; 2] {
        let rows: Vec<&[f32]> = points.iter().map(<[f32; 2]>::as_slice).collect();
        let c = geometric_median_coefficients(&gram(&rows, 0..2).unwrap(), shares, config).unwrap();
        [0, 1].map(|x| c.iter().zip(points).map(|(c, p)| c * f64::from(p[x])).sum())
    }

    #[test]
    fn fermat_points_by_hand() {
        // The equilateral triangle's is its centre; the one with sides (0, 0), (1, 0), (0, 1) has both coordinates
        // (3 - sqrt 3) / 6, where all sides are seen at 120 degrees.
        let q = Shares::uniform(3).unwrap();
        let z = of(&[[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]], &q, GeometricMedian::default());
        let expected = (3.0 - 3f64.sqrt()) / 6.0;
        assert!((z[0] - expected).abs() < 1e-8 && (z[1] - expected).abs() < 1e-8, "{z:?}");
        // Four corners: where the diagonals cross.
        let q = Shares::uniform(4).unwrap();
        let z = of(&[[0.0, 0.0], [4.0, 4.0], [0.0, 1.0], [1.0, 0.0]], &q, GeometricMedian::default());
        assert!((z[0] - 0.5).abs() < 1e-6 && (z[1] - 0.5).abs() < 1e-6, "{z:?}");
    }

    #[test]
    fn no_step_and_much_smoothing_are_the_mean() {
        let points = [[0.0, 0.0], [3.0, 0.0], [0.0, 9.0]];
        let q = Shares::uniform(3).unwrap();
        for config in [
            GeometricMedian { iterations_max: 0, ..GeometricMedian::default() },
            GeometricMedian { smoothing: 1e9, ..GeometricMedian::default() },
        ] {
            let z = of(&points, &q, config);
            assert!((z[0] - 1.0).abs() < 1e-12 && (z[1] - 3.0).abs() < 1e-12);
        }
        let gram = Gram::new(1, vec![1.0]).unwrap();
        let bad = GeometricMedian { smoothing: 0.0, ..GeometricMedian::default() };
        let refused = geometric_median_coefficients(&gram, &Shares::uniform(1).unwrap(), bad);
        assert!(matches!(refused, Err(AggregateError::Option { .. })));
    }
}
