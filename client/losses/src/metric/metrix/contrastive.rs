//! Contrastive loss with mixed embeddings.
//!
//! # Formula
//! With `clean` the [contrastive loss](crate::metric::contrastive()), `nzmean` its kind of mean, `lambda` the `mix` and,
//! for each triplet `(a, i, j)`, `v = unit(lambda x_i + (1 - lambda) x_j)` of `embeddings` `x` and `d` its Euclidean
//! distance from `unit(x_a)`:
//!
//! `loss = clean + weight (nzmean(lambda d) + nzmean((1 - lambda) max(0, margin - d)))`
//!
//! # Shapes
//! `embeddings: [batch, width]` of at least two rows, `labels: [batch]`, `triplets: [n, 3]` of rows of the batch, where `i`
//! is of the anchor's class (the anchor itself may be) and `j` is not; `n` may be 0. The loss is `[1]`.
//!
//! # Range and gradient
//! `[0, (1 + weight) (2 + margin)]`. Not smooth where a distance is `margin` or 0; at 0 the gradient is 0. Anchors and
//! both mixed rows have gradients. The order of the triplets changes nothing. `weight = 0` gives the clean loss.
//!
//! # Choices
//! Rows are mixed as given and then divided by their length, as released. Which triplets and which `lambda`, drawn once
//! a step from Beta(2, 2), is the caller's choice. That `i` and `j` are of the right classes is not looked for.
//!
//! # Source
//! Venkataramanan, Psomas, Kijak, Amsaleg, Karantzalos, Avrithis: It Takes Two to Tango: Mixup for Deep Metric Learning,
//! ICLR 2022 (arXiv 2106.04990); as in the official code.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Int, Tensor};
//! use synod_losses::metric::metrix::contrastive::{Config, metrix_contrastive};
//!
//! let device = Device::flex();
//! let embeddings = Tensor::<2>::from_data([[1.0, 0.0], [0.0, 1.0]], &device);
//! let labels = Tensor::<1, Int>::from_data([0, 1], &device);
//! let triplets = Tensor::<2, Int>::from_data([[0, 0, 1]], &device);
//! let loss = metrix_contrastive(&embeddings, &labels, &triplets, 0.5, &Config::default())?;
//! assert!((loss.mixed.into_scalar::<f32>() - 0.5 * (2.0 - 2f32.sqrt()).sqrt()).abs() < 1e-6);
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::{Int, Tensor, activation::relu};

use super::mixing::{Mixed, check, column, mixed_rows};
use crate::error::LossError;
use crate::geometry::{row_distances, unit};
use crate::metric::contrastive::{self, contrastive};
use crate::metric::pairs::mean_of_positive;
use crate::option::{NON_NEGATIVE, POSITIVE, objective};

objective! {
    "metrix_contrastive", family: "metric", file: "contrastive.rs", role: Loss, tasks: [Retrieval],
    remembers: None, cost: "O(B^2 D)",
    options: {
        margin / with_margin: f64 = 0.5, POSITIVE, "the distance that samples of different classes should keep";
        weight / with_weight: f64 = 0.4, NON_NEGATIVE, "the weight of the mixed part";
    }
}

/// The loss and its parts, with the share `mix` of `i` in each mixed row.
///
/// # Errors
/// [`LossError::EmptyBatch`], [`LossError::Shape`], and [`LossError::Config`] for a `mix` outside 0 to 1.
pub fn metrix_contrastive(
    embeddings: &Tensor<2>,
    labels: &Tensor<1, Int>,
    triplets: &Tensor<2, Int>,
    mix: f64,
    config: &Config,
) -> Result<Mixed, LossError> {
    let count = check(NAME, embeddings, labels, ("triplets", triplets, 3), mix)?;
    let clean = contrastive(embeddings.clone(), labels, &contrastive::Config::default().with_margin(config.margin))?;
    let mixed = (count > 0).then(|| {
        let anchors = unit(embeddings.clone().select(0, column(triplets, 0)));
        let rows = mixed_rows(embeddings, column(triplets, 1), column(triplets, 2), mix);
        let distances = row_distances(anchors, rows);
        let apart = relu(distances.clone().neg() + config.margin);
        mean_of_positive(distances * mix) + mean_of_positive(apart * (1.0 - mix))
    });
    Ok(Mixed::new(clean, mixed, config.weight))
}
