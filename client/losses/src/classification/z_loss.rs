//! Z-loss: sees only the standardised logit of the true class, so shift and scale of the logits do not matter.
//!
//! # Formula
//! With mean `mu` and standard deviation `sigma` (over `classes`) of a row of `logits`, the true class `y` (`targets`),
//! `z = (logits[b,y] - mu) / sigma`, sharpness `a` and offset `b`: `loss = (1/a) ln(1 + exp(a (b - z)))`
//!
//! # Shapes
//! `logits: [batch, classes]` with at least 2 classes, `targets: [batch]` with values in `0..classes`; the result is
//! `[batch]`.
//!
//! # Range and gradient
//! `(0, inf)`, smooth. With `D` classes `|z|` is at most `sqrt(D - 1)`, so an offset `b` below that can be reached. The
//! gradient of a row sums to 0 and is at right angles to the row. **With two classes `z` is 1 or -1 and nothing is
//! learned**: use another loss. A row whose `sigma` is below 1e-6 has `z = 0` and no gradient: do not start from a head
//! of zeros. For large `a` the loss tends to `max(0, b - z)`.
//!
//! # Choices
//! The standard deviation divides by the number of classes. The row's maximum is taken away first, so that the mean of
//! equal large logits leaves no rounding error. The released code adds 1e-12 to `sigma`, which would make the gradient
//! of a constant row explode.
//!
//! # Source
//! de Brébisson, Vincent: The Z-loss: a shift and scale invariant classification loss belonging to the Spherical
//! Family, arXiv 1604.08859, 2016. The defaults `a = 1`, `b = 0` are those of the released code; the paper tunes both.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Int, Tensor};
//! use synod_losses::classification::z_loss::{Config, z_loss};
//!
//! let device = Device::flex();
//! let logits = Tensor::<2>::from_data([[0.0, 3.0, 0.0], [5.0, 905.0, 5.0]], &device);
//! let targets = Tensor::<1, Int>::from_data([1, 1], &device);
//! let loss = z_loss(logits, targets, &Config::default())?.try_into_vec_as::<f32>().expect("on the CPU");
//! assert!((loss[0] - loss[1]).abs() < 1e-6);
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::{Int, Tensor};

use crate::check;
use crate::error::LossError;
use crate::option::{FINITE, POSITIVE, objective};
use crate::stable::softplus;

/// A row with less deviation counts as constant.
const SIGMA_MIN: f64 = 1e-6;

objective! {
    "z_loss", family: "classification", file: "z_loss.rs", role: Loss, tasks: [Classification],
    remembers: None, cost: "O(B C)",
    options: {
        a / with_a: f64 = 1.0, POSITIVE, "sharpness";
        b / with_b: f64 = 0.0, FINITE, "the standardised logit that is asked for";
    }
}

/// Values per sample, `[batch]`, for `logits: [batch, classes]` and `targets: [batch]`.
///
/// # Errors
/// [`LossError::EmptyBatch`], [`LossError::Shape`]. Labels out of range are not looked for; see [`check`].
pub fn z_loss(logits: Tensor<2>, targets: Tensor<1, Int>, config: &Config) -> Result<Tensor<1>, LossError> {
    let z = z_target(logits, targets)?;
    Ok(softplus((z.neg() + config.b) * config.a) / config.a)
}

/// The standardised logit of the true class, `[batch]`.
///
/// # Errors
/// As [`z_loss`].
pub fn z_target(logits: Tensor<2>, targets: Tensor<1, Int>) -> Result<Tensor<1>, LossError> {
    let [batch, _] = check::several_classes(NAME, &logits, &targets)?;
    // z does not depend on this shift, so neither does its gradient.
    let shifted = logits.clone() - logits.detach().max_dim(1);
    let centred = shifted.clone() - shifted.mean_dim(1);
    let variance = (centred.clone() * centred.clone()).mean_dim(1);
    let constant = variance.clone().lower_scalar(SIGMA_MIN * SIGMA_MIN);
    let sigma = variance.mask_fill(constant.clone(), 1.0).sqrt();
    let z = centred.gather(1, targets.reshape([batch, 1])) / sigma;
    Ok(z.mask_fill(constant, 0.0).reshape([batch]))
}
