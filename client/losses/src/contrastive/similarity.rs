//! What the losses of this family share: rows of length 1, matrices without their diagonal, standardised columns.

use burn::tensor::{Bool, Device, Int, Tensor};

use crate::check;
use crate::error::LossError;

/// Smallest length that a row is divided by, where a paper's code does not say otherwise: a row of zeros stays one.
pub(super) const LENGTH_MIN: f64 = 1e-12;

/// Stands for minus infinity among logits: its exponential is 0, and a row of nothing else still has finite sums.
pub(super) const EXCLUDED: f64 = -1e30;

/// Columns with a smaller standard deviation than this are constant.
const DEVIATION_MIN: f64 = 1e-12;

/// `x / max(||x||, length_min)` along the last dimension.
pub(super) fn unit<const D: usize>(tensor: Tensor<D>, length_min: f64) -> Tensor<D> {
    tensor.clone() / length(tensor.square().sum_dim(D - 1), length_min)
}

/// `max(sqrt(squares), length_min)`. Clamped before the root, whose gradient at 0 does not exist.
pub(super) fn length<const D: usize>(squares: Tensor<D>, length_min: f64) -> Tensor<D> {
    squares.clamp_min(length_min * length_min).sqrt()
}

/// `ln sum exp` of each row, `[rows, 1]`.
pub(super) fn log_sum_exp(logits: Tensor<2>) -> Tensor<2> {
    let max = logits.clone().detach().max_dim(1);
    (logits - max.clone()).exp().sum_dim(1).log() + max
}

/// The diagonal of a square matrix, `[n, 1]`.
pub(super) fn diagonal(matrix: Tensor<2>) -> Tensor<2> {
    let [rows, _] = matrix.dims();
    let positions = Tensor::<1, Int>::arange(0..rows as i64, &matrix.device()).reshape([rows, 1]);
    matrix.gather(1, positions)
}

/// Whether an entry of a matrix with `size` rows and columns is on its diagonal.
pub(super) fn is_diagonal(size: usize, device: &Device) -> Tensor<2, Bool> {
    Tensor::<2, Bool>::diag_mask([size, size], 0, device).bool_not()
}

/// A square matrix with at least two rows without its diagonal, `[n, n - 1]`; the rest keeps its order.
pub(super) fn off_diagonal(matrix: Tensor<2>) -> Tensor<2> {
    let [rows, _] = matrix.dims();
    // Without its first entry, the matrix read in rows of n + 1 has the diagonal as its last column.
    let shifted = matrix.reshape([rows * rows]).narrow(0, 1, rows * rows - 1).reshape([rows - 1, rows + 1]);
    shifted.narrow(1, 0, rows).reshape([rows, rows - 1])
}

/// The `count` largest entries of each row, largest first. Which they are is a constant.
pub(super) fn largest(matrix: Tensor<2>, count: usize) -> Tensor<2> {
    let order = matrix.clone().detach().argsort_descending(1).narrow(1, 0, count);
    matrix.gather(1, order)
}

/// Whether the entries of the two vectors are the same, `[left, right]`.
pub(super) fn same(left: Tensor<1, Int>, right: Tensor<1, Int>) -> Tensor<2, Bool> {
    let ([rows], [columns]) = (left.dims(), right.dims());
    let left = left.reshape([rows, 1]).expand([rows, columns]);
    left.equal(right.reshape([1, columns]).expand([rows, columns]))
}

/// Each column, along dimension `dim`, less its mean and over `sqrt(sum of squares / divisor + eps)`. A column whose
/// deviation is below 1e-12 becomes zeros without a gradient.
pub(super) fn standardise<const D: usize>(columns: Tensor<D>, dim: usize, divisor: f64, eps: f64) -> Tensor<D> {
    // The mean is taken of what differs from the first row: a constant column becomes exactly 0 in single precision.
    let from_first = columns.clone() - columns.detach().narrow(dim, 0, 1);
    let centred = from_first.clone() - from_first.mean_dim(dim);
    let variance = centred.clone().square().sum_dim(dim) / divisor + eps;
    let constant = variance.clone().lower_equal_scalar(DEVIATION_MIN * DEVIATION_MIN);
    let deviation = variance.mask_fill(constant.clone(), 1.0).sqrt();
    let shape = centred.shape();
    (centred / deviation).mask_fill(constant.expand(shape), 0.0)
}

/// Checks that two matrices have the same shape and at least `rows_min` rows, and returns the shape.
pub(super) fn check_pair(
    loss: &'static str,
    first: (&'static str, &Tensor<2>),
    second: (&'static str, &Tensor<2>),
    rows_min: usize,
) -> Result<[usize; 2], LossError> {
    let shape = check::same_shape(loss, first, second)?;
    check_rows(loss, first.0, shape, rows_min)?;
    Ok(shape)
}

/// Checks that a tensor has at least `rows_min` rows.
pub(super) fn check_rows(
    loss: &'static str,
    tensor: &'static str,
    [rows, columns]: [usize; 2],
    rows_min: usize,
) -> Result<(), LossError> {
    if rows >= rows_min {
        return Ok(());
    }
    Err(shape_error(loss, tensor, format!("[n, {columns}] with n >= {rows_min}"), &[rows, columns]))
}

/// Checks that a tensor has just this shape.
pub(super) fn check_shape(
    loss: &'static str,
    tensor: &'static str,
    found: &[usize],
    expected: &[usize],
) -> Result<(), LossError> {
    if found == expected { Ok(()) } else { Err(shape_error(loss, tensor, format!("{expected:?}"), found)) }
}

/// A shape that a loss does not take.
pub(super) fn shape_error(loss: &'static str, tensor: &'static str, expected: String, found: &[usize]) -> LossError {
    LossError::Shape { loss, tensor, expected, found: found.to_vec() }
}
