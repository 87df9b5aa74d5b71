//! The robust contrastive objective that iSogCLR minimises, computed on a batch, to watch a run with.
//!
//! # Formula
//! With `Z` the `2 B` rows of `z1` and `z2`, `S = Z Z^T`, `k` the sample of row `i`, `i+` the row with its other view,
//! and the mean over the `2 B - 2` rows `j` of other samples:
//!
//! `loss_i = tau_k ( ln mean_j exp((S_ij - S_ii+) / tau_k) + rho )`
//!
//! # Shapes
//! `z1, z2: [batch, d]` with rows of length 1, `tau: [batch]`; the result is `[2 * batch]`, the rows of `z1` first.
//!
//! # Range and gradient
//! Any number, at most `2 + tau_k rho`; smooth. Gradients reach both views and the temperatures. One sample is refused.
//!
//! # Choices
//! Temperatures must be above 0. Embeddings are not normalised here: their rows have length 1 already.
//!
//! # Source
//! Qiu, Hu, Yuan, Zhou, Zhang, Yang: Not All Semantics are Created Equal: Contrastive Self-supervised Learning with
//! Automatic Temperature Individualization, ICML 2023.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Tensor};
//! use synod_losses::contrastive::robust_contrastive::{Config, robust_contrastive};
//!
//! let device = Device::flex();
//! let z = Tensor::<2>::from_data([[1.0, 0.0], [0.0, 1.0]], &device);
//! let config = Config::default().with_rho(0.0);
//! let values = robust_contrastive(z.clone(), z, Tensor::ones([2], &device), &config)?;
//! assert!((values.mean().into_scalar::<f32>() + 1.0).abs() < 1e-6);
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::Tensor;

use super::similarity::{EXCLUDED, check_pair, check_shape, is_diagonal, log_sum_exp};
use crate::error::LossError;
use crate::option::{FINITE, objective};

objective! {
    "robust_contrastive", family: "contrastive", file: "robust_contrastive.rs", role: Meter, tasks: [SelfSupervised],
    remembers: None, cost: "O(B^2 D)",
    options: {
        rho / with_rho: f64 = 0.4, FINITE, "distance from uniform that negatives may have";
    }
}

/// Values per row, `[2 * batch]`, for the views `z1, z2: [batch, d]` and temperatures `tau: [batch]`.
///
/// # Errors
/// [`LossError::EmptyBatch`] and [`LossError::Shape`] if there are fewer than two samples or shapes do not match.
pub fn robust_contrastive(
    z1: Tensor<2>,
    z2: Tensor<2>,
    tau: Tensor<1>,
    config: &Config,
) -> Result<Tensor<1>, LossError> {
    let [batch, _] = check_pair(NAME, ("z1", &z1), ("z2", &z2), 2)?;
    check_shape(NAME, "tau", &tau.dims(), &[batch])?;
    let rows = 2 * batch;
    let partners = (z1.clone() * z2.clone()).sum_dim(1).repeat_dim(0, 2);
    let embeddings = Tensor::cat(vec![z1, z2], 0);
    let own = is_diagonal(batch, &embeddings.device()).repeat(&[2, 2]);
    let tau = tau.repeat_dim(0, 2).reshape([rows, 1]);
    let gaps = (embeddings.clone().matmul(embeddings.transpose()) - partners) / tau.clone();
    let log_mean = log_sum_exp(gaps.mask_fill(own, EXCLUDED)) - ((rows - 2) as f64).ln();
    Ok((tau * (log_mean + config.rho)).reshape([rows]))
}
