//! FedNova: updates are divided by how far their local steps carry, before they are averaged.
//!
//! Sites that make more local steps go further, and a plain mean pulls the model towards their own optimum. With `a_i`, what
//! the local steps of site i add up to, and shares `p_i`:
//!
//! ```text
//! step = t_eff * sum_i p_i d_i / a_i            t_eff = sum_i p_i a_i
//! a_i  = (t_i - r (1 - r^t_i) / (1 - r)) / (1 - r)
//! ```
//!
//! for `t_i` steps of gradient descent with momentum `r` that begins anew each round; without momentum `a_i = t_i`. If all
//! sites make as many steps, this is the weighted mean.
//!
//! Source: Wang et al., "Tackling the Objective Inconsistency Problem in Heterogeneous Federated Optimization", NeurIPS 2020,
//! equation 7, `a_i` with momentum from section 4.2.

use super::error::AggregateError;
use super::shares::Shares;

/// What `steps` steps with `momentum` add up to.
fn carried(steps: u64, momentum: f64) -> f64 {
    let (t, rest) = (steps as f64, 1.0 - momentum);
    (t - momentum * (1.0 - momentum.powf(t)) / rest) / rest
}

/// The coefficient of each update. An update of no steps has the coefficient 0, though it counts in the mean number of steps.
///
/// `steps` holds the local steps of each update, `momentum` is that of the local optimiser: 0 to below 1.
///
/// # Errors
/// [`AggregateError::Count`] unless there is one number of steps for each share; [`AggregateError::Coefficient`] for a
/// momentum outside its range.
pub fn fednova_coefficients(shares: &Shares, steps: &[u64], momentum: f64) -> Result<Vec<f64>, AggregateError> {
    shares.check(steps.len())?;
    if !(0.0..1.0).contains(&momentum) {
        return Err(AggregateError::Coefficient(0));
    }
    let carried: Vec<f64> = steps.iter().map(|t| carried(*t, momentum)).collect();
    let effective: f64 = shares.as_slice().iter().zip(&carried).map(|(p, a)| p * a).sum();
    let of = |(p, a): (&f64, &f64)| if *a > 0.0 { p * effective / a } else { 0.0 };
    Ok(shares.as_slice().iter().zip(&carried).map(of).collect())
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn coefficients_by_hand() {
        // t_eff = (1 + 3) / 2 = 2: 0.5 * 2 / 1 and 0.5 * 2 / 3.
        let two = Shares::uniform(2).unwrap();
        assert_eq!(fednova_coefficients(&two, &[1, 3], 0.0).unwrap(), [1.0, 1.0 / 3.0]);
        assert_eq!(fednova_coefficients(&two, &[0, 4], 0.0).unwrap(), [0.0, 0.25]);
        assert_eq!(fednova_coefficients(&two, &[0, 0], 0.0).unwrap(), [0.0, 0.0]);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let two = Shares::uniform(2).unwrap();
        assert!(matches!(fednova_coefficients(&two, &[1], 0.0), Err(AggregateError::Count { .. })));
        assert_eq!(fednova_coefficients(&two, &[1, 1], 1.0), Err(AggregateError::Coefficient(0)));
    }

    proptest! {
        #[test]
        fn momentum_steps_add_up_as_the_plain_loop_does(steps in 0u64..60, momentum in 0.0f64..0.95) {
            // With the gradient 1 throughout: velocity <- momentum * velocity + 1, position <- position + velocity.
            let (mut velocity, mut position) = (0.0, 0.0);
            for _ in 0..steps {
                velocity = momentum * velocity + 1.0;
                position += velocity;
            }
            prop_assert!((carried(steps, momentum) - position).abs() <= 1e-9 * (1.0 + position));
        }

        #[test]
        fn equal_steps_are_the_weighted_mean(samples in prop::collection::vec(1u32..1000, 1..8), t in 1u64..50) {
            let samples: Vec<_> = samples.iter().map(|s| NonZeroU32::new(*s).unwrap()).collect();
            let shares = Shares::samples(&samples).unwrap();
            let found = fednova_coefficients(&shares, &vec![t; samples.len()], 0.9).unwrap();
            for (c, p) in found.iter().zip(shares.as_slice()) {
                prop_assert!((c - p).abs() <= 1e-14);
            }
        }
    }
}
