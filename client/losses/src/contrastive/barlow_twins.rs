//! Barlow Twins: two views must agree in each feature, and features must not repeat each other.
//!
//! # Formula
//! With `n(z)` the columns of `z` less their mean and over `sqrt(var + eps)`, `var` divided by `B`:
//!
//! `C = n(z1)^T n(z2) / B`, `loss = sum_i (C_ii - 1)^2 + lambda sum_{i != j} C_ij^2`
//!
//! # Shapes
//! `z1, z2: [batch, d]`; the result is `[1]`. It is not `[batch]`: the correlation `C: [d, d]` is over the whole batch.
//!
//! # Range and gradient
//! `[0, inf)` and smooth; gradients flow through mean and variance of both views. A constant column adds 1 to the
//! diagonal part, and its gradient is scaled by `1 / sqrt(eps)`, about 316: expect large gradients there. With two
//! samples all columns are alternately 1 and -1 and gradients nearly vanish. One sample is refused. Swapping the views
//! or flipping the sign of a column in both changes nothing.
//!
//! # Choices
//! Means and variances are those of the batch, as in training with the released code; its running averages do not
//! affect training and are left out. They are of one device: do not add up correlations of several sites. The value is
//! a sum over the entries of `C`: for small `d`, a `lambda` near `1 / d` is usual. With `eps = 0` a constant column is
//! taken as zeros without a gradient. A constant column is exactly 0 in single precision too.
//!
//! # Source
//! Zbontar, Jing, Misra, LeCun, Deny: Barlow Twins: Self-Supervised Learning via Redundancy Reduction, ICML 2021,
//! equations 1 and 2; `BarlowTwins` in the released code.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Tensor};
//! use synod_losses::contrastive::barlow_twins::{Config, barlow_twins};
//!
//! let z = Tensor::<2>::from_data([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]], &Device::flex());
//! let loss = barlow_twins(z.clone(), z, &Config::default())?.into_scalar::<f32>();
//! assert!(loss < 1e-8, "equal views with independent features");
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::Tensor;

use super::similarity::{check_pair, diagonal, is_diagonal, standardise};
use crate::error::LossError;
use crate::option::{NON_NEGATIVE, objective};

objective! {
    "barlow_twins", family: "contrastive", file: "barlow_twins.rs", role: Loss, tasks: [SelfSupervised],
    remembers: None, cost: "O(B D^2)",
    options: {
        lambda / with_lambda: f64 = 0.0051, NON_NEGATIVE, "weight of the entries off the diagonal";
        eps / with_eps: f64 = 1e-5, NON_NEGATIVE, "addition to variances";
    }
}

/// The loss as `[1]`, for the views `z1, z2: [batch, d]`.
///
/// # Errors
/// As [`cross_correlation`].
pub fn barlow_twins(z1: Tensor<2>, z2: Tensor<2>, config: &Config) -> Result<Tensor<1>, LossError> {
    let (on_diagonal, off_diagonal) = redundancy(cross_correlation(z1, z2, config)?);
    Ok(on_diagonal + off_diagonal * config.lambda)
}

/// `C` of the formula, `[d, d]`, for the views `z1, z2: [batch, d]`.
///
/// # Errors
/// [`LossError::EmptyBatch`] and [`LossError::Shape`] if the views differ in shape or there are fewer than two samples.
pub fn cross_correlation(z1: Tensor<2>, z2: Tensor<2>, config: &Config) -> Result<Tensor<2>, LossError> {
    let [batch, _] = check_pair(NAME, ("z1", &z1), ("z2", &z2), 2)?;
    let batch = batch as f64;
    let (first, second) = (standardise(z1, 0, batch, config.eps), standardise(z2, 0, batch, config.eps));
    Ok(first.transpose().matmul(second) / batch)
}

/// How far the diagonal of `correlation: [d, d]` is from 1 and the rest from 0, each the sum of squares, `[1]`.
pub(super) fn redundancy(correlation: Tensor<2>) -> (Tensor<1>, Tensor<1>) {
    let [features, _] = correlation.dims();
    let is_diagonal = is_diagonal(features, &correlation.device());
    let on_diagonal = (diagonal(correlation.clone()) - 1.0).square().sum();
    (on_diagonal, correlation.mask_fill(is_diagonal, 0.0).square().sum())
}
