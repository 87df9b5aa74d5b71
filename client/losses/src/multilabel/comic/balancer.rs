//! Head-and-tail balancer: a branch of the model for frequent classes and one for rare ones teach a balanced branch.
//!
//! # Formula
//! With `L(x)` the sum over the batch of the [`modifier`](super::modifier()) at logits `x`, `h`, `t` and `m` the logits
//! `head`, `tail` and `balanced`, `g = balance_gamma` and the softmax over classes:
//!
//! - `w_h = L(h)^g / (L(h)^g + L(t)^g)`, `w_t = 1 - w_h`;
//! - `loss = w_h L(softmax(h) softmax(m)) + w_t L(softmax(t) softmax(m))`, products entry by entry and taken as logits.
//!
//! # Shapes
//! [`Branches`] of three times `[batch, classes]`, `targets: [batch, classes]`, each 0 or 1, and a [`Prior`]; the loss is
//! `[1]`, because the weights belong to the whole batch.
//!
//! # Range and gradient
//! `[0, inf)`. Inside the products `softmax(h)` and `softmax(t)` are constants; through `w_h` and `w_t` the head and the
//! tail have a gradient. If both branches have no loss at all, each weighs a half.
//!
//! # Choices
//! The losses of the branches are divided by the larger of the two before they are raised to `g`, which changes nothing
//! and cannot overflow. The sum over the batch is the released code's; there the balancer is present and not called.
//!
//! # Source
//! Zhang et al.: Learning in Imperfect Environment: Multi-Label Classification with Long-Tailed Distribution and Partial
//! Labels, ICCV 2023; the defaults are those of the released code.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Tensor};
//! use synod_losses::multilabel::comic::{Prior, balancer::{Branches, Config, balancer}};
//!
//! let device = Device::flex();
//! let zeros = || Tensor::<2>::zeros([1, 2], &device);
//! let branches = Branches { head: zeros(), tail: zeros(), balanced: zeros() };
//! let balanced = balancer(branches, &zeros(), &Prior::default(), &Config::default())?;
//! assert_eq!(balanced.head_weight.into_scalar::<f32>(), 0.5);
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::{Tensor, activation::softmax};
use serde::{Deserialize, Serialize};

use super::modifier::{self, modifier};
use super::prior::Prior;
use crate::check;
use crate::error::{ConfigError, LossError};
use crate::info::{LossInfo, Objective, OptionInfo, Remembers, Role, TaskKind};
use crate::option::{POSITIVE, validate};

const NAME: &str = "comic_balancer";

/// Options of the head-and-tail balancer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// How fast well predicted labels lose their say; finite, >= 0.
    pub gamma_pos: f64,
    /// The same for absent labels, before the weight of the class is added; finite, >= 0.
    pub gamma_neg: f64,
    /// The probability below which an absent label costs nothing; at least 0, below 1.
    pub clip: f64,
    /// How much less an absent label counts that is expected beside those present; finite, > 0.
    pub boost: f64,
    /// How much rare classes weigh; 0 for all alike; finite, >= 0.
    pub weight_power: f64,
    /// How much the branch with the larger loss prevails; finite, > 0.
    pub balance_gamma: f64,
}

impl Default for Config {
    fn default() -> Self {
        Self { gamma_pos: 0.0, gamma_neg: 3.0, clip: 0.05, boost: 1.2, weight_power: 1.0 / 3.0, balance_gamma: 2.0 }
    }
}

impl Config {
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

    /// Sets how much less an absent label counts that is expected beside those present.
    #[must_use]
    pub fn with_boost(mut self, boost: f64) -> Self {
        self.boost = boost;
        self
    }

    /// Sets how much rare classes weigh; 0 for all alike.
    #[must_use]
    pub fn with_weight_power(mut self, weight_power: f64) -> Self {
        self.weight_power = weight_power;
        self
    }

    /// Sets how much the branch with the larger loss prevails.
    #[must_use]
    pub fn with_balance_gamma(mut self, balance_gamma: f64) -> Self {
        self.balance_gamma = balance_gamma;
        self
    }
}

impl Objective for Config {
    const INFO: LossInfo = LossInfo {
        name: NAME,
        family: "multilabel",
        role: Role::Term,
        tasks: &[TaskKind::MultiLabel],
        options: &[
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
                "boost",
                "1.2",
                "finite, > 0",
                "how much less an absent label counts that is expected beside those present",
            ),
            OptionInfo::new(
                "weight_power",
                "0.3333333333333333",
                "finite, >= 0",
                "how much rare classes weigh; 0 for all alike",
            ),
            OptionInfo::new("balance_gamma", "2.0", "finite, > 0", "how much the branch with the larger loss prevails"),
        ],
        remembers: Remembers::None,
        cost: "O(B C), with co-occurrence O(B C^2)",
        file: include_str!("balancer.rs"),
    };

    fn validate(self) -> Result<Self, ConfigError> {
        self.modifier().validate()?;
        validate("balance_gamma", &self.balance_gamma, &POSITIVE)?;
        Ok(self)
    }
}

impl Config {
    /// The options of the modifier.
    fn modifier(&self) -> modifier::Config {
        modifier::Config::default()
            .with_gamma_pos(self.gamma_pos)
            .with_gamma_neg(self.gamma_neg)
            .with_clip(self.clip)
            .with_boost(self.boost)
            .with_weight_power(self.weight_power)
    }
}

/// Logits of the three branches, each `[batch, classes]`.
#[derive(Debug, Clone)]
pub struct Branches {
    /// Of the branch for frequent classes.
    pub head: Tensor<2>,
    /// Of the branch for rare classes.
    pub tail: Tensor<2>,
    /// Of the branch that learns from both.
    pub balanced: Tensor<2>,
}

/// What [`balancer`] gives.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Balanced {
    /// The loss, `[1]`.
    pub loss: Tensor<1>,
    /// Weight of the head, `[1]`.
    pub head_weight: Tensor<1>,
    /// Weight of the tail, `[1]`.
    pub tail_weight: Tensor<1>,
}

/// Smallest loss that is told from none.
const LOSS_MIN: f64 = 1e-30;

/// Loss and weights for the logits of three branches and `targets: [batch, classes]`.
///
/// # Errors
/// [`LossError::EmptyBatch`] and [`LossError::Shape`].
pub fn balancer(
    branches: Branches,
    targets: &Tensor<2>,
    prior: &Prior,
    config: &Config,
) -> Result<Balanced, LossError> {
    let Branches { head, tail, balanced } = branches;
    for (name, branch) in [("head", &head), ("tail", &tail), ("balanced", &balanced)] {
        check::same_shape(NAME, (name, branch), ("targets", targets))?;
    }
    let options = config.modifier();
    let sum = |logits: Tensor<2>| Ok::<_, LossError>(modifier(logits, targets.clone(), prior, &options)?.sum());
    let (of_head, of_tail) = (sum(head.clone())?, sum(tail.clone())?);
    let larger = of_head.clone().max_pair(of_tail.clone()).detach();
    let nothing = larger.clone().lower_scalar(LOSS_MIN);
    // The half on either side is what both weigh where neither has a loss.
    let share = |loss: Tensor<1>| {
        (loss / larger.clone().clamp_min(LOSS_MIN)).powf_scalar(config.balance_gamma).mask_fill(nothing.clone(), 0.5)
    };
    let (of_head, of_tail) = (share(of_head), share(of_tail));
    let total = of_head.clone() + of_tail.clone();
    let (head_weight, tail_weight) = (of_head / total.clone(), of_tail / total);
    let balanced = softmax(balanced, 1);
    let taught = |teacher: Tensor<2>| sum(softmax(teacher.detach(), 1) * balanced.clone());
    let loss = head_weight.clone() * taught(head)? + tail_weight.clone() * taught(tail)?;
    Ok(Balanced { loss, head_weight, tail_weight })
}
