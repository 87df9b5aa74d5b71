//! Adjustable probabilistic reconstruction error: learns a mean and a variance per feature, and scores outliers by both.
//!
//! # Formula
//! With `m` and `u` the two halves of `prediction` and the variance `v = softplus(u) + 1e-5`:
//!
//! `loss_b = alpha sum_d (m - target)^2 / v + beta sum_d ln v`
//!
//! # Shapes
//! `prediction: [batch, 2 * outputs]`, all means first, then all raw variances; `target: [batch, outputs]`; the result is
//! `[batch]`.
//!
//! # Range and gradient
//! At least `-11.6 beta` per output. Smooth. The gradient of a mean is `2 alpha (m - target) / v`; for a squared error
//! `r` the best variance is `alpha r / beta`.
//!
//! # Choices
//! Natural logarithm; constants and the factor 1/2 of the Gaussian likelihood are left out; summed over outputs. Train
//! with weights 1 and 1, the default, and score outliers with 0.5 and 2, the released setting. An autoencoder has its
//! input as target; [`mean_shift_queries`](crate::density::mean_shift_queries) makes another target for scoring.
//!
//! # Source
//! Tan et al.: Improving Autoencoder-based Outlier Detection with Adjustable Probabilistic Reconstruction Error
//! and Mean-shift Outlier Scoring, 2023; official code, `libs/loss.py`.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Tensor};
//! use synod_losses::density::apre::{Config, apre};
//!
//! let device = Device::flex();
//! let unit = (1f32.exp() - 1.0).ln();
//! let prediction = Tensor::<2>::from_data([[1.0, unit]], &device);
//! let target = Tensor::<2>::from_data([[3.0]], &device);
//! let loss = apre(prediction, target, &Config::default())?.into_scalar::<f32>();
//! assert!((loss - 4.0).abs() < 1e-3);
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::{Tensor, activation::softplus};

use crate::check;
use crate::error::LossError;
use crate::option::{POSITIVE, objective};

objective! {
    "apre", family: "density", file: "apre.rs", role: Loss, tasks: [Regression, Density], remembers: None, cost: "O(B D)",
    options: {
        alpha / with_alpha: f64 = 1.0, POSITIVE, "weight of the error";
        beta / with_beta: f64 = 1.0, POSITIVE, "weight of the uncertainty";
    }
}

/// Smallest variance, as in the official code.
const VARIANCE_MIN: f64 = 1e-5;

/// Values per sample, `[batch]`, for `prediction: [batch, 2 * outputs]` and `target: [batch, outputs]`.
///
/// # Errors
/// [`LossError::EmptyBatch`], [`LossError::Shape`].
pub fn apre(prediction: Tensor<2>, target: Tensor<2>, config: &Config) -> Result<Tensor<1>, LossError> {
    let [batch, outputs] = check::matrix(NAME, "target", &target)?;
    if prediction.dims() != [batch, 2 * outputs] {
        let expected = format!("[{batch}, 2 x {outputs}], means and raw variances");
        return Err(LossError::Shape { loss: NAME, tensor: "prediction", expected, found: prediction.dims().to_vec() });
    }
    let residual = prediction.clone().narrow(1, 0, outputs) - target;
    let variance = softplus(prediction.narrow(1, outputs, outputs), 1.0) + VARIANCE_MIN;
    let error = residual.clone() * residual / variance.clone();
    Ok((error * config.alpha + variance.log() * config.beta).sum_dim(1).reshape([batch]))
}
