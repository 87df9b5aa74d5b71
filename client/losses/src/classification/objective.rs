//! Any loss of this family by its configuration, and the path that training takes.

use burn::tensor::{Int, Tensor};

use super::{aldr_kl, comp_sum, cross_entropy, focal, ldr_kl, softmax::Softmax, z_loss};
use crate::error::LossError;
use crate::gradient::attach;
use crate::info::TaskKind;
use crate::reduce::{Reduction, reduce_weighted};
use crate::registry::LossConfig;
use crate::regulariser::margin_control;

/// Values per sample, `[batch]`, of the loss that `loss` names, for `logits: [batch, classes]`, `labels: [batch]`.
///
/// # Errors
/// Those of the loss; [`LossError::Unfit`] if it takes something else than logits and labels.
pub fn per_sample(logits: Tensor<2>, labels: Tensor<1, Int>, loss: &LossConfig) -> Result<Tensor<1>, LossError> {
    match loss {
        LossConfig::CrossEntropy(config) => cross_entropy::cross_entropy(logits, labels, config),
        LossConfig::Focal(config) => focal::focal(logits, labels, config),
        LossConfig::CompSum(config) => comp_sum::comp_sum(logits, labels, config),
        LossConfig::ZLoss(config) => z_loss::z_loss(logits, labels, config),
        LossConfig::LdrKl(config) => ldr_kl::ldr_kl(logits, labels, config),
        LossConfig::AldrKl(config) => aldr_kl::first_visit(logits, labels, config),
        other => Err(other.unfit(TaskKind::Classification)),
    }
}

/// The weights, `[batch]`, by whose sum a mean over [`per_sample`] divides; `None` where it divides by the number of
/// samples.
///
/// # Errors
/// As [`per_sample`].
pub fn mean_weights(
    logits: &Tensor<2>,
    labels: &Tensor<1, Int>,
    loss: &LossConfig,
) -> Result<Option<Tensor<1>>, LossError> {
    match loss {
        LossConfig::CrossEntropy(config) => cross_entropy::target_weights(logits, labels.clone(), config),
        _ => Ok(None),
    }
}

/// The objective of a training step, `[1]`: the mean of `loss` over the batch (with class weights, the weighted mean),
/// plus margin control if given, for `logits: [batch, classes]` and `labels: [batch]`.
///
/// Value and gradient are those of [`per_sample`], [`reduce_weighted`] and
/// [`margin_control`](crate::regulariser::margin_control()). For cross-entropy and focal loss both are computed in
/// closed form from one softmax, and only four operations are recorded for the backward pass. That is all a single
/// backward pass can see: burn does not differentiate twice. Nothing waits for the device; a label out of range or a
/// non-finite logit is not looked for, see [`check`](crate::check). A non-finite logit makes the result NaN.
///
/// # Errors
/// As [`per_sample`].
pub fn softmax_objective(
    logits: Tensor<2>,
    labels: Tensor<1, Int>,
    loss: &LossConfig,
    margin: Option<&margin_control::Config>,
) -> Result<Tensor<1>, LossError> {
    let margin = margin.filter(|margin| margin.lambda != 0.0);
    match loss {
        LossConfig::CrossEntropy(config) => {
            cross_entropy::check_inputs(&logits, &labels, config)?;
            Ok(closed_form(logits, labels, margin, |softmax| cross_entropy::mean_and_gradient(softmax, config)))
        }
        LossConfig::Focal(config) => {
            focal::check_inputs(&logits, &labels, config)?;
            Ok(closed_form(logits, labels, margin, |softmax| focal::mean_and_gradient(softmax, config)))
        }
        other => composed(logits, labels, other, margin),
    }
}

/// Mean over the batch and margin control, differentiated by burn.
fn composed(
    logits: Tensor<2>,
    labels: Tensor<1, Int>,
    loss: &LossConfig,
    margin: Option<&margin_control::Config>,
) -> Result<Tensor<1>, LossError> {
    let weights = mean_weights(&logits, &labels, loss)?;
    let mean = reduce_weighted(per_sample(logits.clone(), labels, loss)?, weights, None, Reduction::Mean)?;
    Ok(match margin {
        Some(margin) => mean + margin_control::margin_control(logits, margin)?,
        None => mean,
    })
}

/// Value and gradient side by side, from one softmax.
fn closed_form(
    logits: Tensor<2>,
    labels: Tensor<1, Int>,
    margin: Option<&margin_control::Config>,
    mean_and_gradient: impl FnOnce(&Softmax) -> (Tensor<1>, Tensor<2>),
) -> Tensor<1> {
    let softmax = Softmax::new(logits.clone().inner(), labels.inner());
    let (value, gradient) = mean_and_gradient(&softmax);
    let (value, gradient) = match margin {
        Some(margin) => {
            let (term, slope) = margin_control::value_and_gradient(softmax.probs, margin);
            (value + term, gradient + slope)
        }
        None => (value, gradient),
    };
    if logits.is_tracked() { attach(value, logits, gradient) } else { value }
}
