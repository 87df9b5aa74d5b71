//! Soft top-k: the labels that are present should be among the `k` with the largest similarities.
//!
//! # Formula
//! With `s` the `similarities`, `P` the present labels of a row (those of `sampled`, if given) and `t` the number for
//! which `sum_j sigmoid(alpha (s[b,j] + t)) = k`: `loss_b = -(1/|P|) sum_(p in P) ln sigmoid(alpha (s[b,p] + t))`
//!
//! # Shapes
//! `similarities: [batch, labels]` with more than `k` labels, `targets: [batch, labels]`, each 0 or 1,
//! `sampled: [batch, labels]` or none: the present labels that are used in this step. The values are `[batch]`.
//!
//! # Range and gradient
//! `[0, inf)` and smooth. `t` is differentiated through the equation that defines it: with
//! `v_j = sigmoid(z_j) (1 - sigmoid(z_j))` and `z_j = alpha (s_j + t)`, `dt/ds_j = -v_j / sum v`, a sum below 1e-30
//! counting as that. A row without present labels is 0. Adding a constant to a row changes nothing.
//!
//! # Choices
//! `t` is found by halving an interval `iters` times. Whether the sigmoids add up to more than `k` is decided from what
//! the `k` largest lack and the others have, which keeps its digits when `alpha` is large. Present labels that are not
//! sampled have a similarity of -100 and no gradient, as in the released code. `alpha = 2` and `k = 5` are the card's
//! setting for precision at 5.
//!
//! # Source
//! Gupta et al.: Dual-Encoders for Extreme Multi-Label Classification, ICLR 2024, the soft top-k operator.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Tensor};
//! use synod_losses::multilabel::soft_top_k::{Config, soft_top_k};
//!
//! let device = Device::flex();
//! let similarities = Tensor::<2>::from_data([[1.0, 1.0, 1.0, 1.0]], &device);
//! let targets = Tensor::<2>::from_data([[1.0, 0.0, 0.0, 0.0]], &device);
//! let chosen = soft_top_k(similarities, targets, None, &Config::default().with_k(2))?;
//! assert!((chosen.values.into_scalar::<f32>() - 2f32.ln()).abs() < 1e-6);
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::{
    Tensor,
    activation::{log_sigmoid, sigmoid},
};

use super::present::present;
use crate::error::LossError;
use crate::option::{Allowed, POSITIVE, objective};

/// The similarity of present labels that are not used in a step.
const UNUSED: f64 = -100.0;
/// The smallest sum of slopes that is divided by.
const SLOPES_MIN: f64 = 1e-30;

const CHOSEN: Allowed<usize> = Allowed { test: |k| *k > 0, text: "at least 1, below the number of labels" };
const HALVINGS: Allowed<usize> = Allowed { test: |iters| (1..=200).contains(iters), text: "1 to 200" };

objective! {
    "soft_top_k", family: "multilabel", file: "soft_top_k.rs", role: Loss, tasks: [MultiLabel],
    remembers: None, cost: "O(B C iters)",
    options: {
        k / with_k: usize = 5, CHOSEN, "how many labels are chosen";
        alpha / with_alpha: f64 = 2.0, POSITIVE, "how sharp the choice is";
        iters / with_iters: usize = 32, HALVINGS, "how often the interval of the threshold is halved";
    }
}

/// What [`soft_top_k`] gives.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Chosen {
    /// Values per sample, `[batch]`.
    pub values: Tensor<1>,
    /// `t` of each sample, `[batch]`, a constant.
    pub thresholds: Tensor<1>,
}

/// Values and thresholds for `similarities: [batch, labels]`, `targets: [batch, labels]` and, if not all present labels
/// are used, `sampled: [batch, labels]`.
///
/// # Errors
/// [`LossError::EmptyBatch`] and [`LossError::Shape`], also if there are not more than `k` labels.
pub fn soft_top_k(
    similarities: Tensor<2>,
    targets: Tensor<2>,
    sampled: Option<Tensor<2>>,
    config: &Config,
) -> Result<Chosen, LossError> {
    let (present, share) = present(NAME, &similarities, &targets, sampled)?;
    let [batch, labels] = similarities.dims();
    if labels <= config.k {
        let expected = format!("[{batch}, n] with n > {}, the number of labels to choose", config.k);
        return Err(LossError::Shape { loss: NAME, tensor: "similarities", expected, found: vec![batch, labels] });
    }
    let unused = (targets - present.clone()).greater_scalar(0.0);
    let similarities = similarities.mask_fill(unused, UNUSED);
    let constant = similarities.clone().detach();
    let thresholds = thresholds(constant.clone(), config);
    let chosen = sigmoid((constant.clone() + thresholds.clone()) * config.alpha);
    let slopes = chosen.clone() * (chosen.neg() + 1.0);
    let shares = slopes.clone() / slopes.sum_dim(1).clamp_min(SLOPES_MIN);
    // Zero, with the gradient of the threshold.
    let moving = ((similarities.clone() - constant) * shares).sum_dim(1).neg();
    let chosen = (similarities + (thresholds.clone() + moving)) * config.alpha;
    let values = (log_sigmoid(chosen) * present * share).sum_dim(1).neg().reshape([batch]);
    Ok(Chosen { values, thresholds: thresholds.reshape([batch]) })
}

/// `t` as `[batch, 1]`, of similarities that record nothing.
fn thresholds(similarities: Tensor<2>, config: &Config) -> Tensor<2> {
    let Config { k, alpha, iters } = *config;
    let [batch, labels] = similarities.dims();
    let sorted = similarities.sort_descending(1);
    let top = sorted.clone().slice([0..batch, 0..k]);
    let rest = sorted.clone().slice([0..batch, k..labels]);
    let mut low = sorted.clone().slice([0..batch, 0..1]).neg() - 10.0 / alpha;
    let mut high = sorted.slice([0..batch, labels - 1..labels]).neg() + 10.0 / alpha;
    for _ in 0..iters {
        let middle = (low.clone() + high.clone()) * 0.5;
        let lacking = sigmoid((top.clone() + middle.clone()) * -alpha).sum_dim(1);
        let beyond = sigmoid((rest.clone() + middle.clone()) * alpha).sum_dim(1);
        let too_few = beyond.lower(lacking);
        low = low.mask_where(too_few.clone(), middle.clone());
        high = middle.mask_where(too_few, high);
    }
    (low + high) * 0.5
}
