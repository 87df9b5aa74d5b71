//! KL-Top: distillation on the teacher's `k` most likely classes, for large vocabularies.
//!
//! # Formula
//! With `I_b` the `k` largest teacher logits of row `b`, `p = softmax(teacher)`, `q = softmax(student)`:
//!
//! `loss_b = sum_{c in I_b} p[b,c] ln(p[b,c] / q[b,c])`
//!
//! where `truncated` takes both softmaxes over all classes and `renormalized` over `I_b` only.
//!
//! # Shapes
//! `student_logits` and `teacher_logits`: `[batch, classes]`; the result is `[batch]`.
//!
//! # Range and gradient
//! `truncated` is at least `P ln P`, where `P` is the teacher's mass in `I_b`, and may be negative; `renormalized` is at
//! least 0. The gradient of the student's row is `P q - p [c in I_b]`, with `P = 1` and `q` within `I_b` for
//! `renormalized`. The teacher gets none.
//!
//! # Choices
//! Natural logarithm. Of equal teacher logits those with the lower index are taken. A `k` of at least the number of
//! classes is the whole divergence.
//!
//! # Source
//! Hu et al.: OstQuant: Refining Large Language Model Quantization with Orthogonal and Scaling Transformations for
//! Better Distribution Fitting, ICLR 2025, KL-Top loss. The paper leaves open whether the sum is renormalised.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Tensor};
//! use synod_losses::distillation::kl_top::{Config, kl_top};
//!
//! let device = Device::flex();
//! let student = Tensor::<2>::from_data([[0.0, 0.0, 0.0, 0.0]], &device);
//! let teacher = Tensor::<2>::from_data([[9.0, 0.0, 9.0, 0.0]], &device);
//! let loss = kl_top(student, teacher, &Config::default().with_k(2))?.into_scalar::<f32>();
//! assert!((loss - 2f32.ln()).abs() < 1e-2);
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::{Bool, Tensor, activation::log_softmax};
use serde::{Deserialize, Serialize};

use super::softened::check_logits;
use crate::error::LossError;
use crate::option::{AT_LEAST_ONE, any, objective};

/// Over which classes both softmaxes are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Over all classes.
    #[default]
    Truncated,
    /// Over the `k` chosen ones.
    Renormalized,
}

objective! {
    "kl_top", family: "distillation", file: "kl_top.rs", role: Loss, tasks: [Distillation], remembers: None,
    cost: "O(B C log C)",
    options: {
        k / with_k: usize = 1000, AT_LEAST_ONE, "number of teacher logits that are compared";
        mode / with_mode: Mode = Mode::Truncated => "\"truncated\"", any("\"truncated\", \"renormalized\""),
            "range of classes of the softmaxes";
    }
}

/// A logit that no softmax in single precision gives any probability.
const LEFT_OUT: f64 = -1e30;

/// Values per sample, `[batch]`, for `student_logits` and `teacher_logits`: `[batch, classes]`.
///
/// # Errors
/// [`LossError::EmptyBatch`], [`LossError::Shape`].
pub fn kl_top(student_logits: Tensor<2>, teacher_logits: Tensor<2>, config: &Config) -> Result<Tensor<1>, LossError> {
    let [batch, classes] = check_logits(NAME, &student_logits, &teacher_logits)?;
    let teacher_logits = teacher_logits.detach();
    let left_out = (config.k < classes).then(|| outside_top(teacher_logits.clone(), config.k));
    let log_probs = |logits: Tensor<2>| match (&left_out, config.mode) {
        (Some(left_out), Mode::Renormalized) => log_softmax(logits.mask_fill(left_out.clone(), LEFT_OUT), 1),
        _ => log_softmax(logits, 1),
    };
    let log_p = log_probs(teacher_logits);
    let values = log_p.clone().exp() * (log_p - log_probs(student_logits));
    let values = match left_out {
        Some(left_out) => values.mask_fill(left_out, 0.0),
        None => values,
    };
    Ok(values.sum_dim(1).reshape([batch]))
}

/// Where a row's entry is not among its `k` largest.
fn outside_top(values: Tensor<2>, k: usize) -> Tensor<2, Bool> {
    let smallest = values.clone().sort_descending(1).narrow(1, k - 1, 1);
    let above = values.clone().greater(smallest.clone());
    let free = above.clone().float().sum_dim(1).neg() + k as f64;
    let tied = values.equal(smallest).float();
    let chosen = tied.clone().cumsum(1).lower_equal(free).float() * tied + above.float();
    chosen.equal_scalar(0.0)
}
