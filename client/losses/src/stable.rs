//! Functions whose obvious form loses digits, overflows, or has no gradient somewhere.

use burn::tensor::{Tensor, activation::log_sigmoid};

/// `ln(1 + exp(x))`.
pub(crate) fn softplus<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    log_sigmoid(x.neg()).neg()
}

/// `exp(x) - 1`, exact for small `x`.
pub(crate) fn expm1<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    // From tanh(x/2) = (e^x - 1) / (e^x + 1).
    (x.clone() * 0.5).tanh() * (x.exp() + 1.0)
}
