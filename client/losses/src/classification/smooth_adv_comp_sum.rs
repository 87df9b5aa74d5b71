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
use serde::{Deserialize, Serialize};

use super::comp_sum::phi;
use crate::check;
use crate::error::{ConfigError, LossError};
use crate::geometry::root;
use crate::info::{LossInfo, Objective, OptionInfo, Remembers, Role, TaskKind};
use crate::option::{NON_NEGATIVE, POSITIVE, validate};

const NAME: &str = "smooth_adv_comp_sum";

/// Options of the smooth adversarial comp-sum loss.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// Which comp-sum loss, finite and at least 0.
    pub tau: f64,
    /// By what margins are divided, finite and above 0.
    pub rho: f64,
    /// Weight of the shift, finite and at least 0.
    pub nu: f64,
}

impl Default for Config {
    fn default() -> Self {
        Self { tau: 1.0, rho: 1.0, nu: 1.0 }
    }
}

impl Config {
    /// Sets which comp-sum loss it is.
    #[must_use]
    pub fn with_tau(mut self, tau: f64) -> Self {
        self.tau = tau;
        self
    }

    /// Sets by what margins are divided.
    #[must_use]
    pub fn with_rho(mut self, rho: f64) -> Self {
        self.rho = rho;
        self
    }

    /// Sets the weight of the shift.
    #[must_use]
    pub fn with_nu(mut self, nu: f64) -> Self {
        self.nu = nu;
        self
    }
}

impl Objective for Config {
    const INFO: LossInfo = LossInfo {
        name: NAME,
        family: "classification",
        role: Role::Loss,
        tasks: &[TaskKind::Adversarial],
        options: &[
            OptionInfo::new("tau", "1.0", "finite, >= 0", "0 sum of exponentials, 1 cross-entropy, 2 absolute error"),
            OptionInfo::new("rho", "1.0", "finite, > 0", "by what margins are divided"),
            OptionInfo::new("nu", "1.0", "finite, >= 0", "weight of how far a perturbation moves the margins"),
        ],
        remembers: Remembers::None,
        cost: "O(B C)",
        file: include_str!("smooth_adv_comp_sum.rs"),
    };

    fn validate(self) -> Result<Self, ConfigError> {
        validate("tau", &self.tau, &NON_NEGATIVE)?;
        validate("rho", &self.rho, &POSITIVE)?;
        validate("nu", &self.nu, &NON_NEGATIVE)?;
        Ok(self)
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
