//! From inner products to a result: the two passes that every rule in the Gram domain consists of.

use rayon::prelude::*;

use super::error::AggregateError;
use super::gram::{Gram, gram_blocks};
use super::layout::Layout;
use super::weighted::weighted_sum_blocks;

/// `out = sum_i c_i g_i`, block by block, where `coefficients(block, gram)` makes the `c` of a block from its number and
/// its Gram matrix. The whole model is one block with [`Layout::whole`].
///
/// Cost: two passes over the updates, `m^2` multiply-adds a parameter in the first (half of them by symmetry) and `m` in
/// the second, besides what the rule does with its `m x m` matrix.
///
/// # Errors
/// [`AggregateError::Empty`], [`AggregateError::Length`], [`AggregateError::NonFinite`] about the input and what
/// `coefficients` returns. Nothing is written then.
pub fn combine(
    updates: &[&[f32]],
    blocks: &Layout,
    coefficients: impl Fn(usize, &Gram) -> Result<Vec<f64>, AggregateError> + Sync,
    out: &mut [f32],
) -> Result<(), AggregateError> {
    combine_from_grams(&gram_blocks(updates, blocks)?, updates, blocks, coefficients, out)
}

/// [`combine`] where the Gram matrices are known already, one for each block, in the order of the updates, as
/// [`GramBlocks::finish`](super::GramBlocks::finish) yields them: one pass over the updates.
///
/// # Errors
/// As [`combine`], and [`AggregateError::Count`] where there is not one matrix per block or one row per update.
pub fn combine_from_grams(
    grams: &[Gram],
    updates: &[&[f32]],
    blocks: &Layout,
    coefficients: impl Fn(usize, &Gram) -> Result<Vec<f64>, AggregateError> + Sync,
    out: &mut [f32],
) -> Result<(), AggregateError> {
    let count = |what, found, expected| {
        if found == expected { Ok(()) } else { Err(AggregateError::Count { what, found, expected }) }
    };
    count("Gram matrices of blocks", grams.len(), blocks.ranges().len())?;
    grams.iter().try_for_each(|gram| count("rows of a Gram matrix", gram.order(), updates.len()))?;
    let coefficients: Result<Vec<Vec<f64>>, AggregateError> =
        grams.par_iter().enumerate().map(|(block, gram)| coefficients(block, gram)).collect();
    weighted_sum_blocks(updates, blocks, &coefficients?, out)
}
