//! Lengths and distances of rows, whose gradient is zero where the square root has none.

use burn::tensor::Tensor;

/// Rows shorter than this are divided by it instead of by their length.
const LENGTH_MIN: f64 = 1e-12;

/// Square root whose gradient at 0 is 0.
pub(crate) fn root<const D: usize>(squares: Tensor<D>) -> Tensor<D> {
    let zero = squares.clone().equal_scalar(0.0);
    squares.mask_fill(zero.clone(), 1.0).sqrt().mask_fill(zero, 0.0)
}

/// Rows divided by their Euclidean lengths, `[rows, width]`.
pub(crate) fn unit(rows: Tensor<2>) -> Tensor<2> {
    let lengths = root(rows.clone().square().sum_dim(1)).clamp_min(LENGTH_MIN);
    rows / lengths
}

/// Euclidean distances of rows at the same place, `[rows]`.
pub(crate) fn row_distances(left: Tensor<2>, right: Tensor<2>) -> Tensor<1> {
    let [rows, _] = left.dims();
    root((left - right).square().sum_dim(1)).reshape([rows])
}
