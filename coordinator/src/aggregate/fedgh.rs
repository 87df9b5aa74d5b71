//! FedGH: gradients are paired along the direction of past aggregates and conflicting pairs are made orthogonal.
//!
//! The baseline beside principal-gradient aggregation in the same comparison. Everything it does is a linear combination
//! of the updates, steered by inner products, so it runs on the Gram matrix: one pass for the inner products, `O(m^3)`
//! arithmetic, one pass for the weighted sum.
//!
//! Source: FedLD's released code (Zeng et al., "Tackling Data Heterogeneity in Federated Learning via Loss Decomposition",
//! MICCAI 2024), function `pcgrad_hierarchy`.

use super::error::{AggregateError, check_lengths};
use super::gram::{Gram, gram};
use super::weighted::weighted_sum;

/// Added to squared norms that are divided by.
const EPSILON: f64 = 1e-7;
/// How much of the past direction stays each round.
const MEMORY: f64 = 0.99;

/// Aggregates one block. `previous` is the direction of past aggregates ([`follow`]), at first the first round's mean.
///
/// The updates are used in the order given (sorted by client id), which decides where projections are equal.
///
/// # Errors
/// [`AggregateError::Empty`], [`AggregateError::Length`], [`AggregateError::NonFinite`]. `previous` counts as the update
/// after the last.
pub fn fedgh(updates: &[&[f32]], previous: &[f32], out: &mut [f32]) -> Result<(), AggregateError> {
    check_lengths(updates, out.len())?;
    let all: Vec<&[f32]> = updates.iter().copied().chain([previous]).collect();
    let coefficients = fedgh_coefficients(&gram(&all, 0..out.len())?)?;
    weighted_sum(updates, &coefficients, out)
}

/// The coefficient of each update, from the inner products of all updates and, in the last row, the past direction.
///
/// # Errors
/// [`AggregateError::Empty`] without updates.
pub fn fedgh_coefficients(gram: &Gram) -> Result<Vec<f64>, AggregateError> {
    let updates = gram.order().saturating_sub(1);
    if updates == 0 {
        return Err(AggregateError::Empty);
    }
    let unit = |i: usize| (0..updates).map(|j| f64::from(u8::from(i == j))).collect::<Vec<f64>>();
    let mut gradients: Vec<Vec<f64>> = (0..updates).map(unit).collect();
    while gradients.len() > 2 {
        let along = |g: &[f64]| g.iter().enumerate().map(|(i, c)| c * gram.at(i, updates)).sum::<f64>();
        let mut keyed: Vec<(f64, Vec<f64>)> = gradients.into_iter().map(|g| (along(&g), g)).collect();
        keyed.sort_by(|a, b| b.0.total_cmp(&a.0));
        let mut front: Vec<Vec<f64>> = keyed.into_iter().map(|(_, g)| g).collect();
        let back = front.split_off(front.len().div_ceil(2));
        let middle = if front.len() > back.len() { front.pop() } else { None };
        gradients = front.iter().zip(back.iter().rev()).map(|(a, b)| join(gram, a, b)).chain(middle).collect();
    }
    let sum = match gradients.as_slice() {
        [a, b] => join_last(gram, a, b),
        rest => rest.concat(),
    };
    Ok(sum.into_iter().map(|c| c / updates as f64).collect())
}

/// The sum of two gradients, each without its component along the other where they conflict.
fn join(gram: &Gram, a: &[f64], b: &[f64]) -> Vec<f64> {
    let inner = gram.inner(a, b);
    if inner < 0.0 { add(&without(gram, a, inner, b), &without(gram, b, inner, a)) } else { add(a, b) }
}

/// As [`join`], but what is subtracted from the second gradient is the revised first one, while the inner product is
/// still the original pair's. This is no projection; it is what the released code does at the end.
fn join_last(gram: &Gram, a: &[f64], b: &[f64]) -> Vec<f64> {
    let inner = gram.inner(a, b);
    if inner >= 0.0 {
        return add(a, b);
    }
    let a = without(gram, a, inner, b);
    add(&a, &without(gram, b, inner, &a))
}

/// `a - inner / |b|^2 * b`.
fn without(gram: &Gram, a: &[f64], inner: f64, b: &[f64]) -> Vec<f64> {
    let along = inner / (gram.inner(b, b) + EPSILON);
    a.iter().zip(b).map(|(a, b)| a - along * b).collect()
}

fn add(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a + b).collect()
}

/// The past direction after a round: `previous = 0.99 previous + 0.01 result`.
///
/// # Errors
/// [`AggregateError::Length`] if the two differ in length.
pub fn follow(previous: &mut [f32], result: &[f32]) -> Result<(), AggregateError> {
    check_lengths(&[result], previous.len())?;
    for (previous, result) in previous.iter_mut().zip(result) {
        *previous = (MEMORY * f64::from(*previous) + (1.0 - MEMORY) * f64::from(*result)) as f32;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(updates: &[&[f32]], previous: &[f32]) -> Vec<f32> {
        let mut out = vec![0.0; previous.len()];
        fedgh(updates, previous, &mut out).unwrap();
        out
    }

    #[test]
    fn agreeing_updates_give_the_mean() {
        assert_eq!(of(&[&[1.0, 0.0], &[1.0, 2.0], &[4.0, 1.0]], &[1.0, 1.0]), [2.0, 1.0]);
        assert_eq!(of(&[&[3.0, -7.0]], &[1.0, 1.0]), [3.0, -7.0]);
    }

    #[test]
    fn two_conflicting_updates_are_revised_one_after_the_other() {
        // g1 = (1, 0), g2 = (-1, 1), <g1, g2> = -1: g1 becomes g1 + g2 / 2 = (1/2, 1/2), g2 becomes g2 + 2 g1 = (0, 2).
        let out = of(&[&[1.0, 0.0], &[-1.0, 1.0]], &[1.0, 1.0]);
        assert!((out[0] - 0.25).abs() < 1e-6 && (out[1] - 1.25).abs() < 1e-6, "{out:?}");
    }

    #[test]
    fn of_four_the_outer_and_the_inner_pair_are_joined_first() {
        // Sorted along (1, 0): (3, 1), (2, 0), (1, 0), (-1, 1). The outer pair conflicts with inner product -2:
        // (3, 1) + (-1, 1) = (2, 2), and (-1, 1) + (3, 1) / 5 = (-0.4, 1.2); their sum (1.6, 3.2) agrees with (3, 0).
        let out = of(&[&[2.0, 0.0], &[-1.0, 1.0], &[3.0, 1.0], &[1.0, 0.0]], &[1.0, 0.0]);
        assert!((out[0] - 4.6 / 4.0).abs() < 1e-6 && (out[1] - 3.2 / 4.0).abs() < 1e-6, "{out:?}");
    }

    #[test]
    fn zero_updates_give_zero() {
        assert_eq!(of(&[[0.0f32; 3].as_slice(); 4], &[0.0; 3]), [0.0; 3]);
        let mut out = [0.0; 1];
        assert_eq!(fedgh(&[], &[1.0], &mut out), Err(AggregateError::Empty));
        assert!(matches!(fedgh(&[&[1.0]], &[f32::NAN], &mut out), Err(AggregateError::NonFinite { update: 1, .. })));
    }

    #[test]
    fn the_past_direction_follows_slowly() {
        let mut previous = [1.0, -2.0];
        follow(&mut previous, &[2.0, 2.0]).unwrap();
        assert_eq!(previous, [1.01, -1.96]);
    }
}
