//! Reconstruction score: the squared error of a row, the plain measure of how unusual it is.
//!
//! # Formula
//! `score_b = sum_d (recon - target)^2`
//!
//! # Shapes
//! `recon` and `target`: `[batch, features]`; the result is `[batch]`.
//!
//! # Range and gradient
//! `[0, inf)`, larger for more unusual rows. Smooth: the gradient of a feature is `2 (recon - target)`.
//!
//! # Choices
//! The sum over features, where the loss `mse` has their mean.
//!
//! # Source
//! Tan et al.: Improving Autoencoder-based Outlier Detection with Adjustable Probabilistic Reconstruction Error
//! and Mean-shift Outlier Scoring, 2023, its baseline.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Tensor};
//! use synod_losses::density::reconstruction_score;
//!
//! let device = Device::flex();
//! let recon = Tensor::<2>::from_data([[1.0, 2.0]], &device);
//! let target = Tensor::<2>::from_data([[0.0, 0.0]], &device);
//! assert_eq!(reconstruction_score(recon, target)?.into_scalar::<f32>(), 5.0);
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::Tensor;

use crate::check;
use crate::error::LossError;
use crate::option::objective;

objective! {
    "reconstruction_score", family: "density", file: "reconstruction_score.rs", role: Meter, tasks: [Density],
    remembers: None, cost: "O(B D)",
    options: {}
}

/// Scores per sample, `[batch]`, for `recon` and `target`: `[batch, features]`.
///
/// # Errors
/// [`LossError::EmptyBatch`], [`LossError::Shape`].
pub fn reconstruction_score(recon: Tensor<2>, target: Tensor<2>) -> Result<Tensor<1>, LossError> {
    let [batch, _] = check::same_shape(NAME, ("recon", &recon), ("target", &target))?;
    let residual = recon - target;
    Ok((residual.clone() * residual).sum_dim(1).reshape([batch]))
}
