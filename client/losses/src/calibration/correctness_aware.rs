//! Correctness-aware calibration: confidence should be 1 where the prediction is right and 0 where it is wrong.
//!
//! # Formula
//! With the temperature `T_b` of each sample, `correct_b` 1 where the largest logit is that of the label and 0
//! elsewhere, and `conf_b = max_c softmax(logits_b / T_b)_c`: `e_b = (conf_b - correct_b)^2`, and the loss is
//! `sum_b w_b e_b / sum_b w_b`. With `balanced` and `acc = mean correct`, `w_b` is `1 - acc` for right and `acc` for wrong
//! predictions, so that both count the same; otherwise, and where all are right or all are wrong, `w_b = 1`.
//!
//! # Shapes
//! `logits: [batch, classes]`, `labels: [batch]` with values in `0..classes`, `temperature: [batch]`, above 0; the loss
//! is `[1]`, because the weights depend on the whole batch.
//!
//! # Range and gradient
//! `[0, 1]`. The gradient reaches temperatures and logits through `conf`; `correct` and weights are constants. That of
//! a temperature is above 0 for a right prediction, below 0 for a wrong one: descent sharpens what is right and softens
//! what is wrong, also where cross-entropy would sharpen a narrow miss.
//!
//! # Choices
//! Of equal logits the first counts as the largest. The weights are those of the released code; the paper's formula is
//! `balanced = false`.
//!
//! # Source
//! Liu, Wang, Zou, Zou, Zheng: Optimizing Calibration by Gaining Aware of Prediction Correctness, arXiv 2404.13016,
//! 2024, and its released code.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Int, Tensor};
//! use synod_losses::calibration::correctness_aware::{Config, correctness_aware};
//!
//! let device = Device::flex();
//! let logits = Tensor::<2>::from_data([[0.0, 0.0]], &device);
//! let labels = Tensor::<1, Int>::from_data([1], &device);
//! let parts = correctness_aware(logits, labels, Tensor::ones([1], &device), &Config::default())?;
//! assert!((parts.loss.into_scalar::<f32>() - 0.25).abs() < 1e-6);
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::{Int, Tensor, activation::log_softmax};

use crate::check;
use crate::error::LossError;
use crate::option::{any, objective};
use crate::reduce::denominator;

objective! {
    "correctness_aware", family: "calibration", file: "correctness_aware.rs", role: Loss, tasks: [Calibration],
    remembers: None, cost: "O(B C)",
    options: {
        balanced / with_balanced: bool = true, any("true, false"),
            "choice to let right and wrong predictions count the same";
    }
}

/// The loss and what it is made of.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Parts {
    /// The loss, `[1]`.
    pub loss: Tensor<1>,
    /// Probability of the predicted class, `[batch]`.
    pub confidence: Tensor<1>,
    /// 1 where the prediction is right, 0 elsewhere, `[batch]`.
    pub correct: Tensor<1>,
}

/// The loss for `logits: [batch, classes]`, `labels: [batch]` and `temperature: [batch]`.
///
/// # Errors
/// [`LossError::EmptyBatch`], [`LossError::Shape`]. Labels and temperatures out of range are not looked for; see
/// [`check`].
pub fn correctness_aware(
    logits: Tensor<2>,
    labels: Tensor<1, Int>,
    temperature: Tensor<1>,
    config: &Config,
) -> Result<Parts, LossError> {
    let [batch, _] = check::classification(NAME, &logits, &labels)?;
    check::vector(NAME, "temperature", &temperature, batch)?;
    let predicted = logits.clone().detach().argmax(1);
    let correct = predicted.clone().equal(labels.reshape([batch, 1])).float().cast(logits.dtype()).reshape([batch]);
    let scaled = logits / temperature.reshape([batch, 1]);
    let confidence = log_softmax(scaled, 1).gather(1, predicted).exp().reshape([batch]);
    let errors = (confidence.clone() - correct.clone()).square();
    let weights = if config.balanced { balanced(&correct) } else { correct.ones_like() };
    let loss = (errors * weights.clone()).sum() / denominator(weights.sum());
    Ok(Parts { loss, confidence, correct })
}

/// `1 - acc` for the right, `acc` for the wrong; 1 for all if there are only right ones or only wrong ones.
fn balanced(correct: &Tensor<1>) -> Tensor<1> {
    let accuracy = correct.clone().mean();
    let wrong = correct.clone().neg() + 1.0;
    let weights = correct.clone() * (accuracy.clone().neg() + 1.0) + wrong * accuracy;
    let one_kind = weights.clone().sum().equal_scalar(0.0).expand(weights.dims());
    weights.mask_fill(one_kind, 1.0)
}
