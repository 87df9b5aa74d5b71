//! Binary distillation: each class of the teacher is a yes or no of its own that the student imitates.
//!
//! # Formula
//! With `T` (`temperature`), `p = sigmoid(student / T)` and `q = sigmoid(teacher / T)`, both kept in
//! `[1e-8, 1 - 1e-8]`:
//!
//! `loss_b = T^2 sum_c (q ln(q / p) + (1 - q) ln((1 - q) / (1 - p)))`
//!
//! # Shapes
//! `student_logits` and `teacher_logits`: `[batch, classes]`; the result is `[batch]`.
//!
//! # Range and gradient
//! At least 0. The gradient of a student logit is `T (p - q)`; it ends where `p` or `1 - p` falls below 1e-8. The
//! teacher gets none.
//!
//! # Choices
//! Natural logarithm. The bounds are applied to `ln p` and `ln(1 - p)`, where single precision can hold them: `1 - 1e-8`
//! itself rounds to 1. Summed over classes as in the official code.
//!
//! # Source
//! Yang et al.: Dual-Head Knowledge Distillation, 2024, the loss it starts from; official code, `BinaryKL`.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Tensor};
//! use synod_losses::distillation::binary_kl::{Config, binary_kl};
//!
//! let logits = Tensor::<2>::from_data([[1.0, -2.0]], &Device::flex());
//! let loss = binary_kl(logits.clone(), logits, &Config::default())?.into_scalar::<f32>();
//! assert!(loss.abs() < 1e-6);
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::{Tensor, activation::log_sigmoid};

use super::softened::check_logits;
use crate::error::LossError;
use crate::option::{POSITIVE, objective};

objective! {
    "binary_kl", family: "distillation", file: "binary_kl.rs", role: Loss, tasks: [Distillation], remembers: None,
    cost: "O(B C)",
    options: {
        temperature / with_temperature: f64 = 2.0, POSITIVE, "temperature that softens both outputs";
    }
}

/// Smallest probability that is told from 0, as in the official code.
const PROBABILITY_MIN: f64 = 1e-8;

/// Values per sample, `[batch]`, for `student_logits` and `teacher_logits`: `[batch, classes]`.
///
/// # Errors
/// [`LossError::EmptyBatch`], [`LossError::Shape`].
pub fn binary_kl(
    student_logits: Tensor<2>,
    teacher_logits: Tensor<2>,
    config: &Config,
) -> Result<Tensor<1>, LossError> {
    let [batch, _] = check_logits(NAME, &student_logits, &teacher_logits)?;
    let student = student_logits / config.temperature;
    let teacher = teacher_logits.detach() / config.temperature;
    let one_answer = |student: Tensor<2>, teacher: Tensor<2>| {
        let log_q = bounded(teacher);
        log_q.clone().exp() * (log_q - bounded(student))
    };
    let values = one_answer(student.clone(), teacher.clone()) + one_answer(student.neg(), teacher.neg());
    Ok(values.sum_dim(1).reshape([batch]) * (config.temperature * config.temperature))
}

fn bounded(logits: Tensor<2>) -> Tensor<2> {
    log_sigmoid(logits).clamp_min(PROBABILITY_MIN.ln())
}
