//! What losses on overlapping masks share.

use burn::tensor::{Tensor, activation::sigmoid};

use crate::error::LossError;

/// Prediction and mask as sums over pixels.
pub(super) struct Overlap {
    /// Sum of `p t`.
    pub(super) both: Tensor<1>,
    /// Sum of `(1 - p) t`.
    pub(super) missed: Tensor<1>,
    /// Sum of `p (1 - t)`.
    pub(super) wrong: Tensor<1>,
}

impl Overlap {
    /// For each row of `logits` and `targets`, both `[rows, pixels]`.
    pub(super) fn of_logits(logits: Tensor<2>, targets: Tensor<2>) -> Self {
        // The probability of background keeps its digits where the foreground is almost certain.
        Self::of_probabilities(sigmoid(logits.clone()), sigmoid(logits.neg()), targets)
    }

    /// For each row of probabilities of foreground and background, `[rows, pixels]`.
    pub(super) fn of_probabilities(foreground: Tensor<2>, background: Tensor<2>, targets: Tensor<2>) -> Self {
        let [rows, _] = targets.dims();
        let sum = |values: Tensor<2>| values.sum_dim(1).reshape([rows]);
        Self {
            both: sum(foreground.clone() * targets.clone()),
            missed: sum(background * targets.clone()),
            wrong: sum(foreground * (targets.neg() + 1.0)),
        }
    }

    /// `1 - (both + smooth) / (both + alpha missed + (1 - alpha) wrong + smooth)`, `[rows]`, without cancellation.
    pub(super) fn lacking(self, alpha: f64, smooth: f64) -> Tensor<1> {
        let lost = self.missed * alpha + self.wrong * (1.0 - alpha);
        lost.clone() / (self.both + lost + smooth)
    }
}

/// `x^gamma` for `x` of at least 0, whose derivative at 0 is 0.
pub(super) fn power(values: Tensor<1>, gamma: f64) -> Tensor<1> {
    let zero = values.clone().equal_scalar(0.0);
    values.mask_fill(zero.clone(), 1.0).powf_scalar(gamma).mask_fill(zero, 0.0)
}

/// `logits` and `targets` as `[batch, pixels]`, after checking that their shapes agree.
pub(super) fn flattened<const D: usize>(
    loss: &'static str,
    logits: Tensor<D>,
    targets: Tensor<D>,
) -> Result<(Tensor<2>, Tensor<2>), LossError> {
    check_masks(loss, &logits, "targets", &targets)?;
    let batch = logits.dims()[0];
    let pixels = logits.shape().num_elements() / batch;
    Ok((logits.reshape([batch, pixels]), targets.reshape([batch, pixels])))
}

/// Checks that there are pixels and that both tensors have the same shape.
pub(super) fn check_masks<const D: usize>(
    loss: &'static str,
    logits: &Tensor<D>,
    name: &'static str,
    targets: &Tensor<D>,
) -> Result<(), LossError> {
    let shape = logits.dims();
    if shape[0] == 0 {
        return Err(LossError::EmptyBatch { loss });
    }
    if shape.contains(&0) {
        let expected = "a shape with at least one pixel".to_owned();
        return Err(LossError::Shape { loss, tensor: "logits", expected, found: shape.to_vec() });
    }
    if targets.dims() != shape {
        let expected = format!("{shape:?}, that of the logits");
        return Err(LossError::Shape { loss, tensor: name, expected, found: targets.dims().to_vec() });
    }
    Ok(())
}
