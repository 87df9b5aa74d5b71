//! Cauchy-Schwarz information bottleneck: predictions distributed as the targets, from a code that forgets the input.
//!
//! # Formula
//! `loss = cs_conditional(y_hat, y | x) + beta cs_qmi_normalised(x, z)`, all kernels of width `sigma`.
//!
//! # Shapes
//! `prediction` and `target`: `[batch, outputs]`, `x: [batch, inputs]`, `z: [batch, code]`, at least 2 samples; the
//! result is `[1]`: it compares samples with each other, so that gradients of parts of a batch do not add up to it.
//!
//! # Range and gradient
//! At least 0 as far as seen. Gradients reach predictions and code, and `x` where it records them. A constant code adds
//! nothing and gets no gradient from the second term.
//!
//! # Choices
//! In bits. The paper tries `beta` of 0 and from 1e-4 to 1. Targets are matrices: for vectors the released kernel
//! collapses to one number and the prediction term to a squared error.
//!
//! # Source
//! Yu, Yu, Løkse, Jenssen, Príncipe: Cauchy-Schwarz Divergence Information Bottleneck for Regression, ICLR 2024.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Tensor};
//! use synod_losses::regression::cauchy_schwarz::cs_ib::{Config, Inputs, cs_ib};
//!
//! let x = Tensor::<2>::from_data([[0.0], [1.0], [3.0]], &Device::flex());
//! let inputs = Inputs { prediction: x.clone(), target: x.clone(), x: x.clone(), z: x };
//! let loss = cs_ib(inputs, &Config::default())?.total.into_scalar::<f32>();
//! assert!((loss - 0.01).abs() < 1e-5);
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::Tensor;

use super::cs_conditional::{self, Denominator, cs_conditional};
use super::cs_qmi::{self, cs_qmi_normalised};
use super::kernel::check_rows;
use crate::error::LossError;
use crate::option::{NON_NEGATIVE, POSITIVE, any, objective};

objective! {
    "cs_ib", family: "regression", file: "cs_ib.rs", role: Loss, tasks: [RegressionInContext], remembers: None,
    cost: "O(B^2 D)",
    options: {
        sigma / with_sigma: f64 = 1.0, POSITIVE, "width of every kernel";
        beta / with_beta: f64 = 0.01, NON_NEGATIVE, "weight of forgetting the input";
        denominator / with_denominator: Denominator = Denominator::SquareOfSum => "\"square_of_sum\"",
            any(Denominator::NAMES), "divisor of a row of the input's kernel";
    }
}

/// What the bottleneck takes.
#[derive(Debug, Clone)]
pub struct Inputs {
    /// Predictions, `[batch, outputs]`.
    pub prediction: Tensor<2>,
    /// Targets, `[batch, outputs]`.
    pub target: Tensor<2>,
    /// Inputs of the model, `[batch, inputs]`.
    pub x: Tensor<2>,
    /// Its code, `[batch, code]`.
    pub z: Tensor<2>,
}

/// The loss and its terms, each `[1]`.
#[derive(Debug, Clone)]
pub struct Values {
    /// What is minimised.
    pub total: Tensor<1>,
    /// Divergence of predictions from targets.
    pub prediction: Tensor<1>,
    /// Normalised information of the code about the input, unweighted.
    pub compression: Tensor<1>,
}

/// The loss of a batch.
///
/// # Errors
/// [`LossError::EmptyBatch`]; [`LossError::Shape`], also for a single sample.
pub fn cs_ib(inputs: Inputs, config: &Config) -> Result<Values, LossError> {
    let Inputs { prediction, target, x, z } = inputs;
    check_rows(NAME, &[("prediction", &prediction), ("x", &x), ("z", &z)])?;
    let options = cs_conditional::Config::default().with_sigma(config.sigma).with_denominator(config.denominator);
    let prediction = cs_conditional(prediction, target, x.clone(), &options)?;
    let compression = cs_qmi_normalised(x, z, &cs_qmi::Config::default().with_sigma(config.sigma))?;
    Ok(Values { total: prediction.clone() + compression.clone() * config.beta, prediction, compression })
}
