//! Depth loss: the overlap that is lost when an object of known length is placed at a wrong depth, or a classic error.
//!
//! # Formula
//! With `e = prediction - target`, the mean over the outputs of, by `kind`: `dice`: `min(|e| / length, 1)`; `l1`: `|e|`;
//! `l2`: `e^2 / 2`; `smooth_l1`: `e^2 / 2` if `|e| <= 1`, else `|e| - 1/2`.
//!
//! # Shapes
//! `prediction: [batch, outputs]`, `target: [batch, outputs]`; the result is `[batch]`.
//!
//! # Range and gradient
//! `[0, 1]` for `dice`, whose derivative is `sign(e) / length` inside and 0 beyond the length; at `e = 0` it is 0, as for
//! `l1`. `l2` and `smooth_l1` have a continuous derivative.
//!
//! # Choices
//! 1 minus the Dice overlap of two boxes of the same length, shifted along the line of sight. Its gradient is less noisy
//! than that of the others for long objects and large noise, not for small noise; from a far start it is slow, because the
//! gradient is `length` times smaller: scale the learning rate with `length`. [`gradient_variance`] says how noisy each is.
//! The default length is that of a car; the paper's figure has 12 for a trailer.
//!
//! # Source
//! Kumar, Guo, Huang, Ren, Liu: SeaBird: Segmentation in Bird's View with Dice Loss Improves Monocular 3D Detection of
//! Large Objects, CVPR 2024 (arXiv 2403.20318), its analysis of convergence.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Tensor};
//! use synod_losses::regression::object_depth::{Config, object_depth};
//!
//! let device = Device::flex();
//! let prediction = Tensor::<2>::from_data([[0.7], [6.0]], &device);
//! let loss = object_depth(prediction, Tensor::zeros([2, 1], &device), &Config::default())?;
//! assert_eq!(loss.try_into_vec_as::<f32>().ok(), Some(vec![0.175, 1.0]));
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use std::f64::consts::{FRAC_2_SQRT_PI, PI, SQRT_2};

use burn::tensor::Tensor;

use super::residual::{mean_of_row, residual};
use serde::{Deserialize, Serialize};

use crate::error::LossError;
use crate::option::{POSITIVE, any, objective};

/// Which function of the error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The overlap that is lost.
    #[default]
    Dice,
    /// Absolute error.
    L1,
    /// Half the squared error.
    L2,
    /// Squared near 0, absolute beyond 1.
    SmoothL1,
}

objective! {
    "object_depth", family: "regression", file: "object_depth.rs", role: Loss, tasks: [Regression],
    remembers: None, cost: "O(B)",
    options: {
        kind / with_kind: Kind = Kind::Dice => "\"dice\"", any("dice, l1, l2 or smooth_l1"),
            "the function of the error";
        length / with_length: f64 = 4.0, POSITIVE, "the length of the object, for dice";
    }
}

/// Values per sample, `[batch]`, for `prediction` and `target`, both `[batch, outputs]`.
///
/// # Errors
/// [`LossError::EmptyBatch`], [`LossError::Shape`].
pub fn object_depth(prediction: Tensor<2>, target: Tensor<2>, config: &Config) -> Result<Tensor<1>, LossError> {
    let residual = residual(NAME, prediction, target)?;
    Ok(mean_of_row(match config.kind {
        Kind::Dice => (residual.abs() / config.length).clamp_max(1.0),
        Kind::L1 => residual.abs(),
        Kind::L2 => residual.square() * 0.5,
        Kind::SmoothL1 => {
            let size = residual.abs();
            let kept = size.clone().clamp_max(1.0);
            kept.clone() * (size - kept * 0.5)
        }
    }))
}

/// The mean of the squared derivative with respect to the error, for errors from a normal distribution with mean 0 and
/// standard deviation `sigma`, above 0: how noisy the gradient of one sample is.
pub fn gradient_variance(sigma: f64, config: &Config) -> f64 {
    match config.kind {
        Kind::L1 => 1.0,
        Kind::L2 => sigma * sigma,
        Kind::SmoothL1 => {
            let z = 1.0 / sigma;
            let inside = error_function(z / SQRT_2);
            1.0 - inside + sigma * sigma * (inside - z * (2.0 / PI).sqrt() * (-z * z / 2.0).exp())
        }
        Kind::Dice => error_function(config.length / (sigma * SQRT_2)) / (config.length * config.length),
    }
}

/// The error function, for `x` of at least 0.
fn error_function(x: f64) -> f64 {
    // From here on it is 1 in double precision.
    if x > 6.0 {
        return 1.0;
    }
    // exp(-x^2) sum_n (2 x^2)^n x / (1 3 5 ... (2 n + 1)), all terms positive.
    let (mut term, mut sum, mut odd) = (x, x, 1.0);
    while term > sum * f64::EPSILON {
        odd += 2.0;
        term *= 2.0 * x * x / odd;
        sum += term;
    }
    FRAC_2_SQRT_PI * (-x * x).exp() * sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_function_has_its_known_values() {
        let known = [(0.0, 0.0), (0.1, 0.112462916018285), (1.0, 0.842700792949715), (3.0, 0.999977909503001)];
        for (x, value) in known.into_iter().chain([(5.9, 1.0), (7.0, 1.0)]) {
            assert!((error_function(x) - value).abs() < 1e-14, "{x}");
        }
    }
}
