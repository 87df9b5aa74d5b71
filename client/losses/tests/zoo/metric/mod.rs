//! Losses for embeddings: oracles, laws, differences and degenerate batches.

mod mixed;
mod pairs;
mod triples;

use burn::tensor::{Int, Tensor};

use crate::support::leaf;

pub(crate) fn labels(labels: &[i64]) -> Tensor<1, Int> {
    Tensor::from_data(labels, &leaf(&[0.0], [1]).device())
}

pub(crate) fn indices<const N: usize>(rows: &[[i64; N]]) -> Tensor<2, Int> {
    labels(rows.as_flattened()).reshape([rows.len(), N])
}

pub(crate) fn unit(row: &[f64]) -> Vec<f64> {
    let length = row.iter().map(|value| value * value).sum::<f64>().sqrt();
    row.iter().map(|value| value / length).collect()
}

pub(crate) fn distance(left: &[f64], right: &[f64]) -> f64 {
    left.iter().zip(right).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
}

pub(crate) fn cosine(left: &[f64], right: &[f64]) -> f64 {
    unit(left).iter().zip(unit(right)).map(|(a, b)| a * b).sum()
}

/// Rows turned in the plane of the first two columns and moved.
pub(crate) fn moved(rows: &[f64], width: usize, by: f64) -> Vec<f64> {
    let (sin, cos) = 0.7f64.sin_cos();
    let turn = |row: &[f64]| {
        let mut row = row.to_vec();
        (row[0], row[1]) = (cos * row[0] - sin * row[1], sin * row[0] + cos * row[1]);
        row.into_iter().map(move |value| value + by).collect::<Vec<_>>()
    };
    rows.chunks(width).flat_map(turn).collect()
}
