//! Any loss of this family by its configuration, and the path that training takes.

use burn::tensor::Tensor;

use super::comic::{Prior, corrector, modifier};
use super::{bce, decoupled_softmax, soft_top_k, softmax};
use crate::error::LossError;
use crate::gradient::attach;
use crate::info::TaskKind;
use crate::reduce::{Reduction, reduce};
use crate::registry::LossConfig;

/// Values per sample, `[batch]`, of the loss that `loss` names, for `logits: [batch, classes]` and
/// `targets: [batch, classes]`, each 0 or 1.
///
/// # Errors
/// Those of the loss; [`LossError::Unfit`] if it takes something else than logits and a 0 or 1 for each class.
pub fn per_sample(logits: Tensor<2>, targets: Tensor<2>, loss: &LossConfig) -> Result<Tensor<1>, LossError> {
    match loss {
        LossConfig::BinaryCrossEntropy(config) => bce::binary_cross_entropy(logits, targets, config),
        LossConfig::ComicModifier(config) => modifier::modifier(logits, targets, &Prior::default(), config),
        LossConfig::ComicCorrector(config) => Ok(corrector::corrector(logits, targets, None, config)?.values),
        LossConfig::DecoupledSoftmax(config) => decoupled_softmax::decoupled_softmax(logits, targets, None, config),
        LossConfig::MultilabelSoftmax(config) => softmax::softmax(logits, targets, config),
        LossConfig::SoftTopK(config) => Ok(soft_top_k::soft_top_k(logits, targets, None, config)?.values),
        other => Err(other.unfit(TaskKind::MultiLabel)),
    }
}

/// The objective of a training step, `[1]`: the mean of [`per_sample`] over the batch.
///
/// Where the gradient has a short closed form it is computed beside the value, and burn records four operations. A
/// non-finite logit makes the result NaN.
///
/// # Errors
/// As [`per_sample`].
pub fn objective(logits: Tensor<2>, targets: Tensor<2>, loss: &LossConfig) -> Result<Tensor<1>, LossError> {
    let (value, gradient) = match loss {
        LossConfig::BinaryCrossEntropy(config) => {
            bce::mean_and_gradient(logits.clone().inner(), targets.inner(), config)?
        }
        other => return reduce(per_sample(logits, targets, other)?, None, Reduction::Mean),
    };
    Ok(if logits.is_tracked() { attach(value, logits, gradient) } else { value })
}
