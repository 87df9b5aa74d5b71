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

use super::modifier::{self, modifier};
use super::prior::Prior;
use crate::check;
use crate::error::LossError;
use crate::option::{NON_NEGATIVE, POSITIVE, SHARE_BELOW_ONE, objective};

objective! {
    "comic_balancer", family: "multilabel", file: "balancer.rs", role: Term, tasks: [MultiLabel],
    remembers: None, cost: "O(B C), with co-occurrence O(B C^2)",
    options: {
        gamma_pos / with_gamma_pos: f64 = 0.0, NON_NEGATIVE, "how fast well predicted labels lose their say";
        gamma_neg / with_gamma_neg: f64 = 3.0, NON_NEGATIVE,
            "the same for absent labels, before the weight of the class is added";
        clip / with_clip: f64 = 0.05, SHARE_BELOW_ONE, "the probability below which an absent label costs nothing";
        boost / with_boost: f64 = 1.2, POSITIVE,
            "how much less an absent label counts that is expected beside those present";
        weight_power / with_weight_power: f64 = 1.0 / 3.0 => "0.3333333333333333", NON_NEGATIVE,
            "how much rare classes weigh; 0 for all alike";
        balance_gamma / with_balance_gamma: f64 = 2.0, POSITIVE, "how much the branch with the larger loss prevails";
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
