//! Dice loss: how little prediction and mask overlap, whatever the size of the object.
//!
//! # Formula
//! With `p` the sigmoid of the `logits` and `t` the `targets`, sums over all pixels of a sample:
//! `loss_b = 1 - (2 sum p t + smooth) / (sum p + sum t + smooth)`
//!
//! # Shapes
//! `logits` and `targets` of one shape `[batch, ...]`, targets 0 or 1; the result is `[batch]`.
//!
//! # Range and gradient
//! `[0, 1)` and smooth. A sample without object costs `sum p / (sum p + smooth)`; with `smooth = 0` the loss of a sample
//! without object and prediction does not exist, so `smooth` is above 0.
//!
//! # Choices
//! Not squared below the fraction bar. 1 is the usual `smooth`; it matters for objects of a few pixels.
//!
//! # Source
//! Milletari, Navab, Ahmadi: V-Net: Fully Convolutional Neural Networks for Volumetric Medical Image Segmentation, 3DV
//! 2016, section 3, in the form without squares of Sudre et al., DLMIA 2017.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Tensor};
//! use synod_losses::segmentation::dice::{Config, dice};
//!
//! let device = Device::flex();
//! let logits = Tensor::<3>::from_data([[[0.0, 0.0]]], &device);
//! let targets = Tensor::<3>::from_data([[[1.0, 0.0]]], &device);
//! let loss = dice(logits, targets, &Config::default())?.into_scalar::<f32>();
//! assert!((loss - 1.0 / 3.0).abs() < 1e-6);
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::Tensor;

use super::overlap::{Overlap, flattened};
use crate::error::LossError;
use crate::option::{POSITIVE, objective};

objective! {
    "dice", family: "segmentation", file: "dice.rs", role: Loss, tasks: [Segmentation],
    remembers: None, cost: "O(pixels)",
    options: {
        smooth / with_smooth: f64 = 1.0, POSITIVE, "what is added above and below the fraction bar";
    }
}

/// Values per sample, `[batch]`.
///
/// # Errors
/// [`LossError::EmptyBatch`] and [`LossError::Shape`].
pub fn dice<const D: usize>(logits: Tensor<D>, targets: Tensor<D>, config: &Config) -> Result<Tensor<1>, LossError> {
    let (logits, targets) = flattened(NAME, logits, targets)?;
    // Dice is the Tversky index with equal weights; twice everything, so that `smooth` is halved.
    Ok(Overlap::of_logits(logits, targets).lacking(0.5, config.smooth / 2.0))
}
