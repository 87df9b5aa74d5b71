//! Cross-entropy of a hyperbolic head: classes are separated by hyperplanes of the Poincaré ball.
//!
//! # Formula
//! With curvature `c`, `s = sqrt(c)`, `P_k = exp_0(p_vals_k)`, `lambda_k = 2 / (1 - c |P_k|^2)`,
//! `A_k = a_vals_k (1 - c |P_k|^2)` and `M = (-P_k) (+) y_b` (Möbius sum), the logits are
//! `(lambda_k |A_k| / s) asinh(2 s <M, A_k> / (|A_k| (1 - c |M|^2)))`, and the value is their cross-entropy.
//!
//! # Shapes
//! `points: [batch, width]` of the ball, `a_vals` and `p_vals`: `[classes, width]`, `labels: [batch]` with values in
//! `0..classes`; the result is `[batch]`.
//!
//! # Range and gradient
//! `[0, inf)`, smooth inside the ball. The logit of `y = P_k` is 0, and a negated normal negates its logit. For small
//! `c` the logit tends to `4 <y - p_k, a_k>`.
//!
//! # Choices
//! Products of points and planes are matrix products; no `[batch, classes, width]` is formed. A plane without normal
//! (a row of zeros) has logits of 0. Norms under the exponential map count as at least 1e-5. Learned planes start
//! evenly in `[-1 / sqrt(width), 1 / sqrt(width)]`.
//!
//! # Source
//! Narayan, Patel: Hyp-OC: Hyperbolic One Class Classification for Face Anti-Spoofing, FG 2024, and its released code;
//! the logits are those of Ganea, Bécigneul, Hofmann: Hyperbolic Neural Networks, NeurIPS 2018.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Int, Tensor};
//! use synod_losses::classification::hyp_oc::hyp_ce::{Config, Hyperplanes, hyp_ce};
//!
//! let device = Device::flex();
//! let planes = Hyperplanes {
//!     a_vals: Tensor::from_data([[1.0, 0.0], [-1.0, 0.0]], &device),
//!     p_vals: Tensor::zeros([2, 2], &device),
//! };
//! let points = Tensor::<2>::from_data([[2.0, 0.0]], &device);
//! let labels = Tensor::<1, Int>::from_data([0], &device);
//! assert!(hyp_ce(points, labels, planes, &Config::default())?.into_scalar::<f32>() < 1e-3);
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::{Int, Tensor};

use super::ball::{Ball, EPS, square};
use crate::check;
use crate::classification::cross_entropy::{self, cross_entropy};
use crate::error::LossError;
use crate::geometry::root;
use crate::option::{POSITIVE, objective};

objective! {
    "hyp_ce", family: "classification", file: "hyp_ce.rs", role: Loss, tasks: [OneClass], remembers: None,
    cost: "O(B C D)",
    options: {
        curvature / with_curvature: f64 = 0.1, POSITIVE, "curvature of the ball, without its sign";
    }
}

/// Divides by the length of a normal; far below any that means something.
const NORMAL_MIN: f64 = 1e-15;

/// The learned planes of a head, one per class, both `[classes, width]`.
#[derive(Debug, Clone)]
pub struct Hyperplanes {
    /// Their normals.
    pub a_vals: Tensor<2>,
    /// Their offsets, as tangents at the origin.
    pub p_vals: Tensor<2>,
}

/// Values per sample, `[batch]`, for `points: [batch, width]` of the ball and `labels: [batch]`.
///
/// # Errors
/// As [`logits`]; [`LossError::Shape`] also for another number of labels. Labels out of range and points outside the
/// ball are not looked for; see [`check`].
pub fn hyp_ce(
    points: Tensor<2>,
    labels: Tensor<1, Int>,
    planes: Hyperplanes,
    config: &Config,
) -> Result<Tensor<1>, LossError> {
    cross_entropy(logits(points, planes, config.curvature)?, labels, &cross_entropy::Config::default())
}

/// Logits of the head, `[batch, classes]`, for `points: [batch, width]` of the ball of this curvature.
///
/// # Errors
/// [`LossError::EmptyBatch`], [`LossError::Shape`].
pub fn logits(points: Tensor<2>, planes: Hyperplanes, curvature: f64) -> Result<Tensor<2>, LossError> {
    let [_, width] = check::matrix(NAME, "points", &points)?;
    let [classes, columns] = check::same_shape(NAME, ("a_vals", &planes.a_vals), ("p_vals", &planes.p_vals))?;
    if columns != width {
        let (expected, found) = (format!("[{classes}, {width}]"), vec![classes, columns]);
        return Err(LossError::Shape { loss: NAME, tensor: "a_vals", expected, found });
    }
    let ball = Ball::new(curvature);
    // x = -P_k; M = (alpha x + beta y) / denominator, of which only |M|^2 and <M, A_k> are needed.
    let x = ball.exp0(planes.p_vals).neg();
    let beta = ball.shrinkage(x.clone());
    let normal = planes.a_vals * beta.clone();
    let per_class = |column: Tensor<2>| column.reshape([1, classes]);
    let xx = per_class(square(x.clone()));
    let yy = square(points.clone());
    let xy = points.clone().matmul(x.clone().transpose());
    let ax = per_class((normal.clone() * x).sum_dim(1));
    let ay = points.matmul(normal.clone().transpose());
    let length = per_class(root(square(normal)));
    let beta = per_class(beta);

    let product = xy.clone() * (2.0 * ball.c) + 1.0;
    let denominator = product.clone() + xx.clone() * yy.clone() * (ball.c * ball.c) + EPS;
    let alpha = product + yy.clone() * ball.c;
    let along = (alpha.clone() * ax + beta.clone() * ay) / denominator.clone();
    let squares = alpha.clone().square() * xx + alpha * beta.clone() * xy * 2.0 + beta.clone().square() * yy;
    let shrinkage = squares / denominator.square() * -ball.c + 1.0;
    let sine = along * (2.0 * ball.s) / (length.clone().clamp_min(NORMAL_MIN) * shrinkage);
    Ok(sine.asinh() * (beta.recip() * length * (2.0 / ball.s)))
}
