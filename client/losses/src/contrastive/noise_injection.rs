//! Noise injection: embeddings of text are spread, so that what learns from them also bears those of images.
//!
//! # Formula
//! `noisy[b,:] = embedding[b,:] + noise_scale uniform[b] gauss[b,:]`, `uniform` from 0 to 1 and `gauss` standard normal.
//!
//! # Shapes
//! `embedding, gauss: [batch, d]`, `uniform: [batch]`; the result is `[batch, d]`.
//!
//! # Range and gradient
//! Any numbers; the gradient of the embedding is that of the result.
//!
//! # Choices
//! Random numbers are inputs, so that the caller's seed decides. `noise_scale = 0` turns it off.
//!
//! # Source
//! Byun, Jeong, Kim, Chun, Moon: Reducing Task Discrepancy of Text Encoders for Zero-Shot Composed Image Retrieval,
//! ICCV 2025, after Gu, Clark, Kembhavi: I Can't Believe There's No Images!, ICCV 2023.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Tensor};
//! use synod_losses::contrastive::noise_injection::{Config, inject_noise};
//!
//! let device = Device::flex();
//! let (embedding, gauss) = (Tensor::<2>::ones([2, 3], &device), Tensor::<2>::ones([2, 3], &device));
//! let noisy = inject_noise(embedding, Tensor::ones([2], &device), gauss, &Config::default())?;
//! assert_eq!(noisy.max().into_scalar::<f32>(), 1.5);
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::similarity::check_shape;
use crate::check;
use crate::error::{ConfigError, LossError};
use crate::info::{LossInfo, Objective, OptionInfo, Remembers, Role, TaskKind};
use crate::option::not_negative;

const NAME: &str = "noise_injection";

/// Options of noise injection.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// Largest standard deviation of the noise, finite and at least 0.
    pub noise_scale: f64,
}

impl Default for Config {
    fn default() -> Self {
        Self { noise_scale: 0.5 }
    }
}

impl Config {
    /// Sets the largest standard deviation of the noise.
    #[must_use]
    pub fn with_noise_scale(mut self, noise_scale: f64) -> Self {
        self.noise_scale = noise_scale;
        self
    }
}

impl Objective for Config {
    const INFO: LossInfo = LossInfo {
        name: NAME,
        family: "contrastive",
        role: Role::Step,
        tasks: &[TaskKind::Retrieval, TaskKind::Distillation],
        options: &[OptionInfo::new("noise_scale", "0.5", "finite, >= 0", "largest standard deviation of the noise")],
        remembers: Remembers::None,
        cost: "O(B D)",
        file: include_str!("noise_injection.rs"),
    };

    fn validate(self) -> Result<Self, ConfigError> {
        not_negative("noise_scale", self.noise_scale)?;
        Ok(self)
    }
}

/// The noisy embeddings, `[batch, d]`.
///
/// # Errors
/// [`LossError::EmptyBatch`] and [`LossError::Shape`] if there are no embeddings or shapes do not match.
pub fn inject_noise(
    embedding: Tensor<2>,
    uniform: Tensor<1>,
    gauss: Tensor<2>,
    config: &Config,
) -> Result<Tensor<2>, LossError> {
    let [batch, _] = check::same_shape(NAME, ("embedding", &embedding), ("gauss", &gauss))?;
    check_shape(NAME, "uniform", &uniform.dims(), &[batch])?;
    Ok(embedding + gauss * uniform.reshape([batch, 1]) * config.noise_scale)
}
