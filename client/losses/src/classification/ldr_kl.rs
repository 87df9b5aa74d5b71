//! LDR-KL: the worst case over label distributions near uniform; cross-entropy with a temperature and a margin.
//!
//! # Formula
//! With `f` the `logits` after `normalise`, the true class `y` (`targets`), `C` classes and
//! `g_c = f_c - f_y + margin [c != y]`: `loss = lambda (ln sum_c exp(g_c / lambda) - ln C)`, which is the largest
//! `sum_c p_c g_c - lambda KL(p || uniform)` over distributions `p`.
//!
//! # Shapes
//! `logits: [batch, classes]` with at least 2 classes, `targets: [batch]` with values in `0..classes`; the result is
//! `[batch]`.
//!
//! # Range and gradient
//! Between the mean of `g` (`lambda` to infinity) and its maximum (`lambda` to 0, the multi-class hinge loss), not
//! rising with `lambda`; it may be negative. Smooth. `lambda = 1` without margin and normalisation is cross-entropy
//! minus `ln C`. The gradient also flows through the normalisation.
//!
//! # Choices
//! Natural logarithm. `softplus_mean` replaces `f` by `ln(1 + exp(f))` and divides each row by its mean; `l1_mean`
//! divides each row by the mean of its absolute values; `none` is the paper's form. The defaults are those of the
//! released code. A row's mean counts as at least 1e-12.
//!
//! # Source
//! Zhu, Ying, Yang: Label Distributionally Robust Losses for Multi-class Classification: Consistency, Robustness and
//! Adaptivity, ICML 2023, the LDR-KL loss.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Int, Tensor};
//! use synod_losses::classification::ldr_kl::{Config, Normalise, ldr_kl};
//!
//! let device = Device::flex();
//! let logits = Tensor::<2>::from_data([[0.0, 0.0]], &device);
//! let targets = Tensor::<1, Int>::from_data([1], &device);
//! let config = Config::default().with_margin(0.0).with_normalise(Normalise::None);
//! let loss = ldr_kl(logits, targets, &config)?.into_scalar::<f32>();
//! assert!(loss.abs() < 1e-6);
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::{IndexingUpdateOp, Int, Tensor, activation::log_softmax};
use serde::{Deserialize, Serialize};

use crate::check;
use crate::error::LossError;
use crate::option::{NON_NEGATIVE, POSITIVE, any, objective};
use crate::stable::softplus;

/// Lower bound of a row's mean, where a row of zeros would be divided by zero.
const MEAN_MIN: f64 = 1e-12;

/// What is done to each row of logits first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Normalise {
    /// Nothing.
    None,
    /// `ln(1 + exp(f))`, divided by the mean of the row.
    SoftplusMean,
    /// Division by the mean of the row's absolute values.
    L1Mean,
}

objective! {
    "ldr_kl", family: "classification", file: "ldr_kl.rs", role: Loss, tasks: [Classification],
    remembers: None, cost: "O(B C)",
    options: {
        lambda / with_lambda: f64 = 1.0, POSITIVE, "temperature: low looks at the worst class only";
        margin / with_margin: f64 = 0.1, NON_NEGATIVE, "by how much the true class must lead";
        normalise / with_normalise: Normalise = Normalise::SoftplusMean => "\"softplus_mean\"", any("none | softplus_mean | l1_mean"),
            "of each row of logits";
    }
}

/// Values per sample, `[batch]`, for `logits: [batch, classes]` and `targets: [batch]`.
///
/// # Errors
/// [`LossError::EmptyBatch`], [`LossError::Shape`]. Labels out of range are not looked for; see [`check`].
pub fn ldr_kl(logits: Tensor<2>, targets: Tensor<1, Int>, config: &Config) -> Result<Tensor<1>, LossError> {
    let [batch, _] = check::several_classes(NAME, &logits, &targets)?;
    let lambda = Tensor::full([batch, 1], config.lambda, (&logits.device(), logits.dtype()));
    Ok(robust(normalised(logits, config.normalise), targets, lambda, config.margin))
}

/// Each row after `normalise`.
pub(super) fn normalised(logits: Tensor<2>, normalise: Normalise) -> Tensor<2> {
    let (values, sizes) = match normalise {
        Normalise::None => return logits,
        Normalise::SoftplusMean => {
            let values = softplus(logits);
            (values.clone(), values)
        }
        Normalise::L1Mean => (logits.clone(), logits.abs()),
    };
    values / sizes.mean_dim(1).clamp_min(MEAN_MIN)
}

/// `lambda (ln sum_c exp(g_c / lambda) - ln C)`, `[batch]`, for one temperature per sample, `[batch, 1]`.
pub(super) fn robust(f: Tensor<2>, targets: Tensor<1, Int>, lambda: Tensor<2>, margin: f64) -> Tensor<1> {
    let [batch, classes] = f.dims();
    let index = targets.reshape([batch, 1]);
    // A row minus a constant is the same to the softmax, so the margin of the others is taken from the true class.
    let lead = Tensor::full([batch, 1], -margin, (&f.device(), f.dtype()));
    let scores = f.scatter(1, index.clone(), lead, IndexingUpdateOp::Add) / lambda.clone();
    let worst = log_softmax(scores, 1).gather(1, index).neg() - (classes as f64).ln();
    (worst * lambda).reshape([batch])
}
