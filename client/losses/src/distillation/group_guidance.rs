//! Group progressive guidance: of several quantised versions of a model each learns from the next larger one.
//!
//! # Formula
//! With versions `s = 0..S` from the largest to the smallest, `T` (`temperature`), `a` (`alpha`):
//!
//! `part_0 = CE(z_0)`, `part_s = a T^2 KL(softmax(z_{s-1} / T) || softmax(z_s / T)) + (1 - a) CE(z_s)`,
//! `loss_b = sum_s part_s`
//!
//! # Shapes
//! `logits: [versions, batch, classes]`, `targets: [batch]`; the result is `[versions, batch]`, one part per row: sum
//! over versions and average over the batch.
//!
//! # Range and gradient
//! `[0, inf)` and smooth. A version has the gradient of its own part only: as a teacher it is a constant.
//!
//! # Choices
//! Natural logarithm. Each version is taught by the previous one, not by the largest: the step between them is small.
//!
//! # Source
//! Xu et al.: EQ-Net: Elastic Quantization Neural Networks, ICCV 2023, group progressive guidance; official code,
//! `runner/criterion.py`.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Int, Tensor};
//! use synod_losses::distillation::group_guidance::{Config, group_guidance};
//!
//! let device = Device::flex();
//! let logits = Tensor::<3>::zeros([3, 1, 2], &device);
//! let targets = Tensor::<1, Int>::from_data([0], &device);
//! let loss = group_guidance(logits, targets, &Config::default())?.sum().into_scalar::<f32>();
//! assert!((loss - 2.0 * 2f32.ln()).abs() < 1e-6);
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::{Int, Tensor};

use super::softened::softened_kl;
use crate::classification::cross_entropy;
use crate::error::LossError;
use crate::option::{POSITIVE, SHARE, objective};

objective! {
    "group_guidance", family: "distillation", file: "group_guidance.rs", role: Loss, tasks: [Distillation],
    remembers: None, cost: "O(S B C) for S versions",
    options: {
        alpha / with_alpha: f64 = 0.5, SHARE, "share of the next larger version; the labels have the rest";
        temperature / with_temperature: f64 = 1.0, POSITIVE, "temperature that softens both outputs";
    }
}

/// Parts per version and sample, `[versions, batch]`, for `logits: [versions, batch, classes]`, `targets: [batch]`.
///
/// # Errors
/// [`LossError::EmptyBatch`], [`LossError::Shape`].
pub fn group_guidance(logits: Tensor<3>, targets: Tensor<1, Int>, config: &Config) -> Result<Tensor<2>, LossError> {
    let [versions, batch, classes] = logits.dims();
    if versions == 0 {
        let (expected, found) = ("[versions, batch, classes] with at least one version".to_owned(), vec![0, batch]);
        return Err(LossError::Shape { loss: NAME, tensor: "logits", expected, found });
    }
    let flat = logits.clone().reshape([versions * batch, classes]);
    let of_labels = cross_entropy::cross_entropy(flat, targets.repeat_dim(0, versions), &Default::default())?;
    let of_labels = of_labels.reshape([versions, batch]);
    if versions == 1 {
        return Ok(of_labels);
    }
    let rows = (versions - 1) * batch;
    let larger = logits.clone().narrow(0, 0, versions - 1).reshape([rows, classes]);
    let smaller = logits.narrow(0, 1, versions - 1).reshape([rows, classes]);
    let guided = softened_kl(smaller, larger, config.temperature).reshape([versions - 1, batch]) * config.alpha
        + of_labels.clone().narrow(0, 1, versions - 1) * (1.0 - config.alpha);
    Ok(Tensor::cat(vec![of_labels.narrow(0, 0, 1), guided], 0))
}
