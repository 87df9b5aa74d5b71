//! q-FedAvg: the larger the loss of the received model at a site, the larger the site's say.
//!
//! With `F_i` that loss, `L` a bound on the slope of the gradient (one over the local learning rate) and the update `d_i`:
//!
//! ```text
//! step = sum_i F_i^q d_i / sum_i (F_i^q + q F_i^(q-1) L |d_i|^2)
//! ```
//!
//! This is the paper's `sum_i Delta_i / sum_i h_i` with `Delta w_i = -L d_i`, divided by `L`. With `q = 0` it is the uniform
//! mean. As in the authors' code, 1e-10 is added to losses, so that a perfect site does not divide by zero.
//!
//! Source: Li et al., "Fair Resource Allocation in Federated Learning", ICLR 2020, algorithm 2.

use super::error::AggregateError;

/// Added to losses.
const EPSILON: f64 = 1e-10;

/// The coefficient of each update. `losses` are those of the received model, at least 0; `norms_squared` those of the updates.
///
/// # Errors
/// [`AggregateError::Empty`] for none, [`AggregateError::Count`] unless there are as many norms as losses,
/// [`AggregateError::Loss`] for a loss that is negative or not finite, [`AggregateError::Coefficient`] where powers leave the
/// range of numbers.
pub fn qfedavg_coefficients(
    losses: &[f64],
    norms_squared: &[f64],
    q: f64,
    lipschitz: f64,
) -> Result<Vec<f64>, AggregateError> {
    if losses.is_empty() {
        return Err(AggregateError::Empty);
    }
    if losses.len() != norms_squared.len() {
        let (found, expected) = (norms_squared.len(), losses.len());
        return Err(AggregateError::Count { what: "norms of updates", found, expected });
    }
    if let Some(update) = losses.iter().position(|l| !(l.is_finite() && *l >= 0.0)) {
        return Err(AggregateError::Loss { update, value: losses[update] });
    }
    let powers: Vec<f64> = losses.iter().map(|l| (l + EPSILON).powf(q)).collect();
    let slopes = losses.iter().zip(norms_squared).map(|(l, n)| q * (l + EPSILON).powf(q - 1.0) * lipschitz * n);
    let whole: f64 = powers.iter().zip(slopes).map(|(power, slope)| power + slope).sum();
    let coefficients: Vec<f64> = powers.iter().map(|power| power / whole).collect();
    match coefficients.iter().position(|c| !c.is_finite()) {
        Some(update) => Err(AggregateError::Coefficient(update)),
        None => Ok(coefficients),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn coefficients_by_hand() {
        // q = 1, L = 2: F = (1, 3), |d|^2 = (1, 4); the denominator is 1 + 3 + 2 (1 + 4) = 14.
        let found = qfedavg_coefficients(&[1.0, 3.0], &[1.0, 4.0], 1.0, 2.0).unwrap();
        assert!((found[0] - 1.0 / 14.0).abs() < 1e-9 && (found[1] - 3.0 / 14.0).abs() < 1e-9, "{found:?}");
    }

    #[test]
    fn a_perfect_site_divides_nothing_by_zero() {
        let found = qfedavg_coefficients(&[0.0, 1.0], &[0.0, 1.0], 0.5, 1.0).unwrap();
        assert!(found.iter().all(|c| c.is_finite()), "{found:?}");
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let of = |losses: &[f64]| qfedavg_coefficients(losses, &[1.0, 1.0], 2.0, 1.0).unwrap_err();
        assert_eq!(of(&[]), AggregateError::Empty);
        assert!(matches!(of(&[1.0]), AggregateError::Count { .. }));
        assert_eq!(of(&[1.0, -1.0]), AggregateError::Loss { update: 1, value: -1.0 });
        assert!(matches!(of(&[f64::NAN, 1.0]), AggregateError::Loss { update: 0, .. }));
        assert_eq!(of(&[1e300, 1.0]), AggregateError::Coefficient(0));
    }

    proptest! {
        #[test]
        fn no_fairness_is_the_uniform_mean(sites in prop::collection::vec((0.0f64..10.0, 0.0f64..10.0), 1..9)) {
            let (losses, norms): (Vec<f64>, Vec<f64>) = sites.into_iter().unzip();
            let found = qfedavg_coefficients(&losses, &norms, 0.0, 7.0).unwrap();
            prop_assert_eq!(&found, &vec![1.0 / losses.len() as f64; losses.len()]);
        }

        #[test]
        fn it_equals_the_papers_plain_loop(
            sites in prop::collection::vec((0.1f64..5.0, prop::array::uniform3(-2.0f64..2.0)), 1..7),
            (q, lr) in (0.0f64..3.0, 0.01f64..1.0),
        ) {
            // The paper's own symbols: gradients from the updates, then Delta_k and h_k.
            let (mut delta, mut h) = ([0.0; 3], 0.0);
            for (loss, d) in &sites {
                let gradient = d.map(|d| -d / lr);
                let norm: f64 = gradient.iter().map(|g| g * g).sum();
                for (sum, g) in delta.iter_mut().zip(gradient) {
                    *sum += loss.powf(q) * g;
                }
                h += q * loss.powf(q - 1.0) * norm + loss.powf(q) / lr;
            }
            let losses: Vec<f64> = sites.iter().map(|s| s.0).collect();
            let norms: Vec<f64> = sites.iter().map(|s| s.1.iter().map(|d| d * d).sum()).collect();
            let found = qfedavg_coefficients(&losses, &norms, q, 1.0 / lr).unwrap();
            for (i, delta) in delta.iter().enumerate() {
                let step: f64 = found.iter().zip(&sites).map(|(c, (_, d))| c * d[i]).sum();
                prop_assert!((step + delta / h).abs() <= 1e-7, "{step} {}", -delta / h);
            }
        }
    }
}
