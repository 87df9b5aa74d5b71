//! Multi-similarity loss: all samples of an anchor's class pull and all others push, the worst placed ones most.
//!
//! # Formula
//! With `s` the cosine of two rows of `embeddings`, `P` the other samples of the anchor's class and `N` the samples of
//! other classes:
//!
//! `loss_b = ln(1 + sum_(p in P) exp(-beta (s - margin))) / beta + ln(1 + sum_(n in N) exp(gamma (s - margin))) / gamma`
//!
//! # Shapes
//! `embeddings: [batch, width]`, `labels: [batch]`; the result is `[batch]`, one value for each sample as anchor.
//!
//! # Range and gradient
//! `[0, inf)` and smooth. A sample without others of its class has no first part, a batch of one class no second one.
//! Rotating all embeddings or scaling one of them changes nothing.
//!
//! # Choices
//! Sums of exponentials are taken from the largest of them, with the 1 among them, so that any `beta` and `gamma` are
//! finite. No pairs are left out. The paper calls `beta`, `gamma` and `margin` alpha, beta and lambda; its default of
//! `margin` is 1, with mined pairs; 0.5 is usual without.
//!
//! # Source
//! Wang, Han, Huang, Dong, Scott: Multi-Similarity Loss with General Pair Weighting for Deep Metric Learning, CVPR 2019,
//! equation 15.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Int, Tensor};
//! use synod_losses::metric::multi_similarity::{Config, multi_similarity};
//!
//! let device = Device::flex();
//! let embeddings = Tensor::<2>::from_data([[1.0, 0.0], [0.6, 0.8]], &device);
//! let labels = Tensor::<1, Int>::from_data([0, 0], &device);
//! let loss = multi_similarity(embeddings, &labels, &Config::default().with_margin(0.6))?;
//! assert!((loss.mean().into_scalar::<f32>() - 2f32.ln() / 2.0).abs() < 1e-6);
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::{Int, Tensor};

use super::pairs::{Pairs, check_labelled, log_one_plus_sum};
use crate::error::LossError;
use crate::geometry::unit;
use crate::option::{FINITE, POSITIVE, objective};

objective! {
    "multi_similarity", family: "metric", file: "multi_similarity.rs", role: Loss, tasks: [Retrieval],
    remembers: None, cost: "O(B^2 D)",
    options: {
        beta / with_beta: f64 = 2.0, POSITIVE, "how much the farthest sample of the class prevails";
        gamma / with_gamma: f64 = 50.0, POSITIVE, "how much the nearest sample of another class prevails";
        margin / with_margin: f64 = 0.5, FINITE, "the similarity that parts near from far";
    }
}

/// Values per anchor, `[batch]`, for `embeddings: [batch, width]` and `labels: [batch]`.
///
/// # Errors
/// [`LossError::EmptyBatch`] and [`LossError::Shape`].
pub fn multi_similarity(
    embeddings: Tensor<2>,
    labels: &Tensor<1, Int>,
    config: &Config,
) -> Result<Tensor<1>, LossError> {
    let [batch, _] = check_labelled(NAME, "embeddings", &embeddings, labels)?;
    let unit = unit(embeddings);
    let pairs = Pairs::new(labels, &unit);
    let similarities = unit.clone().matmul(unit.transpose());
    Ok(pull_and_push(similarities, pairs.same, pairs.different, config).reshape([batch]))
}

/// Both parts, `[rows, 1]`, with the weights by which each column pulls and pushes.
pub(super) fn pull_and_push(similarities: Tensor<2>, pull: Tensor<2>, push: Tensor<2>, config: &Config) -> Tensor<2> {
    let Config { beta, gamma, margin } = *config;
    let beyond = similarities - margin;
    log_one_plus_sum(beyond.clone() * -beta, pull) / beta + log_one_plus_sum(beyond * gamma, push) / gamma
}
