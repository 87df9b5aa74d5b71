//! Perturbed regression: predictions with random perturbations, which pull weights towards where they began.
//!
//! # Formula
//! With the outputs `f`, parameters `d` (`delta`) minus their start, `S` rows of signs `e`, the network's `width` `m`:
//! `z[s,i] = f[i] + c (sum_j d[j] e[s,j]) / m^(1/4)` and, with targets `y`,
//!
//! `loss_i = mean_s (z - y)^2 / 2` (`square`) or `mean_s (softplus(z) - y z)` (`kl`)
//!
//! # Shapes
//! `outputs` and `targets`: `[batch]`, `delta: [parameters]`, `signs: [S, parameters]` of -1 and 1; the results are
//! `[batch]`.
//!
//! # Range and gradient
//! `square` is at least 0; `kl` is at least the entropy of the target. Smooth. Outputs and `delta` get gradients. Averaged
//! over all signs, `square` is the squared error plus `c^2 |d|^2 / (2 sqrt(m))`. For `c = 0` both are plain.
//!
//! # Choices
//! Natural logarithm. `kl` takes targets in `[0, 1]`, which are not looked at. About `ln m` rows of signs, drawn anew for
//! each round and fixed within a step. In a federation the start is the global model of the round.
//!
//! # Source
//! Deb, Ban, Zuo, He, Banerjee: Contextual Bandits with Online Neural Regression, ICLR 2024.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Tensor};
//! use synod_losses::regression::bandit::perturbed_regression::{Config, Inputs, Kind, perturbed_regression};
//!
//! let device = Device::flex();
//! let inputs = Inputs {
//!     outputs: Tensor::from_data([1.0], &device),
//!     targets: Tensor::from_data([0.0], &device),
//!     delta: Tensor::from_data([2.0], &device),
//!     signs: Tensor::from_data([[1.0], [-1.0]], &device),
//! };
//! let config = Config::default().with_kind(Kind::Square).with_width(16);
//! assert_eq!(perturbed_regression(inputs, &config)?.loss.into_scalar::<f32>(), 0.5 + 0.5);
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::Tensor;
use burn::tensor::activation::{sigmoid, softplus};
use serde::{Deserialize, Serialize};

use crate::check;
use crate::error::LossError;
use crate::option::{AT_LEAST_ONE, NON_NEGATIVE, any, objective};

/// What is predicted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A number, by its squared error.
    Square,
    /// The logit of a share, by binary cross-entropy.
    #[default]
    Kl,
}

objective! {
    "perturbed_regression", family: "regression", file: "perturbed_regression.rs", role: Loss,
    tasks: [RegressionInContext], remembers: None, cost: "O(S P + S B) for S rows of P signs",
    options: {
        kind / with_kind: Kind = Kind::Kl => "\"kl\"", any("\"square\", \"kl\""), "meaning of an output";
        c / with_c: f64 = 1.0, NON_NEGATIVE, "size of the perturbation";
        width / with_width: usize = 100, AT_LEAST_ONE, "number of hidden units of the network";
    }
}

/// What the regression takes.
#[derive(Debug, Clone)]
pub struct Inputs {
    /// Of the network, `[batch]`.
    pub outputs: Tensor<1>,
    /// `[batch]`.
    pub targets: Tensor<1>,
    /// Parameters minus their start, `[parameters]`.
    pub delta: Tensor<1>,
    /// Rows of -1 and 1, `[S, parameters]`.
    pub signs: Tensor<2>,
}

/// Values per sample, `[batch]`.
#[derive(Debug, Clone)]
pub struct Values {
    /// What is minimised.
    pub loss: Tensor<1>,
    /// The prediction, averaged over the perturbations.
    pub prediction: Tensor<1>,
}

/// Values per sample.
///
/// # Errors
/// [`LossError::EmptyBatch`], [`LossError::Shape`].
pub fn perturbed_regression(inputs: Inputs, config: &Config) -> Result<Values, LossError> {
    let Inputs { outputs, targets, delta, signs } = inputs;
    let [batch] = outputs.dims();
    check::vector(NAME, "targets", &targets, batch)?;
    let [rows, parameters] = check::matrix(NAME, "signs", &signs)?;
    check::vector(NAME, "delta", &delta, parameters)?;
    let scale = config.c / (config.width as f64).powf(0.25);
    let perturbation = signs.detach().matmul(delta.reshape([parameters, 1])) * scale;
    let z = outputs.reshape([1, batch]) + perturbation;
    let y = targets.detach().reshape([1, batch]).repeat_dim(0, rows);
    let (loss, prediction) = match config.kind {
        Kind::Square => {
            let residual = z.clone() - y;
            (residual.clone() * residual * 0.5, z)
        }
        Kind::Kl => (softplus(z.clone(), 1.0) - y * z.clone(), sigmoid(z)),
    };
    let mean = |values: Tensor<2>| values.mean_dim(0).reshape([batch]);
    Ok(Values { loss: mean(loss), prediction: mean(prediction) })
}
