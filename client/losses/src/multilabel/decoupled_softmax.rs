//! Decoupled softmax: each present label competes with the absent ones only, not with the other present labels.
//!
//! # Formula
//! With `s` the `similarities`, `P` the present labels of a row (those of `sampled`, if given) and `N` its absent ones:
//! `loss_b = -(1/|P|) sum_(p in P) (s[b,p] - ln(exp(s[b,p]) + sum_(n in N) exp(s[b,n])))`
//!
//! # Shapes
//! `similarities: [batch, labels]`, divided by the temperature already
//! ([`similarities`](crate::multilabel::similarities) of two encoders are), `targets: [batch, labels]`, each 0 or 1,
//! `sampled: [batch, labels]` or none: the present labels that are used in this step. The result is `[batch]`.
//!
//! # Range and gradient
//! `[0, inf)` and smooth. Every present label has a gradient below 0 and every absent one above 0, which add up to 0;
//! the plain softmax pushes some present labels down. A row without present labels, or without absent ones, is 0. A
//! present label that is not in `sampled` has no gradient. Adding a constant to a row changes nothing.
//!
//! # Choices
//! Natural logarithm, as `softplus(ln sum_n exp(s_n) - s_p)` from the logarithm of the sum over absent labels. Present
//! labels that are not sampled are left out, where the released code keeps them at a similarity of -100. With one
//! present label in each row this is cross-entropy. There are no options.
//!
//! # Source
//! Gupta et al.: Dual-Encoders for Extreme Multi-Label Classification, ICLR 2024, the decoupled softmax.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Tensor};
//! use synod_losses::multilabel::decoupled_softmax::{Config, decoupled_softmax};
//!
//! let device = Device::flex();
//! let similarities = Tensor::<2>::from_data([[0.0, 0.0, 9.0]], &device);
//! let targets = Tensor::<2>::from_data([[1.0, 0.0, 1.0]], &device);
//! let loss = decoupled_softmax(similarities, targets, None, &Config::default())?.into_scalar::<f32>();
//! assert!((loss - (2f32.ln() + (-9f32).exp().ln_1p()) / 2.0).abs() < 1e-6);
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::{Tensor, activation::log_sigmoid};

use super::present::present;
use crate::error::LossError;
use crate::option::objective;

objective! {
    "decoupled_softmax", family: "multilabel", file: "decoupled_softmax.rs", role: Loss, tasks: [MultiLabel],
    remembers: None, cost: "O(B C)",
    options: {}
}

/// Values per sample, `[batch]`, for `similarities: [batch, labels]`, `targets: [batch, labels]` and, if not all present
/// labels are used, `sampled: [batch, labels]`.
///
/// # Errors
/// [`LossError::EmptyBatch`] and [`LossError::Shape`].
pub fn decoupled_softmax(
    similarities: Tensor<2>,
    targets: Tensor<2>,
    sampled: Option<Tensor<2>>,
    _: &Config,
) -> Result<Tensor<1>, LossError> {
    let (present, share) = present(NAME, &similarities, &targets, sampled)?;
    let [batch, _] = similarities.dims();
    let rivals = log_sum_exp(similarities.clone(), targets.equal_scalar(0.0).float());
    let terms = log_sigmoid(similarities - rivals) * present * share;
    Ok(terms.sum_dim(1).neg().reshape([batch]))
}

/// Logarithm of the sum of the exponentials of the entries that `counted` keeps, `[rows, 1]`; far below every
/// number that a row of similarities may hold if it keeps none.
fn log_sum_exp(values: Tensor<2>, counted: Tensor<2>) -> Tensor<2> {
    const NOTHING: f64 = -1e30;
    let left_out = counted.clone().equal_scalar(0.0);
    let none = counted.sum_dim(1).equal_scalar(0.0);
    let largest = values.clone().detach().mask_fill(left_out.clone(), NOTHING).max_dim(1).mask_fill(none.clone(), 0.0);
    // An entry left out may be far larger than the rest; its exponential must not be taken.
    let shifted = (values - largest.clone()).mask_fill(left_out.clone(), 0.0);
    let sum = shifted.exp().mask_fill(left_out, 0.0).sum_dim(1).mask_fill(none.clone(), 1.0);
    (sum.log() + largest).mask_fill(none, NOTHING)
}
