//! Target-anchored contrast: what a trained text encoder makes of a composed text must land on the target of a frozen
//! one.
//!
//! # Formula
//! With `v` the `2 B` rows of `target` and `composed`, each over its length, `s_ij = v_i . v_j / tau`, `tau` the
//! `temperature`, and `i'` the partner of row `i`:
//!
//! `loss_i = ln sum_{j != i} exp(s_ij) - s_ii'`
//!
//! [`refined_batch`] is the same on the `2 B` pairs (`target`, `composed`) and (`reference`, `prompt`): the reference's
//! caption becomes a hard negative of the composed text, and the prompt alone keeps its meaning.
//!
//! # Shapes
//! All inputs are `[batch, d]`; values are `[2 * batch]`, targets first, and `[4 * batch]` for the refined batch,
//! targets and references first.
//!
//! # Range and gradient
//! `[0, inf)` and smooth; exactly 0 for one pair. Scaling a row by a positive number changes nothing. With
//! `detach_target` targets and references are constants. Equal targets act as false negatives.
//!
//! # Choices
//! The denominator holds the positive, the other targets and the other composed texts, as in the released code. It is
//! NT-Xent but for the smallest length that a row is divided by.
//!
//! # Source
//! Byun, Jeong, Kim, Chun, Moon: Reducing Task Discrepancy of Text Encoders for Zero-Shot Composed Image Retrieval,
//! ICCV 2025; `contrastive_loss` in the released code.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Tensor};
//! use synod_losses::contrastive::target_anchored::{Config, target_anchored};
//!
//! let target = Tensor::<2>::from_data([[1.0, 0.0], [0.0, 1.0]], &Device::flex());
//! let values = target_anchored(target.clone(), target, &Config::default())?;
//! assert!(values.mean().into_scalar::<f32>() < 1e-5, "each composed text is on its target");
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::Tensor;

use super::nt_xent::per_row;
use super::similarity::{LENGTH_MIN, check_pair, check_shape, unit};
use crate::error::LossError;
use crate::option::{POSITIVE, any, objective};

objective! {
    "target_anchored", family: "contrastive", file: "target_anchored.rs", role: Loss, tasks: [Retrieval, Distillation],
    remembers: None, cost: "O(B^2 D)",
    options: {
        temperature / with_temperature: f64 = 0.07, POSITIVE, "divisor of similarities";
        detach_target / with_detach_target: bool = true, any("true | false"),
            "choice whether targets and references are constants";
    }
}

/// Values per row, `[2 * batch]`, for `target, composed: [batch, d]`.
///
/// # Errors
/// [`LossError::EmptyBatch`] and [`LossError::Shape`] if there is nothing to compare or shapes differ.
pub fn target_anchored(target: Tensor<2>, composed: Tensor<2>, config: &Config) -> Result<Tensor<1>, LossError> {
    check_pair(NAME, ("composed", &composed), ("target", &target), 1)?;
    let target = if config.detach_target { target.detach() } else { target };
    Ok(per_row(unit(target, LENGTH_MIN), unit(composed, LENGTH_MIN), config.temperature))
}

/// What the refined batch is made of, each `[batch, d]`.
#[derive(Debug, Clone)]
pub struct Refined {
    /// Embeddings of the captions of the targets, by the frozen encoder.
    pub target: Tensor<2>,
    /// Embeddings of prompt and change, by the trained encoder.
    pub composed: Tensor<2>,
    /// Embeddings of the captions of the references, by the frozen encoder.
    pub reference: Tensor<2>,
    /// Embeddings of the prompt alone, by the trained encoder.
    pub prompt: Tensor<2>,
}

/// Values per row of the refined batch, `[4 * batch]`.
///
/// # Errors
/// As [`target_anchored`].
pub fn refined_batch(batch: Refined, config: &Config) -> Result<Tensor<1>, LossError> {
    let shape = check_pair(NAME, ("composed", &batch.composed), ("target", &batch.target), 1)?;
    check_shape(NAME, "reference", &batch.reference.dims(), &shape)?;
    check_shape(NAME, "prompt", &batch.prompt.dims(), &shape)?;
    let targets = Tensor::cat(vec![batch.target, batch.reference], 0);
    target_anchored(targets, Tensor::cat(vec![batch.composed, batch.prompt], 0), config)
}
