//! FedDyn's server part: the step leads on by what the sites have moved so far.
//!
//! With the uniform mean `d` of a round's updates, the share `s` of all sites that took part, and the server state `h`:
//!
//! ```text
//! h <- h - alpha s d;    x <- x + d - h / alpha
//! ```
//!
//! Only `u = -h / alpha`, the sites' movement so far, is kept, and `alpha` drops out: `u <- u + s d; step = d + u`. What the
//! clients do with `alpha` is theirs.
//!
//! Source: Acar et al., "Federated Learning Based on Dynamic Regularization", ICLR 2021, algorithm 1.

use rayon::prelude::*;

use super::error::AggregateError;

/// Parameters per task.
const CHUNK: usize = 32_768;

/// Adds the round to `movement` and turns the mean update in `step` into FedDyn's step. `share` is the share of all sites
/// that took part, above 0 and at most 1.
///
/// # Errors
/// [`AggregateError::Count`] if the two differ in length, [`AggregateError::Coefficient`] for a share outside its range;
/// nothing is changed then.
pub fn feddyn_step(share: f64, movement: &mut [f32], step: &mut [f32]) -> Result<(), AggregateError> {
    if movement.len() != step.len() {
        return Err(AggregateError::Count { what: "movements", found: movement.len(), expected: step.len() });
    }
    if !(share > 0.0 && share <= 1.0) {
        return Err(AggregateError::Coefficient(0));
    }
    movement.par_chunks_mut(CHUNK).zip(step.par_chunks_mut(CHUNK)).for_each(|(movement, step)| {
        for (u, d) in movement.iter_mut().zip(step) {
            let moved = f64::from(*u) + share * f64::from(*d);
            *u = moved as f32;
            *d = (f64::from(*d) + moved) as f32;
        }
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn two_rounds_by_hand() {
        // Half of the sites take part: u = 1, step 2 + 1; then u = 1 - 2, step -4 - 1.
        let mut movement = [0.0];
        for (mean, expected) in [(2.0, 3.0), (-4.0, -5.0)] {
            let mut step = [mean];
            feddyn_step(0.5, &mut movement, &mut step).unwrap();
            assert_eq!(step, [expected]);
        }
        assert_eq!(movement, [-1.0]);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        assert!(matches!(feddyn_step(1.0, &mut [0.0], &mut []), Err(AggregateError::Count { .. })));
        for share in [0.0, 1.5, f64::NAN] {
            assert_eq!(feddyn_step(share, &mut [0.0], &mut [1.0]), Err(AggregateError::Coefficient(0)));
        }
    }

    proptest! {
        #[test]
        fn it_equals_the_papers_plain_loop_for_any_alpha(
            rounds in prop::collection::vec(prop::collection::vec(-10.0f32..10.0, 1..5), 1..6),
            alpha in 0.01f64..1.0,
        ) {
            // One parameter, five sites of which the first few take part in a round.
            let (mut theta, mut h) = (0.5f64, 0.0);
            let (mut model, mut movement) = (0.5f32, [0.0]);
            for updates in rounds {
                let locals: Vec<f64> = updates.iter().map(|d| theta + f64::from(*d)).collect();
                h -= alpha / 5.0 * locals.iter().map(|local| local - theta).sum::<f64>();
                theta = locals.iter().sum::<f64>() / locals.len() as f64 - h / alpha;
                let mut step = [updates.iter().sum::<f32>() / updates.len() as f32];
                feddyn_step(updates.len() as f64 / 5.0, &mut movement, &mut step).unwrap();
                model += step[0];
                prop_assert!((f64::from(model) - theta).abs() <= 1e-3, "{model} {theta}");
            }
        }
    }
}
