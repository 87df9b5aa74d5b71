//! The strategy on whole updates.

use super::super::combine::combine_from_grams;
use super::super::error::AggregateError;
use super::super::gram::{Gram, gram_blocks};
use super::super::layout::Layout;
use super::super::shares::Shares;
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
    let of_block = |block: usize, gram: &Gram| match blocks.ranges()[block].len() {
        1 => Ok(shares.as_slice().to_vec()),
        _ => principal_coefficients(gram, shares, config),
    };
    combine_from_grams(grams, updates, blocks, of_block, out)
}
