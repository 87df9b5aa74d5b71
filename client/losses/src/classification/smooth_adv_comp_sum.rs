//! Smooth adversarial comp-sum loss: a comp-sum loss plus how far a perturbation of the sample moves its margins.
//!
//! # Formula
//! With `h` (`logits`), `h'` (`logits_adv`), the true class `y` (`targets`) and `Phi_tau` of
//! [`comp_sum`](mod@super::comp_sum), for each sample
//!
//! - `natural = Phi_tau` of the logits `h / rho`,
//! - `shift = || ((h'_y - h'_c) - (h_y - h_c)) over c != y ||_2`,
//! - `loss = natural + nu * shift`.
//!
//! # Shapes
//! `logits: [batch, classes]` with at least 2 classes, `targets: [batch]`, `logits_adv: [batch, classes]`, the same
//! model's logits of perturbed samples; the result is `[batch]`.
//!
//! # Range and gradient
//! `[0, inf)`. The gradient flows into both logits; that of a shift of exactly 0 is 0. Adding a constant to a row of
//! either changes nothing. With `nu >= sqrt(classes - 1) / rho` the loss is at least the comp-sum loss of the margins
//! of the perturbed sample, cut off to `[0, rho]`: it bounds the loss under attack.
//!
//! # Choices
//! The paper takes the largest shift over a ball around the sample. Here the perturbed sample comes from outside:
//! start at a random point of the ball (at its centre the shift has no gradient), take ten steps of a quarter of the
//! radius along the sign of the gradient of [`Parts::shift`] with respect to the sample, projecting into the ball after
//! each, and give the logits of the last point, itself a constant. The defaults are ours; the paper's were not
//! available. As in [`comp_sum`](mod@super::comp_sum), exponents stop at 80.
//!
//! # Source
//! Mao, Mohri, Zhong: Cross-Entropy Loss Functions: Theoretical Analysis and Applications, ICML 2023, the smooth
//! adversarial comp-sum losses of the section on adversarial robustness.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Int, Tensor};
//! use synod_losses::classification::smooth_adv_comp_sum::{Config, smooth_adv_comp_sum};
//!
//! let device = Device::flex();
//! let logits = Tensor::<2>::from_data([[0.0, 0.0]], &device);
//! let targets = Tensor::<1, Int>::from_data([1], &device);
//! let attacked = Tensor::<2>::from_data([[3.0, 0.0]], &device);
//! let parts = smooth_adv_comp_sum(logits, targets, attacked, &Config::default())?;
//! let loss = parts.total(&Config::default()).into_scalar::<f32>();
//! assert!((loss - (2f32.ln() + 3.0)).abs() < 1e-6);
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::{Int, Tensor};

use super::comp_sum::phi;
use crate::check;
use crate::error::LossError;
use crate::geometry::root;
use crate::option::{NON_NEGATIVE, POSITIVE, objective};

objective! {
    "smooth_adv_comp_sum", family: "classification", file: "smooth_adv_comp_sum.rs", role: Loss, tasks: [Adversarial],
    remembers: None, cost: "O(B C)",
    options: {
        tau / with_tau: f64 = 1.0, NON_NEGATIVE, "0 sum of exponentials, 1 cross-entropy, 2 absolute error";
        rho / with_rho: f64 = 1.0, POSITIVE, "by what margins are divided";
        nu / with_nu: f64 = 1.0, NON_NEGATIVE, "weight of how far a perturbation moves the margins";
    }
}

/// The two parts of the loss, each `[batch]`.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Parts {
    /// Comp-sum loss of the samples as they are.
    pub natural: Tensor<1>,
    /// How far the perturbation moves the margins; what an attack maximises.
    pub shift: Tensor<1>,
}

impl Parts {
    /// The loss per sample, `[batch]`.
    #[must_use]
    pub fn total(self, config: &Config) -> Tensor<1> {
        self.natural + self.shift * config.nu
    }
}

/// Both parts for `logits: [batch, classes]`, `targets: [batch]` and `logits_adv: [batch, classes]`.
///
/// # Errors
/// [`LossError::EmptyBatch`], [`LossError::Shape`]. Labels out of range are not looked for; see [`check`].
pub fn smooth_adv_comp_sum(
    logits: Tensor<2>,
    targets: Tensor<1, Int>,
    logits_adv: Tensor<2>,
    config: &Config,
) -> Result<Parts, LossError> {
    let [batch, _] = check::several_classes(NAME, &logits, &targets)?;
    check::same_shape(NAME, ("logits", &logits), ("logits_adv", &logits_adv))?;
    let index = targets.reshape([batch, 1]);
    let natural = phi(logits.clone() / config.rho, index.clone(), config.tau);
    // The entry of the true class is 0 and adds nothing.
    let moved = logits_adv - logits;
    let margins = moved.clone().gather(1, index) - moved;
    Ok(Parts { natural, shift: root(margins.square().sum_dim(1)).reshape([batch]) })
}
