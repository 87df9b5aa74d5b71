//! Mean absolute error: the distance to the target, which makes a model predict the conditional median.
//!
//! # Formula
//! With `f` the `prediction`, `t` the `target` and `O` outputs: `loss_b = (1/O) sum_o |f[b,o] - t[b,o]|`
//!
//! # Shapes
//! `prediction: [batch, outputs]`, `target: [batch, outputs]`; the result is `[batch]`.
//!
//! # Range and gradient
//! `[0, inf)`. The gradient of a prediction is `sign(f - t) / O`, of one size however large the error; at `f = t`,
//! where the loss is not smooth, it is 0.
//!
//! # Choices
//! The mean over outputs, as in `mse`.
//!
//! # Source
//! Bloomfield, Steiger: Least Absolute Deviations, Birkhäuser 1983, averaged.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Tensor};
//! use synod_losses::regression::mae::{Config, mae};
//!
//! let device = Device::flex();
//! let prediction = Tensor::<2>::from_data([[1.0, 5.0]], &device);
//! let target = Tensor::<2>::from_data([[2.0, 2.0]], &device);
//! let loss = mae(prediction, target, &Config::default())?.into_scalar::<f32>();
//! assert_eq!(loss, 2.0);
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::Tensor;

use super::residual::{mean_of_row, residual};
use crate::error::LossError;
use crate::option::objective;

objective! {
    "mae", family: "regression", file: "mae.rs", role: Loss, tasks: [Regression],
    remembers: None, cost: "O(B)",
    options: {}
}

/// Values per sample, `[batch]`, for `prediction` and `target`, both `[batch, outputs]`.
///
/// # Errors
/// [`LossError::EmptyBatch`], [`LossError::Shape`].
pub fn mae(prediction: Tensor<2>, target: Tensor<2>, _: &Config) -> Result<Tensor<1>, LossError> {
    Ok(mean_of_row(residual(NAME, prediction, target)?.abs()))
}
