//! Map gradient: a predicted map rises and falls as much, and in the same direction, as the true one.
//!
//! # Formula
//! With central differences `dx`, `dy` (one-sided at the border), `s = dx^2 + dy^2`, `M = sqrt(s + eps)` of prediction
//! `p` and target `t`, and means over the cells kept by the mask:
//!
//! `magnitude = mean |M_p - M_t|`, `direction = mean c`, with `c = 1 - (dx_p dx_t + dy_p dy_t) / (M_p M_t)` (`cosine`)
//! or the angle between the two slopes over pi (`angle`), and 0 where `s_p` or `s_t` is at most 1e-12;
//! `loss = lambda_mag magnitude + lambda_dir direction`
//!
//! # Shapes
//! `prediction` and `target`: `[batch, height, width]`, both at least 2; `mask` likewise, where 0 leaves a cell out and any
//! other number keeps it; the results are `[1]`: every kept cell counts the same, in whichever map it is.
//!
//! # Range and gradient
//! At least 0; `direction` is at most 2 for `cosine` and 1 for `angle`. A constant added to a map changes nothing. Not
//! smooth where magnitudes or directions are equal: there the slope is 0. Only the prediction gets a gradient. Without
//! kept cells the loss is 0.
//!
//! # Choices
//! The paper's abstract names the idea, magnitude and direction of change; operator, norms and weights are this
//! project's. `eps` keeps the derivative of the root finite. Cells next to a masked one still read its value.
//!
//! # Source
//! Sarkar, Manshaei, Krunz: RADIANCE: Radio-Frequency Adversarial Deep-learning Inference for Automated Network Coverage
//! Estimation, GLOBECOM 2023, gradient-based loss.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Tensor};
//! use synod_losses::regression::maps::map_gradient::{Config, map_gradient};
//!
//! let device = Device::flex();
//! let target = Tensor::<3>::from_data([[[0.0, 1.0], [0.0, 1.0]]], &device);
//! let values = map_gradient(target.clone() * 3.0 + 7.0, target, None, &Config::default())?;
//! assert!((values.magnitude.into_scalar::<f32>() - 2.0).abs() < 1e-6);
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use std::f64::consts::PI;

use burn::tensor::{Bool, Tensor};
use serde::{Deserialize, Serialize};

use crate::error::LossError;
use crate::option::{NON_NEGATIVE, POSITIVE, any, objective};
use crate::reduce::denominator;

/// How two directions are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// By 1 minus the cosine of their angle.
    #[default]
    Cosine,
    /// By their angle.
    Angle,
}

impl Direction {
    /// Names in plans, for listings.
    pub(super) const NAMES: &str = "\"cosine\", \"angle\"";
}

objective! {
    "map_gradient", family: "regression", file: "map_gradient.rs", role: Term, tasks: [Maps], remembers: None,
    cost: "O(B H W)",
    options: {
        lambda_mag / with_lambda_mag: f64 = 1.0, NON_NEGATIVE, "weight of the magnitude";
        lambda_dir / with_lambda_dir: f64 = 1.0, NON_NEGATIVE, "weight of the direction";
        direction / with_direction: Direction = Direction::Cosine => "\"cosine\"", any(Direction::NAMES),
            "way to compare directions";
        eps / with_eps: f64 = 1e-8, POSITIVE, "square added to every slope";
    }
}

/// The loss and its terms, each `[1]`.
#[derive(Debug, Clone)]
pub struct Values {
    /// What is minimised.
    pub total: Tensor<1>,
    /// Difference of the magnitudes, unweighted.
    pub magnitude: Tensor<1>,
    /// Difference of the directions, unweighted.
    pub direction: Tensor<1>,
}

/// Square of a slope at or below which it has no direction.
const FLAT: f64 = 1e-12;

/// The loss of a batch of maps `[batch, height, width]`.
///
/// # Errors
/// [`LossError::EmptyBatch`], [`LossError::Shape`].
pub fn map_gradient(
    prediction: Tensor<3>,
    target: Tensor<3>,
    mask: Option<Tensor<3>>,
    config: &Config,
) -> Result<Values, LossError> {
    check_maps(NAME, &prediction, &target, mask.as_ref())?;
    Ok(values(prediction, target, left_out(mask).as_ref(), config))
}

/// Which cells a mask leaves out.
pub(super) fn left_out(mask: Option<Tensor<3>>) -> Option<Tensor<3, Bool>> {
    mask.map(|mask| mask.equal_scalar(0.0))
}

/// The loss of maps that are known to fit.
pub(super) fn values(
    prediction: Tensor<3>,
    target: Tensor<3>,
    left_out: Option<&Tensor<3, Bool>>,
    config: &Config,
) -> Values {
    let target = target.detach();
    let slopes = |map: Tensor<3>| (differences(map.clone(), 2), differences(map, 1));
    let ((px, py), (tx, ty)) = (slopes(prediction), slopes(target));
    let square = |x: &Tensor<3>, y: &Tensor<3>| x.clone() * x.clone() + y.clone() * y.clone();
    let (p_square, t_square) = (square(&px, &py), square(&tx, &ty));
    let flat = p_square.clone().lower_equal_scalar(FLAT).bool_or(t_square.clone().lower_equal_scalar(FLAT));
    let size = |square: Tensor<3>| (square + config.eps).sqrt();
    let (p_size, t_size) = (size(p_square), size(t_square));
    let along = px.clone() * tx.clone() + py.clone() * ty.clone();
    let turned = match config.direction {
        Direction::Cosine => (along / (p_size.clone() * t_size.clone())).neg() + 1.0,
        Direction::Angle => angle(py * tx - px * ty, along, &flat),
    };
    let mean = |cells: Tensor<3>| mean_of_kept(cells, left_out);
    let (magnitude, direction) = (mean((p_size - t_size).abs()), mean(turned.mask_fill(flat, 0.0)));
    let total = magnitude.clone() * config.lambda_mag + direction.clone() * config.lambda_dir;
    Values { total, magnitude, direction }
}

/// Angle over pi; where there is none, of a harmless pair.
fn angle(across: Tensor<3>, along: Tensor<3>, flat: &Tensor<3, Bool>) -> Tensor<3> {
    across.mask_fill(flat.clone(), 0.0).atan2(along.mask_fill(flat.clone(), 1.0)).abs() / PI
}

/// Central differences along `dim`, one-sided at both ends.
fn differences(map: Tensor<3>, dim: usize) -> Tensor<3> {
    let size = map.dims()[dim];
    let step =
        |from: usize, to: usize, len: usize| map.clone().narrow(dim, to, len) - map.clone().narrow(dim, from, len);
    let mut parts = vec![step(0, 1, 1)];
    if size > 2 {
        parts.push(step(0, 2, size - 2) * 0.5);
    }
    parts.push(map.clone().narrow(dim, size - 1, 1) - map.narrow(dim, size - 2, 1));
    Tensor::cat(parts, dim)
}

/// Mean over the cells that are not left out, `[1]`.
pub(super) fn mean_of_kept(cells: Tensor<3>, left_out: Option<&Tensor<3, Bool>>) -> Tensor<1> {
    let Some(left_out) = left_out else { return cells.mean() };
    let kept = cells.ones_like().mask_fill(left_out.clone(), 0.0).sum();
    cells.mask_fill(left_out.clone(), 0.0).sum() / denominator(kept)
}

/// Checks that all maps have the shape of the first, at least 2 by 2.
pub(super) fn check_maps(
    loss: &'static str,
    prediction: &Tensor<3>,
    target: &Tensor<3>,
    mask: Option<&Tensor<3>>,
) -> Result<(), LossError> {
    let shape = prediction.dims();
    let refused =
        |tensor, expected, found: [usize; 3]| Err(LossError::Shape { loss, tensor, expected, found: found.to_vec() });
    match shape {
        [0, ..] => return Err(LossError::EmptyBatch { loss }),
        [_, height, width] if height < 2 || width < 2 => {
            return refused("prediction", "[batch, height, width] of at least 2 by 2".to_owned(), shape);
        }
        _ => {}
    }
    for (name, map) in [("target", Some(target)), ("mask", mask)] {
        if let Some(map) = map.filter(|map| map.dims() != shape) {
            return refused(name, format!("{shape:?}, that of prediction"), map.dims());
        }
    }
    Ok(())
}
