//! PULASki: a distance between sampled and drawn masks, and the divergence between the latents that samples come from.
//!
//! # Formula
//! `loss = w_dist mean_b distance_b + w_latent KL` with, summed over the batch and the latents,
//! `KL = 1/2 sum (p_logvar - q_logvar + (exp(q_logvar) + (q_mean - p_mean)^2) / exp(p_logvar) - 1)`
//!
//! # Shapes
//! `logits: [batch, samples, pixels]`, `raters: [batch, raters, pixels]`, each 0 or 1, and [`Latents`] of four times
//! `[batch, latents]`; the loss is `[1]`, because the divergence is a sum over the batch.
//!
//! # Range and gradient
//! That of the distance plus `[0, inf)`. The divergence is smooth and 0 for equal Gaussians; posterior and prior both have a
//! gradient.
//!
//! # Choices
//! The divergence is a sum, not a mean, as in the official code. The distance is one of
//! [`energy_distance`](super::energy_distance()), [`sinkhorn`](super::sinkhorn()) and [`soft_ged`](super::soft_ged()); the
//! official default is the first, called `energy_mmd`. Options of the others do nothing then.
//!
//! # Source
//! Chatterjee et al.: PULASki: Learning inter-rater variability using statistical distances to improve probabilistic
//! segmentation, Medical Image Analysis 2025 (arXiv 2312.15686); as in the official code.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Tensor};
//! use synod_losses::segmentation::raters::pulaski::{Config, Latents, pulaski};
//!
//! let device = Device::flex();
//! let zeros = || Tensor::<2>::zeros([1, 2], &device);
//! let latents = Latents { q_mean: zeros() + 1.0, q_logvar: zeros(), p_mean: zeros(), p_logvar: zeros() };
//! let masks = Tensor::<3>::zeros([1, 1, 4], &device);
//! let parts = pulaski(masks.clone(), &masks, latents, &Config::default())?;
//! assert_eq!(parts.latent_kl.into_scalar::<f32>(), 1.0);
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::{energy_distance, sinkhorn, soft_ged};
use crate::check;
use crate::error::{ConfigError, LossError};
use crate::info::{LossInfo, Objective, OptionInfo, Remembers, Role, TaskKind};
use crate::option::{NON_NEGATIVE, validate};

/// Which distance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Distance {
    /// Half the energy distance.
    #[default]
    EnergyMmd,
    /// Sinkhorn divergence.
    Sinkhorn,
    /// Soft generalised energy distance.
    SoftGed,
}

const NAME: &str = "pulaski";

/// Options of the PULASki loss.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// The distance between masks; energy_mmd, sinkhorn or soft_ged.
    pub distance: Distance,
    /// The weight of the distance; finite, >= 0.
    pub w_dist: f64,
    /// The weight of the divergence; finite, >= 0.
    pub w_latent: f64,
    /// The blur of sinkhorn; from 0.0001 to 1e6.
    pub blur: f64,
    /// How fast the temperature of sinkhorn falls; above 0, at most 0.99.
    pub scaling: f64,
    /// The distance at which sinkhorn begins; above 0, at most 1e6, or null.
    pub diameter: Option<f64>,
    /// What makes two empty masks alike in soft_ged; finite, > 0.
    pub eps: f64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            distance: Distance::EnergyMmd,
            w_dist: 1.0,
            w_latent: 1.0,
            blur: 0.05,
            scaling: 0.5,
            diameter: None,
            eps: 1e-6,
        }
    }
}

impl Config {
    /// Sets the distance between masks.
    #[must_use]
    pub fn with_distance(mut self, distance: Distance) -> Self {
        self.distance = distance;
        self
    }

    /// Sets the weight of the distance.
    #[must_use]
    pub fn with_w_dist(mut self, w_dist: f64) -> Self {
        self.w_dist = w_dist;
        self
    }

    /// Sets the weight of the divergence.
    #[must_use]
    pub fn with_w_latent(mut self, w_latent: f64) -> Self {
        self.w_latent = w_latent;
        self
    }

    /// Sets the blur of sinkhorn.
    #[must_use]
    pub fn with_blur(mut self, blur: f64) -> Self {
        self.blur = blur;
        self
    }

    /// Sets how fast the temperature of sinkhorn falls.
    #[must_use]
    pub fn with_scaling(mut self, scaling: f64) -> Self {
        self.scaling = scaling;
        self
    }

    /// Sets the distance at which sinkhorn begins.
    #[must_use]
    pub fn with_diameter(mut self, diameter: f64) -> Self {
        self.diameter = Some(diameter);
        self
    }

    /// Sets what makes two empty masks alike in soft_ged.
    #[must_use]
    pub fn with_eps(mut self, eps: f64) -> Self {
        self.eps = eps;
        self
    }
}

impl Objective for Config {
    const INFO: LossInfo = LossInfo {
        name: NAME,
        family: "segmentation",
        role: Role::Loss,
        tasks: &[TaskKind::Segmentation],
        options: &[
            OptionInfo::new(
                "distance",
                "\"energy_mmd\"",
                "energy_mmd, sinkhorn or soft_ged",
                "the distance between masks",
            ),
            OptionInfo::new("w_dist", "1.0", "finite, >= 0", "the weight of the distance"),
            OptionInfo::new("w_latent", "1.0", "finite, >= 0", "the weight of the divergence"),
            OptionInfo::new("blur", "0.05", "from 0.0001 to 1e6", "the blur of sinkhorn"),
            OptionInfo::new("scaling", "0.5", "above 0, at most 0.99", "how fast the temperature of sinkhorn falls"),
            OptionInfo::new(
                "diameter",
                "null",
                "above 0, at most 1e6, or null",
                "the distance at which sinkhorn begins",
            ),
            OptionInfo::new("eps", "0.000001", "finite, > 0", "what makes two empty masks alike in soft_ged"),
        ],
        remembers: Remembers::None,
        cost: "O(B (N + M)^2 pixels)",
        file: include_str!("pulaski.rs"),
    };

    fn validate(self) -> Result<Self, ConfigError> {
        validate("w_dist", &self.w_dist, &NON_NEGATIVE)?;
        validate("w_latent", &self.w_latent, &NON_NEGATIVE)?;
        self.sinkhorn().validate()?;
        self.soft_ged().validate()?;
        Ok(self)
    }
}

impl Config {
    fn sinkhorn(&self) -> sinkhorn::Config {
        let config = sinkhorn::Config::default().with_blur(self.blur).with_scaling(self.scaling);
        match self.diameter {
            Some(diameter) => config.with_diameter(diameter),
            None => config,
        }
    }

    fn soft_ged(&self) -> soft_ged::Config {
        soft_ged::Config::default().with_eps(self.eps)
    }
}

/// Gaussians that samples come from, each `[batch, latents]`.
#[derive(Debug, Clone)]
pub struct Latents {
    /// Mean of the posterior.
    pub q_mean: Tensor<2>,
    /// Logarithm of the posterior's variance.
    pub q_logvar: Tensor<2>,
    /// Mean of the prior.
    pub p_mean: Tensor<2>,
    /// Logarithm of the prior's variance.
    pub p_logvar: Tensor<2>,
}

/// What [`pulaski`] gives, each `[1]`; both parts before they are weighted.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Parts {
    /// The loss.
    pub loss: Tensor<1>,
    /// Mean distance of the images.
    pub distance: Tensor<1>,
    /// Divergence of the latents.
    pub latent_kl: Tensor<1>,
}

/// The loss and its parts.
///
/// # Errors
/// Those of the distance, and [`LossError::Shape`] if the latents have different shapes.
pub fn pulaski(logits: Tensor<3>, raters: &Tensor<3>, latents: Latents, config: &Config) -> Result<Parts, LossError> {
    let Latents { q_mean, q_logvar, p_mean, p_logvar } = latents;
    for (name, other) in [("q_logvar", &q_logvar), ("p_mean", &p_mean), ("p_logvar", &p_logvar)] {
        check::same_shape(NAME, ("q_mean", &q_mean), (name, other))?;
    }
    let values = match config.distance {
        Distance::EnergyMmd => energy_distance::energy_distance(logits, raters, &energy_distance::Config::default())?,
        Distance::Sinkhorn => sinkhorn::sinkhorn(logits, raters, &config.sinkhorn())?,
        Distance::SoftGed => soft_ged::soft_ged(logits, raters, &config.soft_ged())?,
    };
    let distance = values.mean();
    let variance = (q_logvar.clone() - p_logvar.clone()).exp();
    let shift = (q_mean - p_mean).square() * p_logvar.clone().neg().exp();
    let latent_kl = (p_logvar - q_logvar + variance + shift - 1.0).sum() * 0.5;
    let loss = distance.clone() * config.w_dist + latent_kl.clone() * config.w_latent;
    Ok(Parts { loss, distance, latent_kl })
}
