//! Soft generalised energy distance: sampled and drawn masks should overlap as much across the sets as within them.
//!
//! # Formula
//! With `x_i` the sigmoid of sample `i`, `y_j` the mask of rater `j`, sums over pixels, and
//! `d(a, b) = 1 - (sum a b + eps) / (sum a + sum b - sum a b + eps)`:
//!
//! `loss_b = 2 mean_ij d(x_i, y_j) - mean_ii' d(x_i, x_i') - mean_jj' d(y_j, y_j')`
//!
//! # Shapes
//! `logits: [batch, samples, pixels]`, `raters: [batch, raters, pixels]`, each 0 or 1, any number of either; the result is
//! `[batch]`.
//!
//! # Range and gradient
//! Mostly in `[0, 2]`; sampled masks that are undecided have a distance to themselves, so it can be below 0. Smooth. On
//! masks of 0 and 1 it is the hard distance of [`hard_ged`] but for `eps`. Raters have no gradient.
//!
//! # Choices
//! The differentiable version of a metric of the paper; the paper itself trains with other distances. All overlaps come
//! from matrix products.
//!
//! # Source
//! Chatterjee et al.: PULASki: Learning inter-rater variability using statistical distances to improve probabilistic
//! segmentation, Medical Image Analysis 2025 (arXiv 2312.15686), the generalised energy distance.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Tensor};
//! use synod_losses::segmentation::raters::soft_ged::{Config, soft_ged};
//!
//! let device = Device::flex();
//! let logits = Tensor::<3>::from_data([[[1000.0, -1000.0]]], &device);
//! let raters = Tensor::<3>::from_data([[[0.0, 1.0]]], &device);
//! let loss = soft_ged(logits, &raters, &Config::default())?.into_scalar::<f32>();
//! assert!((loss - 2.0).abs() < 1e-5);
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::{Tensor, activation::sigmoid};

use super::samples::{check, sum_of_each};
use crate::error::LossError;
use crate::option::{POSITIVE, objective};

objective! {
    "soft_ged", family: "segmentation", file: "soft_ged.rs", role: Loss, tasks: [Segmentation],
    remembers: None, cost: "O(B (N + M)^2 pixels)",
    options: {
        eps / with_eps: f64 = 1e-6 => "0.000001", POSITIVE, "what makes two empty masks alike";
    }
}

/// Values per image, `[batch]`, for `logits: [batch, samples, pixels]` and `raters: [batch, raters, pixels]`.
///
/// # Errors
/// [`LossError::EmptyBatch`] and [`LossError::Shape`].
pub fn soft_ged(logits: Tensor<3>, raters: &Tensor<3>, config: &Config) -> Result<Tensor<1>, LossError> {
    check(NAME, &logits, raters)?;
    // 1 minus a fraction, taken together so that nothing cancels.
    Ok(energy(&sigmoid(logits), &raters.clone().detach(), |both, either| {
        (either.clone() - both) / (either + config.eps)
    }))
}

/// The distance of masks, `[batch]`: samples count where their probability is at least a half, `d` is 1 minus
/// intersection over union, and two empty masks are alike. A metric without gradient.
///
/// # Errors
/// As [`soft_ged`].
pub fn hard_ged(logits: Tensor<3>, raters: &Tensor<3>) -> Result<Tensor<1>, LossError> {
    check(NAME, &logits, raters)?;
    let masks = logits.detach();
    let dtype = masks.dtype();
    let masks = masks.greater_equal_scalar(0.0).float().cast(dtype);
    Ok(energy(&masks, &raters.clone().detach(), |both, either| {
        let empty = either.clone().equal_scalar(0.0);
        (either.clone() - both) / either.mask_fill(empty, 1.0)
    }))
}

/// Twice the mean across the sets minus the means within, of a distance of intersections and unions.
fn energy(x: &Tensor<3>, y: &Tensor<3>, distance: impl Fn(Tensor<3>, Tensor<3>) -> Tensor<3>) -> Tensor<1> {
    let mean = |left: &Tensor<3>, right: &Tensor<3>| {
        let both = left.clone().matmul(right.clone().transpose());
        let either = left.clone().sum_dim(2) + right.clone().sum_dim(2).transpose() - both.clone();
        let [_, rows, columns] = both.dims();
        sum_of_each(distance(both, either)) / (rows * columns) as f64
    };
    mean(x, y) * 2.0 - mean(x, x) - mean(y, y)
}
