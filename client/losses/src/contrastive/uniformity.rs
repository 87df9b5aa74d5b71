//! Uniformity: how evenly embeddings are spread over the sphere, as a number to look at or a term to add.
//!
//! # Formula
//! With `f` the rows of `features`, each divided by its length:
//!
//! `ln mean_{i < j} exp(-t ||f_i - f_j||^2)`
//!
//! # Shapes
//! `features: [n, d]`; the result is `[1]`. It is not `[n]`: one logarithm is taken over all pairs.
//!
//! # Range and gradient
//! `[-4 t, 0]`, smooth; 0 only where all rows coincide, and lower the more evenly they are spread. It may be added to a
//! loss as it stands. Fewer than two rows are refused.
//!
//! # Choices
//! Pairs do not include a row with itself. Distances come from one matrix product. A row of zeros stays zeros.
//!
//! # Source
//! Wang, Liu: Understanding the Behaviour of Contrastive Loss, CVPR 2021, after Wang, Isola: Understanding
//! Contrastive Representation Learning through Alignment and Uniformity on the Hypersphere, ICML 2020.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Tensor};
//! use synod_losses::contrastive::uniformity::{Config, uniformity};
//!
//! let opposite = Tensor::<2>::from_data([[3.0, 0.0], [-1.0, 0.0]], &Device::flex());
//! let spread = uniformity(opposite, &Config::default())?.into_scalar::<f32>();
//! assert!((spread + 8.0).abs() < 1e-5);
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::Tensor;

use super::similarity::{LENGTH_MIN, check_rows, log_sum_exp, off_diagonal, unit};
use crate::check;
use crate::error::LossError;
use crate::option::{POSITIVE, objective};

objective! {
    "uniformity", family: "contrastive", file: "uniformity.rs", role: Term, tasks: [SelfSupervised, Retrieval],
    remembers: None, cost: "O(B^2 D)",
    options: {
        t / with_t: f64 = 2.0, POSITIVE, "rate at which a pair counts less with its distance";
    }
}

/// The number as `[1]`, for `features: [n, d]`.
///
/// # Errors
/// [`LossError::EmptyBatch`] and [`LossError::Shape`] if there are fewer than two rows.
pub fn uniformity(features: Tensor<2>, config: &Config) -> Result<Tensor<1>, LossError> {
    let [n, _] = check_at_least_two(NAME, &features)?;
    let features = unit(features, LENGTH_MIN);
    let squares = features.clone().square().sum_dim(1);
    let products = features.clone().matmul(features.transpose());
    let distances = squares.clone() + squares.transpose() - products * 2.0;
    // Every pair occurs in both orders, which the mean does not notice.
    let pairs = n * (n - 1);
    let exponents = off_diagonal(distances.clamp_min(0.0)).reshape([1, pairs]) * -config.t;
    Ok(log_sum_exp(exponents).reshape([1]) - (pairs as f64).ln())
}

/// Checks that there is at least one pair of rows, and returns the shape.
pub(super) fn check_at_least_two(name: &'static str, features: &Tensor<2>) -> Result<[usize; 2], LossError> {
    let shape = check::matrix(name, "features", features)?;
    check_rows(name, "features", shape, 2)?;
    Ok(shape)
}
