//! What distances between two sets of masks share.

use burn::tensor::Tensor;

use crate::error::LossError;

/// Checks `logits: [batch, samples, pixels]` and `raters: [batch, raters, pixels]`, nothing of it 0, and returns batch,
/// samples, raters and pixels.
pub(super) fn check(loss: &'static str, logits: &Tensor<3>, raters: &Tensor<3>) -> Result<[usize; 4], LossError> {
    let [batch, samples, pixels] = logits.dims();
    if batch == 0 {
        return Err(LossError::EmptyBatch { loss });
    }
    if samples == 0 || pixels == 0 {
        let expected = format!("[{batch}, n, pixels] of at least one sample and pixel");
        return Err(LossError::Shape { loss, tensor: "logits", expected, found: logits.dims().to_vec() });
    }
    let [found, count, of_raters] = raters.dims();
    if found != batch || of_raters != pixels || count == 0 {
        let expected = format!("[{batch}, n, {pixels}] with n >= 1");
        return Err(LossError::Shape { loss, tensor: "raters", expected, found: raters.dims().to_vec() });
    }
    Ok([batch, samples, count, pixels])
}

/// Squared Euclidean distances, `[batch, n, m]`, of `left: [batch, n, pixels]` and `right: [batch, m, pixels]`, which
/// record nothing. From differences, because coinciding masks must have distance 0.
pub(super) fn squared_distances(left: &Tensor<3>, right: &Tensor<3>) -> Tensor<3> {
    let [batch, rows, _] = left.dims();
    let [_, columns, _] = right.dims();
    let of_row = |row: usize| {
        let differences = right.clone() - left.clone().narrow(1, row, 1);
        differences.square().sum_dim(2).reshape([batch, 1, columns])
    };
    Tensor::cat((0..rows).map(of_row).collect(), 1)
}

/// The sum of each matrix, `[batch]`.
pub(super) fn sum_of_each(matrices: Tensor<3>) -> Tensor<1> {
    let [batch, ..] = matrices.dims();
    matrices.sum_dims(&[1, 2]).reshape([batch])
}
