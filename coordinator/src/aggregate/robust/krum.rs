//! Krum and Multi-Krum: trust whoever has company.
//!
//! Source: Blanchard, El Mhamdi, Guerraoui, Stainer, "Machine Learning with Adversaries: Byzantine Tolerant Gradient
//! Descent", NeurIPS 2017, section 4.

use super::super::error::{AggregateError, check_enough};
use super::super::gram::Gram;
use super::neighbours::Neighbours;

/// How many updates are expected to be hostile and how many are averaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Krum {
    /// The number `f` of hostile sites to withstand; `2 f + 3` updates are needed.
    pub hostile: usize,
    /// The number of updates averaged, at least 1. 1 is Krum, more is Multi-Krum.
    pub keep: usize,
}

/// The coefficients of Krum: `1 / keep` for the `keep` updates with the lowest scores, zero for the rest, where
/// `score_i` is the sum of `|g_i - g_j|^2` over the `m - f - 2` updates `g_j` nearest to `g_i`. Of equal scores the one
/// first in order counts as the lower.
///
/// Combine them with [`combine`](super::super::combine()) on [`Layout::whole`](super::super::Layout::whole): two passes
/// over the updates and `m^2 log m` operations. Every kept update counts once; the paper has no weights. `keep = m` is the
/// plain mean of equal shares.
///
/// **Withstands** `f` hostile sites where `m >= 2 f + 3`, that is up to `(m - 3) / 2`, as long as `keep <= m - f - 2`;
/// more kept updates can include hostile ones.
///
/// # Errors
/// [`AggregateError::Empty`], [`AggregateError::TooFew`], and [`AggregateError::Option`] where `keep` is not in `1..=m`.
pub fn krum_coefficients(gram: &Gram, krum: Krum) -> Result<Vec<f64>, AggregateError> {
    let m = gram.order();
    check_enough("Krum", 2, krum.hostile, m)?;
    if krum.keep == 0 || krum.keep > m {
        let allowed = "at least 1 and at most the number of updates";
        return Err(AggregateError::Option { rule: "Krum", option: "keep", value: krum.keep as f64, allowed });
    }
    let (neighbours, present) = (Neighbours::new(gram), vec![true; m]);
    let score = |i| neighbours.score(i, m - krum.hostile - 2, &present);
    let mut scored: Vec<(f64, usize)> = (0..m).map(|i| (score(i), i)).collect();
    scored.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let mut coefficients = vec![0.0; m];
    scored[..krum.keep].iter().for_each(|(_, i)| coefficients[*i] = 1.0 / krum.keep as f64);
    Ok(coefficients)
}

#[cfg(test)]
mod tests {
    use super::super::super::gram::gram;
    use super::*;

    fn of(points: &[f32], hostile: usize, keep: usize) -> Result<Vec<f64>, AggregateError> {
        let rows: Vec<&[f32]> = points.iter().map(std::slice::from_ref).collect();
        krum_coefficients(&gram(&rows, 0..1).unwrap(), Krum { hostile, keep })
    }

    #[test]
    fn scores_by_hand() {
        // Points 0, 1, 3, 4, 100 with f = 1 have scores over two neighbours: 1 + 9, 1 + 4, 1 + 4, 1 + 9, 96^2 + 97^2.
        let points = [0.0, 1.0, 3.0, 4.0, 100.0];
        assert_eq!(of(&points, 1, 1), Ok(vec![0.0, 1.0, 0.0, 0.0, 0.0]));
        assert_eq!(of(&points, 1, 2), Ok(vec![0.0, 0.5, 0.5, 0.0, 0.0]));
        assert_eq!(of(&points, 1, 5), Ok(vec![0.2; 5]));
        // The tie of 1 and 3 goes to the first, whichever that is.
        assert_eq!(of(&[4.0, 3.0, 1.0, 0.0, 100.0], 1, 1), Ok(vec![0.0, 1.0, 0.0, 0.0, 0.0]));
    }

    #[test]
    fn too_few_updates_are_refused_with_the_number_that_would_do() {
        let refused = of(&[0.0; 4], 1, 1).unwrap_err();
        assert_eq!(refused, AggregateError::TooFew { rule: "Krum", hostile: 1, needed: 5, found: 4 });
        assert!(refused.to_string().contains("raise the round's minimum to 5"));
        assert!(of(&[0.0; 4], usize::MAX, 1).is_err());
        assert!(matches!(of(&[0.0; 5], 1, 0), Err(AggregateError::Option { .. })));
        assert!(matches!(of(&[0.0; 5], 1, 6), Err(AggregateError::Option { .. })));
    }
}
