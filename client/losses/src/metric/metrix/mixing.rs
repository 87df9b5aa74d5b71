//! How rows are mixed, and what the losses on them have in common.

use burn::tensor::{Int, Tensor};

use crate::error::{ConfigError, LossError};
use crate::geometry::unit;
use crate::metric::pairs::check_labelled;

/// What a loss with mixed embeddings gives, each `[1]`.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Mixed {
    /// `clean + weight mixed`.
    pub loss: Tensor<1>,
    /// The loss on the embeddings as they are.
    pub clean: Tensor<1>,
    /// The loss on mixed embeddings; 0 if nothing is mixed.
    pub mixed: Tensor<1>,
}

impl Mixed {
    pub(super) fn new(clean: Tensor<1>, mixed: Option<Tensor<1>>, weight: f64) -> Self {
        let mixed = mixed.unwrap_or_else(|| clean.zeros_like());
        Self { loss: clean.clone() + mixed.clone() * weight, clean, mixed }
    }
}

/// Checks what the losses take and returns the number of rows to mix: `embeddings: [batch, width]` of at least two rows,
/// `labels: [batch]`, `rows: [n, columns]` with `n` from 0 on.
pub(super) fn check(
    loss: &'static str,
    embeddings: &Tensor<2>,
    labels: &Tensor<1, Int>,
    (name, rows, columns): (&'static str, &Tensor<2, Int>, usize),
    mix: f64,
) -> Result<usize, LossError> {
    let [batch, width] = check_labelled(loss, "embeddings", embeddings, labels)?;
    if batch < 2 {
        let expected = format!("[n, {width}] with n >= 2");
        return Err(LossError::Shape { loss, tensor: "embeddings", expected, found: vec![batch, width] });
    }
    if !(0.0..=1.0).contains(&mix) {
        return Err(LossError::Config { name: loss, source: ConfigError::new("mix", mix, "a number from 0 to 1") });
    }
    let [count, found] = rows.dims();
    if count > 0 && found != columns {
        let expected = format!("[{count}, {columns}] of rows of the batch");
        return Err(LossError::Shape { loss, tensor: name, expected, found: vec![count, found] });
    }
    Ok(count)
}

/// One column of indices, `[rows]`.
pub(super) fn column(indices: &Tensor<2, Int>, index: usize) -> Tensor<1, Int> {
    let [rows, _] = indices.dims();
    indices.clone().slice([0..rows, index..index + 1]).reshape([rows])
}

/// `unit(mix e_i + (1 - mix) e_j)`, `[rows, width]`.
pub(super) fn mixed_rows(embeddings: &Tensor<2>, i: Tensor<1, Int>, j: Tensor<1, Int>, mix: f64) -> Tensor<2> {
    unit(embeddings.clone().select(0, i) * mix + embeddings.clone().select(0, j) * (1.0 - mix))
}

/// `mix` where the label of `i` is that of the anchor, plus `1 - mix` where the label of `j` is, `[rows]`.
pub fn mixed_labels(labels: &Tensor<1, Int>, triplets: &Tensor<2, Int>, mix: f64, like: &Tensor<2>) -> Tensor<1> {
    let label = |index: usize| labels.clone().select(0, column(triplets, index));
    let share = |index: usize, share: f64| label(index).equal(label(0)).float().cast(like.dtype()) * share;
    share(1, mix) + share(2, 1.0 - mix)
}
