//! Projected gradient step: descends and stays within a ball around the start.
//!
//! # Formula
//! `d' = d - step g`, shortened to length `radius` if it is longer.
//!
//! # Shapes
//! `delta` (`d`, parameters minus their start) and `gradient` (`g`): `[parameters]`; the result is `[parameters]`.
//!
//! # Range and gradient
//! Within the ball. A step, not a loss: nothing is differentiated.
//!
//! # Choices
//! The paper's theory needs the weights to stay near their start. The defaults of 0.1 and 1 are only a beginning.
//!
//! # Source
//! Deb, Ban, Zuo, He, Banerjee: Contextual Bandits with Online Neural Regression, ICLR 2024, projected online gradient
//! descent.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Tensor};
//! use synod_losses::regression::bandit::projected_step::{Config, projected_step};
//!
//! let device = Device::flex();
//! let delta = Tensor::<1>::from_data([0.0, 0.0], &device);
//! let gradient = Tensor::<1>::from_data([-30.0, 40.0], &device);
//! let moved = projected_step(delta, gradient, &Config::default())?.try_into_vec_as::<f32>().unwrap();
//! assert!((moved[0] - 0.6).abs() < 1e-6 && (moved[1] + 0.8).abs() < 1e-6);
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::Tensor;

use crate::check;
use crate::error::LossError;
use crate::option::{POSITIVE, objective};

objective! {
    "projected_step", family: "regression", file: "projected_step.rs", role: Step, tasks: [RegressionInContext],
    remembers: None, cost: "O(P) in P parameters",
    options: {
        step / with_step: f64 = 0.1, POSITIVE, "length of a step, times the gradient";
        radius / with_radius: f64 = 1.0, POSITIVE, "largest distance from the start";
    }
}

/// The next `delta`, for `delta` and `gradient`: `[parameters]`.
///
/// # Errors
/// [`LossError::EmptyBatch`] without parameters, [`LossError::Shape`].
pub fn projected_step(delta: Tensor<1>, gradient: Tensor<1>, config: &Config) -> Result<Tensor<1>, LossError> {
    check::vector(NAME, "gradient", &gradient, delta.dims()[0])?;
    let moved = delta - gradient * config.step;
    // Lengths are taken relative to the largest entry, whose square might overflow.
    let largest = moved.clone().abs().max().clamp_min(f64::from(f32::MIN_POSITIVE));
    let relative = moved.clone() / largest.clone();
    let length = (relative.clone() * relative).sum().sqrt() * largest;
    Ok(moved / (length / config.radius).clamp_min(1.0))
}
