//! Momentum update: a step along a running average of gradients.
//!
//! # Formula
//! `v' = (1 - beta) v + beta grad`, `theta' = theta - lr v'`
//!
//! # Shapes
//! `v`, `grad` and `theta`: `[parameters]`; the results likewise.
//!
//! # Range and gradient
//! Real. A step, not a loss: nothing is differentiated. With `beta = 1` it is plain gradient descent.
//!
//! # Choices
//! An average, not a sum: the length of a step does not depend on `beta`. Both defaults are this project's choice.
//!
//! # Source
//! Jiang, Qin, Wu, Chen, Yang, Zhang: Learning Unnormalized Statistical Models via Compositional Optimization, ICML 2023.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Tensor};
//! use synod_losses::density::momentum_update::{Config, momentum_update};
//!
//! let one = |value: f32| Tensor::<1>::from_data([value], &Device::flex());
//! let moved = momentum_update(one(0.0), one(2.0), one(1.0), &Config::default().with_beta(0.5).with_lr(0.25))?;
//! assert_eq!((moved.v.into_scalar::<f32>(), moved.theta.into_scalar::<f32>()), (1.0, 0.75));
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::Tensor;

use crate::check;
use crate::error::LossError;
use crate::option::{POSITIVE, RATE, objective};

objective! {
    "momentum_update", family: "density", file: "momentum_update.rs", role: Step, tasks: [Density], remembers: Local,
    cost: "O(P) in P parameters",
    options: {
        beta / with_beta: f64 = 0.1, RATE, "share of the new gradient in the average";
        lr / with_lr: f64 = 0.01, POSITIVE, "learning rate";
    }
}

/// What a step gives, each `[parameters]`.
#[derive(Debug, Clone)]
pub struct Moved {
    /// The average to give to the next step.
    pub v: Tensor<1>,
    /// The new parameters.
    pub theta: Tensor<1>,
}

/// One step, for an average `v`, a gradient `grad` and parameters `theta`: `[parameters]`.
///
/// # Errors
/// [`LossError::EmptyBatch`] without parameters, [`LossError::Shape`].
pub fn momentum_update(v: Tensor<1>, grad: Tensor<1>, theta: Tensor<1>, config: &Config) -> Result<Moved, LossError> {
    let [parameters] = theta.dims();
    check::vector(NAME, "v", &v, parameters)?;
    check::vector(NAME, "grad", &grad, parameters)?;
    let v = v * (1.0 - config.beta) + grad * config.beta;
    Ok(Moved { theta: theta - v.clone() * config.lr, v })
}
