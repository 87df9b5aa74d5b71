//! Proxy anchor loss: a learned proxy of each class pulls that class' samples and pushes the others.
//!
//! # Formula
//! With `s[k,b]` the cosine of proxy `k` and sample `b`, `Y[k,b] = 1` if the sample is of that class, else 0, and `K+` the
//! classes that have samples in the batch:
//!
//! `loss = (1/|K+|) sum_(k in K+) ln(1 + sum_b Y exp(-alpha (s - margin))) + (1/K) sum_k ln(1 + sum_b (1 - Y) exp(alpha (s + margin)))`
//!
//! # Shapes
//! `embeddings: [batch, width]`, `labels: [batch]` in `0..classes`, `proxies: [classes, width]`; the loss is `[1]`,
//! because its terms belong to classes, not to samples.
//!
//! # Range and gradient
//! `[0, inf)` and smooth, with a gradient for the proxies too. Rotating everything or scaling a row changes nothing.
//!
//! # Choices
//! Sums of exponentials are taken from the largest of them, with the 1 among them. Proxies are parameters that the
//! caller keeps; the paper trains them at 100 times the learning rate. Sites can share those of classes that all of them
//! have. The defaults are the paper's.
//!
//! # Source
//! Kim, Kim, Cho, Kwak: Proxy Anchor Loss for Deep Metric Learning, CVPR 2020, equation 4.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Int, Tensor};
//! use synod_losses::metric::proxy_anchor::{Config, proxy_anchor};
//!
//! let device = Device::flex();
//! let rows = || Tensor::<2>::from_data([[1.0, 0.0]], &device);
//! let labels = Tensor::<1, Int>::from_data([0], &device);
//! let loss = proxy_anchor(rows(), &labels, rows(), &Config::default().with_margin(1.0))?.into_scalar::<f32>();
//! assert!((loss - 2f32.ln()).abs() < 1e-6);
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::{Int, Tensor};

use super::pairs::{check_labelled, check_width, log_one_plus_sum, memberships};
use crate::error::LossError;
use crate::geometry::unit;
use crate::option::{FINITE, POSITIVE, objective};

objective! {
    "proxy_anchor", family: "metric", file: "proxy_anchor.rs", role: Loss, tasks: [Retrieval],
    remembers: None, cost: "O(B C D)",
    options: {
        alpha / with_alpha: f64 = 32.0, POSITIVE, "how much the worst placed sample prevails";
        margin / with_margin: f64 = 0.1, FINITE, "the similarity that parts near from far";
    }
}

/// The loss, `[1]`, for `embeddings: [batch, width]`, `labels: [batch]` and `proxies: [classes, width]`.
///
/// # Errors
/// [`LossError::EmptyBatch`] and [`LossError::Shape`].
pub fn proxy_anchor(
    embeddings: Tensor<2>,
    labels: &Tensor<1, Int>,
    proxies: Tensor<2>,
    config: &Config,
) -> Result<Tensor<1>, LossError> {
    let [_, width] = check_labelled(NAME, "embeddings", &embeddings, labels)?;
    let classes = check_width(NAME, "proxies", &proxies, width)?;
    let memberships = memberships(labels, classes, &embeddings);
    let similarities = unit(proxies).matmul(unit(embeddings).transpose());
    Ok(of_similarities(similarities, memberships, config))
}

/// The loss from `similarities` and `memberships`, both `[classes, batch]`.
pub(super) fn of_similarities(similarities: Tensor<2>, memberships: Tensor<2>, config: &Config) -> Tensor<1> {
    let Config { alpha, margin } = *config;
    let present = memberships.clone().sum_dim(1).greater_scalar(0.0).float().cast(memberships.dtype()).sum();
    let others = memberships.clone().neg() + 1.0;
    // A class without samples has no terms to add up, so that its logarithm is 0.
    let pull = log_one_plus_sum((similarities.clone() - margin) * -alpha, memberships);
    let push = log_one_plus_sum((similarities + margin) * alpha, others);
    pull.sum() / present.clamp_min(1.0) + push.mean()
}
