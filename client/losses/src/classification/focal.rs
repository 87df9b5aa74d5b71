//! Focal loss: cross-entropy in which samples count less the better they are predicted.
//!
//! # Formula
//! With `p_t` the softmax probability of the true class `y` (`targets`), `gamma`, and `alpha` per class (1 if not
//! given): `loss_b = -alpha[y] (1 - p_t)^gamma ln p_t`
//!
//! # Shapes
//! `logits: [batch, classes]`, `targets: [batch]` with values in `0..classes`; the result is `[batch]`.
//!
//! # Range and gradient
//! `[0, inf)`, for `alpha = 1` never above cross-entropy. Smooth. The gradient of a row of logits is
//! `alpha[y] ((1 - p_t)^gamma - gamma p_t (1 - p_t)^(gamma-1) ln p_t) (p - onehot(y))`; it vanishes for a sample that
//! is predicted with certainty. With one class the loss is 0. `gamma = 0` gives cross-entropy times `alpha`.
//!
//! # Choices
//! Natural logarithm. The form for several classes takes the softmax where the paper, which detects objects against a
//! background, takes the sigmoid. `1 - p_t` is summed from the other classes' probabilities, so it keeps its digits
//! when `p_t` is near 1, and is kept above 1e-7, because the derivative of a power below 1 is infinite at 0. A mean
//! divides by the number of samples, not by the sum of `alpha`: there `alpha` balances classes, and dividing by it
//! again would undo a part of that. The default `gamma = 2` without `alpha` is the paper's setting for `gamma`; its
//! `alpha = 0.25` belongs to two classes.
//!
//! # Source
//! Lin, Goyal, Girshick, He, Dollár: Focal Loss for Dense Object Detection, ICCV 2017, equation 5.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Int, Tensor};
//! use synod_losses::classification::focal::{Config, focal};
//!
//! let device = Device::flex();
//! let logits = Tensor::<2>::from_data([[0.0, 0.0]], &device);
//! let targets = Tensor::<1, Int>::from_data([1], &device);
//! let loss = focal(logits, targets, &Config::default())?.into_scalar::<f32>();
//! assert!((loss - 0.25 * 2f32.ln()).abs() < 1e-6);
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::{IndexingUpdateOp, Int, Tensor, activation::log_softmax};
use serde::{Deserialize, Serialize};

use super::softmax::Softmax;
use crate::check;
use crate::error::{ConfigError, LossError};
use crate::info::{LossInfo, Objective, OptionInfo, Remembers, Role, TaskKind};
use crate::option::{NON_NEGATIVE, constants, validate, validate_per_class};

const NAME: &str = "focal";

/// Lower bound of `1 - p_t`. Below it the loss is under 1e-7 anyway; every float type of the devices can hold it.
const OTHERS_MIN: f64 = 1e-7;

/// Options of focal loss.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// How fast well predicted samples lose their say, finite and at least 0.
    pub gamma: f64,
    /// One weight per class, finite and at least 0, not all 0.
    pub alpha: Option<Vec<f64>>,
}

impl Default for Config {
    fn default() -> Self {
        Self { gamma: 2.0, alpha: None }
    }
}

impl Config {
    /// Sets how fast well predicted samples lose their say.
    #[must_use]
    pub fn with_gamma(mut self, gamma: f64) -> Self {
        self.gamma = gamma;
        self
    }

    /// Sets one weight per class.
    #[must_use]
    pub fn with_alpha(mut self, alpha: impl Into<Vec<f64>>) -> Self {
        self.alpha = Some(alpha.into());
        self
    }
}

impl Objective for Config {
    const INFO: LossInfo = LossInfo {
        name: NAME,
        family: "classification",
        role: Role::Loss,
        tasks: &[TaskKind::Classification],
        options: &[
            OptionInfo::new("gamma", "2.0", "finite, >= 0", "how fast well predicted samples lose their say"),
            OptionInfo::new("alpha", "null", "one number >= 0 per class", "how much each class counts"),
        ],
        remembers: Remembers::None,
        cost: "O(B C)",
        file: include_str!("focal.rs"),
    };

    fn validate(self) -> Result<Self, ConfigError> {
        validate("gamma", &self.gamma, &NON_NEGATIVE)?;
        validate_per_class("alpha", self.alpha.as_deref())?;
        Ok(self)
    }
}

/// Values per sample, `[batch]`, for `logits: [batch, classes]` and `targets: [batch]`.
///
/// # Errors
/// [`LossError::EmptyBatch`], [`LossError::Shape`], and [`LossError::PerClass`] if the number of `alpha` is not that
/// of the classes. Labels out of range are not looked for; see [`check`].
pub fn focal(logits: Tensor<2>, targets: Tensor<1, Int>, config: &Config) -> Result<Tensor<1>, LossError> {
    let [batch, _] = check_inputs(&logits, &targets, config)?;
    let index = targets.clone().reshape([batch, 1]);
    let log_probs = log_softmax(logits, 1);
    let truth = log_probs.clone().gather(1, index.clone());
    let values = if config.gamma == 0.0 {
        -truth
    } else {
        let others = probability_of_others(log_probs.exp(), index);
        -(others.powf_scalar(config.gamma) * truth)
    };
    let values = values.reshape([batch]);
    Ok(match &config.alpha {
        Some(alpha) => constants(&values, alpha).gather(0, targets) * values,
        None => values,
    })
}

/// `1 - p_t` as `[batch, 1]`, by adding up the other classes.
fn probability_of_others(probs: Tensor<2>, index: Tensor<2, Int>) -> Tensor<2> {
    // The same number is taken away that is there, which leaves exactly zero.
    let of_target = probs.clone().gather(1, index.clone());
    probs.scatter(1, index, of_target.neg(), IndexingUpdateOp::Add).sum_dim(1).clamp_min(OTHERS_MIN)
}

pub(super) fn check_inputs(
    logits: &Tensor<2>,
    targets: &Tensor<1, Int>,
    config: &Config,
) -> Result<[usize; 2], LossError> {
    let [batch, classes] = check::classification(NAME, logits, targets)?;
    check::per_class(NAME, "alpha", config.alpha.as_deref(), classes)?;
    Ok([batch, classes])
}

/// Mean over the batch and its gradient with respect to the logits, in closed form.
pub(super) fn mean_and_gradient(softmax: &Softmax, config: &Config) -> (Tensor<1>, Tensor<2>) {
    let [batch, _] = softmax.probs.dims();
    let gamma = config.gamma;
    let truth = softmax.log_prob_of_target();
    let others = probability_of_others(softmax.probs.clone(), softmax.targets.clone());
    let modulation = others.clone().powf_scalar(gamma);
    let slope = others.powf_scalar(gamma - 1.0) * truth.clone().exp() * truth.clone() * gamma;
    let scale = 1.0 / batch as f64;
    let alpha = config.alpha.as_ref().map(|alpha| {
        constants(&softmax.probs, alpha).gather(0, softmax.targets.clone().reshape([batch])).reshape([batch, 1])
    });
    let (values, rows) = (truth * modulation.clone(), (modulation - slope) * scale);
    let (values, rows) = match alpha {
        Some(alpha) => (values * alpha.clone(), rows * alpha),
        None => (values, rows),
    };
    (values.mean().neg(), softmax.minus_one_hot(1.0) * rows)
}
