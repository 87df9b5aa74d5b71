//! Bulyan: Krum chooses whom to hear, then every parameter is averaged near its median.
//!
//! Source: El Mhamdi, Guerraoui, Rouault, "The Hidden Vulnerability of Distributed Learning in Byzantium", ICML 2018,
//! section 4, with Krum as the rule inside.

use super::super::error::{AggregateError, check_enough, check_lengths};
use super::super::gram::{Gram, gram};
use super::neighbours::Neighbours;
use super::order::{Pick, pick};

/// Aggregates the updates, given in the order of their client ids, expecting `hostile` hostile sites.
///
/// **Formula.** `m - 2 f` updates are chosen by [`bulyan_selection`]. For every parameter, `out_x` is the mean of the
/// `m - 4 f` chosen values closest to the chosen values' median (of two equally close ones the smaller). With `f = 0`
/// all of this is the plain mean of equal shares, to rounding. Every update counts once; the paper has no weights.
///
/// **Cost.** Two passes over the updates, `m^2 / 2` multiply-adds a parameter in the first and a sorting network of
/// `m - 2 f` values in the second, besides `m^3` operations for the choice.
///
/// **Withstands** `f` hostile sites where `m >= 4 f + 3`, that is up to `(m - 3) / 4`, and bounds what they can do in every
/// single parameter, where Krum bounds the distance as a whole.
///
/// # Errors
/// [`AggregateError::Empty`], [`AggregateError::Length`], [`AggregateError::NonFinite`], [`AggregateError::TooFew`]. Nothing is
/// written then.
pub fn bulyan(updates: &[&[f32]], hostile: usize, out: &mut [f32]) -> Result<(), AggregateError> {
    check_lengths(updates, out.len())?;
    bulyan_from_gram(&gram(updates, 0..out.len())?, updates, hostile, out)
}

/// [`bulyan`] where the whole model's inner products are known already, in the order of the updates: one pass.
///
/// # Errors
/// As [`bulyan`], and [`AggregateError::Count`] where the matrix has not one row per update.
pub fn bulyan_from_gram(
    gram: &Gram,
    updates: &[&[f32]],
    hostile: usize,
    out: &mut [f32],
) -> Result<(), AggregateError> {
    if gram.order() != updates.len() {
        let (found, expected) = (gram.order(), updates.len());
        return Err(AggregateError::Count { what: "rows of a Gram matrix", found, expected });
    }
    let chosen = bulyan_selection(gram, hostile)?;
    let near = chosen.len() - 2 * hostile;
    let chosen: Vec<&[f32]> = chosen.into_iter().map(|i| updates[i]).collect();
    pick(&chosen, &Pick::Nearest(near), out)
}

/// The `m - 2 f` updates that Krum chooses one after the other, ascending.
///
/// In every step Krum's score of the `r` updates that are left counts their `r - f - 2` nearest neighbours among them, at
/// least one; the lowest score, of equal ones the first in order, is chosen and leaves.
///
/// # Errors
/// [`AggregateError::Empty`], [`AggregateError::TooFew`].
pub fn bulyan_selection(gram: &Gram, hostile: usize) -> Result<Vec<usize>, AggregateError> {
    let m = gram.order();
    check_enough("Bulyan", 4, hostile, m)?;
    let neighbours = Neighbours::new(gram);
    let mut present = vec![true; m];
    for left in (2 * hostile + 1..=m).rev() {
        let count = left.saturating_sub(hostile + 2).max(1);
        let scored = (0..m).filter(|i| present[*i]).map(|i| (neighbours.score(i, count, &present), i));
        if let Some((_, best)) = scored.min_by(|a, b| a.0.total_cmp(&b.0)) {
            present[best] = false;
        }
    }
    Ok((0..m).filter(|i| !present[*i]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(points: &[f32]) -> Vec<&[f32]> {
        points.iter().map(std::slice::from_ref).collect()
    }

    #[test]
    fn a_line_of_seven_by_hand() {
        // f = 1 of 7 keeps five, in this order: 3 (score 10 over four neighbours), 2 (14 over three, first of three equals),
        // 5 (5 over two), 1 and 4 (9 to the one nearest, first of equals). Of 1, 2, 3, 4, 5 the three nearest to 3 are 2, 3, 4.
        let points = [1.0, 50.0, 2.0, 4.0, 3.0, 7.0, 5.0];
        let gram = gram(&rows(&points), 0..1).unwrap();
        assert_eq!(bulyan_selection(&gram, 1), Ok(vec![0, 2, 3, 4, 6]));
        let mut out = [0.0];
        bulyan(&rows(&points), 1, &mut out).unwrap();
        assert_eq!(out, [3.0]);
    }

    #[test]
    fn too_few_updates_are_refused() {
        let mut out = [0.0];
        let refused = bulyan(&rows(&[0.0; 6]), 1, &mut out).unwrap_err();
        assert_eq!(refused, AggregateError::TooFew { rule: "Bulyan", hostile: 1, needed: 7, found: 6 });
        assert_eq!(bulyan(&[], 0, &mut out), Err(AggregateError::Empty));
        let gram = gram(&rows(&[0.0; 3]), 0..1).unwrap();
        assert!(matches!(bulyan_from_gram(&gram, &rows(&[0.0; 4]), 0, &mut out), Err(AggregateError::Count { .. })));
    }
}
