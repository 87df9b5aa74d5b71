//! Principal projection: the mean, lengthened along each principal direction the more, the less of the updates it carries.
//!
//! **Formula.** Every site says: along my own direction `u_i = g_i / |g_i|` the model should move by `|g_i|`. With the shares
//! `q_i` and the damping `lambda`, the step that fits all of them best is
//!
//! ```text
//! step = (1 + lambda) argmin_x  sum_i q_i (<u_i, x> - |g_i|)^2 + lambda |x|^2
//! ```
//!
//! In the principal directions `w_j` of the unit updates, whose eigenvalues `s_j` add up to 1, that is the mean with its
//! component along each `w_j` multiplied by `(1 + lambda) / (s_j + lambda)`: by 1 for a direction that all updates share,
//! and by at most `(1 + lambda) / lambda` for one that few have. Where sites pull in different directions the mean cancels
//! and is too short; this gives back what was lost, and no more. As `lambda` grows it becomes the mean.
//!
//! It is principal-gradient aggregation with another weight on the directions: FedLD multiplies by `s_j`, which shortens
//! what few sites share. The idea of a longer step for updates that differ is that of extrapolated projections (Pierra,
//! Decomposition through formalization in a product space, 1984) and of FedExP (Jhunjhunwala, Wang, Joshi, ICLR 2023), which
//! lengthens the whole mean by one number.

use super::super::error::AggregateError;
use super::super::gram::Gram;
use super::super::shares::Shares;
use super::config::Keep;
use super::eigen::eigen;

/// Directions with less than this share of the strongest one's eigenvalue are rounding noise.
const DIRECTION_MIN: f64 = 1e-12;

/// How principal projection is done.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Projection {
    damping: f64,
    keep: Keep,
}

impl Projection {
    /// With the damping `lambda`, above 0, and a share of the directions that is kept.
    ///
    /// # Errors
    /// [`AggregateError::Option`] for a damping that is not above 0 and finite.
    pub fn new(damping: f64, keep: Keep) -> Result<Self, AggregateError> {
        if damping > 0.0 && damping.is_finite() {
            return Ok(Self { damping, keep });
        }
        let allowed = "above 0 and finite; 1 is a good start, a large one gives the mean";
        Err(AggregateError::Option { rule: "principal projection", option: "damping", value: damping, allowed })
    }
}

/// The coefficients of principal projection.
///
/// A zero update asks for nothing: it has the coefficient 0 and keeps its share. A single update has the coefficient 1.
///
/// Cost: the [`combine`](super::super::combine()) of its coefficients, and one eigenproblem of the order `m`.
///
/// # Errors
/// [`AggregateError::Empty`], [`AggregateError::Count`] if there is not one share per update, [`AggregateError::Eigen`].
pub fn projection_coefficients(gram: &Gram, shares: &Shares, config: Projection) -> Result<Vec<f64>, AggregateError> {
    let m = gram.order();
    shares.check(m)?;
    match m {
        0 => return Err(AggregateError::Empty),
        1 => return Ok(vec![1.0]),
        _ => {}
    }
    let Projection { damping, keep } = config;
    let q = shares.as_slice();
    let root: Vec<f64> = q.iter().map(|q| q.sqrt()).collect();
    let norms: Vec<f64> = (0..m).map(|i| gram.norm(i)).collect();
    let cosine = |i: usize, j: usize| {
        let product = norms[i] * norms[j];
        if product > 0.0 { gram.at(i, j) / product } else { 0.0 }
    };
    let found = eigen(m, |i, j| root[i] * root[j] * cosine(i, j))?;
    let strongest = found.values[0];
    let mut c = vec![0.0; m];
    for (s, e) in found.values.iter().zip(&found.vectors).take(keep.directions(m)) {
        if *s <= DIRECTION_MIN * strongest {
            break;
        }
        let asked: f64 = e.iter().zip(&root).zip(&norms).map(|((e, root), norm)| e * root * norm).sum();
        let factor = (1.0 + damping) * asked / (s + damping);
        for (i, c) in c.iter_mut().enumerate().filter(|(i, _)| norms[*i] > 0.0) {
            *c += factor * root[i] * e[i] / norms[i];
        }
    }
    Ok(c)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::super::gram::gram;
    use super::*;

    fn coefficients(updates: &[Vec<f32>], shares: &Shares, damping: f64) -> Vec<f64> {
        let slices: Vec<&[f32]> = updates.iter().map(Vec::as_slice).collect();
        let gram = gram(&slices, 0..updates[0].len()).unwrap();
        projection_coefficients(&gram, shares, Projection::new(damping, Keep::new(1.0).unwrap()).unwrap()).unwrap()
    }

    fn step(updates: &[Vec<f32>], c: &[f64]) -> Vec<f64> {
        (0..updates[0].len()).map(|at| updates.iter().zip(c).map(|(u, c)| f64::from(u[at]) * c).sum()).collect()
    }

    fn close(found: &[f64], expected: &[f64], tolerance: f64) -> bool {
        found.iter().zip(expected).all(|(f, e)| (f - e).abs() <= tolerance * (1.0 + e.abs()))
    }

    #[test]
    fn by_hand() {
        let uniform = |m| Shares::uniform(m).unwrap();
        // Orthogonal updates: eigenvalues 1/2 each, so the mean (1.5, 2) grows by (1 + 1) / (1/2 + 1).
        let orthogonal = [vec![3.0, 0.0], vec![0.0, 4.0]];
        let c = coefficients(&orthogonal, &uniform(2), 1.0);
        assert!(close(&step(&orthogonal, &c), &[2.0, 8.0 / 3.0], 1e-12), "{c:?}");
        // Equal updates: the update. Opposite ones: nothing. A zero one keeps its share, and none is made of nothing.
        let equal = [vec![2.0, 1.0], vec![2.0, 1.0]];
        assert!(close(&step(&equal, &coefficients(&equal, &uniform(2), 0.3)), &[2.0, 1.0], 1e-12));
        let opposite = [vec![1.0, 2.0], vec![-1.0, -2.0]];
        assert!(close(&step(&opposite, &coefficients(&opposite, &uniform(2), 0.1)), &[0.0, 0.0], 1e-12));
        // One of two is zero: s = 1/2 and the mean (1, 0) grows by 2 / 1.5.
        let half = [vec![2.0, 0.0], vec![0.0, 0.0]];
        assert!(close(&step(&half, &coefficients(&half, &uniform(2), 1.0)), &[4.0 / 3.0, 0.0], 1e-12));
        let zero = [vec![0.0, 0.0], vec![0.0, 0.0]];
        assert_eq!(coefficients(&zero, &uniform(2), 1.0), [0.0, 0.0]);
        assert_eq!(coefficients(&[vec![5.0]], &uniform(1), 1.0), [1.0]);
        assert!(Projection::new(0.0, Keep::default()).is_err() && Projection::new(f64::NAN, Keep::default()).is_err());
    }

    /// Gradient descent on the definition, which knows nothing of principal directions.
    fn oracle(updates: &[Vec<f32>], q: &[f64], damping: f64) -> Vec<f64> {
        let norm = |u: &[f32]| u.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
        let mut x = vec![0.0; updates[0].len()];
        for _ in 0..4000 {
            let mut slope: Vec<f64> = x.iter().map(|x| damping * x).collect();
            for (u, q) in updates.iter().zip(q).filter(|(u, _)| norm(u) > 0.0) {
                let n = norm(u);
                let along: f64 = u.iter().zip(&x).map(|(u, x)| f64::from(*u) / n * x).sum();
                slope.iter_mut().zip(u).for_each(|(s, u)| *s += q * (along - n) * f64::from(*u) / n);
            }
            x.iter_mut().zip(slope).for_each(|(x, s)| *x -= s / (1.0 + damping));
        }
        x.iter().map(|x| (1.0 + damping) * x).collect()
    }

    proptest! {
        #[test]
        fn it_solves_the_problem_it_states(
            updates in prop::collection::vec(prop::collection::vec(-3.0f32..3.0, 4), 2..6),
            damping in 0.1..3.0f64,
        ) {
            let shares = Shares::uniform(updates.len()).unwrap();
            let found = step(&updates, &coefficients(&updates, &shares, damping));
            let expected = oracle(&updates, shares.as_slice(), damping);
            prop_assert!(close(&found, &expected, 1e-4), "{found:?} {expected:?}");
        }

        #[test]
        fn much_damping_is_the_mean(updates in prop::collection::vec(prop::collection::vec(-3.0f32..3.0, 3), 2..6)) {
            let shares = Shares::uniform(updates.len()).unwrap();
            let mean = step(&updates, shares.as_slice());
            prop_assert!(close(&step(&updates, &coefficients(&updates, &shares, 1e9)), &mean, 1e-6));
        }
    }
}
