//! Soft landmarks: true coordinates projected on a model of shapes, the targets of a tolerant teacher.
//!
//! # Formula
//! With the shape model `mean`, orthonormal `components` and their `variances`:
//!
//! `c = (target - mean) components^T`, kept within `clip sqrt(variances)`; `soft = mean + c components`
//!
//! # Shapes
//! `target: [batch, coordinates]`; `mean: [coordinates]`, `components: [k, coordinates]`, `variances: [k]`; the result
//! is `[batch, coordinates]`.
//!
//! # Range and gradient
//! A step, not a loss: it makes constants. Nothing in it has a gradient.
//!
//! # Choices
//! A clip of 3 standard deviations keeps every shape plausible. The model can be made from the sums of the sites'
//! first and second moments.
//!
//! # Source
//! Fard, Mahoor: Facial Landmark Points Detection Using Knowledge Distillation-Based Neural Networks, CVIU 215, 2022;
//! official code, `pca_utility.py`; the shape model of Cootes et al.: Active Shape Models, CVIU 61, 1995.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Tensor};
//! use synod_losses::distillation::soft_landmarks::{Config, Shapes, soft_landmarks};
//!
//! let device = Device::flex();
//! let shapes = Shapes {
//!     mean: Tensor::from_data([0.0, 0.0], &device),
//!     components: Tensor::from_data([[1.0, 0.0]], &device),
//!     variances: Tensor::from_data([1.0], &device),
//! };
//! let target = Tensor::<2>::from_data([[5.0, 7.0]], &device);
//! let soft = soft_landmarks(target, shapes, &Config::default())?;
//! assert_eq!(soft.try_into_vec_as::<f32>().unwrap(), [3.0, 0.0]);
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::Tensor;

use crate::check;
use crate::error::LossError;
use crate::option::{POSITIVE, objective};

objective! {
    "soft_landmarks", family: "distillation", file: "soft_landmarks.rs", role: Step, tasks: [Distillation],
    remembers: None, cost: "O(B P k) in P coordinates and k components",
    options: {
        clip / with_clip: f64 = 3.0, POSITIVE, "largest distance from the mean, in standard deviations";
    }
}

/// A model of shapes.
#[derive(Debug, Clone)]
pub struct Shapes {
    /// The mean shape, `[coordinates]`.
    pub mean: Tensor<1>,
    /// Leading principal components, orthonormal rows, `[k, coordinates]`.
    pub components: Tensor<2>,
    /// Variance along each, at least 0, `[k]`.
    pub variances: Tensor<1>,
}

/// Soft coordinates, `[batch, coordinates]`, for `target: [batch, coordinates]`.
///
/// # Errors
/// [`LossError::EmptyBatch`], [`LossError::Shape`]. A variance below 0 makes the result NaN.
pub fn soft_landmarks(target: Tensor<2>, shapes: Shapes, config: &Config) -> Result<Tensor<2>, LossError> {
    let Shapes { mean, components, variances } = shapes;
    let [_, coordinates] = check::matrix(NAME, "target", &target)?;
    check::vector(NAME, "mean", &mean, coordinates)?;
    let [k, found] = check::matrix(NAME, "components", &components)?;
    if found != coordinates {
        let expected = format!("[k, {coordinates}]");
        return Err(LossError::Shape { loss: NAME, tensor: "components", expected, found: vec![k, found] });
    }
    check::vector(NAME, "variances", &variances, k)?;
    let (mean, components) = (mean.detach().reshape([1, coordinates]), components.detach());
    let weights = (target.detach() - mean.clone()).matmul(components.clone().transpose());
    let bound = (variances.detach().sqrt() * config.clip).reshape([1, k]);
    let kept = weights.max_pair(bound.clone().neg()).min_pair(bound);
    Ok(kept.matmul(components) + mean)
}
