//! Values whose gradient is known in closed form.
//!
//! burn records every tensor operation and replays each with one to three others. For a small model on a CPU these
//! operations, not their arithmetic, are what a loss costs. Where the gradient of a whole objective is a short formula
//! anyway, value and gradient are computed side by side without recording, and tied together here.

use burn::tensor::Tensor;

/// Returns a `[1]` tensor that has the value of `value: [1]` and, when differentiated, gives `live` the gradient
/// `gradient`, which has the shape of `live`. Neither of the two records anything.
///
/// `s = sum(live * gradient)` has that gradient, and `s - s` is exactly zero for finite numbers, so that adding it
/// changes no bit of the value.
pub(crate) fn attach<const D: usize>(value: Tensor<1>, live: Tensor<D>, gradient: Tensor<D>) -> Tensor<1> {
    let carrier = (live * gradient).sum();
    let same = carrier.clone().inner();
    carrier - same + value
}

/// As [`attach`], for one value per row: `values: [batch]`, `live` and `gradient: [batch, n, width]`, where each row of
/// `gradient` is that of its own value.
pub(crate) fn attach_each(values: Tensor<1>, live: Tensor<3>, gradient: Tensor<3>) -> Tensor<1> {
    let [batch, ..] = live.dims();
    let carrier = (live * gradient).sum_dims(&[1, 2]).reshape([batch]);
    let same = carrier.clone().detach();
    carrier - same + values
}
