//! MECO: maximum likelihood of an unnormalised model, with one running number for its normalisation.
//!
//! # Formula
//! With `g = mean (p0 / q)(noise)` and the running estimate `u`: `u' = (1 - gamma) u + gamma g`, at the first step
//! `u' = g`;
//!
//! `value = -mean ln p0(data) + ln u'`, with the gradient of `-mean ln p0(data) + g / u'` at constant `u'`
//!
//! # Shapes
//! `log_p_data: [batch]`, `log_p_noise` and `log_q_noise`: `[noise]`, `log_u: [1]`; the results are `[1]`.
//!
//! # Range and gradient
//! Real. The gradient of a data value is `-1 / batch`, that of a noise value `exp(ln p0 - ln q - ln u') / noise`; those add
//! up to `ratio = g / u'`, which is at most `1 / gamma`. With `gamma = 1` it is `exact_nll`.
//!
//! # Choices
//! Natural logarithm; `u` is kept as `ln u` and everything is done in logarithms. `log_u` belongs to the parameters: begin
//! anew, without it, after the coordinator has replaced them. `gamma = 0.1` is this project's choice.
//!
//! # Source
//! Jiang, Qin, Wu, Chen, Yang, Zhang: Learning Unnormalized Statistical Models via Compositional Optimization, ICML 2023.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Tensor};
//! use synod_losses::density::meco::{Config, meco};
//!
//! let at = |values: [f32; 2]| Tensor::<1>::from_data(values, &Device::flex());
//! let first = meco(at([0.0, 0.0]), at([1.0, 1.0]), at([0.0, 0.0]), None, &Config::default())?;
//! let next = meco(at([0.0, 0.0]), at([1.0, 1.0]), at([0.0, 0.0]), Some(first.log_u), &Config::default())?;
//! assert!((next.loss.into_scalar::<f32>() - 1.0).abs() < 1e-6);
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::Tensor;

use super::exact_nll::{check_samples, log_mean_ratio};
use crate::check;
use crate::error::LossError;
use crate::option::{RATE, objective};

objective! {
    "meco", family: "density", file: "meco.rs", role: Loss, tasks: [Density], remembers: Local, cost: "O(B)",
    options: {
        gamma / with_gamma: f64 = 0.1, RATE, "share of the batch in the running estimate";
    }
}

/// What a step gives, each `[1]`.
#[derive(Debug, Clone)]
pub struct Values {
    /// The running estimate of the negative log-likelihood, with the step's gradient.
    pub loss: Tensor<1>,
    /// `ln u'`, to be given to the next step.
    pub log_u: Tensor<1>,
    /// `g / u'`.
    pub ratio: Tensor<1>,
    /// `-mean ln p0(data)`.
    pub data: Tensor<1>,
}

/// The loss of a step; `log_u: [1]` is that of the last step, none at the first.
///
/// # Errors
/// [`LossError::EmptyBatch`], [`LossError::Shape`].
pub fn meco(
    log_p_data: Tensor<1>,
    log_p_noise: Tensor<1>,
    log_q_noise: Tensor<1>,
    log_u: Option<Tensor<1>>,
    config: &Config,
) -> Result<Values, LossError> {
    check_samples(NAME, &log_p_data, &log_p_noise, &log_q_noise)?;
    let data = log_p_data.mean().neg();
    let log_g = log_mean_ratio(log_p_noise, log_q_noise);
    let moved = log_g.clone().detach();
    let log_u = match log_u {
        Some(log_u) if config.gamma < 1.0 => {
            check::vector(NAME, "log_u", &log_u, 1)?;
            log_add_exp(log_u.detach() + (1.0 - config.gamma).ln(), moved + config.gamma.ln())
        }
        _ => moved,
    };
    let ratio = (log_g - log_u.clone()).exp();
    // The ratio less itself: nothing in value, all of the gradient.
    let loss = data.clone() + log_u.clone() + (ratio.clone() - ratio.clone().detach());
    Ok(Values { loss, log_u, ratio: ratio.detach(), data: data.detach() })
}

/// `ln(exp(a) + exp(b))`.
fn log_add_exp(a: Tensor<1>, b: Tensor<1>) -> Tensor<1> {
    let distance = (a.clone() - b.clone()).abs();
    a.max_pair(b) + distance.neg().exp().log1p()
}
