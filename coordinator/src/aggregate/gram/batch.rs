//! Whole matrices at once.

use std::ops::Range;

use rayon::prelude::*;

use super::super::error::{AggregateError, check_lengths, find_non_finite};
use super::super::layout::Layout;
use super::kernel::{CHUNK, Pairs, Scratch, chunk_products};
use super::matrix::Gram;

/// The inner products of all updates over one range of parameters, `[updates, updates]`.
///
/// The matrix is in the order of the updates and each entry depends on its two updates alone.
///
/// # Errors
/// [`AggregateError::Empty`], [`AggregateError::Length`] where an update is shorter than the range's end or lengths differ,
/// [`AggregateError::NonFinite`].
pub fn gram(updates: &[&[f32]], range: Range<usize>) -> Result<Gram, AggregateError> {
    let parameters = updates.first().ok_or(AggregateError::Empty)?.len();
    check_lengths(updates, parameters)?;
    if range.start > range.end || range.end > parameters {
        return Err(AggregateError::Length { update: 0, found: parameters, expected: range.start.max(range.end) });
    }
    let rows: Vec<&[f32]> = updates.iter().map(|u| &u[range.clone()]).collect();
    let layout = match Layout::new([range.len()]) {
        Ok(layout) => layout,
        Err(_) => return Gram::new(updates.len(), vec![0.0; updates.len() * updates.len()]),
    };
    let mut grams = gram_blocks(&rows, &layout)?;
    grams.pop().ok_or(AggregateError::Empty)
}

/// The inner products of all updates, block by block.
///
/// Memory beyond the result: `8 * updates^2` bytes per 32,768 parameters, which is `updates / 16,384` of the updates' size.
///
/// # Errors
/// [`AggregateError::Empty`], [`AggregateError::Length`], [`AggregateError::NonFinite`].
pub fn gram_blocks(updates: &[&[f32]], layout: &Layout) -> Result<Vec<Gram>, AggregateError> {
    check_lengths(updates, layout.parameters())?;
    let order = updates.len();
    let pieces = layout.pieces(CHUNK);
    let parts: Vec<Vec<f64>> = pieces
        .par_iter()
        .map_init(Scratch::new, |scratch, (_, range)| {
            let rows: Vec<&[f32]> = updates.iter().map(|u| &u[range.clone()]).collect();
            let mut part = vec![0.0; order * order];
            chunk_products(&rows, &rows, Pairs::Upper, scratch, &mut part);
            part
        })
        .collect();
    let totals = add_parts(&pieces, parts, layout.ranges().len());
    let grams: Option<Vec<Gram>> = totals.into_iter().map(|total| Gram::from_upper(order, total)).collect();
    // Looking for the culprit only now spares a pass; where all is finite the diagonal is.
    grams.ok_or_else(|| find_non_finite(updates).unwrap_or(AggregateError::NotGram { row: 0, column: 0 }))
}

/// Adds the parts of each block from the first piece to the last.
pub(super) fn add_parts(pieces: &[(usize, Range<usize>)], parts: Vec<Vec<f64>>, blocks: usize) -> Vec<Vec<f64>> {
    let mut totals: Vec<Vec<f64>> = vec![Vec::new(); blocks];
    for ((block, _), part) in pieces.iter().zip(parts) {
        let total = &mut totals[*block];
        if total.is_empty() {
            *total = part;
        } else {
            total.iter_mut().zip(part).for_each(|(sum, value)| *sum += value);
        }
    }
    totals
}

#[cfg(test)]
mod tests;
