//! Focal Tversky loss: Tversky loss to a power, by default below 1, which keeps pushing samples that are nearly right.
//!
//! # Formula
//! With `TI` the Tversky index of a sample, 1 minus the [Tversky loss](super::tversky()): `loss_b = (1 - TI)^gamma`
//!
//! # Shapes
//! `logits` and `targets` of one shape `[batch, ...]`, targets 0 or 1; the result is `[batch]`.
//!
//! # Range and gradient
//! `[0, 1)`. With `gamma < 1` the slope grows without bound towards 0; at 0 itself the gradient is 0. Smooth elsewhere.
//!
//! # Choices
//! `gamma = 0.75` is the paper's `1 / gamma` with `gamma = 4/3`.
//!
//! # Source
//! Abraham, Khan: A Novel Focal Tversky Loss Function with Improved Attention U-Net for Lesion Segmentation, ISBI 2019.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Tensor};
//! use synod_losses::segmentation::focal_tversky::{Config, focal_tversky};
//!
//! let device = Device::flex();
//! let logits = Tensor::<2>::from_data([[-1000.0, 1000.0]], &device);
//! let targets = Tensor::<2>::from_data([[1.0, 0.0]], &device);
//! let loss = focal_tversky(logits, targets, &Config::default())?.into_scalar::<f32>();
//! assert!((loss - 0.5f32.powf(0.75)).abs() < 1e-6);
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::Tensor;

use super::overlap::{Overlap, flattened, power};
use crate::error::LossError;
use crate::option::{POSITIVE, SHARE, objective};

objective! {
    "focal_tversky", family: "segmentation", file: "focal_tversky.rs", role: Loss, tasks: [Segmentation],
    remembers: None, cost: "O(pixels)",
    options: {
        alpha / with_alpha: f64 = 0.7, SHARE, "how much a missed pixel counts; a wrong one counts 1 - alpha";
        gamma / with_gamma: f64 = 0.75, POSITIVE, "the power; below 1 it pushes samples that are nearly right";
        smooth / with_smooth: f64 = 1.0, POSITIVE, "what is added above and below the fraction bar";
    }
}

impl Config {
    /// The loss, `[rows]`, of overlaps.
    pub(super) fn of_overlap(&self, overlap: Overlap) -> Tensor<1> {
        power(overlap.lacking(self.alpha, self.smooth), self.gamma)
    }
}

/// Values per sample, `[batch]`.
///
/// # Errors
/// [`LossError::EmptyBatch`] and [`LossError::Shape`].
pub fn focal_tversky<const D: usize>(
    logits: Tensor<D>,
    targets: Tensor<D>,
    config: &Config,
) -> Result<Tensor<1>, LossError> {
    let (logits, targets) = flattened(NAME, logits, targets)?;
    Ok(config.of_overlap(Overlap::of_logits(logits, targets)))
}
