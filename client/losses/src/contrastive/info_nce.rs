//! InfoNCE: each anchor must find its key among the keys of the batch; with `alpha` below 1 among the hardest only.
//!
//! # Formula
//! With `s_ik` the cosine of anchor `i` and key `k`, `tau` the `temperature` and `H_i` the `K` largest negatives
//! `s_ik`, `k != i`, of anchor `i`, `K = max(1, ceil(alpha (N - 1)))`:
//!
//! `loss_i = ln( exp(s_ii / tau) + sum_{k in H_i} exp(s_ik / tau) ) - s_ii / tau`
//!
//! `alpha = 1` keeps all negatives and is the plain contrastive loss; below it is the hard contrastive loss.
//! [`relative_penalty`] is the share of the negative gradient that each negative receives, `softmax_{k != i}(s_ik /
//! tau)`.
//!
//! # Shapes
//! `anchors, keys: [n, d]`, row `i` of the keys belongs to anchor `i`; the result is `[n]`, the penalties are
//! `[n, n - 1]` in the order of the keys.
//!
//! # Range and gradient
//! `[0, inf)`, smooth except where two negatives change places at the border of the hardest. For each anchor, the
//! gradients of its similarities add up to 0. Which negatives are kept is a constant. Gradients reach anchors and
//! keys; detach keys that come from a momentum encoder or a queue. One pair alone has the loss 0 if `alpha` is 1 and
//! is refused otherwise, for lack of a negative. A row of zeros has the similarity 0 to all.
//!
//! # Choices
//! The quantile of the paper is made a number of negatives by rounding up. Differences to the positive are taken
//! before the logarithm of the sum, so that losses near 0 are not lost to rounding. The default temperature is in the
//! range the paper finds good for the plain loss; hard losses bear larger ones.
//!
//! # Source
//! Wang, Liu: Understanding the Behaviour of Contrastive Loss, CVPR 2021; van den Oord, Li,
//! Vinyals: Representation Learning with Contrastive Predictive Coding, 2018.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Tensor};
//! use synod_losses::contrastive::info_nce::{Config, info_nce};
//!
//! let device = Device::flex();
//! let anchors = Tensor::<2>::from_data([[1.0, 0.0], [0.0, 1.0]], &device);
//! let values = info_nce(anchors.clone(), anchors, &Config::default().with_temperature(1.0))?;
//! let expected = (1.0 + (-1f32).exp()).ln();
//! assert!((values.mean().into_scalar::<f32>() - expected).abs() < 1e-6);
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::Tensor;
use burn::tensor::activation::softmax;

use super::similarity::{LENGTH_MIN, check_pair, diagonal, largest, log_sum_exp, off_diagonal, unit};
use crate::error::LossError;
use crate::option::{POSITIVE, RATE, objective};

objective! {
    "info_nce", family: "contrastive", file: "info_nce.rs", role: Loss, tasks: [SelfSupervised, Retrieval],
    remembers: None, cost: "O(B^2 D)",
    options: {
        temperature / with_temperature: f64 = 0.2, POSITIVE, "divisor of similarities";
        alpha / with_alpha: f64 = 1.0, RATE, "share of the negatives that is kept, the hardest";
    }
}

/// Values per anchor, `[n]`, for `anchors, keys: [n, d]`.
///
/// # Errors
/// [`LossError::EmptyBatch`] and [`LossError::Shape`] if there is nothing to compare, the shapes differ, or there is
/// one pair only and `alpha` is below 1.
pub fn info_nce(anchors: Tensor<2>, keys: Tensor<2>, config: &Config) -> Result<Tensor<1>, LossError> {
    let all = config.alpha >= 1.0;
    let [n, _] = check_pair(NAME, ("anchors", &anchors), ("keys", &keys), if all { 1 } else { 2 })?;
    let gaps = gaps(anchors, keys, config.temperature);
    let kept = if all {
        gaps
    } else {
        let hardest = largest(off_diagonal(gaps.clone()), negatives_kept(n, config.alpha));
        Tensor::cat(vec![diagonal(gaps), hardest], 1)
    };
    Ok(log_sum_exp(kept).reshape([n]))
}

/// Share of the negative gradient that each negative of an anchor receives, `[n, n - 1]`, for `anchors, keys: [n, d]`.
/// Rows add up to 1.
///
/// # Errors
/// [`LossError::EmptyBatch`] and [`LossError::Shape`] if the shapes differ or there are no negatives.
pub fn relative_penalty(anchors: Tensor<2>, keys: Tensor<2>, config: &Config) -> Result<Tensor<2>, LossError> {
    check_pair(NAME, ("anchors", &anchors), ("keys", &keys), 2)?;
    Ok(softmax(off_diagonal(gaps(anchors, keys, config.temperature)), 1))
}

/// `(s_ik - s_ii) / tau`.
fn gaps(anchors: Tensor<2>, keys: Tensor<2>, temperature: f64) -> Tensor<2> {
    let logits = unit(anchors, LENGTH_MIN).matmul(unit(keys, LENGTH_MIN).transpose()) / temperature;
    logits.clone() - diagonal(logits)
}

/// `K` of the formula.
pub(super) fn negatives_kept(n: usize, alpha: f64) -> usize {
    let kept = (alpha * (n - 1) as f64).ceil() as usize;
    kept.clamp(1, n - 1)
}
