//! FedMGDA+: a direction that is good for every site, near the weights one started with.
//!
//! Source: Hu, Shaloudegi, Zhang, Yu, "Federated Learning Meets Multi-objective Optimization", 2020 (IEEE Transactions on
//! Network Science and Engineering 2022), algorithm 1 and equation 7.

use super::super::error::AggregateError;
use super::super::gram::Gram;
use super::super::shares::Shares;
use super::simplex::Quadratic;

/// How long the result is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DirectionLength {
    /// That of a mean of directions, at most 1: as published, with a server's learning rate that gives the length.
    #[default]
    Direction,
    /// The same times the updates' mean length by shares, so that equal updates give that update.
    MeanOfNorms,
}

/// The options of FedMGDA+.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FedMgda {
    epsilon: f64,
    length: DirectionLength,
}

impl FedMgda {
    /// `epsilon` is how far each weight may be from the site's share, in `[0, 1]`. With 0 the result is the mean of the
    /// directions by shares, with 1 the shares do not matter.
    ///
    /// # Errors
    /// [`AggregateError::Option`] outside `[0, 1]`.
    pub fn new(epsilon: f64, length: DirectionLength) -> Result<Self, AggregateError> {
        if (0.0..=1.0).contains(&epsilon) {
            return Ok(Self { epsilon, length });
        }
        let allowed = "at least 0 and at most 1; the published settings are 0.01 to 1";
        Err(AggregateError::Option { rule: "FedMGDA+", option: "epsilon", value: epsilon, allowed })
    }
}

impl Default for FedMgda {
    /// 0.1 and directions.
    fn default() -> Self {
        Self { epsilon: 0.1, length: DirectionLength::Direction }
    }
}

/// The coefficients of FedMGDA+.
///
/// **Formula.** With directions `n_i = g_i / |g_i|` (zero for a zero update), the result is `d = sum_i w_i n_i` for the
/// weights `w >= 0` with sum 1 and `|w_i - q_i| <= epsilon` that make `|d|` smallest. With `epsilon = 1`, `d` goes against
/// no update, and where it is zero no direction is good for all.
///
/// As lengths do not count, a site cannot gain by a larger update. It is no robust rule, though: a site that opposes all
/// others holds `d` up, by a weight of its share and `epsilon` at most.
///
/// Cost: the [`combine`](super::super::combine()) of its coefficients, which take some hundred steps of `m` operations.
///
/// # Errors
/// [`AggregateError::Empty`], [`AggregateError::Count`] if there is not one share per update.
pub fn fedmgda_coefficients(gram: &Gram, shares: &Shares, config: FedMgda) -> Result<Vec<f64>, AggregateError> {
    let m = gram.order();
    shares.check(m)?;
    let q = shares.as_slice();
    let inverse: Vec<f64> = (0..m).map(|i| if gram.norm(i) > 0.0 { 1.0 / gram.norm(i) } else { 0.0 }).collect();
    let cosines = (0..m * m).map(|at| (at / m, at % m)).map(|(i, j)| gram.at(i, j) * (inverse[i] * inverse[j]));
    let cosines = Gram::new(m, cosines.collect())?;
    let bounds: Vec<_> = q.iter().map(|q| (q - config.epsilon).max(0.0)..(q + config.epsilon).min(1.0)).collect();
    let w = Quadratic { gram: &cosines, linear: &vec![0.0; m] }.minimise(&bounds, q.to_vec());
    let length = match config.length {
        DirectionLength::Direction => 1.0,
        DirectionLength::MeanOfNorms => q.iter().enumerate().map(|(i, q)| q * gram.norm(i)).sum(),
    };
    Ok(w.iter().zip(&inverse).map(|(w, inverse)| w * inverse * length).collect())
}

#[cfg(test)]
mod tests {
    use super::super::super::gram::gram;
    use super::*;

    fn of(updates: &[&[f32]], epsilon: f64, length: DirectionLength) -> Vec<f64> {
        let gram = gram(updates, 0..updates[0].len()).unwrap();
        let config = FedMgda::new(epsilon, length).unwrap();
        fedmgda_coefficients(&gram, &Shares::uniform(updates.len()).unwrap(), config).unwrap()
    }

    #[test]
    fn a_crowd_against_one_by_hand() {
        // Directions (1, 0), (1, 0), (0, 1): the point of the hull nearest to zero is (1/2, 1/2), with half of the weight on
        // the last; within 0.1 of a third it is 13/30.
        let updates: [&[f32]; 3] = [&[4.0, 0.0], &[2.0, 0.0], &[0.0, 3.0]];
        let c = of(&updates, 1.0, DirectionLength::Direction);
        assert!((c[2] * 3.0 - 0.5).abs() < 1e-9 && (c[0] * 4.0 + c[1] * 2.0 - 0.5).abs() < 1e-9, "{c:?}");
        let c = of(&updates, 0.1, DirectionLength::MeanOfNorms);
        assert!((c[2] - 13.0 / 30.0).abs() < 1e-9, "{c:?}");
        let c = of(&updates, 0.0, DirectionLength::Direction);
        assert_eq!(c.iter().zip([4.0, 2.0, 3.0]).map(|(c, n)| c * n).sum::<f64>(), 1.0);
    }

    #[test]
    fn opposite_and_zero_updates() {
        let c = of(&[&[5.0], &[-1.0]], 1.0, DirectionLength::Direction);
        assert!((5.0 * c[0] - c[1]).abs() < 1e-6, "{c:?}");
        assert_eq!(of(&[&[0.0], &[0.0]], 1.0, DirectionLength::MeanOfNorms), [0.0, 0.0]);
        assert!(FedMgda::new(1.1, DirectionLength::Direction).is_err());
    }
}
