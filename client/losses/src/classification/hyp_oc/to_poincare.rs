//! Map of features to the Poincaré ball, around a base point that is learned.
//!
//! # Formula
//! With curvature `c`, `s = sqrt(c)`, `(+)` the Möbius sum, `exp_p` the exponential map at `p`, and
//! `clip(x) = x min(1, clip_r / (|x| + 1e-5))`: `p = project(exp_0(base))`, `point = project(exp_p(clip(feature)))`,
//! where `exp_p(u) = p (+) tanh(s |u| / (1 - c |p|^2)) u / (s |u|)` and `project` moves what lies beyond
//! `(1 - 1e-3) / s` back to there.
//!
//! # Shapes
//! `features: [batch, width]`, `base: [width]`; the result is `[batch, width]`.
//!
//! # Range and gradient
//! Points have norms up to `(1 - 1e-3) / s`. With `riemannian` the gradient that arrives at a point is multiplied by
//! `(1 - c |point|^2)^2 / 4`, the inverse of the ball's metric; values do not change. A zero feature gives the base
//! point. Norms count as at least 1e-5.
//!
//! # Choices
//! `clip_r = 0` turns clipping off. The released code takes the metric's constant from whichever map was made last;
//! here it is the map's own curvature. Defaults are those of the released code.
//!
//! # Source
//! Narayan, Patel: Hyp-OC: Hyperbolic One Class Classification for Face Anti-Spoofing, FG 2024, and its released code.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Tensor};
//! use synod_losses::classification::hyp_oc::to_poincare::{Config, to_poincare};
//!
//! let device = Device::flex();
//! let config = Config::default().with_curvature(1.0).with_clip_r(0.0);
//! let features = Tensor::<2>::from_data([[3.0, 4.0]], &device);
//! let point = to_poincare(features, Tensor::zeros([2], &device), &config)?.try_into_vec_as::<f32>();
//! let point = point.expect("on the CPU");
//! assert!((point[0] - 0.5994).abs() < 1e-5 && (point[1] - 0.7992).abs() < 1e-5);
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::Tensor;

use super::ball::{Ball, EPS};
use crate::check;
use crate::error::LossError;
use crate::geometry::root;
use crate::option::{NON_NEGATIVE, POSITIVE, any, objective};

objective! {
    "to_poincare", family: "classification", file: "to_poincare.rs", role: Step, tasks: [OneClass], remembers: None,
    cost: "O(B D)",
    options: {
        curvature / with_curvature: f64 = 0.1, POSITIVE, "curvature of the ball, without its sign";
        clip_r / with_clip_r: f64 = 2.0, NON_NEGATIVE, "length to which features are clipped; 0 does not clip";
        riemannian / with_riemannian: bool = true, any("true, false"), "choice to scale gradients by the ball's metric";
    }
}

/// Points of the ball, `[batch, width]`, for `features: [batch, width]` and `base: [width]`.
///
/// # Errors
/// [`LossError::EmptyBatch`], [`LossError::Shape`].
pub fn to_poincare(features: Tensor<2>, base: Tensor<1>, config: &Config) -> Result<Tensor<2>, LossError> {
    let [_, width] = check::matrix(NAME, "features", &features)?;
    check::vector(NAME, "base", &base, width)?;
    let ball = Ball::new(config.curvature);
    let base = ball.project(ball.exp0(base.reshape([1, width])));
    let points = ball.project(ball.exp_at(base, clipped(features, config.clip_r)));
    if !config.riemannian {
        return Ok(points);
    }
    let value = points.clone().detach();
    let metric = ball.shrinkage(value.clone()).square() * 0.25;
    Ok((points - value.clone()) * metric + value)
}

fn clipped(features: Tensor<2>, clip_r: f64) -> Tensor<2> {
    if clip_r == 0.0 {
        return features;
    }
    let norm = root(features.clone().square().sum_dim(1)) + EPS;
    features * (norm.recip() * clip_r).clamp_max(1.0)
}
