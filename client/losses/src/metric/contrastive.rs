//! Contrastive loss: samples of one class should coincide, samples of different classes keep a distance.
//!
//! # Formula
//! With `d` the Euclidean distance of two rows of `embeddings`, each divided by its length, and `nzmean` the sum of
//! values over the number of those above 0 (0 if there is none):
//!
//! `loss = nzmean(d over ordered pairs of one class) + nzmean(max(0, margin - d) over pairs of different classes)`
//!
//! # Shapes
//! `embeddings: [batch, width]`, `labels: [batch]`; the loss is `[1]`, because each mean is one over the pairs of the
//! whole batch.
//!
//! # Range and gradient
//! `[0, 2 + margin]`. Not smooth where `d` is `margin` or 0; at 0 the gradient is 0. Nothing is detached. Pairs at a
//! distance of 0 or beyond the margin do not count, neither above nor below the fraction bar. One sample, or one class
//! whose samples coincide, gives 0. Rotating all embeddings or scaling one of them changes nothing.
//!
//! # Choices
//! Distances, not their squares, and means over what is above 0, as usual in comparisons of these losses: the few pairs
//! that still count are not drowned by those that do not. Distances come from one matrix product; below about 0.0007
//! in single precision they count as 0. `margin` is that of the mixed form of this loss.
//!
//! # Source
//! Hadsell, Chopra, LeCun: Dimensionality Reduction by Learning an Invariant Mapping, CVPR 2006, equation 4; means as in
//! Musgrave, Belongie, Lim: A Metric Learning Reality Check, ECCV 2020.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Int, Tensor};
//! use synod_losses::metric::contrastive::{Config, contrastive};
//!
//! let device = Device::flex();
//! let embeddings = Tensor::<2>::from_data([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0]], &device);
//! let labels = Tensor::<1, Int>::from_data([0, 0, 0], &device);
//! let loss = contrastive(embeddings, &labels, &Config::default())?.into_scalar::<f32>();
//! assert!((loss - 2f32.sqrt()).abs() < 1e-6, "the pair that coincides does not count");
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::{Int, Tensor, activation::relu};

use super::pairs::{Pairs, check_labelled, mean_of_positive};
use crate::error::LossError;
use crate::geometry::{root, squared_distances, unit};
use crate::option::{POSITIVE, objective};

objective! {
    "contrastive", family: "metric", file: "contrastive.rs", role: Loss, tasks: [Retrieval],
    remembers: None, cost: "O(B^2 D)",
    options: {
        margin / with_margin: f64 = 0.5, POSITIVE, "the distance that samples of different classes should keep";
    }
}

/// The loss, `[1]`, for `embeddings: [batch, width]` and `labels: [batch]`.
///
/// # Errors
/// [`LossError::EmptyBatch`] and [`LossError::Shape`].
pub fn contrastive(embeddings: Tensor<2>, labels: &Tensor<1, Int>, config: &Config) -> Result<Tensor<1>, LossError> {
    check_labelled(NAME, "embeddings", &embeddings, labels)?;
    let unit = unit(embeddings);
    let pairs = Pairs::new(labels, &unit);
    let distances = root(squared_distances(unit.clone(), unit));
    let apart = relu(distances.clone().neg() + config.margin) * pairs.different;
    Ok(mean_of_positive(distances * pairs.same) + mean_of_positive(apart))
}
