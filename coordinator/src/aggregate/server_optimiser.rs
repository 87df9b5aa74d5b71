//! Server optimisers: the round's combined update is taken for a gradient, and an optimiser makes a step of it.
//!
//! With `d` the combined update and every operation per parameter:
//!
//! ```text
//! momentum   v <- momentum v + d                          step = v
//! adaptive   m <- beta1 m + (1 - beta1) d                 step = m / (sqrt(v) + tau)
//!            Adagrad  v <- v + d^2
//!            Adam     v <- beta2 v + (1 - beta2) d^2
//!            Yogi     v <- v - (1 - beta2) d^2 sign(v - d^2)
//! ```
//!
//! Moments are kept in `f32` and computed in `f64`. They begin at 0, second moments at `tau^2`; nothing is corrected for the
//! beginning, as in the paper.
//!
//! Sources: momentum, Hsu et al., "Measuring the Effects of Non-Identical Data Distribution for Federated Visual
//! Classification", 2019; the others, Reddi et al., "Adaptive Federated Optimization", ICLR 2021, algorithm 2.

use rayon::prelude::*;

use super::error::AggregateError;

/// Parameters per task.
const CHUNK: usize = 32_768;

/// How the second moment follows the squares of updates.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum SecondMoment {
    /// It sums them up.
    Adagrad,
    /// It is their decaying mean.
    Adam {
        /// Decay, 0 to below 1.
        beta2: f64,
    },
    /// It moves towards them by at most `1 - beta2` of the square.
    Yogi {
        /// 0 to below 1.
        beta2: f64,
    },
}

impl SecondMoment {
    fn next(self, v: f64, d: f64) -> f64 {
        let square = d * d;
        match self {
            Self::Adagrad => v + square,
            Self::Adam { beta2 } => beta2 * v + (1.0 - beta2) * square,
            Self::Yogi { beta2 } if v > square => v - (1.0 - beta2) * square,
            Self::Yogi { beta2 } if v < square => v + (1.0 - beta2) * square,
            Self::Yogi { .. } => v,
        }
    }
}

/// Momentum: `velocity` and `step` become `momentum * velocity + step`. With `momentum` 0 the step stays as it is.
///
/// # Errors
/// [`AggregateError::Count`] if the two differ in length; nothing is changed then.
pub fn momentum_step(momentum: f64, velocity: &mut [f32], step: &mut [f32]) -> Result<(), AggregateError> {
    check("velocities", velocity, step)?;
    velocity.par_chunks_mut(CHUNK).zip(step.par_chunks_mut(CHUNK)).for_each(|(velocity, step)| {
        for (v, d) in velocity.iter_mut().zip(step) {
            *v = (momentum * f64::from(*v) + f64::from(*d)) as f32;
            *d = *v;
        }
    });
    Ok(())
}

/// An adaptive step: moves both moments and turns the combined update in `step` into `first / (sqrt(second) + tau)`.
///
/// # Errors
/// [`AggregateError::Count`] if the three differ in length; nothing is changed then.
pub fn adaptive_step(
    rule: SecondMoment,
    beta1: f64,
    tau: f64,
    first: &mut [f32],
    second: &mut [f32],
    step: &mut [f32],
) -> Result<(), AggregateError> {
    check("first moments", first, step)?;
    check("second moments", second, step)?;
    let moments = first.par_chunks_mut(CHUNK).zip(second.par_chunks_mut(CHUNK));
    moments.zip(step.par_chunks_mut(CHUNK)).for_each(|((first, second), step)| {
        for ((m, v), d) in first.iter_mut().zip(second).zip(step) {
            let update = f64::from(*d);
            let mean = beta1 * f64::from(*m) + (1.0 - beta1) * update;
            let square = rule.next(f64::from(*v), update);
            (*m, *v) = (mean as f32, square as f32);
            *d = (mean / (square.sqrt() + tau)) as f32;
        }
    });
    Ok(())
}

fn check(what: &'static str, found: &[f32], step: &[f32]) -> Result<(), AggregateError> {
    if found.len() == step.len() {
        Ok(())
    } else {
        Err(AggregateError::Count { what, found: found.len(), expected: step.len() })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn close(found: &[f32], expected: &[f64]) {
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            assert!((f64::from(*found) - expected).abs() <= 1e-6 * (1.0 + expected.abs()), "{found} {expected}");
        }
    }

    #[test]
    fn momentum_by_hand() {
        let (mut v, mut d) = ([2.0, -1.0], [1.0, 1.0]);
        momentum_step(0.5, &mut v, &mut d).unwrap();
        assert_eq!((v, d), ([2.0, 0.5], [2.0, 0.5]));
    }

    #[test]
    fn the_adaptive_rules_by_hand() {
        // d = 3, v = 16, m = 1, beta1 = 0.5: m becomes 2.
        let of = |rule| {
            let (mut m, mut v, mut d) = ([1.0], [16.0], [3.0]);
            adaptive_step(rule, 0.5, 1.0, &mut m, &mut v, &mut d).unwrap();
            assert_eq!(m, [2.0]);
            (v[0], d[0])
        };
        assert_eq!(of(SecondMoment::Adagrad), (25.0, 2.0 / 6.0));
        assert_eq!(of(SecondMoment::Adam { beta2: 0.0 }), (9.0, 0.5));
        // 16 > 9, so Yogi goes down by half of 9.
        let (v, step) = of(SecondMoment::Yogi { beta2: 0.5 });
        assert_eq!(v, 11.5);
        close(&[step], &[2.0 / (11.5f64.sqrt() + 1.0)]);
    }

    #[test]
    fn yogi_rises_by_a_part_of_the_square_and_rests_on_it() {
        let rule = SecondMoment::Yogi { beta2: 0.75 };
        assert_eq!((rule.next(1.0, 4.0), rule.next(16.0, 4.0)), (5.0, 16.0));
    }

    #[test]
    fn lengths_must_agree() {
        assert!(matches!(momentum_step(0.5, &mut [0.0], &mut []), Err(AggregateError::Count { .. })));
        let adagrad = adaptive_step(SecondMoment::Adagrad, 0.0, 1.0, &mut [0.0], &mut [0.0; 2], &mut [0.0]);
        assert!(matches!(adagrad, Err(AggregateError::Count { what: "second moments", .. })));
    }

    proptest! {
        #[test]
        fn no_momentum_changes_no_bit(d in prop::collection::vec(-1e3f32..1e3, 1..50), v in -1e3f32..1e3) {
            let (mut velocity, mut step) = (vec![v; d.len()], d.clone());
            momentum_step(0.0, &mut velocity, &mut step).unwrap();
            prop_assert_eq!(&step, &d);
        }

        #[test]
        fn several_rounds_equal_the_plain_loop_in_f64(
            rounds in prop::collection::vec(-1e2f32..1e2, 1..6),
            (beta1, beta2, tau) in (0.0f64..0.99, 0.0f64..0.99, 1e-3f64..1.0),
            kind in 0..3,
        ) {
            let rule = [SecondMoment::Adagrad, SecondMoment::Adam { beta2 }, SecondMoment::Yogi { beta2 }][kind as usize];
            // Over a chunk's border, the same parameter many times.
            let length = CHUNK + 3;
            let (mut first, mut second) = (vec![0.0; length], vec![(tau * tau) as f32; length]);
            let (mut m, mut v) = (0.0, f64::from(second[0]));
            for d in rounds {
                let mut step = vec![d; length];
                adaptive_step(rule, beta1, tau, &mut first, &mut second, &mut step).unwrap();
                let g = f64::from(d);
                m = beta1 * m + (1.0 - beta1) * g;
                v = match rule {
                    SecondMoment::Adagrad => v + g * g,
                    SecondMoment::Adam { .. } => beta2 * v + (1.0 - beta2) * g * g,
                    SecondMoment::Yogi { .. } => v - (1.0 - beta2) * g * g * (v - g * g).signum(),
                };
                let expected = m / (v.sqrt() + tau);
                prop_assert!(step.iter().all(|s| *s == step[0]));
                prop_assert!((f64::from(step[0]) - expected).abs() <= 1e-4 * (1.0 + expected.abs()), "{} {expected}", step[0]);
            }
        }
    }
}
