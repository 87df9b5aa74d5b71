//! Gradient alignment: takes out of a second gradient what works against the first, then adds both.
//!
//! # Formula
//! With `g1` (`first`) and `g2` (`second`): `g1 + g2 - min(g1 . g2, 0) / |g1|^2 g1`
//!
//! # Shapes
//! `first` and `second`: `[parameters]`, over the same list of all trained parameters, with zeros where an objective
//! does not reach; the result is `[parameters]`.
//!
//! # Range and gradient
//! The result has an inner product with `g1` of at least 0. It is a step, not a loss: nothing is differentiated. If
//! `g1` is 0, the result is `g2`.
//!
//! # Choices
//! The weights of the two objectives are already inside the gradients. As in the official code `g1` includes the
//! parameters that only it reaches, so that a conflict also lengthens their step.
//!
//! # Source
//! Yang et al.: Dual-Head Knowledge Distillation, 2024, gradient alignment; official code, `helper/optimizer.py`.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Tensor};
//! use synod_losses::distillation::align_gradients;
//!
//! let device = Device::flex();
//! let first = Tensor::<1>::from_data([1.0, 0.0], &device);
//! let second = Tensor::<1>::from_data([-2.0, 1.0], &device);
//! assert_eq!(align_gradients(first, second)?.gradient.try_into_vec_as::<f32>().unwrap(), [1.0, 1.0]);
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::Tensor;

use crate::check;
use crate::error::LossError;
use crate::option::objective;

objective! {
    "align_gradients", family: "distillation", file: "align_gradients.rs", role: Step, tasks: [Distillation],
    remembers: None, cost: "O(P) in P parameters",
    options: {}
}

/// What alignment gives.
#[derive(Debug, Clone)]
pub struct Aligned {
    /// The combined gradient, `[parameters]`.
    pub gradient: Tensor<1>,
    /// Inner product of the two gradients, `[1]`; below 0 they were in conflict.
    pub inner_product: Tensor<1>,
}

/// Below any squared length that can be told from 0 in single precision.
const SQUARE_MIN: f64 = 1e-37;

/// Combines two gradients over the same `[parameters]`.
///
/// # Errors
/// [`LossError::EmptyBatch`] without parameters, [`LossError::Shape`] if the lengths differ.
pub fn align_gradients(first: Tensor<1>, second: Tensor<1>) -> Result<Aligned, LossError> {
    check::vector(NAME, "second", &second, first.dims()[0])?;
    let inner_product = (first.clone() * second.clone()).sum();
    let square = (first.clone() * first.clone()).sum().clamp_min(SQUARE_MIN);
    let conflict = inner_product.clone().clamp_max(0.0) / square;
    Ok(Aligned { gradient: first.clone() + second - first * conflict, inner_product })
}
