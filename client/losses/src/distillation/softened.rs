//! What distillation of softmax outputs shares.

use burn::tensor::{Tensor, activation::log_softmax};

use crate::check;
use crate::error::LossError;

/// `sum_c p ln(p / q)` of each row, `[batch]`, from logarithms of probabilities. `p` is a constant.
pub(super) fn kl(log_p: Tensor<2>, log_q: Tensor<2>) -> Tensor<1> {
    let [batch, _] = log_p.dims();
    let log_p = log_p.detach();
    (log_p.clone().exp() * (log_p - log_q)).sum_dim(1).reshape([batch])
}

/// `T^2 KL(softmax(teacher / T) || softmax(student / T))` of each row, `[batch]`.
pub(super) fn softened_kl(student: Tensor<2>, teacher: Tensor<2>, temperature: f64) -> Tensor<1> {
    let log_probs = |logits: Tensor<2>| log_softmax(logits / temperature, 1);
    kl(log_probs(teacher), log_probs(student)) * (temperature * temperature)
}

/// Both logits are `[batch, classes]`.
pub(super) fn check_logits(
    loss: &'static str,
    student: &Tensor<2>,
    teacher: &Tensor<2>,
) -> Result<[usize; 2], LossError> {
    check::same_shape(loss, ("student_logits", student), ("teacher_logits", teacher))
}
