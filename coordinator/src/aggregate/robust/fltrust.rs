//! FLTrust: updates count as far as they agree with one that the coordinator can trust.
//!
//! Source: Cao, Fang, Liu, Gong, "FLTrust: Byzantine-robust Federated Learning via Trust Bootstrapping", NDSS 2021,
//! equations 2 to 4.

use super::super::error::{AggregateError, check_lengths};
use super::super::gram::{Gram, gram};
use super::super::weighted::weighted_sum;

/// Aggregates the updates, given in the order of their client ids. `root` is the update from the coordinator's own clean
/// data; see [`fltrust_coefficients`].
///
/// **Cost.** Two passes over the updates and the root, `m^2 / 2` multiply-adds a parameter in the first.
///
/// # Errors
/// [`AggregateError::Empty`], [`AggregateError::Length`], [`AggregateError::NonFinite`]. `root` counts as the update after the
/// last.
pub fn fltrust(updates: &[&[f32]], root: &[f32], out: &mut [f32]) -> Result<(), AggregateError> {
    check_lengths(updates, out.len())?;
    let all: Vec<&[f32]> = updates.iter().copied().chain([root]).collect();
    let coefficients = fltrust_coefficients(&gram(&all, 0..out.len())?)?;
    weighted_sum(updates, &coefficients, out)
}

/// The coefficient of each update, from the whole model's inner products of all updates and, in the last row, the root.
///
/// **Formula.** With trust `t_i = max(0, cos(g_i, g_0))`, `c_i = t_i |g_0| / (|g_i| sum_l t_l)`: every update is brought
/// to the root's length and counts by its trust. If no update agrees with the root, all `c` are zero and the model stays;
/// so they are for a zero root. Trust takes the place of shares. There is no option; equal updates give the update in the
/// root's length.
///
/// **Withstands** any fraction of hostile sites, even all of them: the result is never longer than the root, and lies within
/// 90 degrees of it. What it stands on is the root's data.
///
/// # Errors
/// [`AggregateError::Empty`] without updates.
pub fn fltrust_coefficients(gram: &Gram) -> Result<Vec<f64>, AggregateError> {
    let root = gram.order().saturating_sub(1);
    if root == 0 {
        return Err(AggregateError::Empty);
    }
    let cosine = |i: usize| gram.at(i, root) / (gram.norm(i) * gram.norm(root));
    // The cosine with a zero update is NaN, which `max` turns into no trust.
    let trust: Vec<f64> = (0..root).map(|i| cosine(i).max(0.0)).collect();
    let total: f64 = trust.iter().sum();
    let weighted = |(i, trust): (usize, &f64)| {
        if *trust > 0.0 { trust / total * (gram.norm(root) / gram.norm(i)) } else { 0.0 }
    };
    Ok(trust.iter().enumerate().map(weighted).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trust_by_hand() {
        // Cosines with (2, 0): 1, -1, 0, 0.6, none. Lengths become 2.
        let updates: [&[f32]; 5] = [&[5.0, 0.0], &[-1.0, 0.0], &[0.0, 7.0], &[3.0, 4.0], &[0.0, 0.0]];
        let mut out = [9.0; 2];
        fltrust(&updates, &[2.0, 0.0], &mut out).unwrap();
        let expected = [(2.0 + 0.6 * 1.2) / 1.6, 0.6 * 1.6 / 1.6];
        assert!((out[0] - expected[0]).abs() < 1e-6 && (out[1] - expected[1]).abs() < 1e-6, "{out:?}");
    }

    #[test]
    fn without_agreement_or_root_the_model_stays() {
        let mut out = [9.0; 2];
        fltrust(&[&[-1.0, 0.0], &[0.0, 1.0]], &[2.0, 0.0], &mut out).unwrap();
        assert_eq!(out, [0.0; 2]);
        fltrust(&[&[-1.0, 0.0]], &[0.0, 0.0], &mut out).unwrap();
        assert_eq!(out, [0.0; 2]);
        assert_eq!(fltrust(&[], &[0.0, 0.0], &mut out), Err(AggregateError::Empty));
        let bad = fltrust(&[&[1.0, 0.0]], &[f32::NAN, 0.0], &mut out).unwrap_err();
        assert!(matches!(bad, AggregateError::NonFinite { update: 1, at: 0, .. }));
    }
}
