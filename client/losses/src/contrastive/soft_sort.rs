//! Sorting with a gradient: an odd-even network whose comparisons exchange partly.
//!
//! Layer `l = 0..n` compares the neighbours `(i, i + 1)` for `i = l mod 2, l mod 2 + 2, ...`. With
//! `a = atan(steepness (x_{i+1} - x_i)) / pi + 1/2` they become `a x_i + (1 - a) x_{i+1}` and
//! `(1 - a) x_i + a x_{i+1}`, ascending; the columns of the soft permutation `P`, at first the identity, are combined
//! in the same way. `P[r, c]` is the weight with which input `r` ends at rank `c`; rows and columns add up to 1.
//!
//! `a` and `1 - a` are computed as angles, so that both are exact where they are small.
//!
//! Source: Petersen, Borgelt, Kuehne, Deussen: Monotonic Differentiable Sorting Networks, ICLR 2022 (Cauchy), after
//! Differentiable Sorting Networks for Scalable Sorting and Ranking Supervision, ICML 2021.

use std::f64::consts::PI;

use burn::tensor::Tensor;

use crate::check;
use crate::error::LossError;
use crate::option::{POSITIVE, validate};

const NAME: &str = "soft_sort";

/// Scores in ascending order, and how they got there.
#[derive(Debug, Clone)]
pub struct Sorted {
    /// The scores, softly sorted, `[batch, n]`.
    pub values: Tensor<2>,
    layers: Vec<Layer>,
}

/// The comparisons of one layer.
#[derive(Debug, Clone)]
struct Layer {
    /// First position that is compared.
    start: usize,
    /// `a` of each pair, `[batch, 1, pairs]`.
    keep: Tensor<3>,
    /// `1 - a` of each pair, `[batch, 1, pairs]`.
    exchange: Tensor<3>,
}

/// Sorts each row of `scores: [batch, n]`; the larger the `steepness`, the harder.
///
/// # Errors
/// [`LossError::EmptyBatch`] and [`LossError::Shape`] if there is nothing to sort; [`LossError::Config`] if the
/// steepness is not a finite number above 0.
pub fn soft_sort(scores: Tensor<2>, steepness: f64) -> Result<Sorted, LossError> {
    let [batch, n] = check::matrix(NAME, "scores", &scores)?;
    validate("steepness", &steepness, &POSITIVE).map_err(|source| LossError::Config { name: NAME, source })?;
    let mut values = scores.reshape([batch, 1, n]);
    let mut layers = Vec::with_capacity(n);
    for layer in 0..n {
        let start = layer % 2;
        let pairs = (n - start) / 2;
        if pairs == 0 {
            continue;
        }
        let compared = values.clone().narrow(2, start, 2 * pairs).reshape([batch, pairs, 2]);
        let difference = (compared.clone().narrow(2, 1, 1) - compared.narrow(2, 0, 1)) * steepness;
        let difference = difference.reshape([batch, 1, pairs]);
        let one = difference.clone().detach().ones_like();
        let layer = Layer {
            start,
            keep: one.clone().atan2(difference.clone().neg()) / PI,
            exchange: one.atan2(difference) / PI,
        };
        values = layer.combine(values);
        layers.push(layer);
    }
    Ok(Sorted { values: values.reshape([batch, n]), layers })
}

impl Sorted {
    /// The soft permutation, `[batch, n, n]`. Costs `O(n^3)` for each row of scores.
    #[must_use]
    pub fn permutation(&self) -> Tensor<3> {
        let [batch, n] = self.values.dims();
        let (device, dtype) = (self.values.device(), self.values.dtype());
        let identity = Tensor::<2>::eye(n, &device).cast(dtype).unsqueeze::<3>().expand([batch, n, n]);
        self.layers.iter().fold(identity, |columns, layer| layer.combine(columns))
    }

    /// `P v` for each of `vectors: [batch, k, n]` over ranks: the weight that each input puts on them. Costs `O(k n^2)`
    /// for each row of scores, without the permutation.
    pub(super) fn weights(&self, vectors: Tensor<3>) -> Tensor<3> {
        // A layer is symmetric, so that the same combination works from the other side, in the reverse order.
        self.layers.iter().rev().fold(vectors, |vectors, layer| layer.combine(vectors))
    }
}

impl Layer {
    /// Combines the compared columns of `columns: [batch, k, n]`.
    fn combine(&self, columns: Tensor<3>) -> Tensor<3> {
        let [batch, rows, n] = columns.dims();
        let [_, _, pairs] = self.keep.dims();
        let end = self.start + 2 * pairs;
        let compared = columns.clone().narrow(2, self.start, 2 * pairs).reshape([batch, rows, pairs, 2]);
        let side = |side| compared.clone().narrow(3, side, 1).reshape([batch, rows, pairs]);
        let (left, right) = (side(0), side(1));
        let (keep, exchange) = (self.keep.clone(), self.exchange.clone());
        let lower = left.clone() * keep.clone() + right.clone() * exchange.clone();
        let upper = left * exchange + right * keep;
        let combined = Tensor::stack::<4>(vec![lower, upper], 3).reshape([batch, rows, 2 * pairs]);
        let mut parts = Vec::with_capacity(3);
        if self.start > 0 {
            parts.push(columns.clone().narrow(2, 0, self.start));
        }
        parts.push(combined);
        if end < n {
            parts.push(columns.narrow(2, end, n - end));
        }
        Tensor::cat(parts, 2)
    }
}
