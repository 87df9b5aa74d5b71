//! What losses on pairs and triples of embeddings share.

use burn::tensor::{Int, Tensor};

use crate::check;
use crate::error::LossError;

/// Rows that belong together: an anchor, one that should be near it and one that should be far, each `[batch, width]`.
#[derive(Debug, Clone)]
pub struct Triples {
    /// Where distances are taken from.
    pub anchor: Tensor<2>,
    /// Of the anchor's class.
    pub positive: Tensor<2>,
    /// Of another class.
    pub negative: Tensor<2>,
}

impl Triples {
    /// Checks that all have the same shape, which is returned.
    pub(super) fn check(&self, loss: &'static str) -> Result<[usize; 2], LossError> {
        let anchor = ("anchor", &self.anchor);
        check::same_shape(loss, anchor, ("positive", &self.positive))?;
        check::same_shape(loss, anchor, ("negative", &self.negative))
    }
}

/// Checks that there is one label for each of at least one row of `embeddings` and returns its shape.
pub(super) fn check_labelled(
    loss: &'static str,
    name: &'static str,
    embeddings: &Tensor<2>,
    labels: &Tensor<1, Int>,
) -> Result<[usize; 2], LossError> {
    let [rows, width] = check::matrix(loss, name, embeddings)?;
    if labels.dims() != [rows] {
        let expected = format!("[{rows}], one label per row of {name}");
        return Err(LossError::Shape { loss, tensor: "labels", expected, found: labels.dims().to_vec() });
    }
    Ok([rows, width])
}

/// Checks that `other` is a matrix as wide as the embeddings.
pub(super) fn check_width(
    loss: &'static str,
    name: &'static str,
    other: &Tensor<2>,
    width: usize,
) -> Result<usize, LossError> {
    let [rows, found] = check::matrix(loss, name, other)?;
    if found != width {
        let expected = format!("[{rows}, {width}], as wide as the embeddings");
        return Err(LossError::Shape { loss, tensor: name, expected, found: vec![rows, found] });
    }
    Ok(rows)
}

/// Pairs of a batch, `[batch, batch]`, of 0 and 1.
pub(super) struct Pairs {
    /// Two samples of one class; no sample is paired with itself.
    pub(super) same: Tensor<2>,
    /// Two samples of different classes.
    pub(super) different: Tensor<2>,
}

impl Pairs {
    pub(super) fn new(labels: &Tensor<1, Int>, like: &Tensor<2>) -> Self {
        let [batch] = labels.dims();
        let equal = matches(labels, labels, like);
        let itself = Tensor::<2>::eye(batch, &like.device()).cast(like.dtype());
        Self { different: equal.clone().neg() + 1.0, same: equal - itself }
    }
}

/// 1 where the label of a row equals that of a column, else 0, `[rows, columns]`.
pub(super) fn matches(rows: &Tensor<1, Int>, columns: &Tensor<1, Int>, like: &Tensor<2>) -> Tensor<2> {
    let shape = [rows.dims()[0], columns.dims()[0]];
    let rows = rows.clone().reshape([shape[0], 1]).expand(shape);
    let columns = columns.clone().reshape([1, shape[1]]).expand(shape);
    rows.equal(columns).float().cast(like.dtype())
}

/// Labels in `0..classes` as rows of 0 and 1, `[classes, batch]`.
pub(super) fn memberships(labels: &Tensor<1, Int>, classes: usize, like: &Tensor<2>) -> Tensor<2> {
    let classes = Tensor::<1, Int>::arange(0..classes as i64, &labels.device()).cast(labels.dtype());
    matches(&classes, labels, like)
}

/// Sum of values, none negative, over the number of those above 0, `[1]`; 0 if there is none.
pub(super) fn mean_of_positive<const D: usize>(values: Tensor<D>) -> Tensor<1> {
    let count = values.clone().greater_scalar(0.0).float().cast(values.dtype()).sum();
    values.sum() / count.clamp_min(1.0)
}

/// `ln(1 + sum_j w[i,j] exp(z[i,j]))` as `[rows, 1]`, for weights of at least 0.
pub(super) fn log_one_plus_sum(z: Tensor<2>, weights: Tensor<2>) -> Tensor<2> {
    let left_out = weights.clone().equal_scalar(0.0);
    // What is left out may be larger than anything that counts; its exponential must not be taken.
    let z = z.mask_fill(left_out, 0.0);
    let largest = z.clone().detach().max_dim(1).clamp_min(0.0);
    let sum = ((z - largest.clone()).exp() * weights).sum_dim(1);
    (sum + (largest.clone().neg().exp() - 1.0)).log1p() + largest
}
