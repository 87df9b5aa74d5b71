//! Negative log-likelihood of an unnormalised model, whose normalisation is estimated from the batch's noise.
//!
//! # Formula
//! With the logarithms of the unnormalised density `p0` at data and noise, and of the noise's density `q`:
//! `loss = -mean ln p0(data) + ln mean (p0 / q)(noise)`
//!
//! # Shapes
//! `log_p_data: [batch]`, `log_p_noise` and `log_q_noise`: `[noise]`; the result is `[1]`: the second term is no mean.
//!
//! # Range and gradient
//! Real and smooth. The gradient of a data value is `-1 / batch`, those of the noise add up to 1. A constant added to
//! `ln p0` everywhere changes nothing.
//!
//! # Choices
//! Natural logarithm; everything in logarithms, so that energies of 200 and more do not overflow. The estimate is biased
//! for few noise samples: `meco` averages it over steps. Noise that misses the data leaves the estimate to a single
//! sample: [`effective_sample_size`] tells.
//!
//! # Source
//! Jiang, Qin, Wu, Chen, Yang, Zhang: Learning Unnormalized Statistical Models via Compositional Optimization, ICML 2023,
//! its objective.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Tensor};
//! use synod_losses::density::exact_nll;
//!
//! let at = |values: [f32; 2]| Tensor::<1>::from_data(values, &Device::flex());
//! let loss = exact_nll(at([2.0, 2.0]), at([1.0, 3.0]), at([0.0, 2.0]))?.into_scalar::<f32>();
//! assert!((loss + 1.0).abs() < 1e-6);
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::Tensor;

use crate::check;
use crate::error::LossError;
use crate::option::objective;

objective! {
    "exact_nll", family: "density", file: "exact_nll.rs", role: Loss, tasks: [Density], remembers: None, cost: "O(B)",
    options: {}
}

/// The loss, `[1]`, for `log_p_data: [batch]`, `log_p_noise` and `log_q_noise`: `[noise]`.
///
/// # Errors
/// [`LossError::EmptyBatch`], [`LossError::Shape`].
pub fn exact_nll(
    log_p_data: Tensor<1>,
    log_p_noise: Tensor<1>,
    log_q_noise: Tensor<1>,
) -> Result<Tensor<1>, LossError> {
    check_samples(NAME, &log_p_data, &log_p_noise, &log_q_noise)?;
    Ok(log_mean_ratio(log_p_noise, log_q_noise) - log_p_data.mean())
}

/// How many equally weighted samples the estimate of the normalisation is worth, `[1]`: from 1 to their number.
///
/// # Errors
/// [`LossError::EmptyBatch`], [`LossError::Shape`].
pub fn effective_sample_size(log_p_noise: Tensor<1>, log_q_noise: Tensor<1>) -> Result<Tensor<1>, LossError> {
    check_samples(NAME, &log_p_noise, &log_p_noise, &log_q_noise)?;
    let ratio = log_p_noise - log_q_noise;
    let weights = (ratio.clone() - ratio.max()).exp();
    let sum = weights.clone().sum();
    Ok(sum.clone() * sum / (weights.clone() * weights).sum())
}

/// `ln mean exp(log_p - log_q)`, `[1]`.
pub(super) fn log_mean_ratio(log_p: Tensor<1>, log_q: Tensor<1>) -> Tensor<1> {
    let ratio = log_p - log_q.detach();
    let largest = ratio.clone().detach().max();
    (ratio - largest.clone()).exp().mean().log() + largest
}

pub(super) fn check_samples(
    loss: &'static str,
    log_p_data: &Tensor<1>,
    log_p_noise: &Tensor<1>,
    log_q_noise: &Tensor<1>,
) -> Result<(), LossError> {
    check::vector(loss, "log_p_data", log_p_data, log_p_data.dims()[0])?;
    check::vector(loss, "log_q_noise", log_q_noise, log_p_noise.dims()[0])
}
