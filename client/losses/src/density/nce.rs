//! Noise contrastive estimation: learns an unnormalised model, and its normalisation, by telling data from noise.
//!
//! # Formula
//! With `nu = noise / batch` and `h = ln p0 - log_z - ln q - ln nu`:
//! `loss = mean_data softplus(-h) + nu mean_noise softplus(h)`
//!
//! # Shapes
//! `log_p_data` and `log_q_data`: `[batch]`, `log_p_noise` and `log_q_noise`: `[noise]`, `log_z: [1]`; the result is `[1]`:
//! it has two kinds of samples.
//!
//! # Range and gradient
//! `[0, inf)`, smooth. Values of the model and `log_z`, which is learned with it, get gradients; the noise's density does
//! not.
//!
//! # Choices
//! Natural logarithm, softplus in its stable form. The baseline of `meco`: where noise is far from the data its curvature
//! at the optimum vanishes, and with it the speed of learning.
//!
//! # Source
//! Gutmann, Hyvärinen: Noise-Contrastive Estimation of Unnormalized Statistical Models, JMLR 13, 2012, as in
//! Jiang et al., ICML 2023.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Tensor};
//! use synod_losses::density::nce::{Inputs, nce};
//!
//! let one = || Tensor::<1>::from_data([1.0], &Device::flex());
//! let inputs =
//!     Inputs { log_p_data: one(), log_q_data: one(), log_p_noise: one(), log_q_noise: one(), log_z: one() * 0.0 };
//! assert!((nce(inputs)?.into_scalar::<f32>() - 2.0 * 2f32.ln()).abs() < 1e-6);
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::{Tensor, activation::softplus};

use super::exact_nll::check_samples;
use crate::check;
use crate::error::LossError;
use crate::option::objective;

objective! {
    "nce", family: "density", file: "nce.rs", role: Loss, tasks: [Density], remembers: None, cost: "O(B)",
    options: {}
}

/// Logarithms of densities.
#[derive(Debug, Clone)]
pub struct Inputs {
    /// Of the unnormalised model at data, `[batch]`.
    pub log_p_data: Tensor<1>,
    /// Of the noise at data, `[batch]`.
    pub log_q_data: Tensor<1>,
    /// Of the unnormalised model at noise, `[noise]`.
    pub log_p_noise: Tensor<1>,
    /// Of the noise at noise, `[noise]`.
    pub log_q_noise: Tensor<1>,
    /// Of the model's normalisation, learned, `[1]`.
    pub log_z: Tensor<1>,
}

/// The loss, `[1]`.
///
/// # Errors
/// [`LossError::EmptyBatch`], [`LossError::Shape`].
pub fn nce(inputs: Inputs) -> Result<Tensor<1>, LossError> {
    let Inputs { log_p_data, log_q_data, log_p_noise, log_q_noise, log_z } = inputs;
    check_samples(NAME, &log_p_data, &log_p_noise, &log_q_noise)?;
    check::vector(NAME, "log_q_data", &log_q_data, log_p_data.dims()[0])?;
    check::vector(NAME, "log_z", &log_z, 1)?;
    let nu = log_p_noise.dims()[0] as f64 / log_p_data.dims()[0] as f64;
    let h = |log_p: Tensor<1>, log_q: Tensor<1>| log_p - log_z.clone() - log_q.detach() - nu.ln();
    let of_data = softplus(h(log_p_data, log_q_data).neg(), 1.0).mean();
    Ok(of_data + softplus(h(log_p_noise, log_q_noise), 1.0).mean() * nu)
}
