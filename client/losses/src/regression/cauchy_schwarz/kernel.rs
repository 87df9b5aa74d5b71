//! Gaussian kernels between the rows of two matrices, by their logarithms: far apart they are far too small for floats.

use burn::tensor::Tensor;

use crate::check;
use crate::error::LossError;

/// `-|a_i - b_j|^2 / (2 sigma^2)`, `[rows of a, rows of b]`.
pub(super) fn log_kernel(a: Tensor<2>, b: Tensor<2>, sigma: f64) -> Tensor<2> {
    // Distances do not change with the origin, and near it the product below keeps its digits.
    let origin = b.clone().mean_dim(0).detach();
    let (a, b) = ((a - origin.clone()) / sigma, (b - origin) / sigma);
    let square = |rows: Tensor<2>| (rows.clone() * rows).sum_dim(1);
    let squares = square(a.clone()) + square(b.clone()).transpose();
    // Rounding can leave a small number below zero.
    (squares - a.matmul(b.transpose()) * 2.0).clamp_min(0.0) * -0.5
}

/// `ln sum_j exp(x_ij)`, `[rows, 1]`.
pub(super) fn log_sum_exp(rows: Tensor<2>) -> Tensor<2> {
    let largest = rows.clone().detach().max_dim(1);
    (rows - largest.clone()).exp().sum_dim(1).log() + largest
}

/// `ln sum_ij exp(x_ij)`, `[1]`.
pub(super) fn log_sum_exp_all(matrix: Tensor<2>) -> Tensor<1> {
    let [rows, columns] = matrix.dims();
    log_sum_exp(matrix.reshape([1, rows * columns])).reshape([1])
}

/// Checks that every matrix has the rows of the first, at least 2, and returns their number.
pub(super) fn check_rows(loss: &'static str, matrices: &[(&'static str, &Tensor<2>)]) -> Result<usize, LossError> {
    let mut batch = None;
    for (tensor, matrix) in matrices {
        let [rows, columns] = check::matrix(loss, tensor, matrix)?;
        let wanted = *batch.get_or_insert(rows);
        if rows < 2 || rows != wanted {
            let expected = format!("[{}, n], at least 2 rows in each", wanted.max(2));
            return Err(LossError::Shape { loss, tensor, expected, found: vec![rows, columns] });
        }
    }
    Ok(batch.unwrap_or_default())
}
