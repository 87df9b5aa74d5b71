//! Landmark distillation: regression of coordinates with a tough and a tolerant teacher.
//!
//! # Formula
//! Per coordinate, with `e = |pred - target|`, the tolerant teacher's error `tau = |tolerant - target|` and `A` of
//! `landmark_assist`:
//!
//! `M = 3 e` where `e <= tau`, else `e^2 + 3 tau - tau^2`
//!
//! `loss_b = mean over coordinates of main_weight M + tough_weight A(tough) + tol_weight A(tolerant)`
//!
//! # Shapes
//! `pred`, `target`, `tough`, `tolerant`: `[batch, coordinates]`; the results are `[batch]`.
//!
//! # Range and gradient
//! Real: the assisting terms can be below 0. `M` is continuous; its slope in `pred` is 3 where the student is better
//! than the tolerant teacher and `2 e` elsewhere, times the sign of `pred - target`, which counts as 0 at 0. Only `pred`
//! gets a gradient.
//!
//! # Choices
//! The regions are those of the official code. The defaults are those of its training script. Coordinates are meant to
//! lie within about -0.5 and 0.5.
//!
//! # Source
//! Fard, Mahoor: Facial Landmark Points Detection Using Knowledge Distillation-Based Neural Networks, CVIU 215, 2022;
//! official code, `custom_Losses.py`.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Tensor};
//! use synod_losses::distillation::landmark::{Config, Inputs, landmark};
//!
//! let at = |x: f32| Tensor::<2>::from_data([[x]], &Device::flex());
//! let inputs = Inputs { pred: at(0.1), target: at(0.0), tough: at(0.0), tolerant: at(0.2) };
//! let loss = landmark(inputs, &Config::default())?.main.into_scalar::<f32>();
//! assert!((loss - 2.0 * 3.0 * 0.1).abs() < 1e-6);
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::Tensor;

use super::landmark_assist::assist;
use crate::check;
use crate::error::LossError;
use crate::option::{INNER_SHARE, NON_NEGATIVE, NON_POSITIVE, POSITIVE, objective};

objective! {
    "landmark_kd", family: "distillation", file: "landmark.rs", role: Loss, tasks: [Distillation], remembers: None,
    cost: "O(B P) in P coordinates",
    options: {
        main_weight / with_main_weight: f64 = 2.0, NON_NEGATIVE, "weight of the main term";
        tough_weight / with_tough_weight: f64 = 1.0, NON_NEGATIVE, "weight of the tough teacher";
        tol_weight / with_tol_weight: f64 = 1.0, NON_NEGATIVE, "weight of the tolerant teacher";
        alpha_tough / with_alpha_tough: f64 = 1.9, POSITIVE, "slope of a student worse than the tough teacher";
        alpha_mi_tough / with_alpha_mi_tough: f64 = -0.45, NON_POSITIVE, "slope of one better than the tough teacher";
        alpha_tol / with_alpha_tol: f64 = 1.8, POSITIVE, "slope of a student worse than the tolerant teacher";
        alpha_mi_tol / with_alpha_mi_tol: f64 = -0.4, NON_POSITIVE, "slope of one better than the tolerant teacher";
        boundary_fraction / with_boundary_fraction: f64 = 0.15, INNER_SHARE,
            "share of a teacher's error below which it does not assist";
    }
}

/// What landmark distillation takes, each `[batch, coordinates]`.
#[derive(Debug, Clone)]
pub struct Inputs {
    /// The student's coordinates.
    pub pred: Tensor<2>,
    /// The true coordinates.
    pub target: Tensor<2>,
    /// Those of the teacher trained on the true coordinates.
    pub tough: Tensor<2>,
    /// Those of the teacher trained on [`soft_landmarks`](super::soft_landmarks()).
    pub tolerant: Tensor<2>,
}

/// The weighted terms, each `[batch]`.
#[derive(Debug, Clone)]
pub struct Values {
    /// The main term.
    pub main: Tensor<1>,
    /// What the tough teacher adds.
    pub tough: Tensor<1>,
    /// What the tolerant teacher adds.
    pub tolerant: Tensor<1>,
}

impl Values {
    /// What is minimised, `[batch]`.
    #[must_use]
    pub fn total(self) -> Tensor<1> {
        self.main + self.tough + self.tolerant
    }
}

/// Values per sample.
///
/// # Errors
/// [`LossError::EmptyBatch`], [`LossError::Shape`].
pub fn landmark(inputs: Inputs, config: &Config) -> Result<Values, LossError> {
    let Inputs { pred, target, tough, tolerant } = inputs;
    let [batch, _] = check::same_shape(NAME, ("pred", &pred), ("target", &target))?;
    check::same_shape(NAME, ("pred", &pred), ("tough", &tough))?;
    check::same_shape(NAME, ("pred", &pred), ("tolerant", &tolerant))?;
    let target = target.detach();
    let error = (pred - target.clone()).abs();
    let of_teacher = |teacher: Tensor<2>| (teacher.detach() - target.clone()).abs();
    let (tough, tolerant) = (of_teacher(tough), of_teacher(tolerant));
    let per_sample = |values: Tensor<2>, weight: f64| values.mean_dim(1).reshape([batch]) * weight;
    let assisted = |teacher: Tensor<2>, alpha: f64, alpha_mi: f64| {
        assist(error.clone(), teacher, alpha, alpha_mi, config.boundary_fraction)
    };
    Ok(Values {
        main: per_sample(main_term(error.clone(), tolerant.clone()), config.main_weight),
        tough: per_sample(assisted(tough, config.alpha_tough, config.alpha_mi_tough), config.tough_weight),
        tolerant: per_sample(assisted(tolerant, config.alpha_tol, config.alpha_mi_tol), config.tol_weight),
    })
}

fn main_term(error: Tensor<2>, tau: Tensor<2>) -> Tensor<2> {
    let good = error.clone().lower_equal(tau.clone());
    let beyond = error.clone() * error.clone() + tau.clone() * 3.0 - tau.clone() * tau;
    beyond.mask_where(good, error * 3.0)
}
