//! Multi-focal modifier: a focal loss for many labels that trusts a missing label less, and a rare class more.
//!
//! # Formula
//! With `x` the `logits`, `y` the `targets`, `s = 1 / (1 + exp(-x))`, `w` the weight of each class and `a` the attention
//! that a sample's labels draw to other classes ([`class_weights`](super::class_weights()),
//! [`attention`]):
//!
//! - `pos = s (1 - a)`; `neg = min(1, 1 - s + clip)`, and where `a != 0` then `neg = min(1, boost neg)`;
//! - `p = y pos + (1 - y) neg`, `e = gamma_pos y + (gamma_neg + w) (1 - y)`;
//! - `loss_b = -sum_c w[c] (y ln max(pos, 1e-8) + (1 - y) ln max(neg, 1e-8)) (1 - p)^e`
//!
//! # Shapes
//! `logits: [batch, classes]`, `targets: [batch, classes]`, each 0 or 1, a [`Prior`] with `class_counts: [classes]` and
//! `cooccurrence: [classes, classes]`, either of which may be missing; the result is `[batch]`.
//!
//! # Range and gradient
//! `[0, inf)`, at most `18.5 w` per class. `(1 - p)^e` counts as a constant, as in the paper's code. A value at a bound
//! of the clamps has no gradient: an absent label with `s <= clip` costs exactly nothing and pushes nowhere. Smooth
//! elsewhere. `0^0` is 1, so `gamma_pos = 0` leaves present labels unfocused.
//!
//! # Choices
//! Natural logarithm. `1 - s` is taken as the sigmoid of `-x`, which keeps its digits. The paper's code takes the sum
//! over the batch; a plan takes the mean, as it does for every loss, which is the same but for the batch size in the
//! learning rate. In a plan the counts are those of the site's own training data, with at least 1 for each class, there
//! is no co-occurrence, and where no counts are known (in an evaluation) every class weighs 1. For training without
//! co-occurrence the paper's code has `gamma_neg = 4` and `weight_power = 1/6`.
//!
//! # Source
//! Zhang et al.: Learning in Imperfect Environment: Multi-Label Classification with Long-Tailed Distribution and Partial
//! Labels, ICCV 2023; the defaults are those of the released code.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Tensor};
//! use synod_losses::multilabel::comic::{Prior, modifier::{Config, modifier}};
//!
//! let device = Device::flex();
//! let logits = Tensor::<2>::from_data([[0.0, -9.0]], &device);
//! let targets = Tensor::<2>::from_data([[1.0, 0.0]], &device);
//! let prior = Prior { class_counts: Some(Tensor::from_data([10.0, 2.0], &device)), ..Prior::default() };
//! let loss = modifier(logits, targets, &prior, &Config::default())?.into_scalar::<f32>();
//! assert!((loss - 2f32.ln()).abs() < 1e-6);
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::{Tensor, TensorData, activation::sigmoid};

use super::prior::{Prior, attention};
use crate::check;
use crate::error::LossError;
use crate::option::{NON_NEGATIVE, POSITIVE, SHARE_BELOW_ONE, objective};
use crate::reduce::{Reduction, reduce};
use crate::state::{Facts, LossState, Memory, Remembering, Targets};

/// Probabilities below this count as this in a logarithm, as in the paper's code.
const PROBABILITY_MIN: f64 = 1e-8;

/// The column of a state with the labels of each class.
pub(super) const COUNTS: &str = "class_counts";

objective! {
    "comic_modifier", family: "multilabel", file: "modifier.rs", role: Loss, tasks: [MultiLabel],
    remembers: Local, cost: "O(B C), with co-occurrence O(B C^2)",
    options: {
        gamma_pos / with_gamma_pos: f64 = 0.0, NON_NEGATIVE, "how fast well predicted labels lose their say";
        gamma_neg / with_gamma_neg: f64 = 3.0, NON_NEGATIVE,
            "the same for absent labels, before the weight of the class is added";
        clip / with_clip: f64 = 0.05, SHARE_BELOW_ONE, "the probability below which an absent label costs nothing";
        boost / with_boost: f64 = 1.2, POSITIVE,
            "how much less an absent label counts that is expected beside those present";
        weight_power / with_weight_power: f64 = 1.0 / 3.0 => "0.3333333333333333", NON_NEGATIVE,
            "how much rare classes weigh; 0 for all alike";
    }
}

/// Values per sample, `[batch]`, for `logits: [batch, classes]` and `targets: [batch, classes]`.
///
/// # Errors
/// [`LossError::EmptyBatch`] and [`LossError::Shape`].
pub fn modifier(logits: Tensor<2>, targets: Tensor<2>, prior: &Prior, config: &Config) -> Result<Tensor<1>, LossError> {
    let [_, classes] = check::same_shape(NAME, ("logits", &logits), ("targets", &targets))?;
    prior.check(NAME, classes)?;
    let weights = prior.weights(config.weight_power, &logits);
    let (present, absent) = (sigmoid(logits.clone()), clipped(logits, config.clip));
    let (present, absent) = match &prior.cooccurrence {
        None => (present, absent),
        Some(matrix) => {
            let attention = attention(matrix.clone(), targets.clone());
            let expected = attention.clone().not_equal_scalar(0.0);
            let boosted = (absent.clone() * config.boost).clamp_max(1.0);
            (present * (attention.neg() + 1.0), absent.mask_where(expected, boosted))
        }
    };
    Ok(focused(present, absent, targets, weights, [config.gamma_pos, config.gamma_neg]))
}

/// `min(1, 1 - s + clip)`.
pub(super) fn clipped(logits: Tensor<2>, clip: f64) -> Tensor<2> {
    (sigmoid(logits.neg()) + clip).clamp_max(1.0)
}

/// The loss, `[batch]`, from the probabilities that a label is present and absent.
pub(super) fn focused(
    present: Tensor<2>,
    absent: Tensor<2>,
    targets: Tensor<2>,
    weights: Tensor<2>,
    [gamma_pos, gamma_neg]: [f64; 2],
) -> Tensor<1> {
    let [batch, _] = targets.dims();
    let other = targets.clone().neg() + 1.0;
    let truth = targets.clone() * present.clone().detach() + other.clone() * absent.clone().detach();
    let exponent = targets.clone() * gamma_pos + (weights.clone() + gamma_neg) * other.clone();
    let focus = (truth.neg() + 1.0).clamp_min(0.0).powf(exponent);
    let logarithm = |probability: Tensor<2>| probability.clamp_min(PROBABILITY_MIN).log();
    let base = (targets * logarithm(present) + other * logarithm(absent)) * weights;
    (base * focus).sum_dim(1).neg().reshape([batch])
}

impl Remembering for Config {
    fn initial(&self, facts: &Facts<'_>) -> LossState {
        LossState::default().with_site(COUNTS, counts(facts))
    }

    fn objective(&self, outputs: Tensor<2>, targets: Targets, memory: &mut Memory<'_>) -> Result<Tensor<1>, LossError> {
        let class_counts = Some(site_counts(memory, COUNTS, &outputs)?);
        let prior = Prior { class_counts, cooccurrence: None };
        let values = modifier(outputs, targets.matrix(NAME)?, &prior, self)?;
        reduce(values, None, Reduction::Mean)
    }
}

/// Labels of each class; a class without any counts as one with a single label, for its weight to exist.
pub(super) fn counts(facts: &Facts<'_>) -> Vec<f32> {
    facts.class_counts.iter().map(|&count| count.max(1) as f32).collect()
}

/// A column of the site's state, on the device and in the number type of `like`.
pub(super) fn site_counts(
    memory: &mut Memory<'_>,
    column: &'static str,
    like: &Tensor<2>,
) -> Result<Tensor<1>, LossError> {
    let counts = memory.state().site(column)?.to_vec();
    let length = counts.len();
    Ok(Tensor::from_data(TensorData::new(counts, [length]), (&like.device(), like.dtype())))
}
