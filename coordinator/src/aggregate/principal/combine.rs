//! The strategy on whole updates.

use rayon::prelude::*;

use super::super::error::AggregateError;
use super::super::gram::{Gram, gram_blocks};
use super::super::layout::Layout;
use super::super::shares::Shares;
use super::super::weighted::weighted_sum_blocks;
use super::coefficients::principal_coefficients;
use super::config::Principal;

/// Aggregates the updates, given in the order of their client ids, into `out`.
///
/// A block of one parameter is averaged: it has no directions. Integer counters do not belong here.
///
/// # Errors
/// [`AggregateError::Empty`], [`AggregateError::Length`], [`AggregateError::Count`] and [`AggregateError::NonFinite`] about the
/// input, [`AggregateError::Eigen`]. Nothing is written then.
pub fn principal(
    updates: &[&[f32]],
    layout: &Layout,
    shares: &Shares,
    config: &Principal,
    out: &mut [f32],
) -> Result<(), AggregateError> {
    let blocks = config.scope.blocks(layout);
    let grams = gram_blocks(updates, &blocks)?;
    principal_from_grams(&grams, updates, &blocks, shares, config, out)
}

/// [`principal`] where the Gram matrices are known already, one for each of `blocks`, which is
/// [`config.scope.blocks(layout)`](super::Scope::blocks). Updates and matrices are in the same order, as
/// [`GramBlocks::finish`](super::super::GramBlocks::finish) yields them.
///
/// # Errors
/// As [`principal`].
pub fn principal_from_grams(
    grams: &[Gram],
    updates: &[&[f32]],
    blocks: &Layout,
    shares: &Shares,
    config: &Principal,
    out: &mut [f32],
) -> Result<(), AggregateError> {
    shares.check(updates.len())?;
    if grams.len() != blocks.ranges().len() {
        let (found, expected) = (grams.len(), blocks.ranges().len());
        return Err(AggregateError::Count { what: "Gram matrices of blocks", found, expected });
    }
    let of_block = |(gram, range): (&Gram, &std::ops::Range<usize>)| {
        if range.len() == 1 { Ok(shares.as_slice().to_vec()) } else { principal_coefficients(gram, shares, config) }
    };
    let coefficients: Result<Vec<Vec<f64>>, AggregateError> =
        grams.par_iter().zip(blocks.ranges()).map(of_block).collect();
    weighted_sum_blocks(updates, blocks, &coefficients?, out)
}
