//! Losses on embeddings of several views: naive loops, finite differences, the laws of their papers, and extremes.

mod edges;
mod golden;
mod gradients;
mod isogclr;
mod laws;
mod memory;
mod oracle;

use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use synod_losses::contrastive::{
    barlow_twins, hard_patches, hydra, info_nce, mixed_barlow_twins, nt_xent, scaled_negatives, simple_contrastive,
    target_anchored, uniformity,
};
use synod_losses::{LossError, Objective};

use crate::support::{leaf, noise, numbers};

/// A loss of two matrices of the same shape, as a mean.
type OfPair = fn(Tensor<2>, Tensor<2>) -> Result<Tensor<1>, LossError>;

/// Losses of two matrices, and how many rows they need.
const OF_PAIRS: [(&str, usize, OfPair); 11] = [
    ("nt_xent", 1, |a, b| Ok(nt_xent::nt_xent(a, b, &nt_xent::Config::default())?.mean())),
    ("info_nce", 1, |a, b| Ok(info_nce::info_nce(a, b, &info_nce::Config::default())?.mean())),
    ("hard", 2, |a, b| Ok(info_nce::info_nce(a, b, &info_nce::Config::default().with_alpha(0.5))?.mean())),
    ("simple", 2, |a, b| {
        Ok(simple_contrastive::simple_contrastive(a, b, &simple_contrastive::Config::default())?.mean())
    }),
    ("in_batch", 1, |a, b| {
        Ok(scaled_negatives::in_batch(a.clone(), a, b, &scaled_negatives::Config::default())?.mean())
    }),
    ("target_anchored", 1, |a, b| {
        Ok(target_anchored::target_anchored(b, a, &target_anchored::Config::default())?.mean())
    }),
    ("barlow_twins", 2, |a, b| barlow_twins::barlow_twins(a, b, &barlow_twins::Config::default())),
    ("mixed_barlow_twins", 2, |a, b| {
        let permutation: Vec<usize> = (0..a.dims()[0]).rev().collect();
        let inputs =
            mixed_barlow_twins::Inputs { z1: a.clone(), z2: b, mixed: a, permutation: &permutation, mix_coef: 0.0 };
        Ok(mixed_barlow_twins::mixed_barlow_twins(inputs, &mixed_barlow_twins::Config::default())?.loss())
    }),
    ("hydra", 1, |a, b| {
        let y = ints(&vec![0; a.dims()[0]]);
        let inputs = hydra::Inputs { z1: a.clone(), z2: b, gate_logits: a, y1: y.clone(), y2: y };
        hydra::hydra(inputs, &hydra::Config::default().with_gate_penalty(1.0))
    }),
    ("hard_patches", 1, |a, b| hard_patches::hard_patches(a, b, &hard_patches::Config::default())),
    ("uniformity", 2, |a, b| uniformity::uniformity(a + b, &uniformity::Config::default())),
];

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

fn rows(matrix: Tensor<2>) -> Rows {
    let [_, columns] = matrix.dims();
    numbers(matrix).chunks(columns).map(<[f64]>::to_vec).collect()
}

/// Rows of a matrix.
type Rows = Vec<Vec<f64>>;

/// All positions of `0..n` but `i`.
fn others(n: usize, i: usize) -> impl Iterator<Item = usize> {
    (0..n).filter(move |&j| j != i)
}

fn dot(left: &[f64], right: &[f64]) -> f64 {
    left.iter().zip(right).map(|(left, right)| left * right).sum()
}

fn unit_rows(rows: &[Vec<f64>]) -> Rows {
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
