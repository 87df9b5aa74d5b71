//! Cross-entropy: minus the logarithm of the probability given to the true class.
//!
//! # Formula
//! With `p = softmax(logits)`, the true class `y` (`targets`), `eps` (`label_smoothing`), `C` classes and `w`
//! (`class_weights`, all 1 if not given):
//!
//! `loss_b = -(1 - eps) w[y] ln p[b,y] - (eps / C) sum_c w[c] ln p[b,c]`
//!
//! # Shapes
//! `logits: [batch, classes]`, `targets: [batch]` with values in `0..classes`; the result is `[batch]`.
//!
//! # Range and gradient
//! `[0, inf)` and smooth. Without smoothing and weights the gradient of a row of logits is `p - onehot(y)`, at most 1
//! in size however wrong the prediction. With one class the loss is 0. Adding a constant to a row changes nothing.
//!
//! # Choices
//! Natural logarithm, through `log_softmax`: logits of 1e3 are exact. With class weights the values are already
//! multiplied by them, and a mean divides by `sum_b w[y_b]` ([`target_weights`] for
//! [`reduce_weighted`](crate::reduce_weighted)), also under smoothing, as PyTorch does: then equal weights of any size
//! are the same as no weights.
//!
//! # Source
//! Label smoothing: Szegedy, Vanhoucke, Ioffe, Shlens, Wojna: Rethinking the Inception Architecture for Computer
//! Vision, CVPR 2016, section 7. The defaults, no smoothing and no weights, give the plain loss.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Int, Tensor};
//! use synod_losses::{Reduction, reduce, classification::cross_entropy::{Config, cross_entropy}};
//!
//! let device = Device::flex();
//! let logits = Tensor::<2>::from_data([[0.0, 0.0], [1000.0, -1000.0]], &device);
//! let targets = Tensor::<1, Int>::from_data([1, 0], &device);
//! let values = cross_entropy(logits, targets, &Config::default())?;
//! let loss = reduce(values, None, Reduction::Mean)?.into_scalar::<f32>();
//! assert!((loss - 2f32.ln() / 2.0).abs() < 1e-6);
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::{Int, Tensor, activation::log_softmax};
use serde::{Deserialize, Serialize};

use super::softmax::Softmax;
use crate::check;
use crate::error::{ConfigError, LossError};
use crate::info::{LossInfo, Objective, OptionInfo, Remembers, Role, TaskKind};
use crate::option::{SHARE_BELOW_ONE, constants, validate, validate_per_class};
use crate::reduce::denominator;

const NAME: &str = "cross_entropy";

/// Options of cross-entropy.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// Share of the target that is spread evenly over all classes, in `[0, 1)`.
    pub label_smoothing: f64,
    /// One weight per class, finite and at least 0, not all 0.
    pub class_weights: Option<Vec<f64>>,
}

impl Config {
    /// Sets the share of the target that is spread evenly over all classes.
    #[must_use]
    pub fn with_label_smoothing(mut self, label_smoothing: f64) -> Self {
        self.label_smoothing = label_smoothing;
        self
    }

    /// Sets one weight per class.
    #[must_use]
    pub fn with_class_weights(mut self, class_weights: impl Into<Vec<f64>>) -> Self {
        self.class_weights = Some(class_weights.into());
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
            OptionInfo::new("label_smoothing", "0.0", "[0, 1)", "share of the target spread over all classes"),
            OptionInfo::new("class_weights", "null", "one number >= 0 per class", "how much each class counts"),
        ],
        remembers: Remembers::None,
        cost: "O(B C)",
        file: include_str!("cross_entropy.rs"),
    };

    fn validate(self) -> Result<Self, ConfigError> {
        validate("label_smoothing", &self.label_smoothing, &SHARE_BELOW_ONE)?;
        validate_per_class("class_weights", self.class_weights.as_deref())?;
        Ok(self)
    }
}

/// Values per sample, `[batch]`, for `logits: [batch, classes]` and `targets: [batch]`.
///
/// # Errors
/// [`LossError::EmptyBatch`], [`LossError::Shape`], and [`LossError::PerClass`] if the number of class weights is not
/// that of the classes. Labels out of range are not looked for; see [`check`].
pub fn cross_entropy(logits: Tensor<2>, targets: Tensor<1, Int>, config: &Config) -> Result<Tensor<1>, LossError> {
    let [batch, classes] = check_inputs(&logits, &targets, config)?;
    let log_probs = log_softmax(logits, 1);
    let log_probs = match &config.class_weights {
        Some(weights) => log_probs.clone() * constants(&log_probs, weights).reshape([1, classes]),
        None => log_probs,
    };
    let eps = config.label_smoothing;
    let truth = log_probs.clone().gather(1, targets.reshape([batch, 1]));
    let values = if eps == 0.0 { -truth } else { truth * (eps - 1.0) - log_probs.sum_dim(1) * (eps / classes as f64) };
    Ok(values.reshape([batch]))
}

/// Weight of each sample's true class, `[batch]`, by whose sum a weighted mean divides; `None` without class weights.
///
/// The weights come on the device and in the number type of `logits`.
///
/// # Errors
/// As [`cross_entropy`].
pub fn target_weights(
    logits: &Tensor<2>,
    targets: Tensor<1, Int>,
    config: &Config,
) -> Result<Option<Tensor<1>>, LossError> {
    check_inputs(logits, &targets, config)?;
    Ok(config.class_weights.as_ref().map(|weights| constants(logits, weights).gather(0, targets)))
}

pub(super) fn check_inputs(
    logits: &Tensor<2>,
    targets: &Tensor<1, Int>,
    config: &Config,
) -> Result<[usize; 2], LossError> {
    let [batch, classes] = check::classification(NAME, logits, targets)?;
    check::per_class(NAME, "class_weights", config.class_weights.as_deref(), classes)?;
    Ok([batch, classes])
}

/// Mean over the batch and its gradient with respect to the logits, in closed form.
pub(super) fn mean_and_gradient(softmax: &Softmax, config: &Config) -> (Tensor<1>, Tensor<2>) {
    let [batch, classes] = softmax.probs.dims();
    let eps = config.label_smoothing;
    let spread = eps / classes as f64;
    let truth = softmax.log_prob_of_target();
    match &config.class_weights {
        None if eps == 0.0 => {
            let gradient = softmax.minus_one_hot(1.0) * (1.0 / batch as f64);
            (truth.mean().neg(), gradient)
        }
        None => {
            let values = truth * (eps - 1.0) - softmax.sum_of_log_probs() * spread;
            let gradient = (softmax.minus_one_hot(1.0 - eps) - spread) * (1.0 / batch as f64);
            (values.mean(), gradient)
        }
        Some(weights) => {
            let weights = constants(&softmax.probs, weights);
            let of_target = weights.clone().gather(0, softmax.targets.clone().reshape([batch])).reshape([batch, 1]);
            let total = denominator(of_target.clone().sum());
            // The row's targets, spread weights first; their sum is what the probabilities are multiplied by.
            let spread_weights = weights.reshape([1, classes]) * spread;
            let hard = of_target * (1.0 - eps);
            let row_sum = hard.clone() + spread_weights.clone().sum_dim(1);
            let spread_loss = (softmax.log_probs() * spread_weights.clone()).sum();
            let value = ((truth * hard.clone()).sum() + spread_loss).neg() / total.clone();
            let soft = softmax.probs.clone() * row_sum - spread_weights;
            (value, softmax.add_to_target(soft, hard.neg()) / total.reshape([1, 1]))
        }
    }
}
