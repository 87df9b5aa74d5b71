//! Gaussian negative log-likelihood: learns the mean and how sure it is, a variance of its own for each sample.
//!
//! # Formula
//! With `m` and `s` the two halves of `prediction` (mean and logarithm of the variance), `t` the `target` and `O`
//! outputs: `loss_b = (1/O) sum_o (s + (t - m)^2 exp(-s)) / 2`, where `s` counts as at least `log_variance_min`.
//!
//! # Shapes
//! `prediction: [batch, 2 * outputs]`, all means first, then all logarithms of variances; `target: [batch, outputs]`;
//! the result is `[batch]`.
//!
//! # Range and gradient
//! `[log_variance_min / 2, inf)`, smooth. The gradient of a mean is `(m - t) exp(-s) / O`, that of a log variance
//! `(1 - (t - m)^2 exp(-s)) / (2 O)`. Both are taken at the bounded `s` and pass through the bound, so that a variance
//! that fell too low can grow again.
//!
//! # Choices
//! The logarithm of the variance is learned because it has no forbidden values. The constant `ln(2 pi) / 2` is left
//! out. The bound keeps `exp(-s)` below 2.3e4 by default: a standard deviation of 0.7 percent of that of standardised
//! targets.
//!
//! # Source
//! Nix, Weigend: Estimating the Mean and Variance of the Target Probability Distribution, ICNN 1994, with
//! the logarithm of the variance as in Kendall, Gal: What Uncertainties Do We Need in Bayesian Deep Learning for
//! Computer Vision?, NeurIPS 2017, equation 8.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Tensor};
//! use synod_losses::regression::gaussian_nll::{Config, gaussian_nll};
//!
//! let device = Device::flex();
//! let prediction = Tensor::<2>::from_data([[1.0, 0.0]], &device);
//! let target = Tensor::<2>::from_data([[3.0]], &device);
//! let loss = gaussian_nll(prediction, target, &Config::default())?.into_scalar::<f32>();
//! assert_eq!(loss, 2.0);
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::Tensor;

use super::residual::mean_of_row;
use crate::check;
use crate::error::LossError;
use crate::option::{Allowed, objective};

const LOGARITHM: Allowed<f64> = Allowed { test: |bound| (-30.0..=30.0).contains(bound), text: "[-30, 30]" };

objective! {
    "gaussian_nll", family: "regression", file: "gaussian_nll.rs", role: Loss, tasks: [Regression],
    remembers: None, cost: "O(B)",
    options: {
        log_variance_min / with_log_variance_min: f64 = -10.0, LOGARITHM, "lower bound of the log variance";
    }
}

/// Values per sample, `[batch]`, for `prediction: [batch, 2 * outputs]` and `target: [batch, outputs]`.
///
/// # Errors
/// [`LossError::EmptyBatch`], [`LossError::Shape`].
pub fn gaussian_nll(prediction: Tensor<2>, target: Tensor<2>, config: &Config) -> Result<Tensor<1>, LossError> {
    let [batch, outputs] = check::matrix(NAME, "target", &target)?;
    if prediction.dims() != [batch, 2 * outputs] {
        let expected = format!("[{batch}, 2 x {outputs}], means and log variances");
        let found = prediction.dims().to_vec();
        return Err(LossError::Shape { loss: NAME, tensor: "prediction", expected, found });
    }
    let mean = prediction.clone().slice([0..batch, 0..outputs]);
    let log_variance = bounded(prediction.slice([0..batch, outputs..2 * outputs]), config);
    let residual = target - mean;
    Ok(mean_of_row((residual.clone() * residual * log_variance.clone().neg().exp() + log_variance) * 0.5))
}

/// The bound changes the value and lets the gradient through.
fn bounded(log_variance: Tensor<2>, config: &Config) -> Tensor<2> {
    let raise = (log_variance.clone().neg() + config.log_variance_min).clamp_min(0.0).detach();
    log_variance + raise
}
