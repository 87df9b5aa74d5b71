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

/// Squared Euclidean distances of every row of `left: [n, width]` to every row of `right: [m, width]`, `[n, m]`, from
/// one matrix product. Rows that differ by less than the number type can tell have distance 0, and there no gradient.
pub(crate) fn squared_distances(left: Tensor<2>, right: Tensor<2>) -> Tensor<2> {
    // Four roundings lie between a product of rows and the difference of their squares.
    let resolution = left.dtype().finfo().map_or(0.0, |info| 4.0 * info.epsilon);
    let of_left = left.clone().square().sum_dim(1);
    let of_right = right.clone().square().sum_dim(1).transpose();
    let sizes = of_left + of_right;
    let squares = sizes.clone() - left.matmul(right.transpose()) * 2.0;
    let same = squares.clone().detach().lower_equal(sizes.detach() * resolution);
    squares.mask_fill(same, 0.0)
}
