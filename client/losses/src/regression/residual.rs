//! What the losses of a single prediction per output share: they are functions of prediction minus target.

use burn::tensor::Tensor;

use crate::check;
use crate::error::LossError;

/// Prediction minus target, `[batch, outputs]`.
pub(super) fn residual(loss: &'static str, prediction: Tensor<2>, target: Tensor<2>) -> Result<Tensor<2>, LossError> {
    check::same_shape(loss, ("prediction", &prediction), ("target", &target))?;
    Ok(prediction - target)
}

/// Mean over the outputs, `[batch]`.
pub(super) fn mean_of_row(values: Tensor<2>) -> Tensor<1> {
    let [batch, _] = values.dims();
    values.mean_dim(1).reshape([batch])
}
