//! Any loss of this family by its configuration, and the path that training takes.

use burn::tensor::Tensor;

use super::residual::residual;
use super::{gaussian_nll, huber, mae, mse, object_depth};
use crate::density::apre;
use crate::error::LossError;
use crate::gradient::attach;
use crate::info::TaskKind;
use crate::reduce::{Reduction, reduce};
use crate::registry::LossConfig;

/// Values per sample, `[batch]`, of the loss that `loss` names, for `prediction: [batch, k * outputs]` and
/// `target: [batch, outputs]`, where `k` is [`columns_per_output`].
///
/// # Errors
/// Those of the loss; [`LossError::Unfit`] if it takes something else than predicted and true numbers.
pub fn per_sample(prediction: Tensor<2>, target: Tensor<2>, loss: &LossConfig) -> Result<Tensor<1>, LossError> {
    match loss {
        LossConfig::Mse(config) => mse::mse(prediction, target, config),
        LossConfig::Mae(config) => mae::mae(prediction, target, config),
        LossConfig::Huber(config) => huber::huber(prediction, target, config),
        LossConfig::GaussianNll(config) => gaussian_nll::gaussian_nll(prediction, target, config),
        LossConfig::ObjectDepth(config) => object_depth::object_depth(prediction, target, config),
        LossConfig::Apre(config) => apre(prediction, target, config),
        other => Err(other.unfit(TaskKind::Regression)),
    }
}

/// The objective of a training step, `[1]`: the mean of [`per_sample`] over the batch.
///
/// Where the gradient has a short closed form it is computed beside the value, and burn records four operations. A
/// non-finite prediction makes the result NaN.
///
/// # Errors
/// As [`per_sample`].
pub fn objective(prediction: Tensor<2>, target: Tensor<2>, loss: &LossConfig) -> Result<Tensor<1>, LossError> {
    let residual = |name| residual(name, prediction.clone().inner(), target.clone().inner());
    let (value, gradient) = match loss {
        LossConfig::Mse(_) => mse::mean_and_gradient(residual(loss.name())?),
        LossConfig::Huber(config) => huber::mean_and_gradient(residual(loss.name())?, config),
        other => return reduce(per_sample(prediction, target, other)?, None, Reduction::Mean),
    };
    Ok(if prediction.is_tracked() { attach(value, prediction, gradient) } else { value })
}

/// How many columns of a prediction the loss needs for each output: 2 for one that also learns a variance.
///
/// The columns come in blocks, the point prediction of every output first.
pub const fn columns_per_output(loss: &LossConfig) -> usize {
    match loss {
        LossConfig::GaussianNll(_) | LossConfig::Apre(_) => 2,
        _ => 1,
    }
}

/// The point prediction, `[batch, outputs]`, in a prediction of the shape that `loss` needs.
///
/// # Errors
/// [`LossError::Shape`] if the prediction has not [`columns_per_output`] columns for each of `outputs`.
pub fn point(prediction: Tensor<2>, outputs: usize, loss: &LossConfig) -> Result<Tensor<2>, LossError> {
    let columns = columns_per_output(loss);
    let [batch, found] = prediction.dims();
    if outputs.checked_mul(columns) != Some(found) {
        let expected = format!("[{batch}, {columns} x {outputs}]");
        return Err(LossError::Shape { loss: loss.name(), tensor: "prediction", expected, found: vec![batch, found] });
    }
    Ok(if columns == 1 { prediction } else { prediction.slice([0..batch, 0..outputs]) })
}
