//! Focal Tversky loss: Tversky loss to a power, by default below 1, which keeps pushing samples that are nearly right.
//!
//! # Formula
//! With `TI` the Tversky index of a sample, 1 minus the [Tversky loss](super::tversky()): `loss_b = (1 - TI)^gamma`
//!
//! # Shapes
//! `logits` and `targets` of one shape `[batch, ...]`, targets 0 or 1; the result is `[batch]`.
//!
//! # Range and gradient
//! `[0, 1)`. With `gamma < 1` the slope grows without bound towards 0; at 0 itself the gradient is 0. Smooth elsewhere.
//!
//! # Choices
//! `gamma = 0.75` is the paper's `1 / gamma` with `gamma = 4/3`.
//!
//! # Source
//! Abraham, Khan: A Novel Focal Tversky Loss Function with Improved Attention U-Net for Lesion Segmentation, ISBI 2019.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Tensor};
//! use synod_losses::segmentation::focal_tversky::{Config, focal_tversky};
//!
//! let device = Device::flex();
//! let logits = Tensor::<2>::from_data([[-1000.0, 1000.0]], &device);
//! let targets = Tensor::<2>::from_data([[1.0, 0.0]], &device);
//! let loss = focal_tversky(logits, targets, &Config::default())?.into_scalar::<f32>();
//! assert!((loss - 0.5f32.powf(0.75)).abs() < 1e-6);
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::overlap::{Overlap, flattened, power};
use crate::error::{ConfigError, LossError};
use crate::info::{LossInfo, Objective, OptionInfo, Remembers, Role, TaskKind};
use crate::option::{POSITIVE, SHARE, validate};

const NAME: &str = "focal_tversky";

/// Options of focal Tversky loss.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// How much a missed pixel counts; a wrong one counts 1 - alpha; from 0 to 1.
    pub alpha: f64,
    /// The power; below 1 it pushes samples that are nearly right; finite, > 0.
    pub gamma: f64,
    /// What is added above and below the fraction bar; finite, > 0.
    pub smooth: f64,
}

impl Default for Config {
    fn default() -> Self {
        Self { alpha: 0.7, gamma: 0.75, smooth: 1.0 }
    }
}

impl Config {
    /// Sets how much a missed pixel counts; a wrong one counts 1 - alpha.
    #[must_use]
    pub fn with_alpha(mut self, alpha: f64) -> Self {
        self.alpha = alpha;
        self
    }

    /// Sets the power; below 1 it pushes samples that are nearly right.
    #[must_use]
    pub fn with_gamma(mut self, gamma: f64) -> Self {
        self.gamma = gamma;
        self
    }

    /// Sets what is added above and below the fraction bar.
    #[must_use]
    pub fn with_smooth(mut self, smooth: f64) -> Self {
        self.smooth = smooth;
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
                "alpha",
                "0.7",
                "from 0 to 1",
                "how much a missed pixel counts; a wrong one counts 1 - alpha",
            ),
            OptionInfo::new(
                "gamma",
                "0.75",
                "finite, > 0",
                "the power; below 1 it pushes samples that are nearly right",
            ),
            OptionInfo::new("smooth", "1.0", "finite, > 0", "what is added above and below the fraction bar"),
        ],
        remembers: Remembers::None,
        cost: "O(pixels)",
        file: include_str!("focal_tversky.rs"),
    };

    fn validate(self) -> Result<Self, ConfigError> {
        validate("alpha", &self.alpha, &SHARE)?;
        validate("gamma", &self.gamma, &POSITIVE)?;
        validate("smooth", &self.smooth, &POSITIVE)?;
        Ok(self)
    }
}

impl Config {
    /// The loss, `[rows]`, of overlaps.
    pub(super) fn of_overlap(&self, overlap: Overlap) -> Tensor<1> {
        power(overlap.lacking(self.alpha, self.smooth), self.gamma)
    }
}

/// Values per sample, `[batch]`.
///
/// # Errors
/// [`LossError::EmptyBatch`] and [`LossError::Shape`].
pub fn focal_tversky<const D: usize>(
    logits: Tensor<D>,
    targets: Tensor<D>,
    config: &Config,
) -> Result<Tensor<1>, LossError> {
    let (logits, targets) = flattened(NAME, logits, targets)?;
    Ok(config.of_overlap(Overlap::of_logits(logits, targets)))
}
