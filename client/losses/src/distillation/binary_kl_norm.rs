//! Normalised binary distillation: pulls each student logit towards the teacher's, with a bounded force.
//!
//! # Formula
//! With `T` (`temperature`), `z_s` and `z_t` the logits and `r = sigmoid((z_s - z_t) / T)`:
//!
//! `loss_b = T^2 sum_c KL(Bernoulli(1/2) || Bernoulli(r)) = T^2 sum_c ln cosh((z_s - z_t) / (2 T))`
//!
//! # Shapes
//! `student_logits` and `teacher_logits`: `[batch, classes]`; the result is `[batch]`.
//!
//! # Range and gradient
//! `[0, inf)`, 0 only for equal logits, smooth. The gradient of a student logit is `(T / 2) tanh((z_s - z_t) / (2 T))`,
//! below `T / 2` in size; the teacher gets none.
//!
//! # Choices
//! Natural logarithm; summed over classes. The official code keeps `r` in `[1e-8, 1 - 1e-8]`, whose upper bound is 1 in
//! single precision, so that it becomes infinite for differences above about `17 T`. The closed form needs no bound and
//! is exact for small differences, too.
//!
//! # Source
//! Yang et al.: Dual-Head Knowledge Distillation, 2024; official code, `BinaryKLNorm`.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Tensor};
//! use synod_losses::distillation::binary_kl_norm::{Config, binary_kl_norm};
//!
//! let device = Device::flex();
//! let student = Tensor::<2>::from_data([[2.0]], &device);
//! let teacher = Tensor::<2>::from_data([[0.0]], &device);
//! let loss = binary_kl_norm(student, teacher, &Config::default().with_temperature(1.0))?.into_scalar::<f32>();
//! assert!((loss - 1f32.cosh().ln()).abs() < 1e-6);
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::Tensor;

use super::softened::check_logits;
use crate::error::LossError;
use crate::option::{POSITIVE, objective};

objective! {
    "binary_kl_norm", family: "distillation", file: "binary_kl_norm.rs", role: Loss, tasks: [Distillation],
    remembers: None, cost: "O(B C)",
    options: {
        temperature / with_temperature: f64 = 2.0, POSITIVE, "temperature, twice the largest force";
    }
}

/// Values per sample, `[batch]`, for `student_logits` and `teacher_logits`: `[batch, classes]`.
///
/// # Errors
/// [`LossError::EmptyBatch`], [`LossError::Shape`].
pub fn binary_kl_norm(
    student_logits: Tensor<2>,
    teacher_logits: Tensor<2>,
    config: &Config,
) -> Result<Tensor<1>, LossError> {
    let [batch, _] = check_logits(NAME, &student_logits, &teacher_logits)?;
    let difference = (student_logits - teacher_logits.detach()) / (2.0 * config.temperature);
    Ok(log_cosh(difference).sum_dim(1).reshape([batch]) * (config.temperature * config.temperature))
}

/// Beyond this the form for large numbers has all its digits.
const NEAR: f64 = 0.5;

/// `ln cosh x = -ln(1 - tanh(x)^2) / 2 = |x| + ln(1 + exp(-2 |x|)) - ln 2`: the first form keeps its digits near 0, the
/// second far from it. The part of `|x|` up to [`NEAR`] takes the first, the rest is a difference of the second.
fn log_cosh(x: Tensor<2>) -> Tensor<2> {
    let far = x.abs();
    let near = far.clone().clamp_max(NEAR);
    let tanh = near.clone().tanh();
    let tail = |x: Tensor<2>| (x * -2.0).exp().log1p();
    let rest = (far.clone() - near.clone()) + (tail(far) - tail(near));
    (tanh.clone() * tanh).neg().log1p() * -0.5 + rest
}
