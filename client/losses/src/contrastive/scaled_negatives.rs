//! Composed image retrieval with many negatives: a query of an image and a text must find its target in the batch, in a
//! bank of candidates, or in a sample of the bank.
//!
//! # Formula
//! With `q_b` the sum of `reference` and `text` over its length, `tau` the `temperature`, and candidates over theirs:
//!
//! - [`in_batch`]: `loss_b = ln sum_j exp(q_b . target_j / tau) - q_b . target_b / tau`;
//! - [`bank`]: the same with all rows of the bank in place of the targets of the batch, `target_index[b]` the right
//!   one;
//! - [`bank_sampled`]: the same with the right row and the rows `negative_index[b]` only.
//!
//! # Shapes
//! `reference, text, target: [batch, d]`, `bank: [rows, d]`, `target_index: [batch]`, `negative_index: [batch, k]`; the
//! result is `[batch]`.
//!
//! # Range and gradient
//! `[0, inf)` and smooth. In the batch, gradients reach all three; with a bank, the text only: references and bank come
//! from a frozen encoder. More rows in the bank never lower the loss; one row makes it 0.
//!
//! # Choices
//! One direction only, from the query to the target. Rows of the bank that were never filled are zeros, stay zeros and
//! have the logit 0. Duplicates of the target in the bank act as false negatives: leave them out. The bank is local or
//! comes from the coordinator; a site never sends its own.
//!
//! # Source
//! Feng, Zhang, Nie: Improving Composed Image Retrieval via Contrastive Learning with Scaling Positives and Negatives,
//! ACM MM 2024; `models.py`, `models_negplus.py` and `models_bank.py` of the released code.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Int, Tensor};
//! use synod_losses::contrastive::scaled_negatives::{Config, bank};
//!
//! let device = Device::flex();
//! let reference = Tensor::<2>::from_data([[1.0, 0.0]], &device);
//! let text = Tensor::<2>::from_data([[0.0, 1.0]], &device);
//! let candidates = Tensor::<2>::from_data([[1.0, 1.0], [0.0, 0.0]], &device);
//! let target = Tensor::<1, Int>::from_data([0], &device);
//! let config = Config::default().with_temperature(1.0);
//! let loss = bank(reference, text, candidates, target, &config)?.into_scalar::<f32>();
//! assert!((loss - (1.0 + (-1f32).exp()).ln()).abs() < 1e-6);
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::{Int, Tensor};

use super::info_nce;
use super::similarity::{LENGTH_MIN, check_pair, check_shape, length, log_sum_exp, shape_error, unit};
use crate::check;
use crate::error::{ConfigError, LossError};
use crate::option::{POSITIVE, objective};

objective! {
    "scaled_negatives", family: "contrastive", file: "scaled_negatives.rs", role: Loss, tasks: [Retrieval],
    remembers: None, cost: "O(B M D)",
    options: {
        temperature / with_temperature: f64 = 0.02, POSITIVE, "divisor of similarities";
    }
}

/// Values per query, `[batch]`, against the targets of the batch, for `reference, text, target: [batch, d]`.
///
/// # Errors
/// [`LossError::EmptyBatch`] and [`LossError::Shape`] if there is nothing to compare or shapes differ.
pub fn in_batch(
    reference: Tensor<2>,
    text: Tensor<2>,
    target: Tensor<2>,
    config: &Config,
) -> Result<Tensor<1>, LossError> {
    check_pair(NAME, ("text", &text), ("reference", &reference), 1)?;
    check_pair(NAME, ("text", &text), ("target", &target), 1)?;
    let plain = info_nce::Config::default().with_temperature(config.temperature);
    info_nce::info_nce(reference + text, target, &plain)
}

/// Values per query, `[batch]`, against all of `bank: [rows, d]`; query `b` belongs to the row `target_index[b]`.
///
/// # Errors
/// [`LossError::EmptyBatch`] and [`LossError::Shape`] if there is nothing to compare or shapes do not match.
pub fn bank(
    reference: Tensor<2>,
    text: Tensor<2>,
    bank: Tensor<2>,
    target_index: Tensor<1, Int>,
    config: &Config,
) -> Result<Tensor<1>, LossError> {
    let [batch, _] = check_bank(&reference, &text, &bank, &target_index)?;
    let query = unit(reference.detach() + text, LENGTH_MIN);
    // Dividing the products by the lengths of the bank's rows does not copy the bank.
    let bank = bank.detach();
    let lengths = length(bank.clone().square().sum_dim(1), LENGTH_MIN).transpose() * config.temperature;
    let logits = query.matmul(bank.transpose()) / lengths;
    let targets = logits.clone().gather(1, target_index.reshape([batch, 1]));
    Ok(log_sum_exp(logits - targets).reshape([batch]))
}

/// Values per query, `[batch]`, against the row `target_index[b]` and the rows `negative_index[b]` of
/// `bank: [rows, d]`, for `negative_index: [batch, k]`. None of them should be the target; [`check_negatives`] looks.
///
/// # Errors
/// [`LossError::EmptyBatch`] and [`LossError::Shape`] if there is nothing to compare or shapes do not match.
pub fn bank_sampled(
    reference: Tensor<2>,
    text: Tensor<2>,
    bank: Tensor<2>,
    target_index: Tensor<1, Int>,
    negative_index: Tensor<2, Int>,
    config: &Config,
) -> Result<Tensor<1>, LossError> {
    let [batch, dim] = check_bank(&reference, &text, &bank, &target_index)?;
    let [_, negatives] = negative_index.dims();
    check_shape(NAME, "negative_index", &negative_index.dims(), &[batch, negatives])?;
    let candidates = negatives + 1;
    let rows = Tensor::cat(vec![target_index.reshape([batch, 1]), negative_index], 1).reshape([batch * candidates]);
    let candidates = unit(bank.detach().select(0, rows), LENGTH_MIN).reshape([batch, candidates, dim]);
    let query = unit(reference.detach() + text, LENGTH_MIN).reshape([batch, dim, 1]);
    let logits = candidates.matmul(query).squeeze_dim::<2>(2) / config.temperature;
    let target = logits.clone().narrow(1, 0, 1);
    Ok(log_sum_exp(logits - target).reshape([batch]))
}

/// Checks on the host that all rows are in the bank and no negative of a query is its target. `negatives` holds the
/// negatives of the first query, then those of the second, and so on.
///
/// # Errors
/// [`LossError::Label`] for the first row outside the bank; [`LossError::Shape`] if the number of negatives is no
/// multiple of that of the targets; [`LossError::Config`] for the first negative that is the target.
pub fn check_negatives(targets: &[i64], negatives: &[i64], bank_rows: usize) -> Result<(), LossError> {
    check::labels(targets, bank_rows)?;
    check::labels(negatives, bank_rows)?;
    if targets.is_empty() || !negatives.len().is_multiple_of(targets.len()) {
        let expected = format!("[{}, k]", targets.len());
        return Err(shape_error(NAME, "negative_index", expected, &[negatives.len()]));
    }
    let per_query = (negatives.len() / targets.len()).max(1);
    let own = targets.iter().zip(negatives.chunks(per_query)).find(|(target, negatives)| negatives.contains(target));
    own.map_or(Ok(()), |(target, _)| {
        let source = ConfigError::new("negative_index", target, "any row but the target of the query");
        Err(LossError::Config { name: NAME, source })
    })
}

fn check_bank(
    reference: &Tensor<2>,
    text: &Tensor<2>,
    bank: &Tensor<2>,
    target_index: &Tensor<1, Int>,
) -> Result<[usize; 2], LossError> {
    let [batch, dim] = check_pair(NAME, ("text", text), ("reference", reference), 1)?;
    let [rows, _] = bank.dims();
    if rows == 0 {
        return Err(shape_error(NAME, "bank", format!("[n, {dim}] with n >= 1"), &bank.dims()));
    }
    check_shape(NAME, "bank", &bank.dims(), &[rows, dim])?;
    check_shape(NAME, "target_index", &target_index.dims(), &[batch])?;
    Ok([batch, dim])
}
