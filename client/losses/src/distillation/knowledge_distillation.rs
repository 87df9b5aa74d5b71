//! Knowledge distillation: a student learns labels and, softened, the whole distribution of its teacher.
//!
//! # Formula
//! With `T` (`temperature`), `a` (`alpha`), `p = softmax(teacher / T)`, `q = softmax(student / T)`:
//!
//! `loss_b = (1 - a) CE(student_b, label_b) + a T^2 sum_c p[b,c] ln(p[b,c] / q[b,c])`
//!
//! # Shapes
//! `student_logits` and `teacher_logits`: `[batch, classes]`, `targets: [batch]`; the result is `[batch]`.
//!
//! # Range and gradient
//! `[0, inf)` and smooth. The gradient of a row of student logits is `(1 - a) (softmax - onehot) + a T (q - p)`; the
//! teacher gets none. With one class the loss is 0.
//!
//! # Choices
//! Natural logarithm. The factor `T^2` keeps both terms in proportion when `T` changes, as the paper asks. The paper
//! tries temperatures from 1 to 20 and gives the labels a considerably lower weight: 4 and 0.9 are in that spirit.
//!
//! # Source
//! Hinton, Vinyals, Dean: Distilling the Knowledge in a Neural Network, NIPS workshop 2014, section 2.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Int, Tensor};
//! use synod_losses::distillation::knowledge_distillation::{Config, knowledge_distillation};
//!
//! let device = Device::flex();
//! let logits = Tensor::<2>::from_data([[0.0, 0.0]], &device);
//! let targets = Tensor::<1, Int>::from_data([1], &device);
//! let config = Config::default().with_alpha(0.5);
//! let loss = knowledge_distillation(logits.clone(), logits, targets, &config)?.into_scalar::<f32>();
//! assert!((loss - 0.5 * 2f32.ln()).abs() < 1e-6);
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::{Int, Tensor};

use super::softened::{check_logits, softened_kl};
use crate::classification::cross_entropy;
use crate::error::LossError;
use crate::option::{POSITIVE, SHARE, objective};

objective! {
    "knowledge_distillation", family: "distillation", file: "knowledge_distillation.rs", role: Loss,
    tasks: [Distillation], remembers: None, cost: "O(B C)",
    options: {
        temperature / with_temperature: f64 = 4.0, POSITIVE, "temperature that softens both outputs";
        alpha / with_alpha: f64 = 0.9, SHARE, "share of the teacher; the labels have the rest";
    }
}

/// Values per sample, `[batch]`, for `student_logits` and `teacher_logits`: `[batch, classes]`, `targets: [batch]`.
///
/// # Errors
/// [`LossError::EmptyBatch`], [`LossError::Shape`].
pub fn knowledge_distillation(
    student_logits: Tensor<2>,
    teacher_logits: Tensor<2>,
    targets: Tensor<1, Int>,
    config: &Config,
) -> Result<Tensor<1>, LossError> {
    check_logits(NAME, &student_logits, &teacher_logits)?;
    let of_labels = cross_entropy::cross_entropy(student_logits.clone(), targets, &Default::default())?;
    let of_teacher = softened_kl(student_logits, teacher_logits, config.temperature);
    Ok(of_labels * (1.0 - config.alpha) + of_teacher * config.alpha)
}
