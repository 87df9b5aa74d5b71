//! NT-Xent, the loss of SimCLR: each embedding must find the other view of its sample among all others of the batch.
//!
//! # Formula
//! With `z` the `2 B` rows of `z1` and `z2`, each divided by its length, `s_ij = z_i . z_j / tau`, `tau` the
//! `temperature`, and `i'` the row with the other view of the sample of row `i`:
//!
//! `loss_i = ln sum_{j != i} exp(s_ij) - s_ii'`
//!
//! # Shapes
//! `z1, z2: [batch, d]`; the result is `[2 * batch]`, the rows of `z1` first. Its mean is the loss.
//!
//! # Range and gradient
//! `[0, inf)` and smooth; `ln(2 B - 1)` where all embeddings are equal, and exactly 0 without a gradient for one
//! sample. Scaling a row by a positive number changes nothing. Gradients reach both views.
//!
//! # Choices
//! Differences to the positive are taken before the logarithm of the sum, so that losses near 0 are not lost to
//! rounding. Rows shorter than 1e-6 are divided by that, as in the released code of G-SimCLR. The default temperature
//! is that of SimCLR on ImageNet and of G-SimCLR on small images; 0.5 is usual for CIFAR-10.
//!
//! # Source
//! Chen, Kornblith, Norouzi, Hinton: A Simple Framework for Contrastive Learning of Visual Representations, ICML 2020,
//! equation 1; Chakraborty, Gosthipaty, Paul: G-SimCLR, ICDM workshops 2020.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Tensor};
//! use synod_losses::{Reduction, contrastive::nt_xent, reduce};
//!
//! let same = Tensor::<2>::ones([3, 8], &Device::flex());
//! let values = nt_xent::nt_xent(same.clone(), same, &nt_xent::Config::default())?;
//! let loss = reduce(values, None, Reduction::Mean)?.into_scalar::<f32>();
//! assert!((loss - 5f32.ln()).abs() < 1e-5);
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::{Int, Tensor};

use super::similarity::{EXCLUDED, check_pair, is_diagonal, log_sum_exp, unit};
use crate::error::LossError;
use crate::option::{POSITIVE, objective};

objective! {
    "nt_xent", family: "contrastive", file: "nt_xent.rs", role: Loss, tasks: [SelfSupervised],
    remembers: None, cost: "O(B^2 D)",
    options: {
        temperature / with_temperature: f64 = 0.1, POSITIVE, "divisor of similarities";
    }
}

/// Smallest length that an embedding is divided by.
const LENGTH_MIN: f64 = 1e-6;

/// Values per embedding, `[2 * batch]`, for the views `z1, z2: [batch, d]`.
///
/// # Errors
/// [`LossError::EmptyBatch`] and [`LossError::Shape`] if there is nothing to compare or the views differ in shape.
pub fn nt_xent(z1: Tensor<2>, z2: Tensor<2>, config: &Config) -> Result<Tensor<1>, LossError> {
    check_pair(NAME, ("z1", &z1), ("z2", &z2), 1)?;
    Ok(per_row(unit(z1, LENGTH_MIN), unit(z2, LENGTH_MIN), config.temperature))
}

/// Values per embedding for views of unit length.
pub(super) fn per_row(first: Tensor<2>, second: Tensor<2>, temperature: f64) -> Tensor<1> {
    let [batch, _] = first.dims();
    let (rows, batch) = (2 * batch, batch as i64);
    let device = first.device();
    let embeddings = Tensor::cat(vec![first, second], 0);
    let logits = embeddings.clone().matmul(embeddings.transpose()) / temperature;
    let partners = Tensor::cat(
        vec![Tensor::<1, Int>::arange(batch..2 * batch, &device), Tensor::<1, Int>::arange(0..batch, &device)],
        0,
    );
    let gaps = logits.clone() - logits.gather(1, partners.reshape([rows, 1]));
    log_sum_exp(gaps.mask_fill(is_diagonal(rows, &device), EXCLUDED)).reshape([rows])
}
