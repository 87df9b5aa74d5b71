//! Tversky loss: Dice loss that can mind missed pixels more than wrong ones.
//!
//! # Formula
//! With `p` the sigmoid of the `logits` and `t` the `targets`, sums over all pixels of a sample, `TP = sum p t`,
//! `FN = sum (1 - p) t` and `FP = sum p (1 - t)`:
//! `loss_b = 1 - (TP + smooth) / (TP + alpha FN + (1 - alpha) FP + smooth)`
//!
//! # Shapes
//! `logits` and `targets` of one shape `[batch, ...]`, targets 0 or 1; the result is `[batch]`.
//!
//! # Range and gradient
//! `[0, 1)` and smooth. `alpha = 0.5` with half the `smooth` is Dice loss.
//!
//! # Choices
//! `1 - index` is computed from what is lost, without cancellation. The paper's `beta` is `alpha` here and 0.7, its
//! `alpha` is `1 - alpha`.
//!
//! # Source
//! Salehi, Erdogmus, Gholipour: Tversky loss function for image segmentation using 3D fully convolutional deep networks,
//! MLMI 2017.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Tensor};
//! use synod_losses::segmentation::tversky::{Config, tversky};
//!
//! let device = Device::flex();
//! let logits = Tensor::<2>::from_data([[-1000.0, 1000.0]], &device);
//! let targets = Tensor::<2>::from_data([[1.0, 0.0]], &device);
//! let loss = tversky(logits, targets, &Config::default())?.into_scalar::<f32>();
//! assert!((loss - 0.5).abs() < 1e-6);
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::Tensor;

use super::overlap::{Overlap, flattened};
use crate::error::LossError;
use crate::option::{POSITIVE, SHARE, objective};

objective! {
    "tversky", family: "segmentation", file: "tversky.rs", role: Loss, tasks: [Segmentation],
    remembers: None, cost: "O(pixels)",
    options: {
        alpha / with_alpha: f64 = 0.7, SHARE, "how much a missed pixel counts; a wrong one counts 1 - alpha";
        smooth / with_smooth: f64 = 1.0, POSITIVE, "what is added above and below the fraction bar";
    }
}

/// Values per sample, `[batch]`.
///
/// # Errors
/// [`LossError::EmptyBatch`] and [`LossError::Shape`].
pub fn tversky<const D: usize>(logits: Tensor<D>, targets: Tensor<D>, config: &Config) -> Result<Tensor<1>, LossError> {
    let (logits, targets) = flattened(NAME, logits, targets)?;
    Ok(Overlap::of_logits(logits, targets).lacking(config.alpha, config.smooth))
}
