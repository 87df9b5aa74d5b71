//! Multi-similarity loss with mixed embeddings.
//!
//! # Formula
//! With `clean` the mean of the [multi-similarity loss](crate::metric::multi_similarity()), `lambda` the `mix` and, for
//! each triplet `t = (a, i, j)`, `s` the cosine of `x_a` and `lambda x_i + (1 - lambda) x_j` of `embeddings` `x` and `y` its
//! label, `lambda` if `i` is of the anchor's class plus `1 - lambda` if `j` is:
//!
//! - `m_a = ln(1 + sum_t y exp(-beta (s - margin))) / beta + ln(1 + sum_t (1 - y) exp(gamma (s - margin))) / gamma`, sums
//!   over the triplets of the anchor;
//! - `loss = clean + weight mean_a m_a`, over anchors that have triplets
//!
//! # Shapes
//! `embeddings: [batch, width]` of at least two rows, `labels: [batch]`, `triplets: [n, 3]` of rows of the batch; `n` may be
//! 0. The loss is `[1]`.
//!
//! # Range and gradient
//! `[0, inf)` and smooth. Anchors and both mixed rows have gradients. The order of the triplets changes nothing, nor does
//! exchanging `i` and `j` together with `lambda` and `1 - lambda`. `weight = 0` gives the clean loss.
//!
//! # Choices
//! Rows are mixed as given and then divided by their length. The mixed part follows the paper's general formula; that it
//! is a mean over anchors is this library's choice. No pairs are left out. The defaults are the released ones. Which
//! triplets and which `lambda`, drawn once a step from Beta(2, 2), is the caller's choice.
//!
//! # Source
//! Venkataramanan, Psomas, Kijak, Amsaleg, Karantzalos, Avrithis: It Takes Two to Tango: Mixup for Deep Metric Learning,
//! ICLR 2022 (arXiv 2106.04990), applied to multi-similarity.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Int, Tensor};
//! use synod_losses::metric::metrix::multi_similarity::{Config, metrix_multi_similarity};
//!
//! let device = Device::flex();
//! let embeddings = Tensor::<2>::from_data([[1.0, 0.0], [0.0, 1.0]], &device);
//! let labels = Tensor::<1, Int>::from_data([0, 1], &device);
//! let none = Tensor::<2, Int>::zeros([0, 3], &device);
//! let loss = metrix_multi_similarity(&embeddings, &labels, &none, 0.5, &Config::default())?;
//! assert_eq!(loss.mixed.into_scalar::<f32>(), 0.0);
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::{Int, Tensor};

use super::mixing::{Mixed, check, column, mixed_labels, mixed_rows};
use crate::error::LossError;
use crate::geometry::unit;
use crate::metric::multi_similarity::{self, multi_similarity, pull_and_push};
use crate::metric::pairs::memberships;
use crate::option::{FINITE, NON_NEGATIVE, POSITIVE, objective};

objective! {
    "metrix_multi_similarity", family: "metric", file: "multi_similarity.rs", role: Loss, tasks: [Retrieval],
    remembers: None, cost: "O(B^2 D), and O(B T) for T triplets",
    options: {
        beta / with_beta: f64 = 17.97, POSITIVE, "how much the farthest sample of the class prevails";
        gamma / with_gamma: f64 = 75.66, POSITIVE, "how much the nearest sample of another class prevails";
        margin / with_margin: f64 = 0.77, FINITE, "the similarity that parts near from far";
        weight / with_weight: f64 = 0.4, NON_NEGATIVE, "the weight of the mixed part";
    }
}

/// The loss and its parts, with the share `mix` of `i` in each mixed row.
///
/// # Errors
/// [`LossError::EmptyBatch`], [`LossError::Shape`], and [`LossError::Config`] for a `mix` outside 0 to 1.
pub fn metrix_multi_similarity(
    embeddings: &Tensor<2>,
    labels: &Tensor<1, Int>,
    triplets: &Tensor<2, Int>,
    mix: f64,
    config: &Config,
) -> Result<Mixed, LossError> {
    let count = check(NAME, embeddings, labels, ("triplets", triplets, 3), mix)?;
    let options =
        multi_similarity::Config::default().with_beta(config.beta).with_gamma(config.gamma).with_margin(config.margin);
    let clean = multi_similarity(embeddings.clone(), labels, &options)?.mean();
    let mixed = (count > 0).then(|| {
        let [batch, _] = embeddings.dims();
        let anchors = unit(embeddings.clone().select(0, column(triplets, 0)));
        let rows = mixed_rows(embeddings, column(triplets, 1), column(triplets, 2), mix);
        let similarities = (anchors * rows).sum_dim(1).transpose();
        let labels = mixed_labels(labels, triplets, mix, embeddings).reshape([1, count]);
        let of_anchor = memberships(&column(triplets, 0), batch, embeddings);
        let (pull, push) = (of_anchor.clone() * labels.clone(), of_anchor.clone() * (labels.neg() + 1.0));
        // Anchors without triplets have nothing to add up: their value is 0, and they are not counted.
        let anchors = of_anchor.sum_dim(1).clamp_max(1.0).sum();
        pull_and_push(similarities.expand([batch, count]), pull, push, &options).sum() / anchors
    });
    Ok(Mixed::new(clean, mixed, config.weight))
}
