//! Target-anchored contrast: what a trained text encoder makes of a composed text must land on the target of a frozen one.
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
//! All inputs are `[batch, d]`; values are `[2 * batch]`, targets first, and `[4 * batch]` for the refined batch, targets
//! and references first.
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
use serde::{Deserialize, Serialize};

use super::nt_xent::per_row;
use super::similarity::{LENGTH_MIN, check_pair, check_shape, unit};
use crate::error::{ConfigError, LossError};
use crate::info::{LossInfo, Objective, OptionInfo, Remembers, Role, TaskKind};
use crate::option::positive;

const NAME: &str = "target_anchored";

/// Options of target-anchored contrast.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// What similarities are divided by, finite and above 0.
    pub temperature: f64,
    /// Whether targets and references are constants.
    pub detach_target: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self { temperature: 0.07, detach_target: true }
    }
}

impl Config {
    /// Sets what similarities are divided by.
    #[must_use]
    pub fn with_temperature(mut self, temperature: f64) -> Self {
        self.temperature = temperature;
        self
    }

    /// Sets whether targets and references are constants.
    #[must_use]
    pub fn with_detach_target(mut self, detach_target: bool) -> Self {
        self.detach_target = detach_target;
        self
    }
}

impl Objective for Config {
    const INFO: LossInfo = LossInfo {
        name: NAME,
        family: "contrastive",
        role: Role::Loss,
        tasks: &[TaskKind::Retrieval, TaskKind::Distillation],
        options: &[
            OptionInfo::new("temperature", "0.07", "finite, > 0", "what similarities are divided by"),
            OptionInfo::new("detach_target", "true", "true | false", "whether targets and references are constants"),
        ],
        remembers: Remembers::None,
        cost: "O(B^2 D)",
        file: include_str!("target_anchored.rs"),
    };

    fn validate(self) -> Result<Self, ConfigError> {
        positive("temperature", self.temperature)?;
        Ok(self)
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
