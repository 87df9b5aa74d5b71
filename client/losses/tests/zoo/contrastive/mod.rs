//! Losses on embeddings of several views: naive loops, finite differences, the laws of their papers, and extremes.

mod edges;
mod golden;
mod gradients;
mod laws;
mod memory;
mod oracle;

use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use synod_losses::{LossError, Objective};

use crate::support::{leaf, noise, numbers};

/// A matrix of numbers that look random and differ with `seed`.
fn matrix(shape: [usize; 2], seed: u64) -> Tensor<2> {
    leaf(&noise(shape[0] * shape[1], seed), shape)
}

/// A stack of such matrices.
fn stack(shape: [usize; 3], seed: u64) -> Tensor<3> {
    leaf(&noise(shape.iter().product(), seed), shape)
}

/// A matrix whose rows have length 1.
fn unit_matrix(shape: [usize; 2], seed: u64) -> Tensor<2> {
    leaf(&unit_rows(&rows(matrix(shape, seed))).concat(), shape)
}

/// A vector in double precision.
fn vector(values: &[f64]) -> Tensor<1> {
    leaf(values, [values.len()])
}

fn ints(values: &[i64]) -> Tensor<1, Int> {
    Tensor::from_data(values, &Device::flex().autodiff())
}

/// A matrix in single precision, in which everything has the same value.
fn filled(shape: [usize; 2], value: f32) -> Tensor<2> {
    Tensor::full(shape, value, &Device::flex().autodiff()).require_grad()
}

/// A matrix in single precision.
fn single(values: &[f64], shape: [usize; 2]) -> Tensor<2> {
    let data = TensorData::new(values.to_vec(), shape);
    Tensor::from_data(data, (&Device::flex().autodiff(), DType::F32)).require_grad()
}

fn rows(matrix: Tensor<2>) -> Vec<Vec<f64>> {
    let [_, columns] = matrix.dims();
    numbers(matrix).chunks(columns).map(<[f64]>::to_vec).collect()
}

fn dot(left: &[f64], right: &[f64]) -> f64 {
    left.iter().zip(right).map(|(left, right)| left * right).sum()
}

fn unit_rows(rows: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let unit = |row: &Vec<f64>| {
        let length = dot(row, row).sqrt().max(1e-12);
        row.iter().map(|value| value / length).collect()
    };
    rows.iter().map(unit).collect()
}

fn log_sum_exp(values: impl IntoIterator<Item = f64>) -> f64 {
    values.into_iter().map(f64::exp).sum::<f64>().ln()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Asserts that the loss refuses its inputs because of a shape or for want of samples.
fn assert_refused<T>(what: &str, result: Result<T, LossError>) {
    let error = result.err().unwrap_or_else(|| panic!("{what} is taken"));
    assert!(matches!(error, LossError::Shape { .. } | LossError::EmptyBatch { .. }), "{what}: {error}");
}

/// Asserts that a configuration is refused because of `option`.
fn assert_invalid(option: &str, config: impl Objective) {
    match config.validate() {
        Err(error) => assert_eq!(error.option, option),
        Ok(_) => panic!("`{option}` is taken"),
    }
}
