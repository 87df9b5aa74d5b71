//! The small eigenproblem.

use super::super::error::AggregateError;

/// Eigenvalues of a symmetric positive semidefinite matrix, descending and none below zero, with unit eigenvectors.
pub(super) struct Eigen {
    pub(super) values: Vec<f64>,
    pub(super) vectors: Vec<Vec<f64>>,
}

/// Decomposes the matrix with entries `entry(row, column)`.
pub(super) fn eigen(order: usize, entry: impl Fn(usize, usize) -> f64) -> Result<Eigen, AggregateError> {
    let matrix = faer::Mat::<f64>::from_fn(order, order, entry);
    let found = matrix.self_adjoint_eigen(faer::Side::Lower).map_err(|_| AggregateError::Eigen(order))?;
    let (vectors, values) = (found.U(), found.S());
    Ok(Eigen {
        // The library's order is ascending.
        values: (0..order).rev().map(|j| values[j].max(0.0)).collect(),
        vectors: (0..order).rev().map(|j| (0..order).map(|i| vectors[(i, j)]).collect()).collect(),
    })
}
