//! Dice loss over a batch: one overlap for each class, of all samples together.
//!
//! # Formula
//! With `p = min(max(sigmoid(logits), clamp), 1 - clamp)` and `t` the `targets`, sums over batch and pixels, for each of
//! the `C` classes: `D_c = (2 sum p t + smooth_num) / (sum p + sum t + smooth_den)`, and `loss = 1 - (1/C) sum_c D_c`
//!
//! # Shapes
//! `logits` and `targets` both `[batch, classes, height, width]`, targets 0 or 1, each class a yes or no of its own. The
//! loss is `[1]`, because a class has one overlap for the whole batch; so it is not the mean of a Dice loss per sample.
//!
//! # Range and gradient
//! `[0, 1]`. Not smooth where the clamp begins; beyond it a pixel has no gradient. A class without pixels costs little with
//! `smooth_num = 1` and about `1/C` with `smooth_num = 0`, which is hard on sites that lack it.
//!
//! # Choices
//! The default is the setting for KITTI-360; for nuScenes it is `clamp = 1e-4`, `smooth_num = 0`, `smooth_den = 1e-5` and
//! a weight of 5 outside the loss.
//!
//! # Source
//! Kumar, Guo, Huang, Ren, Liu: SeaBird: Segmentation in Bird's View with Dice Loss Improves Monocular 3D Detection of
//! Large Objects, CVPR 2024 (arXiv 2403.20318); as in the official code.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Tensor};
//! use synod_losses::segmentation::bev_dice::{Config, bev_dice};
//!
//! let device = Device::flex();
//! let zeros = || Tensor::<4>::zeros([1, 1, 1, 2], &device);
//! let overlap = bev_dice(zeros(), zeros(), &Config::default())?;
//! assert!((overlap.per_class.into_scalar::<f32>() - 0.5).abs() < 1e-6);
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::{Tensor, activation::sigmoid};

use super::overlap::check_masks;
use crate::error::LossError;
use crate::option::{Allowed, NON_NEGATIVE, objective};

const CLAMP: Allowed<f64> = Allowed { test: |clamp| *clamp > 0.0 && *clamp < 0.5, text: "above 0, below 0.5" };

objective! {
    "bev_dice", family: "segmentation", file: "bev_dice.rs", role: Loss, tasks: [Segmentation],
    remembers: None, cost: "O(pixels)",
    options: {
        clamp / with_clamp: f64 = 1e-3 => "0.001", CLAMP, "how far probabilities stay from 0 and 1";
        smooth_num / with_smooth_num: f64 = 1.0, NON_NEGATIVE, "what is added above the fraction bar";
        smooth_den / with_smooth_den: f64 = 1.0, NON_NEGATIVE, "what is added below the fraction bar";
    }
}

/// What [`bev_dice`] gives.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct BatchDice {
    /// The loss, `[1]`.
    pub loss: Tensor<1>,
    /// `D_c`, `[classes]`.
    pub per_class: Tensor<1>,
}

/// The loss and the overlap of each class.
///
/// # Errors
/// [`LossError::EmptyBatch`] and [`LossError::Shape`].
pub fn bev_dice(logits: Tensor<4>, targets: Tensor<4>, config: &Config) -> Result<BatchDice, LossError> {
    check_masks(NAME, &logits, "target", &targets)?;
    let [_, classes, ..] = logits.dims();
    let sum = |values: Tensor<4>| values.sum_dims(&[0, 2, 3]).reshape([classes]);
    let probs = sigmoid(logits).clamp(config.clamp, 1.0 - config.clamp);
    let both = sum(probs.clone() * targets.clone()) * 2.0 + config.smooth_num;
    let per_class = both / (sum(probs) + sum(targets) + config.smooth_den);
    Ok(BatchDice { loss: per_class.clone().mean().neg() + 1.0, per_class })
}
