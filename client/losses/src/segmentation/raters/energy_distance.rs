//! Energy distance: sampled masks should be as far from the raters' as the raters' are from each other.
//!
//! # Formula
//! With `x_i` the sigmoid of sample `i` of `N`, `y_j` the mask of rater `j` of `M`, both as vectors, and
//! `D(u, v) = sqrt(max(|u - v|^2, 1e-8))`:
//!
//! `loss_b = mean_ij D(x_i, y_j) - 1/2 mean_ii' D(x_i, x_i') - 1/2 mean_jj' D(y_j, y_j')`, with the pairs `i = i'`
//!
//! # Shapes
//! `logits: [batch, samples, pixels]`, `raters: [batch, raters, pixels]`, each 0 or 1, any number of either; the result is
//! `[batch]`.
//!
//! # Range and gradient
//! At least 0 but for the floor inside the root, which makes it `D - 1e-4` for one sample and one rater. Not smooth where
//! two masks coincide; there they have no gradient. 0 for two equal sets; their order does not matter. Raters have no
//! gradient.
//!
//! # Choices
//! Half the energy distance, with the diagonals, as in the library that the official code calls. Distances are taken from
//! differences and their gradients from matrix products, so that nothing of size `samples x raters x pixels` is stored.
//!
//! # Source
//! Chatterjee et al.: PULASki: Learning inter-rater variability using statistical distances to improve probabilistic
//! segmentation, Medical Image Analysis 2025 (arXiv 2312.15686), the Hausdorff mode of the official code.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Tensor};
//! use synod_losses::segmentation::raters::energy_distance::{Config, energy_distance};
//!
//! let device = Device::flex();
//! let logits = Tensor::<3>::from_data([[[1000.0, -1000.0]]], &device);
//! let raters = Tensor::<3>::from_data([[[0.0, 0.0]]], &device);
//! let loss = energy_distance(logits, &raters, &Config::default())?.into_scalar::<f32>();
//! assert!((loss - 0.9999).abs() < 1e-6);
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::{Tensor, activation::sigmoid};

use super::samples::{check, squared_distances, sum_of_each};
use crate::error::LossError;
use crate::gradient::attach_each;
use crate::option::objective;

/// Squared distances below this count as this, as in the official code.
const SQUARE_MIN: f64 = 1e-8;

objective! {
    "energy_distance", family: "segmentation", file: "energy_distance.rs", role: Loss, tasks: [Segmentation],
    remembers: None, cost: "O(B (N + M)^2 pixels)",
    options: {}
}

/// Values per image, `[batch]`, for `logits: [batch, samples, pixels]` and `raters: [batch, raters, pixels]`.
///
/// # Errors
/// [`LossError::EmptyBatch`] and [`LossError::Shape`].
pub fn energy_distance(logits: Tensor<3>, raters: &Tensor<3>, _: &Config) -> Result<Tensor<1>, LossError> {
    let [_, samples, count, _] = check(NAME, &logits, raters)?;
    let (n, m) = (samples as f64, count as f64);
    let masks = sigmoid(logits);
    let (x, y) = (masks.clone().detach(), raters.clone().detach());
    let (to_raters, raters_pull) = distances(squared_distances(&x, &y));
    let (to_samples, samples_push) = distances(squared_distances(&x, &x));
    let (between_raters, _) = distances(squared_distances(&y, &y));
    let values = sum_of_each(to_raters) / (n * m)
        - sum_of_each(to_samples) / (2.0 * n * n)
        - sum_of_each(between_raters) / (2.0 * m * m);
    // The sum over j of w_ij (x_i - y_j); a pair of samples counts twice, from either side.
    let towards = |pull: Tensor<3>, others: Tensor<3>| x.clone() * pull.clone().sum_dim(2) - pull.matmul(others);
    let gradient = towards(raters_pull, y) / (n * m) - towards(samples_push, x.clone()) / (n * n);
    Ok(attach_each(values, masks, gradient))
}

/// `D` and, where it has a derivative, its inverse.
fn distances(squares: Tensor<3>) -> (Tensor<3>, Tensor<3>) {
    let coinciding = squares.clone().lower_equal_scalar(SQUARE_MIN);
    let distances = squares.clamp_min(SQUARE_MIN).sqrt();
    let inverse = distances.clone().recip().mask_fill(coinciding, 0.0);
    (distances, inverse)
}
