//! Conditional Cauchy-Schwarz divergence: compares how predictions and targets are distributed given the input.
//!
//! # Formula
//! With `G(a, b)_ij = exp(-|a_i - b_j|^2 / (2 sigma^2))`, `K = G(x, x)`, and for a matrix `L`
//! `T(L) = sum_i (sum_j K_ij L_ij) / d_i`, where `d_i = (sum_j K_ij)^2` (`square_of_sum`) or `sum_j K_ij^2`
//! (`sum_of_squares`):
//!
//! `loss = log2 T(G(y, y)) + log2 T(G(y_hat, y_hat)) - 2 log2 T(G(y_hat, y))`
//!
//! # Shapes
//! `prediction` and `target` (`y_hat` and `y`): `[batch, outputs]`, `x: [batch, inputs]`, at least 2 samples; the result
//! is `[1]`: it compares samples with each other and is no sum over them.
//!
//! # Range and gradient
//! 0 for exact predictions; never seen below 0. Smooth. Not symmetric in predictions and targets. Unchanged when `x`, or
//! predictions and targets together, are moved.
//!
//! # Choices
//! In bits. Sums are taken of logarithms, so that predictions far from every target still have a value and a gradient.
//! `square_of_sum` is the paper's formula, `sum_of_squares` that of the released code. Width 1 fits standardised data.
//!
//! # Source
//! Yu, Yu, Løkse, Jenssen, Príncipe: Cauchy-Schwarz Divergence Information Bottleneck for Regression, ICLR 2024,
//! proposition 1 of the slides with the released code.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Tensor};
//! use synod_losses::regression::cauchy_schwarz::cs_conditional::{Config, cs_conditional};
//!
//! let device = Device::flex();
//! let x = Tensor::<2>::from_data([[0.0], [1.0]], &device);
//! let y = Tensor::<2>::from_data([[0.5], [-0.5]], &device);
//! let loss = cs_conditional(y.clone(), y, x, &Config::default())?.into_scalar::<f32>();
//! assert!(loss.abs() < 1e-5);
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use std::f64::consts::LN_2;

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::kernel::{check_rows, log_kernel, log_sum_exp, log_sum_exp_all};
use crate::error::LossError;
use crate::option::{POSITIVE, any, objective};

/// What a row of the kernel is divided by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Denominator {
    /// The square of its sum, as in the paper.
    #[default]
    SquareOfSum,
    /// The sum of its squares, as in the released code.
    SumOfSquares,
}

impl Denominator {
    /// Names in plans, for listings.
    pub(super) const NAMES: &str = "\"square_of_sum\", \"sum_of_squares\"";
}

objective! {
    "cs_conditional", family: "regression", file: "cs_conditional.rs", role: Loss, tasks: [RegressionInContext],
    remembers: None, cost: "O(B^2 D)",
    options: {
        sigma / with_sigma: f64 = 1.0, POSITIVE, "width of every kernel";
        denominator / with_denominator: Denominator = Denominator::SquareOfSum => "\"square_of_sum\"",
            any(Denominator::NAMES), "divisor of a row of the input's kernel";
    }
}

/// The divergence, `[1]`, for `prediction` and `target`: `[batch, outputs]`, `x: [batch, inputs]`.
///
/// # Errors
/// [`LossError::EmptyBatch`]; [`LossError::Shape`], also for a single sample.
pub fn cs_conditional(
    prediction: Tensor<2>,
    target: Tensor<2>,
    x: Tensor<2>,
    config: &Config,
) -> Result<Tensor<1>, LossError> {
    crate::check::same_shape(NAME, ("prediction", &prediction), ("target", &target))?;
    check_rows(NAME, &[("prediction", &prediction), ("x", &x)])?;
    let log_k = log_kernel(x.clone(), x, config.sigma);
    let divisor = match config.denominator {
        Denominator::SquareOfSum => log_sum_exp(log_k.clone()) * 2.0,
        Denominator::SumOfSquares => log_sum_exp(log_k.clone() * 2.0),
    };
    let weights = log_k - divisor;
    let log_t = |a: Tensor<2>, b: Tensor<2>| log_sum_exp_all(weights.clone() + log_kernel(a, b, config.sigma));
    let within = log_t(target.clone(), target.clone()) + log_t(prediction.clone(), prediction.clone());
    Ok((within - log_t(prediction, target) * 2.0) / LN_2)
}
