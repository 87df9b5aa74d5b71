//! Margin control: holds back confident predictions, so that sites with different data drift apart less.
//!
//! # Formula
//! With `p = softmax(logits)` for each row (the paper's softmax output of a sample) and `lambda` its weight, the term
//! is `lambda * R`, to be added to a classification loss:
//!
//! - `batch`: `R = ln(1 + sum_b sum_c p[b,c]^2)`, one logarithm for the whole batch;
//! - `mean`: `R = mean_b ln(1 + sum_c p[b,c]^2)`.
//!
//! # Shapes
//! `logits: [batch, classes]`; the result is `[1]`. It is not `[batch]`: with `batch` the logarithm is taken over the
//! whole batch, and there is no value per sample. `lambda` is multiplied in.
//!
//! # Range and gradient
//! `R` of `mean` lies in `[ln(1 + 1/classes), ln 2]`: lowest for uniform rows, highest for certain ones. `R` of `batch`
//! lies in `[ln(1 + batch/classes), ln(1 + batch)]`, so its say shrinks in comparison with a mean loss only as the
//! logarithm of the batch grows. Smooth everywhere; nothing is detached. With `q_b = sum_c p[b,c]^2` the gradient of a
//! logit is `2 p[b,k] (p[b,k] - q_b)` over `1 + sum_b q_b` or over `batch (1 + q_b)`: it pushes every row towards
//! uniform and vanishes at uniform and at certain rows. Adding a constant to a row changes nothing. With one class the
//! term is constant. `lambda = 0` turns it off.
//!
//! # Choices
//! Natural logarithm. `batch` is what the authors' released code computes and the default; `mean` does not depend on
//! the batch size and does not change when every sample is repeated. The default `lambda` is that of the released
//! code; its command for retinal images uses 0.1.
//!
//! # Source
//! Zeng, Guo, Wang, Wang, Zhou, Qu: Tackling Data Heterogeneity in Federated Learning via Loss Decomposition, MICCAI
//! 2024, the margin control regularisation; `MarginalLogLoss` in the released code.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Tensor};
//! use synod_losses::regulariser::margin_control::{Config, Scope, margin_control};
//!
//! let logits = Tensor::<2>::zeros([8, 4], &Device::flex());
//! let config = Config::default().with_lambda(1.0).with_reduction(Scope::Mean);
//! let uniform = margin_control(logits, &config)?.into_scalar::<f32>();
//! assert!((uniform - 1.25f32.ln()).abs() < 1e-6);
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::{Tensor, activation::softmax};
use serde::{Deserialize, Serialize};

use crate::check;
use crate::error::LossError;
use crate::option::{NON_NEGATIVE, any, objective};

/// What one logarithm is taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// The whole batch, as the released code does.
    #[default]
    Batch,
    /// Each sample; the results are averaged.
    Mean,
}

objective! {
    "margin_control", family: "regulariser", file: "margin_control.rs", role: Term, tasks: [Classification],
    remembers: None, cost: "O(B C)",
    options: {
        lambda / with_lambda: f64 = 0.03, NON_NEGATIVE, "weight of the term; 0 turns it off";
        reduction / with_reduction: Scope = Scope::Batch => "\"batch\"", any("batch | mean"),
            "one logarithm for the batch, or one per sample";
    }
}

/// The term `lambda * R` as `[1]`, for `logits: [batch, classes]`.
///
/// Together with a loss that also needs the softmax,
/// [`softmax_objective`](crate::classification::softmax_objective) is cheaper: it computes the softmax once.
///
/// # Errors
/// [`LossError::EmptyBatch`] and [`LossError::Shape`] if there are no samples or no classes.
pub fn margin_control(logits: Tensor<2>, config: &Config) -> Result<Tensor<1>, LossError> {
    check::matrix(NAME, "logits", &logits)?;
    let probs = softmax(logits, 1);
    let squares = probs.clone() * probs;
    let logarithm = match config.reduction {
        Scope::Batch => squares.sum().log1p(),
        Scope::Mean => squares.sum_dim(1).log1p().mean(),
    };
    Ok(logarithm * config.lambda)
}

/// The term and its gradient with respect to the logits in closed form, from `probs: [batch, classes]`.
///
/// Not for tensors that record: the caller ties the two together.
pub(crate) fn value_and_gradient(probs: Tensor<2>, config: &Config) -> (Tensor<1>, Tensor<2>) {
    let [batch, _] = probs.dims();
    // q_b, written as in the docs above.
    let squares = (probs.clone() * probs.clone()).sum_dim(1);
    let towards_uniform = (probs.clone() - squares.clone()) * probs;
    match config.reduction {
        Scope::Batch => {
            let total = squares.sum();
            let slope = (total.clone() + 1.0).recip() * (2.0 * config.lambda);
            (total.log1p() * config.lambda, towards_uniform * slope.reshape([1, 1]))
        }
        Scope::Mean => {
            let slope = (squares.clone() + 1.0).recip() * (2.0 * config.lambda / batch as f64);
            (squares.log1p().mean() * config.lambda, towards_uniform * slope)
        }
    }
}
