//! Inner products as updates arrive, so that little is left to do when the last one is there.

use rayon::prelude::*;

use super::super::error::{AggregateError, check_lengths, find_non_finite};
use super::super::layout::Layout;
use super::batch::add_parts;
use super::kernel::{CHUNK, Pairs, Scratch, chunk_products};
use super::matrix::Gram;

/// Holds updates and their inner products so far. In the end it yields both sorted by key, with the bits that
/// [`gram_blocks`](super::gram_blocks) gives for the sorted updates, whatever the order of arrival.
///
/// Memory: the updates themselves and `8` bytes per block and pair of updates, for at most as many updates as
/// [`new`](Self::new) was told.
#[derive(Debug)]
pub struct GramBlocks<K, U> {
    layout: Layout,
    updates_max: usize,
    members: Vec<Member<K, U>>,
}

#[derive(Debug)]
struct Member<K, U> {
    key: K,
    update: U,
    /// Per block: the inner products with every earlier member and, last, with itself.
    rows: Vec<Vec<f64>>,
}

/// Updates in the order of their keys, and one matrix per block in that order.
#[derive(Debug)]
pub struct SortedUpdates<K, U> {
    /// Ascending.
    pub keys: Vec<K>,
    /// In the order of the keys.
    pub updates: Vec<U>,
    /// One per block, rows and columns in the order of the keys.
    pub grams: Vec<Gram>,
}

impl<K: Ord, U: AsRef<[f32]>> GramBlocks<K, U> {
    /// Room for up to `updates_max` updates of the given layout.
    #[must_use]
    pub fn new(layout: Layout, updates_max: usize) -> Self {
        Self { layout, updates_max, members: Vec::new() }
    }

    /// Number of updates held.
    #[must_use]
    pub fn updates(&self) -> usize {
        self.members.len()
    }

    /// Takes in an update: one pass over it and all earlier ones.
    ///
    /// # Errors
    /// [`AggregateError::Length`], [`AggregateError::NonFinite`] (as update #0), [`AggregateError::Duplicate`] or
    /// [`AggregateError::TooMany`]; nothing is changed then.
    pub fn push(&mut self, key: K, update: U) -> Result<(), AggregateError> {
        let new = [update.as_ref()];
        check_lengths(&new, self.layout.parameters())?;
        if self.members.iter().any(|m| m.key == key) {
            return Err(AggregateError::Duplicate);
        }
        if self.members.len() >= self.updates_max {
            return Err(AggregateError::TooMany(self.updates_max));
        }
        let all: Vec<&[f32]> = self.members.iter().map(|m| m.update.as_ref()).chain(new).collect();
        let pieces = self.layout.pieces(CHUNK);
        let parts: Vec<Vec<f64>> = pieces
            .par_iter()
            .map_init(Scratch::new, |scratch, (_, range)| {
                let rows: Vec<&[f32]> = all.iter().map(|u| &u[range.clone()]).collect();
                let mut part = vec![0.0; rows.len()];
                chunk_products(&rows[rows.len() - 1..], &rows, Pairs::All, scratch, &mut part);
                part
            })
            .collect();
        let rows = add_parts(&pieces, parts, self.layout.ranges().len());
        if rows.iter().flat_map(|row| row.last()).any(|square| !square.is_finite()) {
            return Err(find_non_finite(&new).unwrap_or(AggregateError::NotGram { row: 0, column: 0 }));
        }
        self.members.push(Member { key, update, rows });
        Ok(())
    }

    /// Gives an update back, as if it had never come.
    pub fn remove(&mut self, key: &K) -> Option<U> {
        let at = self.members.iter().position(|m| m.key == *key)?;
        let member = self.members.remove(at);
        self.members[at..].iter_mut().flat_map(|m| &mut m.rows).for_each(|row| {
            row.remove(at);
        });
        Some(member.update)
    }

    /// The updates so far, in the order of the keys.
    #[must_use]
    pub fn held(&self) -> Vec<&[f32]> {
        let mut sorted: Vec<&Member<K, U>> = self.members.iter().collect();
        sorted.sort_by(|a, b| a.key.cmp(&b.key));
        sorted.into_iter().map(|m| m.update.as_ref()).collect()
    }

    /// The matrices so far, one per block, rows and columns in the order of the keys.
    #[must_use]
    pub fn grams(&self) -> Vec<Gram> {
        let mut sorted: Vec<usize> = (0..self.members.len()).collect();
        sorted.sort_by(|a, b| self.members[*a].key.cmp(&self.members[*b].key));
        let of_block = |block: usize| {
            let product = |a: usize, b: usize| self.members[a.max(b)].rows[block][a.min(b)];
            let values = sorted.iter().flat_map(|a| sorted.iter().map(move |b| product(*a, *b))).collect();
            // Never `None`: push lets finite updates in only.
            Gram::from_upper(sorted.len(), values)
        };
        (0..self.layout.ranges().len()).filter_map(of_block).collect()
    }

    /// Everything taken in, sorted by key.
    #[must_use]
    pub fn finish(self) -> SortedUpdates<K, U> {
        let grams = self.grams();
        let mut members = self.members;
        members.sort_by(|a, b| a.key.cmp(&b.key));
        let (keys, updates) = members.into_iter().map(|m| (m.key, m.update)).unzip();
        SortedUpdates { keys, updates, grams }
    }
}
