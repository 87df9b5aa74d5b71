//! Pseudo-negatives: Gaussian samples around a moving mean of genuine features, for training with one class.
//!
//! # Formula
//! With `m` the column means of `batch`, `sampling_mean = alpha previous_mean + (1 - alpha) m`, and
//! `samples = sampling_mean + sqrt(variance) gauss`. The next step's `previous_mean` is `m`.
//!
//! # Shapes
//! `batch: [batch, width]`, `previous_mean: [width]`, `gauss: [batch, width]` of standard normal draws; samples are
//! `[batch, width]`.
//!
//! # Range and gradient
//! Samples carry no gradient.
//!
//! # Choices
//! What is carried to the next step is `m`, not the mixture, as in the released code; the first step takes zeros. The
//! mean reveals the site's average features and stays at the site. By default `alpha` is 0.8 and
//! `variance` 1.
//!
//! # Source
//! Narayan, Patel: Hyp-OC: Hyperbolic One Class Classification for Face Anti-Spoofing, FG 2024, and its released code.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Tensor};
//! use synod_losses::classification::hyp_oc::pseudo_negative::{Config, pseudo_negative};
//!
//! let device = Device::flex();
//! let batch = Tensor::<2>::from_data([[1.0], [3.0]], &device);
//! let draw = pseudo_negative(batch, Tensor::zeros([1], &device), Tensor::zeros([2, 1], &device), &Config::default())?;
//! assert!((draw.sampling_mean.into_scalar::<f32>() - 0.4).abs() < 1e-6);
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::Tensor;

use crate::check;
use crate::error::LossError;
use crate::option::{POSITIVE, SHARE, objective};

objective! {
    "pseudo_negative", family: "classification", file: "pseudo_negative.rs", role: Step, tasks: [OneClass],
    remembers: Local, cost: "O(B D)",
    options: {
        alpha / with_alpha: f64 = 0.8, SHARE, "share of the previous mean";
        variance / with_variance: f64 = 1.0, POSITIVE, "variance of the samples";
    }
}

/// What was drawn, without gradient.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Draw {
    /// The samples, `[batch, width]`.
    pub samples: Tensor<2>,
    /// The mean around which they were drawn, `[width]`.
    pub sampling_mean: Tensor<1>,
    /// What the site keeps for the next step, `[width]`.
    pub next_previous_mean: Tensor<1>,
}

/// Draws as many samples as `batch: [batch, width]` has, from standard normal draws `gauss` of the same shape and the
/// mean `previous_mean: [width]` of the last batch.
///
/// # Errors
/// [`LossError::EmptyBatch`], [`LossError::Shape`].
pub fn pseudo_negative(
    batch: Tensor<2>,
    previous_mean: Tensor<1>,
    gauss: Tensor<2>,
    config: &Config,
) -> Result<Draw, LossError> {
    let [_, width] = check::same_shape(NAME, ("batch", &batch), ("gauss", &gauss))?;
    check::vector(NAME, "previous_mean", &previous_mean, width)?;
    let mean = batch.detach().mean_dim(0).reshape([width]);
    let sampling_mean = previous_mean.detach() * config.alpha + mean.clone() * (1.0 - config.alpha);
    let samples = gauss.detach() * config.variance.sqrt() + sampling_mean.clone().reshape([1, width]);
    Ok(Draw { samples, sampling_mean, next_previous_mean: mean })
}
