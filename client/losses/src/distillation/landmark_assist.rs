//! Assistive loss: a teacher's error is a mark on the way to the truth, which a student is pulled to and then past.
//!
//! # Formula
//! Per coordinate, with the student's error `e = |pred - target|`, the teacher's `d = |teacher - target|` and
//! `f` (`boundary_fraction`):
//!
//! `A = c |d - e|`, `c = alpha` where `e > d > 0`, `alpha_mi` where `f d <= e <= d`, else 0; `loss_b = mean of A`
//!
//! # Shapes
//! `pred`, `target`, `teacher`: `[batch, coordinates]`; the result is `[batch]`.
//!
//! # Range and gradient
//! At least `alpha_mi (1 - f) d`, which is not positive. The slope in `e` is `alpha` above `d`, `-alpha_mi` between
//! `f d` and `d`, and 0 below: the value jumps at `f d`. A perfect teacher adds nothing. Only `pred` gets a gradient.
//!
//! # Choices
//! The paper reflects the teacher to the student's side of the truth; in terms of the two errors this is already
//! done. The regions are those of the official code.
//!
//! # Source
//! Fard, Mahoor: Facial Landmark Points Detection Using Knowledge Distillation-Based Neural Networks, CVIU 215, 2022,
//! assistive loss; official code, `custom_Losses.py`.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Tensor};
//! use synod_losses::distillation::landmark_assist::{Config, landmark_assist};
//!
//! let at = |x: f32| Tensor::<2>::from_data([[x]], &Device::flex());
//! let loss = landmark_assist(at(3.0), at(0.0), at(-1.0), &Config::default())?.into_scalar::<f32>();
//! assert!((loss - 1.9 * 2.0).abs() < 1e-6);
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::Tensor;

use crate::check;
use crate::error::LossError;
use crate::option::{INNER_SHARE, NON_POSITIVE, POSITIVE, objective};

objective! {
    "landmark_assist", family: "distillation", file: "landmark_assist.rs", role: Term, tasks: [Distillation],
    remembers: None, cost: "O(B P) in P coordinates",
    options: {
        alpha / with_alpha: f64 = 1.9, POSITIVE, "slope of a student worse than the teacher";
        alpha_mi / with_alpha_mi: f64 = -0.45, NON_POSITIVE, "slope of one better than the teacher";
        boundary_fraction / with_boundary_fraction: f64 = 0.15, INNER_SHARE,
            "share of the teacher's error below which it does not assist";
    }
}

/// Values per sample, `[batch]`, for three tensors `[batch, coordinates]`.
///
/// # Errors
/// [`LossError::EmptyBatch`], [`LossError::Shape`].
pub fn landmark_assist(
    pred: Tensor<2>,
    target: Tensor<2>,
    teacher: Tensor<2>,
    config: &Config,
) -> Result<Tensor<1>, LossError> {
    let [batch, _] = check::same_shape(NAME, ("pred", &pred), ("target", &target))?;
    check::same_shape(NAME, ("pred", &pred), ("teacher", &teacher))?;
    let target = target.detach();
    let of_teacher = (teacher.detach() - target.clone()).abs();
    let error = (pred - target).abs();
    let values = assist(error, of_teacher, config.alpha, config.alpha_mi, config.boundary_fraction);
    Ok(values.mean_dim(1).reshape([batch]))
}

/// `A` of each coordinate, from the errors of student and teacher.
pub(super) fn assist(error: Tensor<2>, teacher: Tensor<2>, alpha: f64, alpha_mi: f64, fraction: f64) -> Tensor<2> {
    let size = (teacher.clone() - error.clone()).abs();
    let worse = error.clone().greater(teacher.clone()).bool_and(teacher.clone().greater_scalar(0.0));
    let between = error.clone().lower_equal(teacher.clone()).bool_and(error.greater_equal(teacher * fraction));
    let slopes = size.zeros_like().mask_fill(worse, alpha).mask_fill(between, alpha_mi);
    slopes * size
}
