//! Hyp-OC: one-class classification in the Poincaré ball, cross-entropy and pairwise confusion together.
//!
//! # Formula
//! With `points` of [`to_poincare`](mod@super::to_poincare), genuine samples first and as many pseudo-negatives after
//! them: `loss = mean hyp_ce(points, labels) + mean hyp_pc(genuine points)`, where labels are 0 for genuine samples and
//! 1 for pseudo-negatives. See [`hyp_ce`](mod@super::hyp_ce) and [`hyp_pc`](mod@super::hyp_pc).
//!
//! # Shapes
//! `features: [2 genuine, width]` with an even number of genuine samples, `base: [width]`, planes of at least 2
//! classes, each `[classes, width]`; the two parts are `[1]`, the logits `[2 genuine, classes]`.
//!
//! # Range and gradient
//! `[0, inf)`. The gradient reaches features, base and planes; pseudo-negatives come without.
//!
//! # Choices
//! Pseudo-negatives are drawn outside, with [`pseudo_negative`](mod@super::pseudo_negative), before the features are
//! reduced. The released code trains with batches of 8, Adam at 1e-6 and gradients clipped to a norm of 3; its options
//! are the defaults.
//!
//! # Source
//! Narayan, Patel: Hyp-OC: Hyperbolic One Class Classification for Face Anti-Spoofing, FG 2024, and its released code.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Tensor};
//! use synod_losses::classification::hyp_oc::{Hyperplanes, hyp_oc, total::Config};
//!
//! let device = Device::flex();
//! let features = Tensor::<2>::from_data([[1.0, 0.0], [1.0, 0.1], [-1.0, 0.0], [-1.0, 0.3]], &device);
//! let planes = Hyperplanes {
//!     a_vals: Tensor::from_data([[1.0, 0.0], [-1.0, 0.0]], &device),
//!     p_vals: Tensor::zeros([2, 2], &device),
//! };
//! let parts = hyp_oc(features, Tensor::zeros([2], &device), planes, &Config::default())?;
//! assert!(parts.total().into_scalar::<f32>() < 0.5);
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::{Int, Tensor};

use super::hyp_ce::{self, Hyperplanes};
use super::hyp_pc::{self, Distance, hyp_pc};
use super::to_poincare::{self, to_poincare};
use crate::check;
use crate::classification::cross_entropy::{self, cross_entropy};
use crate::error::LossError;
use crate::option::{NON_NEGATIVE, POSITIVE, any, objective};

objective! {
    "hyp_oc", family: "classification", file: "total.rs", role: Loss, tasks: [OneClass], remembers: None,
    cost: "O(B C D)",
    options: {
        curvature / with_curvature: f64 = 0.1, POSITIVE, "curvature of the ball, without its sign";
        clip_r / with_clip_r: f64 = 2.0, NON_NEGATIVE, "length to which features are clipped; 0 does not clip";
        riemannian / with_riemannian: bool = true, any("true, false"), "choice to scale gradients by the ball's metric";
        distance / with_distance: Distance = Distance::Atan => "\"atan\"", any("\"atan\", \"atanh\""),
            "distance of two points";
    }
}

/// The parts of the loss.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Parts {
    /// Mean cross-entropy of all samples, `[1]`.
    pub hyp_ce: Tensor<1>,
    /// Mean pairwise confusion of genuine samples, `[1]`.
    pub hyp_pc: Tensor<1>,
    /// Logits of all samples, `[batch, classes]`.
    pub logits: Tensor<2>,
}

impl Parts {
    /// The loss, `[1]`.
    #[must_use]
    pub fn total(self) -> Tensor<1> {
        self.hyp_ce + self.hyp_pc
    }
}

/// The parts of the loss for `features: [2 genuine, width]`, genuine samples first, and `base: [width]`.
///
/// # Errors
/// [`LossError::EmptyBatch`], [`LossError::Shape`] if the rows are not a multiple of 4 or there are fewer than 2 planes.
pub fn hyp_oc(features: Tensor<2>, base: Tensor<1>, planes: Hyperplanes, config: &Config) -> Result<Parts, LossError> {
    let [batch, width] = check::matrix(NAME, "features", &features)?;
    let refuse = |tensor, expected, found| Err(LossError::Shape { loss: NAME, tensor, expected, found });
    if batch % 4 != 0 {
        let expected = format!("[twice an even number, {width}]");
        return refuse("features", expected, vec![batch, width]);
    }
    let [classes, _] = check::matrix(NAME, "a_vals", &planes.a_vals)?;
    if classes < 2 {
        return refuse("a_vals", format!("[at least 2, {width}]"), planes.a_vals.dims().to_vec());
    }
    let genuine = batch / 2;
    let map = to_poincare::Config::default().with_curvature(config.curvature).with_clip_r(config.clip_r);
    let points = to_poincare(features, base, &map.with_riemannian(config.riemannian))?;
    let logits = hyp_ce::logits(points.clone(), planes, config.curvature)?;
    let labels = Tensor::<1, Int>::arange(0..batch as i64, &points.device()).greater_equal_scalar(genuine as i64).int();
    let values = cross_entropy(logits.clone(), labels, &cross_entropy::Config::default())?;
    let pairs = hyp_pc::Config::default().with_curvature(config.curvature).with_distance(config.distance);
    let confusion = hyp_pc(points.slice([0..genuine, 0..width]), &pairs)?;
    Ok(Parts { hyp_ce: values.mean(), hyp_pc: confusion.mean(), logits })
}
