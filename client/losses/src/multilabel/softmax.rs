//! Softmax over all labels: cross-entropy summed over the labels that are present.
//!
//! # Formula
//! With `s` the `similarities` and `P` the present labels of a row: `loss_b = -sum_(p in P) ln softmax(s[b])[p]`
//!
//! # Shapes
//! `similarities: [batch, labels]`, divided by the temperature already, `targets: [batch, labels]`, each 0 or 1; the
//! result is `[batch]`.
//!
//! # Range and gradient
//! `[0, inf)` and smooth: `|P| softmax(s) - y`. With several present labels it cannot reach 0, and a present label that
//! is predicted better than the others is pushed down. A row without present labels is 0. Adding a constant to a row
//! changes nothing.
//!
//! # Choices
//! Natural logarithm. Not divided by the number of present labels, as in the paper's comparison. There are no options.
//!
//! # Source
//! Gupta et al.: Dual-Encoders for Extreme Multi-Label Classification, ICLR 2024, the softmax that the decoupled one is
//! compared with.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Tensor};
//! use synod_losses::multilabel::softmax::{Config, softmax};
//!
//! let device = Device::flex();
//! let targets = Tensor::<2>::from_data([[1.0, 1.0]], &device);
//! let loss = softmax(Tensor::zeros([1, 2], &device), targets, &Config::default())?.into_scalar::<f32>();
//! assert!((loss - 2.0 * 2f32.ln()).abs() < 1e-6);
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::{Tensor, activation::log_softmax};

use crate::check;
use crate::error::LossError;
use crate::option::objective;

objective! {
    "multilabel_softmax", family: "multilabel", file: "softmax.rs", role: Loss, tasks: [MultiLabel],
    remembers: None, cost: "O(B C)",
    options: {}
}

/// Values per sample, `[batch]`, for `similarities: [batch, labels]` and `targets: [batch, labels]`.
///
/// # Errors
/// [`LossError::EmptyBatch`] and [`LossError::Shape`].
pub fn softmax(similarities: Tensor<2>, targets: Tensor<2>, _: &Config) -> Result<Tensor<1>, LossError> {
    let [batch, _] = check::same_shape(NAME, ("similarities", &similarities), ("targets", &targets))?;
    Ok((log_softmax(similarities, 1) * targets).sum_dim(1).neg().reshape([batch]))
}
