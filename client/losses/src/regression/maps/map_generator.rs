//! Map generator: adversarial training of predicted maps, held to the true ones by values and gradients.
//!
//! # Formula
//! With the discriminator's logits `d` of the prediction, and means over the cells kept by the mask:
//!
//! `loss = mean softplus(-d) + lambda_l1 mean |prediction - target| + map_gradient`
//!
//! # Shapes
//! `prediction`, `target` and `mask` as in `map_gradient`, `logits: [n]`, any number; the results are `[1]`.
//!
//! # Range and gradient
//! At least 0. The prediction gets the gradients of the last two terms, the logits that of the first. Not smooth where
//! a value is exact: there the slope is 0.
//!
//! # Choices
//! The weight of 100 is the usual one for translating images, as the paper's is not known.
//!
//! # Source
//! Sarkar, Manshaei, Krunz: RADIANCE, GLOBECOM 2023; the adversarial and absolute terms of Isola et al.: Image-to-Image
//! Translation with Conditional Adversarial Networks, CVPR 2017.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Tensor};
//! use synod_losses::regression::maps::map_generator::{Config, map_generator};
//!
//! let device = Device::flex();
//! let map = Tensor::<3>::from_data([[[0.0, 1.0], [0.0, 1.0]]], &device);
//! let logits = Tensor::<1>::from_data([0.0], &device);
//! let values = map_generator(map.clone(), map, None, logits, &Config::default())?;
//! assert!((values.total.into_scalar::<f32>() - 2f32.ln()).abs() < 1e-6);
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::{Tensor, activation::softplus};

use super::map_gradient::{self, Direction, check_maps, left_out, mean_of_kept};
use crate::check;
use crate::error::LossError;
use crate::option::{NON_NEGATIVE, POSITIVE, any, objective};

objective! {
    "map_generator", family: "regression", file: "map_generator.rs", role: Loss, tasks: [Maps], remembers: None,
    cost: "O(B H W)",
    options: {
        lambda_mag / with_lambda_mag: f64 = 1.0, NON_NEGATIVE, "weight of the magnitude of change";
        lambda_dir / with_lambda_dir: f64 = 1.0, NON_NEGATIVE, "weight of the direction of change";
        lambda_l1 / with_lambda_l1: f64 = 100.0, NON_NEGATIVE, "weight of the absolute error";
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
    /// What the discriminator says.
    pub adversarial: Tensor<1>,
    /// Absolute error, unweighted.
    pub absolute: Tensor<1>,
    /// Gradients of the maps.
    pub gradient: map_gradient::Values,
}

/// The loss of a batch of maps `[batch, height, width]` and the discriminator's `logits: [n]` of the prediction.
///
/// # Errors
/// [`LossError::EmptyBatch`], [`LossError::Shape`].
pub fn map_generator(
    prediction: Tensor<3>,
    target: Tensor<3>,
    mask: Option<Tensor<3>>,
    logits: Tensor<1>,
    config: &Config,
) -> Result<Values, LossError> {
    check_maps(NAME, &prediction, &target, mask.as_ref())?;
    check::vector(NAME, "logits", &logits, logits.dims()[0])?;
    let options = map_gradient::Config {
        lambda_mag: config.lambda_mag,
        lambda_dir: config.lambda_dir,
        direction: config.direction,
        eps: config.eps,
    };
    let left_out = left_out(mask);
    let adversarial = softplus(logits.neg(), 1.0).mean();
    let absolute = mean_of_kept((prediction.clone() - target.clone().detach()).abs(), left_out.as_ref());
    let gradient = map_gradient::values(prediction, target, left_out.as_ref(), &options);
    let total = adversarial.clone() + absolute.clone() * config.lambda_l1 + gradient.total.clone();
    Ok(Values { total, adversarial, absolute, gradient })
}
