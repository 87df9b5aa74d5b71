//! Mean squared error: the squared distance to the target, which makes a model predict the conditional mean.
//!
//! # Formula
//! With `f` the `prediction`, `t` the `target` and `O` outputs: `loss_b = (1/O) sum_o (f[b,o] - t[b,o])^2`
//!
//! # Shapes
//! `prediction: [batch, outputs]`, `target: [batch, outputs]`; the result is `[batch]`.
//!
//! # Range and gradient
//! `[0, inf)` and smooth. The gradient of a prediction is `2 (f - t) / O`: it grows with the error, so that outliers
//! lead; see `huber` and `mae`.
//!
//! # Choices
//! The mean over outputs keeps the value comparable between tasks with few and with many; no factor 1/2.
//!
//! # Source
//! Bishop: Pattern Recognition and Machine Learning, Springer 2006, section 3.1.1, equation 3.12, without the factor
//! 1/2 and averaged.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Tensor};
//! use synod_losses::regression::mse::{Config, mse};
//!
//! let device = Device::flex();
//! let prediction = Tensor::<2>::from_data([[1.0, 5.0]], &device);
//! let target = Tensor::<2>::from_data([[2.0, 2.0]], &device);
//! let loss = mse(prediction, target, &Config::default())?.into_scalar::<f32>();
//! assert_eq!(loss, 5.0);
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::Tensor;

use super::residual::{mean_of_row, residual};
use crate::error::LossError;
use crate::option::objective;

objective! {
    "mse", family: "regression", file: "mse.rs", role: Loss, tasks: [Regression],
    remembers: None, cost: "O(B)",
    options: {}
}

/// Values per sample, `[batch]`, for `prediction` and `target`, both `[batch, outputs]`.
///
/// # Errors
/// [`LossError::EmptyBatch`], [`LossError::Shape`].
pub fn mse(prediction: Tensor<2>, target: Tensor<2>, _: &Config) -> Result<Tensor<1>, LossError> {
    let residual = residual(NAME, prediction, target)?;
    Ok(mean_of_row(residual.clone() * residual))
}

/// Mean over the batch and its gradient with respect to the prediction, in closed form, from `[batch, outputs]`.
pub(super) fn mean_and_gradient(residual: Tensor<2>) -> (Tensor<1>, Tensor<2>) {
    let scale = 2.0 / residual.shape().num_elements() as f64;
    ((residual.clone() * residual.clone()).mean(), residual * scale)
}
