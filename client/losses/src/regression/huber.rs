//! Huber loss: squared for small errors, linear for large ones, so that outliers do not lead.
//!
//! # Formula
//! With `r = f - t` (`prediction` minus `target`), `delta`, and `O` outputs, `loss_b = (1/O) sum_o h(r[b,o])` where
//! `h(r) = r^2 / 2` for `|r| <= delta` and `delta (|r| - delta / 2)` otherwise.
//!
//! # Shapes
//! `prediction: [batch, outputs]`, `target: [batch, outputs]`; the result is `[batch]`.
//!
//! # Range and gradient
//! `[0, inf)`, continuously differentiable. The gradient of a prediction is `r / O`, with `r` kept within `-delta` and
//! `delta`.
//!
//! # Choices
//! The default `delta = 1` suits standardised targets; in other units it is the error from which a sample counts as an
//! outlier. The mean over outputs, as in `mse`.
//!
//! # Source
//! Huber: Robust Estimation of a Location Parameter, Annals of Mathematical Statistics 35, 1964.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Tensor};
//! use synod_losses::regression::huber::{Config, huber};
//!
//! let device = Device::flex();
//! let prediction = Tensor::<2>::from_data([[1.0, 5.0]], &device);
//! let target = Tensor::<2>::from_data([[2.0, 2.0]], &device);
//! let loss = huber(prediction, target, &Config::default().with_delta(2.0))?.into_scalar::<f32>();
//! assert_eq!(loss, (0.5 + 4.0) / 2.0);
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::Tensor;

use super::residual::{mean_of_row, residual};
use crate::error::LossError;
use crate::option::{POSITIVE, objective};

objective! {
    "huber", family: "regression", file: "huber.rs", role: Loss, tasks: [Regression],
    remembers: None, cost: "O(B)",
    options: {
        delta / with_delta: f64 = 1.0, POSITIVE, "error from which the loss grows linearly";
    }
}

/// Values per sample, `[batch]`, for `prediction` and `target`, both `[batch, outputs]`.
///
/// # Errors
/// [`LossError::EmptyBatch`], [`LossError::Shape`].
pub fn huber(prediction: Tensor<2>, target: Tensor<2>, config: &Config) -> Result<Tensor<1>, LossError> {
    Ok(mean_of_row(values(residual(NAME, prediction, target)?, config)))
}

/// `h(r) = c (|r| - c / 2)` with `c = min(|r|, delta)`.
fn values(residual: Tensor<2>, config: &Config) -> Tensor<2> {
    let size = residual.abs();
    let kept = size.clone().clamp_max(config.delta);
    kept.clone() * (size - kept * 0.5)
}

/// Mean over the batch and its gradient with respect to the prediction, in closed form, from `[batch, outputs]`.
pub(super) fn mean_and_gradient(residual: Tensor<2>, config: &Config) -> (Tensor<1>, Tensor<2>) {
    let scale = 1.0 / residual.shape().num_elements() as f64;
    let gradient = residual.clone().clamp(-config.delta, config.delta) * scale;
    (values(residual, config).mean(), gradient)
}
