//! The contrastive loss without its softmax: similarity of positives is rewarded, that of negatives punished, linearly.
//!
//! # Formula
//! With `s_ik` the cosine of anchor `i` and key `k`, and `H_i` the `K` largest negatives `s_ik`, `k != i`, of anchor
//! `i`, `K = max(1, ceil(alpha (N - 1)))`:
//!
//! `loss_i = -s_ii + lambda sum_{k in H_i} s_ik`
//!
//! `alpha = 1` keeps all negatives and is the paper's simple loss; below it is its hard simple loss.
//!
//! # Shapes
//! `anchors, keys: [n, d]`, row `i` of the keys belongs to anchor `i`; the result is `[n]`.
//!
//! # Range and gradient
//! `[-1 - lambda K, 1 + lambda K]`, smooth except where two negatives change places at the border of the hardest.
//! Which negatives are kept is a constant. Every negative is pushed away equally, however near it is: it takes a small
//! `alpha` to learn from this loss. Gradients reach anchors and keys. One pair alone is refused.
//!
//! # Choices
//! The quantile of the paper is made a number of negatives by rounding up. A row of zeros has the similarity 0.
//!
//! # Source
//! Wang, Liu: Understanding the Behaviour of Contrastive Loss, CVPR 2021. It compares values of
//! `lambda`; the default weighs positives and each negative alike.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Tensor};
//! use synod_losses::contrastive::simple_contrastive::{Config, simple_contrastive};
//!
//! let anchors = Tensor::<2>::from_data([[2.0, 0.0], [0.0, 1.0]], &Device::flex());
//! let values = simple_contrastive(anchors.clone(), anchors, &Config::default())?;
//! assert!((values.mean().into_scalar::<f32>() + 1.0).abs() < 1e-6);
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::Tensor;

use super::info_nce::negatives_kept;
use super::similarity::{LENGTH_MIN, check_pair, largest, off_diagonal, unit};
use crate::error::LossError;
use crate::option::{POSITIVE, RATE, objective};

objective! {
    "simple_contrastive", family: "contrastive", file: "simple_contrastive.rs", role: Loss,
    tasks: [SelfSupervised, Retrieval],
    remembers: None, cost: "O(B^2 D)",
    options: {
        lambda / with_lambda: f64 = 1.0, POSITIVE, "weight of each negative";
        alpha / with_alpha: f64 = 1.0, RATE, "share of the negatives that is kept, the hardest";
    }
}

/// Values per anchor, `[n]`, for `anchors, keys: [n, d]`.
///
/// # Errors
/// [`LossError::EmptyBatch`] and [`LossError::Shape`] if the shapes differ or there are fewer than two pairs.
pub fn simple_contrastive(anchors: Tensor<2>, keys: Tensor<2>, config: &Config) -> Result<Tensor<1>, LossError> {
    let [n, _] = check_pair(NAME, ("anchors", &anchors), ("keys", &keys), 2)?;
    let (anchors, keys) = (unit(anchors, LENGTH_MIN), unit(keys, LENGTH_MIN));
    let positives = (anchors.clone() * keys.clone()).sum_dim(1);
    let negatives = if config.alpha >= 1.0 {
        // The sum over all keys is one product: O(B D), not O(B^2 D).
        (anchors * keys.sum_dim(0)).sum_dim(1) - positives.clone()
    } else {
        let negatives = off_diagonal(anchors.matmul(keys.transpose()));
        largest(negatives, negatives_kept(n, config.alpha)).sum_dim(1)
    };
    Ok((negatives * config.lambda - positives).reshape([n]))
}
