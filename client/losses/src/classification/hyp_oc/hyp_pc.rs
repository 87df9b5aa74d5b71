//! Pairwise confusion in the Poincaré ball: draws genuine samples together, pair by pair.
//!
//! # Formula
//! With curvature `c`, `s = sqrt(c)`, `(+)` the Möbius sum, and the first half of the batch paired with the second,
//! `t_i = s |(-x_i) (+) x_{i + B/2}|` and `d_i = (2/s) atan(t_i)` or `(2/s) atanh(t_i)`: `value_i = d_i / 2`, whose mean
//! is `sum_i d_i / B`.
//!
//! # Shapes
//! `points: [batch, width]` of the ball, an even number of them; the result is `[batch / 2]`, one value per pair.
//!
//! # Range and gradient
//! `[0, inf)` with `atanh`, below `pi / (4 s)` with `atan`, which is never the larger one. The gradient of a pair at the same
//! place is 0. For small `c` the value tends to the Euclidean distance.
//!
//! # Choices
//! The geodesic distance is that with `atanh`, in which `t` counts as at most `1 - 1e-5`. The default `atan` is what
//! the released code computes.
//!
//! # Source
//! Narayan, Patel: Hyp-OC: Hyperbolic One Class Classification for Face Anti-Spoofing, FG 2024, the hyperbolic pairwise
//! confusion loss, and its released code.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Tensor};
//! use synod_losses::classification::hyp_oc::hyp_pc::{Config, hyp_pc};
//!
//! let points = Tensor::<2>::from_data([[0.1, 0.0], [0.2, 0.0]], &Device::flex());
//! let value = hyp_pc(points, &Config::default().with_curvature(1e-4))?.into_scalar::<f32>();
//! assert!((value - 0.1).abs() < 1e-4);
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::ball::{Ball, EPS, square};
use crate::check;
use crate::error::LossError;
use crate::geometry::root;
use crate::option::{POSITIVE, any, objective};

/// How the distance follows from the length of the Möbius difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Distance {
    /// By the arc tangent, as in the released code.
    #[default]
    Atan,
    /// By the inverse hyperbolic tangent: the geodesic distance.
    Atanh,
}

objective! {
    "hyp_pc", family: "classification", file: "hyp_pc.rs", role: Term, tasks: [OneClass], remembers: None,
    cost: "O(B D)",
    options: {
        curvature / with_curvature: f64 = 0.1, POSITIVE, "curvature of the ball, without its sign";
        distance / with_distance: Distance = Distance::Atan => "\"atan\"", any("\"atan\", \"atanh\""),
            "distance of two points";
    }
}

/// Values per pair, `[batch / 2]`, for `points: [batch, width]` of the ball. Points outside are not looked for.
///
/// # Errors
/// [`LossError::EmptyBatch`], [`LossError::Shape`] for an odd number of points.
pub fn hyp_pc(points: Tensor<2>, config: &Config) -> Result<Tensor<1>, LossError> {
    let [batch, width] = check::matrix(NAME, "points", &points)?;
    if batch % 2 == 1 {
        let expected = format!("[even, {width}]");
        return Err(LossError::Shape { loss: NAME, tensor: "points", expected, found: vec![batch, width] });
    }
    let pairs = batch / 2;
    let ball = Ball::new(config.curvature);
    let difference = ball.add(points.clone().slice([0..pairs, 0..width]).neg(), points.slice([pairs..batch, 0..width]));
    let t = root(square(difference)) * ball.s;
    let angle = match config.distance {
        Distance::Atan => t.atan(),
        Distance::Atanh => t.clamp_max(1.0 - EPS).atanh(),
    };
    Ok((angle / ball.s).reshape([pairs]))
}
