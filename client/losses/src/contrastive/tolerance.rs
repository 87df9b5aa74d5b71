//! Tolerance: how close embeddings of the same class are, a number to look at beside uniformity.
//!
//! # Formula
//! With `f` the rows of `features`, each divided by its length, and `c` their `labels`:
//!
//! `tolerance = mean_{i < j} f_i . f_j [c_i = c_j]`
//!
//! `within_class_mean` is the mean over the pairs of the same class only, `same_pairs` their number.
//!
//! # Shapes
//! `features: [n, d]`, `labels: [n]`; each of the three results is `[1]`, over all pairs.
//!
//! # Range and gradient
//! `[-1, 1]` and smooth. Without a pair of the same class all three are 0. Fewer than two rows are refused.
//!
//! # Choices
//! Pairs do not include a row with itself. Labels are only compared; they may be any integers.
//!
//! # Source
//! Wang, Liu: Understanding the Behaviour of Contrastive Loss, CVPR 2021.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Int, Tensor};
//! use synod_losses::contrastive::tolerance::tolerance;
//!
//! let device = Device::flex();
//! let features = Tensor::<2>::from_data([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0]], &device);
//! let labels = Tensor::<1, Int>::from_data([0, 0, 1], &device);
//! let tolerance = tolerance(features, labels)?;
//! assert!((tolerance.value.into_scalar::<f32>() - 1.0 / 3.0).abs() < 1e-6);
//! assert_eq!(tolerance.same_pairs.into_scalar::<f32>(), 1.0);
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::{Int, Tensor};

use super::similarity::{LENGTH_MIN, check_shape, is_diagonal, same, unit};
use super::uniformity::check_at_least_two;
use crate::error::LossError;
use crate::option::objective;

objective! {
    "tolerance", family: "contrastive", file: "tolerance.rs", role: Meter, tasks: [SelfSupervised, Retrieval],
    remembers: None, cost: "O(B^2 D)",
    options: {
    }
}

/// Closeness of embeddings of the same class; each field is `[1]`.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Tolerance {
    /// Mean over all pairs of the similarity of pairs of the same class.
    pub value: Tensor<1>,
    /// Mean over the pairs of the same class.
    pub within_class_mean: Tensor<1>,
    /// Number of pairs of the same class.
    pub same_pairs: Tensor<1>,
}

/// The numbers for `features: [n, d]` and `labels: [n]`.
///
/// # Errors
/// [`LossError::EmptyBatch`] and [`LossError::Shape`] if there are fewer than two rows or another number of labels.
pub fn tolerance(features: Tensor<2>, labels: Tensor<1, Int>) -> Result<Tolerance, LossError> {
    let [n, _] = check_at_least_two(NAME, &features)?;
    check_shape(NAME, "labels", &labels.dims(), &[n])?;
    let features = unit(features, LENGTH_MIN);
    let similarities = features.clone().matmul(features.transpose());
    let left_out = same(labels.clone(), labels).bool_not().bool_or(is_diagonal(n, &similarities.device()));
    // Every pair occurs in both orders.
    let same_pairs = similarities.clone().detach().ones_like().mask_fill(left_out.clone(), 0.0).sum() / 2.0;
    let sum = similarities.mask_fill(left_out, 0.0).sum() / 2.0;
    let pairs = (n * (n - 1)) as f64 / 2.0;
    let within_class_mean = sum.clone() / same_pairs.clone().clamp_min(1.0);
    Ok(Tolerance { value: sum / pairs, within_class_mean, same_pairs })
}
