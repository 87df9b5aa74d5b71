//! Soft-level divergence: a model's probabilities of the levels learn those of the labels.
//!
//! # Formula
//! With the target `t` of the five levels and `p = softmax(logits)` over all columns:
//! `loss_b = sum_l t[b,l] (ln t[b,l] - ln p[b, column of l])`, where a term with `t = 0` is 0.
//!
//! # Shapes
//! `logits: [batch, columns]`, `probs: [batch, 5]` from excellent to bad; the result is `[batch]`.
//!
//! # Range and gradient
//! At least 0 where the targets add up to at most 1; 0 for equal distributions. Smooth; only logits get a gradient.
//!
//! # Choices
//! Natural logarithm. Other columns are words that the model should not say, so that they count below the fraction bar.
//!
//! # Source
//! You et al.: Teaching Large Language Models to Regress Accurate Image Quality Scores using Score Distribution, CVPR
//! 2025; official code, `softkl_loss`.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Tensor};
//! use synod_losses::regression::quality::{Levels, soft_level_kl};
//!
//! let device = Device::flex();
//! let logits = Tensor::<2>::zeros([1, 5], &device);
//! let probs = Tensor::<2>::from_data([[1.0, 0.0, 0.0, 0.0, 0.0]], &device);
//! let loss = soft_level_kl(logits, probs, &Levels::new([0, 1, 2, 3, 4])?)?.into_scalar::<f32>();
//! assert!((loss - 5f32.ln()).abs() < 1e-6);
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::Tensor;

use super::levels::{LEVELS, Levels};
use crate::error::LossError;
use crate::option::objective;

objective! {
    "soft_level_kl", family: "regression", file: "soft_level_kl.rs", role: Loss, tasks: [RegressionInContext],
    remembers: None, cost: "O(B C)",
    options: {}
}

/// Values per sample, `[batch]`, for `logits: [batch, columns]` and `probs: [batch, 5]`.
///
/// # Errors
/// [`LossError::EmptyBatch`], [`LossError::Shape`].
pub fn soft_level_kl(logits: Tensor<2>, probs: Tensor<2>, levels: &Levels) -> Result<Tensor<1>, LossError> {
    let batch = levels.check(NAME, "logits", &logits)?;
    if probs.dims() != [batch, LEVELS] {
        let (expected, found) = (format!("[{batch}, {LEVELS}]"), probs.dims().to_vec());
        return Err(LossError::Shape { loss: NAME, tensor: "probs", expected, found });
    }
    let probs = probs.detach();
    let log_targets = probs.clone().clamp_min(f64::from(f32::MIN_POSITIVE)).log();
    Ok((probs * (log_targets - levels.log_probs(logits))).sum_dim(1).reshape([batch]))
}
