//! Reflective label corrector: takes a label for present that nobody gave, where the model is sure and surer than usual.
//!
//! # Formula
//! With `x` the `logits`, `y` the `targets`, `z = x - margin y`, `s = 1 / (1 + exp(-z))` and `n` the `class_counts`:
//!
//! - `t = 1` where `s > tau` and `s` is above its mean over the batch for that class, else `t = y`;
//! - new counts `n + sum_b (t - y)`, and from them the weights `w` of [`class_weights`](super::class_weights);
//! - `loss_b` is that of the [`modifier`](super::modifier()) with targets `t`, weights `w`, `pos = s` and
//!   `neg = min(1, 1 - s + clip)`, times `batch_scale` over the number of ones in all of `t`; 0 if there is none.
//!
//! # Shapes
//! `logits: [batch, classes]`, `targets: [batch, classes]`, each 0 or 1, `class_counts: [classes]` or none; the values
//! are `[batch]`, see [`Corrected`] for what else comes out.
//!
//! # Range and gradient
//! `[0, inf)`. What is recalled, the counts and the weights are constants; the margin is part of the gradient. Jumps
//! where a decision changes. Each value depends on the whole batch, through the means and the number of ones.
//!
//! # Choices
//! The paper's code takes the sum over the batch and adds 0.2 times this loss to the modifier from the second pass on;
//! a plan takes the mean. There the running counts are the site's: they begin anew with the site's own counts in each
//! pass over its data and are not shared. Without counts every class weighs 1. `batch_scale` is the paper's batch size,
//! so that the sum is one of means over labels.
//!
//! # Source
//! Zhang et al.: Learning in Imperfect Environment: Multi-Label Classification with Long-Tailed Distribution and Partial
//! Labels, ICCV 2023; the defaults are those of the released code, whose `tau` is fixed.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Tensor};
//! use synod_losses::multilabel::comic::corrector::{Config, corrector};
//!
//! let device = Device::flex();
//! let logits = Tensor::<2>::from_data([[5.0], [-5.0]], &device);
//! let targets = Tensor::<2>::zeros([2, 1], &device);
//! let corrected = corrector(logits, targets, None, &Config::default())?;
//! assert_eq!(corrected.targets.try_into_vec_as::<f32>().ok(), Some(vec![1.0, 0.0]));
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::{Tensor, activation::sigmoid};
use serde::{Deserialize, Serialize};

use super::modifier::{COUNTS, clipped, counts, focused, site_counts};
use super::prior::{Prior, check_counts};
use crate::check;
use crate::error::{ConfigError, LossError};
use crate::host::read_finite;
use crate::info::{LossInfo, Objective, OptionInfo, Remembers, Role, TaskKind};
use crate::option::{INNER_SHARE, NON_NEGATIVE, POSITIVE, SHARE_BELOW_ONE, validate};
use crate::reduce::{Reduction, reduce};
use crate::state::{Facts, LossState, Memory, Remembering, Targets};

/// The column of a state with the counts of the present pass.
const RUNNING: &str = "running_counts";

const NAME: &str = "comic_corrector";

/// Options of the reflective label corrector.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// The probability above which a label is recalled; above 0, below 1.
    pub tau: f64,
    /// How much is taken from the logits of given labels; finite, >= 0.
    pub margin: f64,
    /// How fast well predicted labels lose their say; finite, >= 0.
    pub gamma_pos: f64,
    /// The same for absent labels, before the weight of the class is added; finite, >= 0.
    pub gamma_neg: f64,
    /// The probability below which an absent label costs nothing; at least 0, below 1.
    pub clip: f64,
    /// How much rare classes weigh; 0 for all alike; finite, >= 0.
    pub weight_power: f64,
    /// What the loss is multiplied by; the released code's batch size; finite, > 0.
    pub batch_scale: f64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            tau: 0.7,
            margin: 1.0,
            gamma_pos: 0.0,
            gamma_neg: 3.0,
            clip: 0.05,
            weight_power: 1.0 / 6.0,
            batch_scale: 32.0,
        }
    }
}

impl Config {
    /// Sets the probability above which a label is recalled.
    #[must_use]
    pub fn with_tau(mut self, tau: f64) -> Self {
        self.tau = tau;
        self
    }

    /// Sets how much is taken from the logits of given labels.
    #[must_use]
    pub fn with_margin(mut self, margin: f64) -> Self {
        self.margin = margin;
        self
    }

    /// Sets how fast well predicted labels lose their say.
    #[must_use]
    pub fn with_gamma_pos(mut self, gamma_pos: f64) -> Self {
        self.gamma_pos = gamma_pos;
        self
    }

    /// Sets the same for absent labels, before the weight of the class is added.
    #[must_use]
    pub fn with_gamma_neg(mut self, gamma_neg: f64) -> Self {
        self.gamma_neg = gamma_neg;
        self
    }

    /// Sets the probability below which an absent label costs nothing.
    #[must_use]
    pub fn with_clip(mut self, clip: f64) -> Self {
        self.clip = clip;
        self
    }

    /// Sets how much rare classes weigh; 0 for all alike.
    #[must_use]
    pub fn with_weight_power(mut self, weight_power: f64) -> Self {
        self.weight_power = weight_power;
        self
    }

    /// Sets what the loss is multiplied by; the released code's batch size.
    #[must_use]
    pub fn with_batch_scale(mut self, batch_scale: f64) -> Self {
        self.batch_scale = batch_scale;
        self
    }
}

impl Objective for Config {
    const INFO: LossInfo = LossInfo {
        name: NAME,
        family: "multilabel",
        role: Role::Loss,
        tasks: &[TaskKind::MultiLabel],
        options: &[
            OptionInfo::new("tau", "0.7", "above 0, below 1", "the probability above which a label is recalled"),
            OptionInfo::new("margin", "1.0", "finite, >= 0", "how much is taken from the logits of given labels"),
            OptionInfo::new("gamma_pos", "0.0", "finite, >= 0", "how fast well predicted labels lose their say"),
            OptionInfo::new(
                "gamma_neg",
                "3.0",
                "finite, >= 0",
                "the same for absent labels, before the weight of the class is added",
            ),
            OptionInfo::new(
                "clip",
                "0.05",
                "at least 0, below 1",
                "the probability below which an absent label costs nothing",
            ),
            OptionInfo::new(
                "weight_power",
                "0.16666666666666666",
                "finite, >= 0",
                "how much rare classes weigh; 0 for all alike",
            ),
            OptionInfo::new(
                "batch_scale",
                "32.0",
                "finite, > 0",
                "what the loss is multiplied by; the released code's batch size",
            ),
        ],
        remembers: Remembers::Local,
        cost: "O(B C)",
        file: include_str!("corrector.rs"),
    };

    fn validate(self) -> Result<Self, ConfigError> {
        validate("tau", &self.tau, &INNER_SHARE)?;
        validate("margin", &self.margin, &NON_NEGATIVE)?;
        validate("gamma_pos", &self.gamma_pos, &NON_NEGATIVE)?;
        validate("gamma_neg", &self.gamma_neg, &NON_NEGATIVE)?;
        validate("clip", &self.clip, &SHARE_BELOW_ONE)?;
        validate("weight_power", &self.weight_power, &NON_NEGATIVE)?;
        validate("batch_scale", &self.batch_scale, &POSITIVE)?;
        Ok(self)
    }
}

/// What [`corrector`] gives.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Corrected {
    /// Values per sample, `[batch]`.
    pub values: Tensor<1>,
    /// Targets with the recalled labels, `[batch, classes]`.
    pub targets: Tensor<2>,
    /// Counts with the recalled labels, `[classes]`; `None` if no counts were given.
    pub class_counts: Option<Tensor<1>>,
    /// Weights that follow from them, `[1, classes]`.
    pub weights: Tensor<2>,
}

/// Values and corrected targets for `logits: [batch, classes]`, `targets: [batch, classes]` and, if they are known,
/// `class_counts: [classes]`, above 0.
///
/// # Errors
/// [`LossError::EmptyBatch`] and [`LossError::Shape`].
pub fn corrector(
    logits: Tensor<2>,
    targets: Tensor<2>,
    class_counts: Option<Tensor<1>>,
    config: &Config,
) -> Result<Corrected, LossError> {
    let [_, classes] = check::same_shape(NAME, ("logits", &logits), ("targets", &targets))?;
    check_counts(NAME, class_counts.as_ref(), classes)?;
    let shifted = logits - targets.clone() * config.margin;
    let present = sigmoid(shifted.clone());
    let sure = present.clone().detach();
    let usual = sure.clone().mean_dim(0).expand(sure.dims());
    let recalled = sure.clone().greater_scalar(config.tau).bool_and(sure.greater(usual));
    let corrected = targets.clone().mask_fill(recalled, 1.0);
    let found = (corrected.clone() - targets).sum_dim(0).reshape([classes]);
    let class_counts = class_counts.map(|counts| counts + found);
    let prior = Prior { class_counts: class_counts.clone(), cooccurrence: None };
    let weights = prior.weights(config.weight_power, &shifted);
    let absent = clipped(shifted, config.clip);
    let gammas = [config.gamma_pos, config.gamma_neg];
    let ones = corrected.clone().sum();
    let none = ones.clone().equal_scalar(0.0);
    let scale = (ones.clamp_min(1.0).recip() * config.batch_scale).mask_fill(none, 0.0);
    let values = focused(present, absent, corrected.clone(), weights.clone(), gammas) * scale;
    Ok(Corrected { values, targets: corrected, class_counts, weights })
}

impl Remembering for Config {
    fn initial(&self, facts: &Facts<'_>) -> LossState {
        LossState::default().with_site(COUNTS, counts(facts)).with_site(RUNNING, counts(facts))
    }

    fn begin_pass(&self, state: &mut LossState) {
        // A state of another loss has no such columns; the objective says so.
        if let Ok(counts) = state.site(COUNTS).map(<[f32]>::to_vec) {
            let _ = state.set_site(RUNNING, &counts);
        }
    }

    fn objective(&self, outputs: Tensor<2>, targets: Targets, memory: &mut Memory<'_>) -> Result<Tensor<1>, LossError> {
        let class_counts = site_counts(memory, RUNNING, &outputs)?;
        let corrected = corrector(outputs, targets.matrix(NAME)?, Some(class_counts), self)?;
        if let Some(counts) = corrected.class_counts {
            let counts = read_finite(RUNNING, &counts)?;
            let counts: Vec<f32> = counts.iter().map(|&count| count as f32).collect();
            memory.state().set_site(RUNNING, &counts)?;
        }
        reduce(corrected.values, None, Reduction::Mean)
    }
}
