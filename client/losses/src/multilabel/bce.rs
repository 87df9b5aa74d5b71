//! Binary cross-entropy: each class is a yes or no of its own, predicted by a sigmoid.
//!
//! # Formula
//! With `x` the `logits`, `y` the `targets`, `s = 1 / (1 + exp(-x))`, `C` classes and `w` (`pos_weight`, all 1 if not
//! given):
//!
//! `loss_b = -(1/C) sum_c (w[c] y[b,c] ln s[b,c] + (1 - y[b,c]) ln(1 - s[b,c]))`
//!
//! # Shapes
//! `logits: [batch, classes]`, `targets: [batch, classes]`, each 0 or 1; the result is `[batch]`.
//!
//! # Range and gradient
//! `[0, inf)` and smooth. The gradient of a logit is `((1 - y + w y) s - w y) / C`, without weights `(s - y) / C`: at
//! most `max(1, w) / C` in size however wrong the prediction.
//!
//! # Choices
//! Natural logarithm, through `log_sigmoid`: logits of 1e3 are exact. The mean over classes keeps the value comparable
//! between tasks with few and with many classes. A weight above 1 makes a missed label cost more than a false one.
//! Targets between 0 and 1 are allowed and mean soft labels.
//!
//! # Source
//! Bishop: Pattern Recognition and Machine Learning, Springer 2006, section 4.3.2, equation 4.90, for each class. The
//! default, no weights, is the plain loss.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Tensor};
//! use synod_losses::multilabel::bce::{Config, binary_cross_entropy};
//!
//! let device = Device::flex();
//! let logits = Tensor::<2>::from_data([[0.0, 1000.0]], &device);
//! let targets = Tensor::<2>::from_data([[1.0, 1.0]], &device);
//! let loss = binary_cross_entropy(logits, targets, &Config::default())?.into_scalar::<f32>();
//! assert!((loss - 2f32.ln() / 2.0).abs() < 1e-6);
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::Tensor;
use burn::tensor::activation::{log_sigmoid, sigmoid};
use serde::{Deserialize, Serialize};

use crate::check;
use crate::error::{ConfigError, LossError};
use crate::info::{LossInfo, Objective, OptionInfo, Remembers, Role, TaskKind};
use crate::option::{constants, validate_per_class};

const NAME: &str = "binary_cross_entropy";

/// Options of binary cross-entropy.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// One weight of a present label per class, finite and at least 0, not all 0.
    pub pos_weight: Option<Vec<f64>>,
}

impl Config {
    /// Sets the weight of a present label, one per class.
    #[must_use]
    pub fn with_pos_weight(mut self, pos_weight: impl Into<Vec<f64>>) -> Self {
        self.pos_weight = Some(pos_weight.into());
        self
    }
}

impl Objective for Config {
    const INFO: LossInfo = LossInfo {
        name: NAME,
        family: "multilabel",
        role: Role::Loss,
        tasks: &[TaskKind::MultiLabel],
        options: &[OptionInfo::new(
            "pos_weight",
            "null",
            "one number >= 0 per class",
            "how much a present label counts",
        )],
        remembers: Remembers::None,
        cost: "O(B C)",
        file: include_str!("bce.rs"),
    };

    fn validate(self) -> Result<Self, ConfigError> {
        validate_per_class("pos_weight", self.pos_weight.as_deref())?;
        Ok(self)
    }
}

/// Values per sample, `[batch]`, for `logits: [batch, classes]` and `targets: [batch, classes]`.
///
/// # Errors
/// [`LossError::EmptyBatch`], [`LossError::Shape`], and [`LossError::PerClass`] if the number of weights is not that
/// of the classes.
pub fn binary_cross_entropy(logits: Tensor<2>, targets: Tensor<2>, config: &Config) -> Result<Tensor<1>, LossError> {
    let positives = weighted_positives(&logits, &targets, config)?;
    let [batch, _] = logits.dims();
    let present = positives * log_sigmoid(logits.clone());
    let absent = (targets.neg() + 1.0) * log_sigmoid(logits.neg());
    Ok((present + absent).mean_dim(1).neg().reshape([batch]))
}

/// `w y`, `[batch, classes]`, after checking the inputs.
fn weighted_positives(logits: &Tensor<2>, targets: &Tensor<2>, config: &Config) -> Result<Tensor<2>, LossError> {
    let [_, classes] = check::same_shape(NAME, ("logits", logits), ("targets", targets))?;
    check::per_class(NAME, "pos_weight", config.pos_weight.as_deref(), classes)?;
    Ok(match &config.pos_weight {
        Some(weights) => targets.clone() * constants(logits, weights).reshape([1, classes]),
        None => targets.clone(),
    })
}

/// Mean over the batch and its gradient with respect to the logits, in closed form.
pub(super) fn mean_and_gradient(
    logits: Tensor<2>,
    targets: Tensor<2>,
    config: &Config,
) -> Result<(Tensor<1>, Tensor<2>), LossError> {
    let positives = weighted_positives(&logits, &targets, config)?;
    let scale = 1.0 / logits.shape().num_elements() as f64;
    let negatives = targets.neg() + 1.0;
    let absent = log_sigmoid(logits.clone().neg());
    let present = log_sigmoid(logits.clone());
    let value = (positives.clone() * present + negatives.clone() * absent).sum() * -scale;
    let gradient = ((negatives + positives.clone()) * sigmoid(logits) - positives) * scale;
    Ok((value, gradient))
}
