//! Comp-sum loss: one parameter leads from the sum of exponentials through cross-entropy to the mean absolute error.
//!
//! # Formula
//! With `s_b = -ln softmax(logits)[b,y]` for the true class `y` (`targets`): `loss_b = Phi_tau(s_b)`, where
//! `Phi_tau(s) = (exp((1 - tau) s) - 1) / (1 - tau)`, and `Phi_1(s) = s`. So `tau = 0` gives
//! `sum over c != y of exp(logits[b,c] - logits[b,y])`, `tau = 1` cross-entropy, `tau = 1 + q` generalised
//! cross-entropy `(1 - p_y^q) / q`, and `tau = 2` the mean absolute error `1 - p_y`.
//!
//! # Shapes
//! `logits: [batch, classes]` with at least 2 classes, `targets: [batch]` with values in `0..classes`; the result is
//! `[batch]`.
//!
//! # Range and gradient
//! `[0, inf)` for `tau <= 1`, `[0, 1 / (tau - 1))` above; for the same logits never larger with a larger `tau`. The
//! gradient of a row of logits is `p_y^(tau - 1) (p - onehot(y))`: below 1 it grows with the error, above 1 badly
//! predicted samples, which may be labelled wrongly, count less. Adding a constant to a row changes nothing.
//!
//! # Choices
//! Natural logarithm. Everything goes through `s` from `log_softmax`. The exponent `(1 - tau) s` is kept at most 80,
//! which single precision still holds; beyond, the gradient is 0, so a `tau` below 1 needs logits that do not diverge.
//! A `tau` within 1e-6 of 1 is taken as 1.
//!
//! # Source
//! Mao, Mohri, Zhong: Cross-Entropy Loss Functions: Theoretical Analysis and Applications, ICML 2023. The
//! default is cross-entropy.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Int, Tensor};
//! use synod_losses::classification::comp_sum::{Config, comp_sum};
//!
//! let device = Device::flex();
//! let logits = Tensor::<2>::from_data([[0.0, 0.0, 0.0, 0.0]], &device);
//! let targets = Tensor::<1, Int>::from_data([1], &device);
//! let loss = comp_sum(logits, targets, &Config::default().with_tau(2.0))?.into_scalar::<f32>();
//! assert!((loss - 0.75).abs() < 1e-6);
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::{Int, Tensor, activation::log_softmax};

use crate::check;
use crate::error::LossError;
use crate::option::{NON_NEGATIVE, objective};
use crate::stable::expm1;

/// Largest exponent: e^80 is 5e34, and sums of such values still fit single precision.
const EXPONENT_MAX: f64 = 80.0;

/// Nearer to 1 than this, the difference to cross-entropy is below the precision of the quotient.
const TAU_NEAR_ONE: f64 = 1e-6;

objective! {
    "comp_sum", family: "classification", file: "comp_sum.rs", role: Loss, tasks: [Classification],
    remembers: None, cost: "O(B C)",
    options: {
        tau / with_tau: f64 = 1.0, NON_NEGATIVE, "0 sum of exponentials, 1 cross-entropy, 2 mean absolute error";
    }
}

/// Values per sample, `[batch]`, for `logits: [batch, classes]` and `targets: [batch]`.
///
/// # Errors
/// [`LossError::EmptyBatch`], [`LossError::Shape`]. Labels out of range are not looked for; see [`check`].
pub fn comp_sum(logits: Tensor<2>, targets: Tensor<1, Int>, config: &Config) -> Result<Tensor<1>, LossError> {
    let [batch, _] = check::several_classes(NAME, &logits, &targets)?;
    Ok(phi(logits, targets.reshape([batch, 1]), config.tau))
}

/// `Phi_tau` of each row, `[batch]`, for labels as `[batch, 1]`.
pub(super) fn phi(logits: Tensor<2>, index: Tensor<2, Int>, tau: f64) -> Tensor<1> {
    let [batch, _] = logits.dims();
    let s = log_softmax(logits, 1).gather(1, index).neg().reshape([batch]);
    let slope = 1.0 - tau;
    if slope.abs() < TAU_NEAR_ONE {
        return s;
    }
    expm1((s * slope).clamp_max(EXPONENT_MAX)) / slope
}
