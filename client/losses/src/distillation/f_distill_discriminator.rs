//! Discriminator of f-distill: tells generated from real samples, so that its logits are logarithms of a density ratio.
//!
//! # Formula
//! `loss = mean softplus(fake) + mean softplus(-real)`
//!
//! # Shapes
//! `fake_logits` and `real_logits`: `[n]` and `[m]`, any number of logits each; the result is `[1]`, because the two
//! means need not have the same number of samples.
//!
//! # Range and gradient
//! `[0, inf)`, smooth. The gradients are `sigmoid(fake) / n` and `-sigmoid(-real) / m`.
//!
//! # Choices
//! Softplus in its stable form.
//!
//! # Source
//! Xu et al.: One-step Diffusion Models with f-Divergence Distribution Matching, 2025; the loss of Goodfellow et al.:
//! Generative Adversarial Nets, NIPS 2014, equation 1.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Tensor};
//! use synod_losses::distillation::f_distill_discriminator;
//!
//! let logits = Tensor::<1>::from_data([0.0], &Device::flex());
//! let loss = f_distill_discriminator(logits.clone(), logits)?.into_scalar::<f32>();
//! assert!((loss - 2.0 * 2f32.ln()).abs() < 1e-6);
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::{Tensor, activation::softplus};

use crate::check;
use crate::error::LossError;
use crate::option::objective;

objective! {
    "f_distill_discriminator", family: "distillation", file: "f_distill_discriminator.rs", role: Loss,
    tasks: [Distillation], remembers: None, cost: "O(B)",
    options: {}
}

/// The loss, `[1]`, for logits of generated samples, `[n]`, and of real ones, `[m]`.
///
/// # Errors
/// [`LossError::EmptyBatch`].
pub fn f_distill_discriminator(fake_logits: Tensor<1>, real_logits: Tensor<1>) -> Result<Tensor<1>, LossError> {
    check::vector(NAME, "fake_logits", &fake_logits, fake_logits.dims()[0])?;
    check::vector(NAME, "real_logits", &real_logits, real_logits.dims()[0])?;
    Ok(softplus(fake_logits, 1.0).mean() + softplus(real_logits.neg(), 1.0).mean())
}
