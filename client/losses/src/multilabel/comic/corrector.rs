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

use super::modifier::{COUNTS, clipped, counts, focused, site_counts};
use super::prior::{Prior, check_counts};
use crate::check;
use crate::error::LossError;
use crate::host::read_finite;
use crate::option::{INNER_SHARE, NON_NEGATIVE, POSITIVE, SHARE_BELOW_ONE, objective};
use crate::reduce::{Reduction, reduce};
use crate::state::{Facts, LossState, Memory, Remembering, Targets};

/// The column of a state with the counts of the present pass.
const RUNNING: &str = "running_counts";

objective! {
    "comic_corrector", family: "multilabel", file: "corrector.rs", role: Loss, tasks: [MultiLabel],
    remembers: Local, cost: "O(B C)",
    options: {
        tau / with_tau: f64 = 0.7, INNER_SHARE, "the probability above which a label is recalled";
        margin / with_margin: f64 = 1.0, NON_NEGATIVE, "how much is taken from the logits of given labels";
        gamma_pos / with_gamma_pos: f64 = 0.0, NON_NEGATIVE, "how fast well predicted labels lose their say";
        gamma_neg / with_gamma_neg: f64 = 3.0, NON_NEGATIVE,
            "the same for absent labels, before the weight of the class is added";
        clip / with_clip: f64 = 0.05, SHARE_BELOW_ONE, "the probability below which an absent label costs nothing";
        weight_power / with_weight_power: f64 = 1.0 / 6.0 => "0.16666666666666666", NON_NEGATIVE,
            "how much rare classes weigh; 0 for all alike";
        batch_scale / with_batch_scale: f64 = 32.0, POSITIVE,
            "what the loss is multiplied by; the released code's batch size";
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
