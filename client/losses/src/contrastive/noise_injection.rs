//! Noise injection: embeddings of text are spread, so that what learns from them also bears those of images.
//!
//! # Formula
//! `noisy[b,:] = embedding[b,:] + noise_scale uniform[b] gauss[b,:]`, `uniform` from 0 to 1 and `gauss` standard
//! normal.
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

use super::similarity::check_shape;
use crate::check;
use crate::error::LossError;
use crate::option::{NON_NEGATIVE, objective};

objective! {
    "noise_injection", family: "contrastive", file: "noise_injection.rs", role: Step, tasks: [Retrieval, Distillation],
    remembers: None, cost: "O(B D)",
    options: {
        noise_scale / with_noise_scale: f64 = 0.5, NON_NEGATIVE, "largest standard deviation of the noise";
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
