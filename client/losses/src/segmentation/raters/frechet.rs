//! Fréchet distance: features of sampled and of drawn masks should have the same mean and covariance.
//!
//! # Formula
//! With `m` and `M` the means of the `N` rows of `features` and the rows of `raters`, and `S_x`, `S_y` the rows minus their
//! mean over `sqrt(N - 1)`, of each set its own:
//!
//! `loss = |m - M|^2 + |S_x|_F^2 + |S_y|_F^2 - 2 (sum of the singular values of S_x S_y^T)`
//!
//! # Shapes
//! `features: [samples, width]`, `raters: [raters, width]`, at least two rows each; the loss is `[1]`, a distance of two
//! sets.
//!
//! # Range and gradient
//! At least 0 up to rounding, 0 for two equal sets; the order of the rows does not matter. Singular values whose square is
//! below 1e-10 of the largest have no gradient. The raters' features have none.
//!
//! # Choices
//! Through the small matrix `S_x S_y^T` instead of a root of covariances. Its singular values are found on the host in
//! double precision, which waits for the device. Any features will do; the official code takes those of a network.
//!
//! # Source
//! Chatterjee et al.: PULASki: Learning inter-rater variability using statistical distances to improve probabilistic
//! segmentation, Medical Image Analysis 2025 (arXiv 2312.15686); the distance of two Gaussians is that of Fréchet 1957.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Tensor};
//! use synod_losses::segmentation::raters::frechet::{Config, frechet};
//!
//! let device = Device::flex();
//! let features = Tensor::<2>::from_data([[0.0, 1.0], [2.0, 3.0]], &device);
//! let loss = frechet(features.clone() + 0.5, &features, &Config::default())?.into_scalar::<f32>();
//! assert!((loss - 0.5).abs() < 1e-5, "only the mean has moved");
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::{Tensor, TensorData};

use super::nuclear::nuclear_norm;
use crate::check;
use crate::error::LossError;
use crate::gradient::attach;
use crate::host::read_finite;
use crate::option::objective;

objective! {
    "frechet", family: "segmentation", file: "frechet.rs", role: Loss, tasks: [Segmentation],
    remembers: None, cost: "O(N M D + N^2 M)",
    options: {}
}

/// The loss, `[1]`, for `features: [samples, width]` and `raters: [raters, width]`.
///
/// # Errors
/// [`LossError::EmptyBatch`] and [`LossError::Shape`]; [`LossError::NotFinite`] for features that are not finite,
/// [`LossError::Read`] if the device fails.
pub fn frechet(features: Tensor<2>, raters: &Tensor<2>, _: &Config) -> Result<Tensor<1>, LossError> {
    let [samples, width] = check_rows("pred_features", &features, None)?;
    let [count, _] = check_rows("rater_features", raters, Some(width))?;
    let (mean, spread) = moments(features);
    let (mean_of_raters, spread_of_raters) = moments(raters.clone().detach());
    let shift = (mean - mean_of_raters).square().sum();
    let spreads = spread.clone().square().sum() + spread_of_raters.clone().square().sum();
    let common = spread.matmul(spread_of_raters.transpose());
    let (norm, gradient) = nuclear_norm(&read_finite("pred_features", &common)?, count);
    let options = (&common.device(), common.dtype());
    let gradient = Tensor::from_data(TensorData::new(gradient, [samples, count]), options);
    let norm = attach(Tensor::from_data(TensorData::new(vec![norm], [1]), options), common, gradient);
    Ok(shift + spreads - norm * 2.0)
}

/// Mean, `[1, width]`, and what the rows are beside it, over the root of their number less one.
fn moments(rows: Tensor<2>) -> (Tensor<2>, Tensor<2>) {
    let [count, _] = rows.dims();
    let mean = rows.clone().mean_dim(0);
    (mean.clone(), (rows - mean) / ((count - 1) as f64).sqrt())
}

fn check_rows(name: &'static str, rows: &Tensor<2>, width: Option<usize>) -> Result<[usize; 2], LossError> {
    let [count, found] = check::matrix(NAME, name, rows)?;
    if count < 2 || width.is_some_and(|width| width != found) {
        let width = width.unwrap_or(found);
        let expected = format!("[n, {width}] with n >= 2");
        return Err(LossError::Shape { loss: NAME, tensor: name, expected, found: vec![count, found] });
    }
    Ok([count, found])
}
